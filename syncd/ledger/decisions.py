"""What a person decides about single entries, beside a running daemon: by compare-and-swap, with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from syncd.errors import UsageError
from syncd.ledger.doubt import doubt, doubt_entry
from syncd.ledger.lookups import forget_if_settled
from syncd.ledger.moves import move, settle_one
from syncd.ledger.outcomes import Receipt
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store, fact
from syncd.lifecycle import State
from syncd.model import PlacePath

_IMAGE_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


class Verdict(StrEnum):
    """What a person says of an unanswered entry."""

    STORED = "stored"
    RESEND = "resend"
    DISMISS = "dismiss"


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that waits for a person: its number, where it lies, and why it waits."""

    entry_id: int
    path: str
    state: State
    reason: str


def held(store: Store, states: Sequence[State]) -> list[Held]:
    """Give the entries in some states that have a place, each with its first place."""
    with store.read() as connection:
        rows = connection.execute(_HELD, {"states": json.dumps(list(states))}).all()
    return [Held(row.id, row.path, State(row.state), row.reason or "") for row in rows]


def entries_at(store: Store, place: PlacePath) -> list[tuple[int, State]]:
    """Give the entries of the photo at a place."""
    with store.read() as connection:
        rows = connection.execute(_AT, {"root": place.root, "folder": place.folder, "name": place.name}).all()
    return [(row.id, State(row.state)) for row in rows]


def retry(store: Store, entries: Sequence[int], now: float) -> int:
    """Make REFUSED and UNFIT entries READY again; give how many moved. Others are left as they are.

    So are those that no request can hold: of a format that the service does not take, empty, or over the size limit.
    In a ledger that was put back they may have been stored since; then they are unanswered, as all else is.
    """
    moved = 0
    with store.write() as connection:
        about = doubt(connection)
        most = fact(connection, "max_file_bytes")
        for entry_id in entries:
            if connection.execute(_CANNOT_BE_SENT, {"entry_id": entry_id, "most": most}).first() is not None:
                continue
            for before in (State.REFUSED, State.UNFIT):
                if move(connection, entry_id, before, State.READY, "a person asked for another try", now):
                    moved += 1
                    if about is not None and not _sent_since(connection, entry_id, about.since):
                        doubt_entry(connection, entry_id, now)
    return moved


def _sent_since(connection: Connection, entry_id: int, since: float) -> bool:
    return connection.execute(_SENT_SINCE, {"entry_id": entry_id, "since": since}).first() is not None


def resolve(store: Store, entry_id: int, verdict: Verdict, image_id: str | None, now: float) -> bool:
    """Settle an unanswered entry as a person says; tell whether it was unanswered. Raises UsageError for a bad id."""
    match verdict:
        case Verdict.STORED:
            if image_id is None or not _IMAGE_ID.fullmatch(image_id) or int(image_id) >= 2**63:
                raise UsageError("--stored takes the image id that the service gave: digits, nothing else")
            receipt = Receipt(entry_id, State.UPLOADED, "a person gave the image id", image_id)
        case Verdict.RESEND:
            receipt = Receipt(entry_id, State.READY, "a person asked to send it again", due_at=now)
        case Verdict.DISMISS:
            receipt = Receipt(entry_id, State.REFUSED, "a person dismissed it")
        case _:
            assert_never(verdict)
    with store.write() as connection:
        if receipt.image_id is not None:
            _refuse_a_held_id(connection, receipt.image_id, entry_id)
        moved = settle_one(connection, State.UNANSWERED, receipt, now)
        if moved:
            forget_if_settled(connection, entry_id)
    return moved


def _refuse_a_held_id(connection: Connection, image_id: str, entry_id: int) -> None:
    holder = connection.execute(
        text("SELECT id FROM entries WHERE image_id = :image_id"), {"image_id": image_id}
    ).scalar()
    if holder is not None and holder != entry_id:
        raise UsageError(
            f"image id {image_id} belongs to another photo already (entry {holder})",
            hint="Look the id up again; two photos never share one.",
        )


_CANNOT_BE_SENT = text("""
    SELECT 1 FROM entries JOIN photos ON photos.id = entries.photo_id
    WHERE entries.id = :entry_id AND (photos.type IS NULL OR entries.size = 0 OR entries.size > :most)
""")
_SENT_SINCE = text("""
    SELECT 1 FROM sent JOIN requests ON requests.id = sent.request_id
    WHERE sent.entry_id = :entry_id AND requests.sent_at >= :since LIMIT 1
""")
_HELD = text("""
    SELECT entries.id, entries.state, entries.reason, coalesce((
        SELECT roots.text || CASE roots.text WHEN '/' THEN '' ELSE '/' END
               || CASE folders.text WHEN '' THEN '' ELSE folders.text || '/' END || places.text
        FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
        WHERE places.photo_id = entries.photo_id
        ORDER BY places.gone_at IS NOT NULL, places.seen_at LIMIT 1), '') AS path
    FROM entries WHERE state IN (SELECT value FROM json_each(:states)) ORDER BY entries.id
""")
_AT = text("""
    SELECT entries.id, entries.state
    FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    JOIN photos ON photos.id = places.photo_id
    JOIN entries ON entries.photo_id = coalesce(photos.edit_of, photos.id)
    WHERE roots.path = :root AND folders.path = :folder AND places.name = :name AND places.gone_at IS NULL
    ORDER BY entries.id
""")
