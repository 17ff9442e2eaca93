"""The read side: what people and programs ask of the ledger. Nothing here changes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from syncd.ledger.doubt import Doubt, doubt
from syncd.ledger.holds import HELD_FOLDERS, HeldFolder
from syncd.ledger.plain import Connection, Row, text
from syncd.ledger.rows import capture_of
from syncd.ledger.store import Store, fact
from syncd.ledger.territory import UNSEEN
from syncd.ledger.watchbook import WatchRecord, records
from syncd.lifecycle import State
from syncd.model import Capture, PlacePath
from syncd.printable import path_json

WITHDRAWN = "withdrawn"
"""Shown in place of the state of an entry without a present, wanted place."""
HELD = "held"
"""Shown in place of the state of an entry whose places all lie in folders that are held."""
_SHOWN = {1: WITHDRAWN, 2: HELD}


@dataclass(frozen=True, slots=True)
class Absent:
    """A root that cannot be believed at the moment. Times in seconds since the epoch."""

    root: bytes
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Status:
    """The counts of everything. Files on disk = places + sum of ignored + unsettled."""

    entries: dict[State, int]
    withdrawn: int
    held: int
    """Entries that do not leave because their folders are held."""
    unsettled: int
    places: int
    photos: int
    ignored: dict[str, int]
    absent: tuple[Absent, ...]
    held_folders: tuple[HeldFolder, ...]
    requests: int
    lookup_at: float | None
    last_scan_at: float | None
    gate: Any
    """The gate before all that leaves, as upload.pace keeps it."""
    watching: tuple[WatchRecord, ...] = ()
    doubt: Doubt | None = None
    """What a ledger that was put back does not know."""
    unseen: tuple[tuple[str, str], ...] = ()
    """Folders into which the last scan could not look, in the form of JSON, and why."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One present place and what became of its photo."""

    place: PlacePath
    digest: str
    state: str
    image_id: str | None
    namespace: str
    reason: str | None
    capture: Capture
    sent_tags: tuple[str, ...] | None
    """What was sent with it; None before it is uploaded."""
    uploaded_at: float | None


@dataclass(frozen=True, slots=True)
class Move:
    """A row of the history of an entry."""

    at: float
    before: State | None
    after: State
    reason: str


@dataclass(frozen=True, slots=True)
class Sending:
    """A request that carried an entry."""

    request_id: int
    sent_at: float
    outcome: str | None
    code: str | None
    message: str | None
    wire_name: str
    marker: str
    lookups: int
    lookup_at: float | None


@dataclass(frozen=True, slots=True)
class Trail:
    """Everything the ledger knows of an entry, in the order in which it happened."""

    entry_id: int
    moves: tuple[Move, ...]
    requests: tuple[Sending, ...]
    sent_metadata: dict[str, Any] | None


def status(store: Store) -> Status:
    """Count everything in one consistent view."""
    with store.read() as connection:
        counts = dict.fromkeys(State, 0)
        kept_back = dict.fromkeys(_SHOWN, 0)
        for row in connection.execute(_STATES):
            if row.withdrawn and row.state not in {State.UPLOADED, State.SENDING}:
                kept_back[row.withdrawn] += row.entries
            else:
                counts[State(row.state)] += row.entries
        aside = {row.reason: row.files for row in connection.execute(_ASIDE)}
        ignored: dict[str, int] = {row.reason: row.files for row in connection.execute(_IGNORED)}
        if aside.get("unreadable"):
            ignored["unreadable"] = ignored.get("unreadable", 0) + aside["unreadable"]
        absent = tuple(Absent(r.path, r.absent, r.absent_since) for r in connection.execute(_ABSENT))
        one = connection.execute(_TOTALS).one()
        return Status(
            entries=counts,
            withdrawn=kept_back[1],
            held=kept_back[2],
            unsettled=aside.get("unsettled", 0),
            places=one.places,
            photos=one.photos,
            ignored=ignored,
            absent=absent,
            held_folders=tuple(HeldFolder(*row) for row in connection.execute(HELD_FOLDERS)),
            requests=one.requests,
            lookup_at=one.lookup_at,
            last_scan_at=one.last_scan_at,
            gate=fact(connection, "gate"),
            watching=records(connection),
            doubt=doubt(connection),
            unseen=_unseen(connection),
        )


def _unseen(connection: Connection) -> tuple[tuple[str, str], ...]:
    found: dict[str, dict[str, str]] = fact(connection, UNSEEN) or {}
    configured = {path_json(row.path) for row in connection.execute(_CONFIGURED)}
    return tuple(
        (f"{root.rstrip('/')}/{folder}", why)
        for root, folders in sorted(found.items())
        if root in configured
        for folder, why in folders.items()
    )


def listed(store: Store) -> Iterator[Listed]:
    """Give every present place, by root, folder and name; streamed, so that memory does not grow with the library."""
    with store.read() as connection:
        for row in connection.execute(_LIST):
            yield _listed(row)


def at_place(store: Store, place: PlacePath) -> list[Listed]:
    """Give what the ledger knows of one present place (more than one with copies = "per-namespace")."""
    with store.read() as connection:
        rows = connection.execute(_LIST_ONE, {"root": place.root, "folder": place.folder, "name": place.name}).all()
    return [_listed(row) for row in rows]


def trail(store: Store, place: PlacePath) -> list[Trail]:
    """Give the whole trail of the photo at a place, also of one that lay there before."""
    with store.read() as connection:
        found = connection.execute(
            _ENTRIES_EVER_AT, {"root": place.root, "folder": place.folder, "name": place.name}
        ).all()
        return [
            Trail(
                entry_id=entry.id,
                moves=tuple(
                    Move(row.at, State(row.before) if row.before else None, State(row.after), row.reason)
                    for row in connection.execute(_HISTORY, {"entry_id": entry.id})
                ),
                requests=tuple(Sending(*row) for row in connection.execute(_REQUESTS_OF, {"entry_id": entry.id})),
                sent_metadata=json.loads(entry.sent_metadata) if entry.sent_metadata else None,
            )
            for entry in found
        ]


def other_places(store: Store, digest: str) -> list[PlacePath]:
    """Give every present place of a photo."""
    with store.read() as connection:
        rows = connection.execute(_PLACES_OF_DIGEST, {"digest": digest}).all()
    return [PlacePath(row.root, row.folder, row.name) for row in rows]


def set_aside(store: Store) -> list[tuple[PlacePath, str, str]]:
    """Give the files that are neither places nor ignored: place, reason, detail."""
    with store.read() as connection:
        rows = connection.execute(_SET_ASIDE).all()
    return [(PlacePath(row.root, row.folder, row.name), row.reason, row.detail) for row in rows]


def _listed(row: Row) -> Listed:
    sent = json.loads(row.sent_metadata) if row.image_id and row.sent_metadata else None
    state = row.state if row.state is not None else WITHDRAWN
    if row.withdrawn and state not in {State.UPLOADED, State.SENDING}:
        state = _SHOWN[row.withdrawn]
    reason = row.unwanted if state == WITHDRAWN else row.entry_reason
    if row.edit_of is not None:
        reason = "metadata-only edit of a photo that is known"
    elif state == State.UPLOADED:
        reason = None
    if row.held is not None:
        reason = f"its folder is held: {row.held}"
    return Listed(
        place=PlacePath(row.root, row.folder, row.name),
        digest=row.digest,
        state=state,
        image_id=row.image_id,
        namespace=sent["unique_id"] if sent else row.namespace,
        reason=reason,
        capture=capture_of(row),
        sent_tags=tuple(sent["tags"]) if sent else None,
        uploaded_at=row.uploaded_at,
    )


_STATES = text("SELECT state, withdrawn, count(*) AS entries FROM entries GROUP BY state, withdrawn")
_CONFIGURED = text("SELECT path FROM roots WHERE NOT dropped")
_ASIDE = text("""
    SELECT aside.reason, count(*) AS files
    FROM aside JOIN folders ON folders.id = aside.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE NOT roots.dropped AND NOT EXISTS (
        SELECT 1 FROM places WHERE places.folder_id = aside.folder_id AND places.name = aside.name
                               AND places.gone_at IS NULL)
    GROUP BY aside.reason
""")
_IGNORED = text("""
    SELECT reason, sum(files) AS files FROM ignored JOIN roots ON roots.id = ignored.root_id
    WHERE NOT roots.dropped GROUP BY reason
""")
_ABSENT = text("SELECT path, absent, absent_since FROM roots WHERE absent IS NOT NULL AND NOT dropped ORDER BY path")
_TOTALS = text("""
    SELECT (SELECT count(*) FROM places WHERE gone_at IS NULL)
         - (SELECT count(*) FROM roots CROSS JOIN folders ON folders.root_id = roots.id
            CROSS JOIN places ON places.folder_id = folders.id
            WHERE roots.dropped AND places.gone_at IS NULL) AS places,
           (SELECT count(*) FROM photos) AS photos,
           (SELECT count(*) FROM requests) AS requests,
           (SELECT min(lookup_at) FROM requests WHERE lookup_at IS NOT NULL) AS lookup_at,
           (SELECT min(last_scan_at) FROM roots WHERE NOT dropped) AS last_scan_at
""")
_LIST_COLUMNS = """
    SELECT roots.path AS root, roots.held, folders.path AS folder, places.name, places.namespace, places.unwanted,
           photos.*,
           entries.state, entries.withdrawn, entries.image_id, entries.reason AS entry_reason, entries.sent_metadata,
           entries.uploaded_at
    FROM roots
    JOIN folders ON folders.root_id = roots.id
    JOIN places ON places.folder_id = folders.id
    JOIN photos ON photos.id = places.photo_id
    LEFT JOIN entries ON entries.id = coalesce(
        (SELECT own.id FROM entries AS own
         WHERE own.photo_id = coalesce(photos.edit_of, photos.id) AND own.namespace = places.namespace),
        (SELECT min(first.id) FROM entries AS first WHERE first.photo_id = coalesce(photos.edit_of, photos.id)))
    WHERE places.gone_at IS NULL AND NOT roots.dropped
"""
_LIST = text(f"{_LIST_COLUMNS} ORDER BY roots.path, folders.path, places.name")
_LIST_ONE = text(f"{_LIST_COLUMNS} AND roots.path = :root AND folders.path = :folder AND places.name = :name")
_ENTRIES_EVER_AT = text("""
    SELECT DISTINCT entries.id, entries.sent_metadata
    FROM roots JOIN folders ON folders.root_id = roots.id JOIN places ON places.folder_id = folders.id
    JOIN photos ON photos.id = places.photo_id
    JOIN entries ON entries.photo_id = coalesce(photos.edit_of, photos.id)
    WHERE roots.path = :root AND folders.path = :folder AND places.name = :name ORDER BY entries.id
""")
_HISTORY = text('SELECT at, "before", "after", reason FROM history WHERE entry_id = :entry_id ORDER BY id')
_REQUESTS_OF = text("""
    SELECT requests.id, sent_at, outcome, code, message, wire_name, marker, lookups, lookup_at
    FROM sent JOIN requests ON requests.id = sent.request_id WHERE sent.entry_id = :entry_id ORDER BY requests.id
""")
_PLACES_OF_DIGEST = text("""
    SELECT roots.path AS root, folders.path AS folder, places.name
    FROM photos JOIN places ON places.photo_id = photos.id JOIN folders ON folders.id = places.folder_id
    JOIN roots ON roots.id = folders.root_id
    WHERE photos.digest = :digest AND places.gone_at IS NULL AND NOT roots.dropped ORDER BY places.seen_at, places.id
""")
_SET_ASIDE = text("""
    SELECT roots.path AS root, folders.path AS folder, aside.name, aside.reason, aside.detail
    FROM aside JOIN folders ON folders.id = aside.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE NOT roots.dropped ORDER BY roots.path, folders.path, aside.name
""")
