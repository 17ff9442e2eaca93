"""What was seen on the disk goes into the ledger here: photos, places, and the entries that they owe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select, text, update

from syncd.ledger.rows import photo_row
from syncd.ledger.schema import entries, history, photos, places
from syncd.ledger.store import Store
from syncd.ledger.territory import Territory
from syncd.lifecycle import State
from syncd.model import Look, Photo, PlacePath, Unfit
from syncd.printable import path_text


@dataclass(frozen=True, slots=True)
class Sighting:
    """A photo that was read at a place, with what the rules and the settings make of it."""

    place: PlacePath
    look: Look
    photo: Photo
    unfit: Unfit | None
    """Why it cannot be sent with the present settings: of its content, or of its size."""
    namespace: str
    unwanted: str | None
    """Why the rules keep this place from being uploaded; None: it is wanted."""
    order_at: float
    """What the backlog is sorted by: capture time as if it were UTC, else mtime; seconds since the epoch."""
    group_key: str


class Recorded(StrEnum):
    """What a sighting came to."""

    OWED = "owed"
    UNFIT = "unfit"
    KNOWN = "known already"
    EDIT = "metadata-only edit of a known photo"


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide what a sighting owes."""

    per_namespace: bool = False
    keep_metadata_edits: bool = True


class Sightings:
    """Records what was seen. One instance for the holder of the instance lock."""

    def __init__(self, store: Store, territory: Territory, policy: Policy) -> None:
        self._store = store
        self._territory = territory
        self._policy = policy

    def record(self, sightings: Sequence[Sighting], now: float) -> list[Recorded]:
        """Record photos in one transaction; give for each what it came to, in the same order."""
        with self._store.write() as connection:
            return [self._record(connection, sighting, now) for sighting in sightings]

    def gone(self, gone: Iterable[PlacePath], now: float) -> int:
        """Mark places as gone; entries without another are withdrawn. Give how many."""
        count = 0
        with self._store.write() as connection:
            for place in gone:
                folder_id = self._territory.folder_id(connection, place.root, place.folder)
                row = connection.execute(_PRESENT, {"folder_id": folder_id, "name": place.name}).first()
                self._territory.clear_aside(connection, folder_id, place.name)
                if row is not None:
                    count += 1
                    connection.execute(_GONE, {"place_id": row.id, "at": now})
                    self._after_change(connection, row.photo_id, now)
        return count

    def _record(self, connection: Connection, sighting: Sighting, now: float) -> Recorded:
        place = sighting.place
        folder_id = self._territory.folder_id(connection, place.root, place.folder)
        self._territory.clear_aside(connection, folder_id, place.name)
        before = connection.execute(_PRESENT, {"folder_id": folder_id, "name": place.name}).first()
        photo_id, new = _photo_id(connection, sighting.photo, now)
        if before is not None and before.photo_id == photo_id:
            connection.execute(_LOOK_AGAIN, {"place_id": before.id, **_look_columns(sighting)})
        else:
            if before is not None:
                connection.execute(_GONE, {"place_id": before.id, "at": now})
            connection.execute(
                places.insert(),
                {
                    "folder_id": folder_id,
                    "name": place.name,
                    "text": path_text(place.name),
                    "photo_id": photo_id,
                    "seen_at": now,
                    **_look_columns(sighting),
                },
            )
            if before is not None and new and self._policy.keep_metadata_edits:
                _note_edit(connection, before.photo_id, photo_id, sighting.photo.picture_digest)
        result = self._owe(connection, photo_id, sighting, now)
        self._after_change(connection, photo_id, now)
        if before is not None and before.photo_id != photo_id:
            self._after_change(connection, before.photo_id, now)
        return result

    def _owe(self, connection: Connection, photo_id: int, sighting: Sighting, now: float) -> Recorded:
        edit_of = connection.execute(_EDIT_OF, {"photo_id": photo_id}).scalar()
        if edit_of is not None:
            return Recorded.EDIT
        if self._is_covered(connection, photo_id, sighting):
            return Recorded.KNOWN
        lane = self._territory.lane(connection, sighting.place.root)
        key = sighting.namespace if self._policy.per_namespace else ""
        make_entry(connection, _NewEntry(photo_id, key, lane, sighting), now)
        return Recorded.UNFIT if sighting.unfit else Recorded.OWED

    def _is_covered(self, connection: Connection, photo_id: int, sighting: Sighting) -> bool:
        rows = connection.execute(_ENTRIES_OF, {"photo_id": photo_id}).all()
        if not self._policy.per_namespace:
            return bool(rows)
        # An entry made under copies = "once" covers the namespace that it was sent to.
        return any(sighting.namespace in (row.namespace, row.sent_to) for row in rows)

    def _after_change(self, connection: Connection, photo_id: int, now: float) -> None:
        refresh_withdrawn(connection, photo_id)
        owe_orphaned_edits(connection, photo_id, now)


@dataclass(frozen=True, slots=True)
class _NewEntry:
    photo_id: int
    namespace: str
    lane: int
    sighting: Sighting


def make_entry(connection: Connection, new: _NewEntry, now: float) -> None:
    """Make the entry that a sighting owes, with the first row of its history."""
    sighting = new.sighting
    state = State.UNFIT if sighting.unfit else State.READY
    reason = str(sighting.unfit) if sighting.unfit else f"seen at {path_text(sighting.place.path)}"
    result = connection.execute(
        entries.insert(),
        {
            "photo_id": new.photo_id,
            "namespace": new.namespace,
            "state": state,
            "reason": reason if sighting.unfit else None,
            "due_at": now,
            "lane": new.lane,
            "arrived_at": now,
            "order_at": sighting.order_at,
            "group_key": sighting.group_key,
            "size": sighting.photo.size,
        },
    )
    entry_id = result.lastrowid
    connection.execute(history.insert(), {"entry_id": entry_id, "at": now, "after": state, "reason": reason})


def refresh_withdrawn(connection: Connection, photo_id: int) -> None:
    """Withdraw the entries of a photo that have no present, wanted place; take the others back."""
    connection.execute(_REFRESH, {"photo_id": photo_id})


def owe_orphaned_edits(connection: Connection, photo_id: int, now: float) -> None:
    """Owe a metadata-only edit after all, where the photo that it was an edit of can no longer be sent.

    The bytes of the older one are gone, and it was never stored: without this the picture would be lost.
    """
    orphans = connection.execute(_ORPHANS, {"photo_id": photo_id}).all()
    for orphan in orphans:
        connection.execute(update(photos).where(photos.c.id == orphan.id).values(edit_of=None))
        values = {
            "photo_id": orphan.id,
            "namespace": orphan.namespace,
            "state": State.UNFIT if orphan.unfit_code else State.READY,
            "reason": orphan.unfit_detail if orphan.unfit_code else None,
            "due_at": now,
            "lane": orphan.lane,
            "arrived_at": now,
            "order_at": orphan.order_at,
            "group_key": orphan.group_key,
            "size": orphan.size,
        }
        made = connection.execute(entries.insert(), values).lastrowid
        reason = "its earlier bytes are gone and were never stored"
        connection.execute(history.insert(), {"entry_id": made, "at": now, "after": values["state"], "reason": reason})
        refresh_withdrawn(connection, orphan.id)


def _photo_id(connection: Connection, photo: Photo, now: float) -> tuple[int, bool]:
    known = connection.execute(_PHOTO, {"digest": photo.digest}).scalar()
    if known is not None:
        return known, False
    made = connection.execute(photos.insert(), photo_row(photo, now))
    return made.lastrowid, True


def _note_edit(connection: Connection, old_id: int, new_id: int, picture_digest: str) -> None:
    """Note that the new photo is the old picture with other metadata, where the old one is (or may be) stored."""
    old = connection.execute(_OLD_PICTURE, {"photo_id": old_id}).first()
    if old is None or old.picture_digest != picture_digest:
        return
    connection.execute(update(photos).where(photos.c.id == new_id).values(edit_of=old.owner))


def _look_columns(sighting: Sighting) -> dict[str, object]:
    look = sighting.look
    return {
        "size": look.size,
        "mtime_ns": look.mtime_ns,
        "ctime_ns": look.ctime_ns,
        "inode": look.inode,
        "device": look.device,
        "namespace": sighting.namespace,
        "unwanted": sighting.unwanted,
    }


_PRESENT = select(places.c.id, places.c.photo_id).where(
    places.c.folder_id == bindparam("folder_id"),
    places.c.name == bindparam("name"),
    places.c.gone_at.is_(None),
)
_PHOTO = select(photos.c.id).where(photos.c.digest == bindparam("digest"))
_EDIT_OF = select(photos.c.edit_of).where(photos.c.id == bindparam("photo_id"))
_GONE = update(places).where(places.c.id == bindparam("place_id")).values(gone_at=bindparam("at"))
_LOOK_AGAIN = (
    update(places)
    .where(places.c.id == bindparam("place_id"))
    .values({c: bindparam(c) for c in ("size", "mtime_ns", "ctime_ns", "inode", "device", "namespace", "unwanted")})
)
_ENTRIES_OF = text("""
    SELECT namespace, json_extract(sent_metadata, '$.unique_id') AS sent_to FROM entries WHERE photo_id = :photo_id
""")
_OLD_PICTURE = text("""
    SELECT photos.picture_digest, coalesce(photos.edit_of, photos.id) AS owner
    FROM photos
    WHERE photos.id = :photo_id AND EXISTS (
        SELECT 1 FROM entries
        WHERE entries.photo_id = coalesce(photos.edit_of, photos.id)
          AND entries.state IN ('uploaded', 'sending', 'unanswered'))
""")
_REFRESH = text("""
    UPDATE entries SET withdrawn = NOT EXISTS (
        SELECT 1 FROM places
        WHERE places.photo_id = entries.photo_id AND places.gone_at IS NULL AND places.unwanted IS NULL
          AND (entries.namespace = '' OR places.namespace = entries.namespace))
    WHERE photo_id = :photo_id
""")
_ORPHANS = text("""
    SELECT edits.id, edits.size, edits.unfit_code, edits.unfit_detail,
           entries.namespace, entries.lane, entries.order_at, entries.group_key
    FROM photos AS edits
    JOIN entries ON entries.photo_id = edits.edit_of
    WHERE edits.edit_of = :photo_id AND entries.withdrawn = 1 AND entries.state IN ('ready', 'refused', 'unfit')
      AND EXISTS (SELECT 1 FROM places WHERE places.photo_id = edits.id AND places.gone_at IS NULL)
    ORDER BY edits.id
""")
