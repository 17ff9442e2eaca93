"""What a ledger learns from an export: never less than it knows, and always in favour of not paying twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from syncd.ledger.doubt import FACT, REASON, doubt
from syncd.ledger.lookups import forget_if_settled
from syncd.ledger.moves import settle_one
from syncd.ledger.outcomes import Receipt
from syncd.ledger.plain import Connection, insert, text
from syncd.ledger.rows import PHOTO_COLUMNS
from syncd.ledger.sightings import owe_orphaned_edits, refresh_withdrawn
from syncd.ledger.store import fact, set_fact
from syncd.ledger.territory import BACKLOG
from syncd.lifecycle import State

_LEARNED: Final = frozenset({State.UPLOADED, State.UNANSWERED, State.REFUSED})
_ON_THE_WAY: Final[Mapping[State, tuple[State, ...]]] = {
    State.READY: (State.UNANSWERED,),
    State.REFUSED: (State.READY, State.UNANSWERED),
    State.UNFIT: (State.READY, State.UNANSWERED),
    State.UNANSWERED: (),
    State.SENDING: (),
    State.UPLOADED: (),
}
"""The moves from each state before the one to UPLOADED."""


@dataclass(slots=True)
class Adopted:
    """What came of an adoption: photos that are uploaded or maybe uploaded, new to the ledger or settled in it."""

    uploaded: int = 0
    unanswered: int = 0
    refused: int = 0
    known: int = 0
    """Nothing new in it."""
    conflicts: int = 0
    """The ledger has another image id for the photo, or another photo for the image id: left as it is."""
    owed_again: int = 0
    """Photos that were in doubt, and are not: the export knows of every request, and not of them."""
    doubt_ended: bool = False


def end_doubt(connection: Connection, now: float, *, resend: bool) -> int:
    """Owe what turns up again from now on; with `resend` also what was held because of the doubt. Give how many."""
    set_fact(connection, FACT, None)
    if not resend:
        return 0
    values = {"doubted": REASON, "reason": "the doubt about the ledger is over", "now": now}
    edited = connection.execute(_EDITED, values).scalars()
    connection.execute(_HISTORY_OF_DOUBTED, values)
    count = int(connection.execute(_SWAP_DOUBTED, values).rowcount)
    for photo_id in edited:
        owe_orphaned_edits(connection, photo_id, now)
    return count


class Adoption:
    """Adopts the photos of one export, in its order. An original always comes before its edits."""

    def __init__(self, ledger_id: str, requests: int | None, exported_at: str) -> None:
        """Adopt from an export that knows so many requests; None: it is in doubt itself."""
        self._ledger_id = ledger_id
        self._requests = requests
        self._reason = f"adopted from an export of {exported_at}"
        self._came = Adopted()

    def photo(self, connection: Connection, line: Mapping[str, Any], now: float) -> None:
        """Adopt one photo of the export with its entries."""
        photo_id = connection.execute(_PHOTO, {"digest": line["sha256"]}).scalar()
        if photo_id is None:
            photo_id = _new_photo(connection, line, now)
        for entry in line["entries"]:
            state = State.UNANSWERED if entry["state"] == State.SENDING else State(entry["state"])
            if state in _LEARNED:
                self._entry(connection, photo_id, state, entry, now)
        refresh_withdrawn(connection, photo_id)

    def end(self, connection: Connection, now: float) -> Adopted:
        """End a doubt that the export has answered: it is of this very ledger, and knows every request ever made."""
        about = doubt(connection)
        own = fact(connection, "ledger_id") == self._ledger_id
        made = about.made if about is not None else None
        if own and made is not None and self._requests is not None and self._requests >= made:
            self._came.owed_again = end_doubt(connection, now, resend=True)
            self._came.doubt_ended = True
        return self._came

    def _entry(self, connection: Connection, photo_id: int, state: State, entry: Mapping[str, Any], now: float) -> None:
        namespace = entry.get("namespace") or ""
        row = connection.execute(_ENTRY, {"photo_id": photo_id, "key": entry["key"], "namespace": namespace}).first()
        image_id = entry.get("image_id")
        holder = connection.execute(_HOLDER, {"image_id": image_id}).scalar() if image_id else None
        if holder is not None and (row is None or holder != row.id):
            self._came.conflicts += 1
            # Whatever that means, it was uploaded: it must not be sent again by itself.
            said = f"an export has image id {image_id} for it, which another photo has already"
            unknown = {**entry, "image_id": None, "reason": said}
            self._entry(connection, photo_id, State.UNANSWERED, unknown, now)
        elif row is None:
            self._make(connection, photo_id, state, entry, now)
        elif row.state == State.UPLOADED and image_id is not None and image_id != row.image_id:
            if row.namespace or not entry["key"]:
                self._came.conflicts += 1
            else:
                self._make(connection, photo_id, state, entry, now)
        elif row.state != State.UPLOADED and state is State.UPLOADED:
            self._came.uploaded += 1
            for to in _ON_THE_WAY[State(row.state)]:
                row = self._settle(connection, row, Receipt(row.id, to, self._reason), now)
            self._settle(connection, row, Receipt(row.id, State.UPLOADED, self._reason, image_id), now)
            forget_if_settled(connection, row.id)
            sent = {"entry_id": row.id, "metadata": _metadata(entry), "at": _uploaded_at(entry, now)}
            connection.execute(_SENT_WITH, sent)
        elif state is State.UNANSWERED and (row.state == State.READY or _in_doubt(row)):
            self._came.unanswered += 1
            said = entry.get("reason") or self._reason
            self._settle(connection, row, Receipt(row.id, State.UNANSWERED, said), now)
            # In doubt it was unanswered before, and is so for another reason now: the end of the doubt leaves it so.
            connection.execute(_BECAUSE, {"entry_id": row.id, "reason": said})
            _looked_up(connection, row.id, entry, now)
        elif state is State.REFUSED and _in_doubt(row):
            self._came.refused += 1
            self._settle(connection, row, Receipt(row.id, State.REFUSED, entry.get("reason") or self._reason), now)
        else:
            self._came.known += 1

    def _settle(self, connection: Connection, row: Any, receipt: Receipt, now: float) -> Any:
        if row.state != receipt.to:
            settle_one(connection, State(row.state), receipt, now)
        return connection.execute(_ENTRY_NUMBER, {"entry_id": row.id}).one()

    def _make(self, connection: Connection, photo_id: int, state: State, entry: Mapping[str, Any], now: float) -> None:
        size = connection.execute(_SIZE, {"photo_id": photo_id}).scalar_one()
        values = {
            "photo_id": photo_id,
            "namespace": entry["key"],
            "state": state,
            "reason": entry.get("reason") if state is not State.UPLOADED else self._reason,
            "withdrawn": 1,
            "due_at": now,
            "lane": BACKLOG,
            "arrived_at": now,
            "order_at": entry.get("order_at", now),
            "group_key": entry["group_key"],
            "size": size,
            "image_id": entry.get("image_id"),
            "uploaded_at": _uploaded_at(entry, now) if state is State.UPLOADED else None,
            "sent_metadata": _metadata(entry),
        }
        entry_id = connection.execute(insert("entries", *values), values).lastrowid
        first = {"entry_id": entry_id, "at": now, "after": state, "reason": self._reason}
        connection.execute(insert("history", *first), first)
        match state:
            case State.UPLOADED:
                self._came.uploaded += 1
            case State.UNANSWERED:
                self._came.unanswered += 1
                _looked_up(connection, entry_id, entry, now)
            case _:
                self._came.refused += 1


def _in_doubt(row: Any) -> bool:
    return bool(row.state == State.UNANSWERED and row.reason == REASON)


def _new_photo(connection: Connection, line: Mapping[str, Any], now: float) -> int:
    row: dict[str, Any] = {name: line[name] for name in PHOTO_COLUMNS if name in line}
    original = connection.execute(_PHOTO, {"digest": line["edit_of"]}).scalar() if "edit_of" in line else None
    row |= {"digest": line["sha256"], "edit_of": original, "seen_at": now}
    return int(connection.execute(insert("photos", *row), row).lastrowid)


def _looked_up(connection: Connection, entry_id: int, entry: Mapping[str, Any], now: float) -> None:
    """Have an unanswered photo looked up by the markers of its requests, as the ledger before would have."""
    for request in entry.get("requests", ()):
        values = {"entry_id": entry_id, "now": now, **request}
        connection.execute(_REQUEST, values)
        connection.execute(_SENT, values)


def _uploaded_at(entry: Mapping[str, Any], now: float) -> float:
    return datetime.fromisoformat(entry["uploaded_at"]).timestamp() if "uploaded_at" in entry else now


def _metadata(entry: Mapping[str, Any]) -> str | None:
    return json.dumps(entry["sent"]) if "sent" in entry else None


_EDITED = text("""
    SELECT DISTINCT entries.photo_id FROM entries JOIN photos AS edits ON edits.edit_of = entries.photo_id
    WHERE entries.state = 'unanswered' AND entries.reason = :doubted
""")
_SWAP_DOUBTED = text("""
    UPDATE entries SET state = 'ready', reason = :reason, due_at = :now WHERE state = 'unanswered' AND reason = :doubted
""")
_HISTORY_OF_DOUBTED = text("""
    INSERT INTO history (entry_id, at, "before", "after", reason)
    SELECT id, :now, 'unanswered', 'ready', :reason FROM entries WHERE state = 'unanswered' AND reason = :doubted
    ORDER BY id
""")
_PHOTO = text("SELECT id FROM photos WHERE digest = :digest")
_SIZE = text("SELECT size FROM photos WHERE id = :photo_id")
_ENTRY = text("""
    SELECT * FROM entries WHERE photo_id = :photo_id AND namespace IN (:key, :namespace, '')
    ORDER BY namespace = :key DESC, namespace = :namespace DESC LIMIT 1
""")
_ENTRY_NUMBER = text("SELECT * FROM entries WHERE id = :entry_id")
_HOLDER = text("SELECT id FROM entries WHERE image_id = :image_id")
_SENT_WITH = text("""
    UPDATE entries SET sent_metadata = coalesce(:metadata, sent_metadata), uploaded_at = :at WHERE id = :entry_id
""")
_BECAUSE = text("UPDATE entries SET reason = :reason WHERE id = :entry_id")
_REQUEST = text("""
    INSERT INTO requests (marker, marked, namespace, sent_at, completing_at, answered_at, outcome, message, files,
                          bytes, lookup_at)
    VALUES (:marker, :marked, :namespace, :sent_at, :sent_at, :now, 'unanswered', 'known from an export', 1, 0,
            CASE WHEN :marked THEN :now END)
    ON CONFLICT (marker) DO UPDATE SET files = files + 1
""")
_SENT = text("""
    INSERT OR IGNORE INTO sent (request_id, entry_id, position, wire_name)
    SELECT id, :entry_id, files - 1, :name FROM requests WHERE marker = :marker
""")
