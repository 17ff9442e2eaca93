"""What was seen on the disk goes into the ledger here: photos, places, and the entries that they owe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from syncd.ledger.doubt import Doubt, doubt, doubt_entry, is_doubtful
from syncd.ledger.plain import Connection, insert, text
from syncd.ledger.rows import PHOTO_COLUMNS, photo_row, signed, unfit_of
from syncd.ledger.store import Store, fact
from syncd.ledger.territory import BACKLOG, Territory
from syncd.lifecycle import State
from syncd.model import Look, Photo, PlacePath, Unfit, UnfitCode
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


WITHDRAWN_NOW: Final = """coalesce((
    SELECT min(CASE WHEN roots.held IS NULL THEN 0 ELSE 2 END)
    FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE places.photo_id = entries.photo_id AND places.gone_at IS NULL AND places.unwanted IS NULL
      AND (entries.namespace = '' OR places.namespace = entries.namespace)), 1)"""
"""0: an entry has a present, wanted place; 1: none; 2: only such in folders that are held."""


class Recorded(StrEnum):
    """What a sighting came to."""

    OWED = "owed"
    UNFIT = "unfit"
    KNOWN = "known already"
    EDIT = "metadata-only edit of a known photo"
    DOUBTFUL = "may be stored: the ledger was put back"


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
            moment = _Moment(now, doubt(connection), connection.execute(_ANY_ASIDE).first() is not None)
            return [self._record(connection, sighting, moment) for sighting in sightings]

    def puts_another_picture(self, sighting: Sighting) -> bool:
        """Tell whether a known picture was replaced by bytes that were never seen before, and that show another one.

        What was damaged before was mostly half of a file; that it is whole now replaces nothing.
        """
        with self._store.read() as connection:
            place = sighting.place
            row = connection.execute(
                _PICTURE_AT, {"root": place.root, "folder": place.folder, "name": place.name}
            ).first()
            if row is None or row.unfit_code is not None or row.picture_digest == sighting.photo.picture_digest:
                return False
            return connection.execute(_PHOTO, {"digest": sighting.photo.digest}).first() is None

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

    def _record(self, connection: Connection, sighting: Sighting, moment: _Moment) -> Recorded:
        place, now = sighting.place, moment.now
        folder_id = self._territory.folder_id(connection, place.root, place.folder)
        if moment.any_aside:
            self._territory.clear_aside(connection, folder_id, place.name)
        photo_id, new = _photo_id(connection, sighting.photo, now)
        columns = {
            "folder_id": folder_id,
            "name": place.name,
            "text": path_text(place.name),
            "photo_id": photo_id,
            "seen_at": now,
            **_look_columns(sighting),
        }
        before = None
        if not connection.execute(_PLACE, columns).rowcount:
            before = connection.execute(_PRESENT, {"folder_id": folder_id, "name": place.name}).one()
            self._replace(connection, before, columns)
        elif new:
            # Nothing can be known of a new photo at a new place: so nothing is asked, and nothing else has changed.
            return self._make_entry(connection, photo_id, sighting, moment)
        if before is not None and new and self._policy.keep_metadata_edits:
            _note_edit(connection, before.photo_id, photo_id, sighting.photo.picture_digest)
        result = self._owe(connection, photo_id, sighting, moment)
        self._after_change(connection, photo_id, now)
        if before is not None and before.photo_id != photo_id:
            self._after_change(connection, before.photo_id, now)
        return result

    def _replace(self, connection: Connection, before: Any, columns: Mapping[str, object]) -> None:
        """Note at a place where a photo is known that it was seen again, or that another lies there now."""
        if before.photo_id == columns["photo_id"]:
            connection.execute(_LOOK_AGAIN, {"place_id": before.id, **columns})
            return
        connection.execute(_GONE, {"place_id": before.id, "at": columns["seen_at"]})
        connection.execute(_PLACE, columns)

    def _owe(self, connection: Connection, photo_id: int, sighting: Sighting, moment: _Moment) -> Recorded:
        edit_of = connection.execute(_EDIT_OF, {"photo_id": photo_id}).scalar()
        if edit_of is not None:
            owe_orphaned_edits(connection, edit_of, moment.now)
            still = connection.execute(_EDIT_OF, {"photo_id": photo_id}).scalar()
            return Recorded.OWED if still is None else Recorded.EDIT
        if self._is_covered(connection, photo_id, sighting):
            return Recorded.KNOWN
        return self._make_entry(connection, photo_id, sighting, moment)

    def _make_entry(self, connection: Connection, photo_id: int, sighting: Sighting, moment: _Moment) -> Recorded:
        """Make the entry that a sighting owes, with the first row of its history."""
        lane = self._territory.lane(connection, sighting.place.root)
        key = sighting.namespace if self._policy.per_namespace else ""
        values = {
            "photo_id": photo_id,
            "namespace": key,
            "lane": lane,
            "order_at": sighting.order_at,
            "group_key": sighting.group_key,
            "size": sighting.photo.size,
        }
        unfit = str(sighting.unfit) if sighting.unfit else None
        doubtful = is_doubtful(moment.doubt, sighting.look, moment.now, first_scan=lane == BACKLOG)
        seen = f"seen at {path_text(sighting.place.path)}"
        _insert_entry(connection, values, unfit, seen, moment.now, doubtful=doubtful)
        if sighting.unfit:
            return Recorded.UNFIT
        return Recorded.DOUBTFUL if doubtful else Recorded.OWED

    def _is_covered(self, connection: Connection, photo_id: int, sighting: Sighting) -> bool:
        if self._policy.per_namespace:
            return covers(connection, photo_id, sighting.namespace)
        return connection.execute(_ENTRY_OF, {"photo_id": photo_id}).first() is not None

    def _after_change(self, connection: Connection, photo_id: int, now: float) -> None:
        refresh_withdrawn(connection, photo_id)
        owe_orphaned_edits(connection, photo_id, now)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is the same for all sightings of one transaction."""

    now: float
    doubt: Doubt | None
    any_aside: bool


def _insert_entry(
    connection: Connection,
    values: Mapping[str, object],
    unfit: str | None,
    reason: str,
    now: float,
    *,
    doubtful: bool,
) -> None:
    state = State.READY if unfit is None else State.UNFIT
    row = {**values, "state": state, "reason": unfit, "due_at": now, "arrived_at": now}
    entry_id = connection.execute(_ENTRY, row).lastrowid
    first = {"entry_id": entry_id, "at": now, "after": state, "reason": unfit or reason}
    connection.execute(_HISTORY, first)
    if doubtful and state is State.READY:
        doubt_entry(connection, entry_id, now)


def covers(connection: Connection, photo_id: int, namespace: str) -> bool:
    """Tell whether an entry of a photo is for a namespace, with copies = "per-namespace".

    An entry made under copies = "once" becomes that of the namespace that it was sent to; one that was not sent
    becomes that of the namespace asked for. Else the photo would go there twice.
    """
    connection.execute(_ADOPT, {"photo_id": photo_id, "namespace": namespace})
    rows = connection.execute(_ENTRIES_OF, {"photo_id": photo_id}).all()
    return any(namespace in (row.namespace, row.sent_to) for row in rows)


def owe_namespace(connection: Connection, photo_id: int, namespace: str, now: float) -> None:
    """Owe a photo that is known in other namespaces in this one too; nothing where no entry of it exists."""
    if covers(connection, photo_id, namespace):
        return
    row = connection.execute(_FIRST_ENTRY, {"photo_id": photo_id}).first()
    if row is None:
        return
    values = {
        "photo_id": photo_id,
        "namespace": namespace,
        "lane": row.lane,
        "order_at": row.order_at,
        "group_key": row.group_key,
        "size": row.size,
    }
    unfit = (row.reason or "unfit") if row.state == State.UNFIT else None
    said = f"the rules put it into the namespace {namespace}, too"
    _insert_entry(connection, values, unfit, said, now, doubtful=doubt(connection) is not None)


def refresh_withdrawn(connection: Connection, photo_id: int) -> None:
    """Withdraw the entries of a photo that have no present, wanted place; take the others back."""
    connection.execute(_REFRESH, {"photo_id": photo_id})


def owe_orphaned_edits(connection: Connection, photo_id: int, now: float) -> None:
    """Owe a metadata-only edit after all, where the photo that it was an edit of can no longer be sent.

    The bytes of the older one are gone, and it was never stored: without this the picture would be lost.
    """
    orphans = connection.execute(_ORPHANS, {"photo_id": photo_id}).all()
    most = fact(connection, "max_file_bytes") if orphans else None
    for orphan in orphans:
        connection.execute(_EDITS, {"photo_id": orphan.id, "edit_of": None})
        values = {
            "photo_id": orphan.id,
            "namespace": orphan.namespace,
            "lane": orphan.lane,
            "order_at": orphan.order_at,
            "group_key": orphan.group_key,
            "size": orphan.size,
        }
        unfit = unfit_of(orphan)
        if unfit is None and most is not None and orphan.size > most:
            unfit = too_large(orphan.size, most)
        reason = "its earlier bytes are gone and were never stored"
        doubtful = doubt(connection) is not None
        _insert_entry(connection, values, str(unfit) if unfit else None, reason, now, doubtful=doubtful)
        refresh_withdrawn(connection, orphan.id)


def too_large(size: int, most: int) -> Unfit:
    """Say that a file has more bytes than the service, or the setting, takes."""
    return Unfit(UnfitCode.TOO_LARGE, f"{size:,} bytes, max_file_bytes is {most:,}")


def _photo_id(connection: Connection, photo: Photo, now: float) -> tuple[int, bool]:
    made = connection.execute(_NEW_PHOTO, photo_row(photo, now))
    if made.rowcount:
        return made.lastrowid, True
    return connection.execute(_PHOTO, {"digest": photo.digest}).scalar_one(), False


def _note_edit(connection: Connection, old_id: int, new_id: int, picture_digest: str) -> None:
    """Note that the new photo is the old picture with other metadata, where the old one is (or may be) stored."""
    old = connection.execute(_OLD_PICTURE, {"photo_id": old_id}).first()
    if old is None or old.picture_digest != picture_digest:
        return
    connection.execute(_EDITS, {"photo_id": new_id, "edit_of": old.owner})


def _look_columns(sighting: Sighting) -> dict[str, object]:
    look = sighting.look
    return {
        "size": look.size,
        "mtime_ns": signed(look.mtime_ns),
        "ctime_ns": signed(look.ctime_ns),
        "inode": signed(look.inode),
        "device": signed(look.device),
        "namespace": sighting.namespace,
        "unwanted": sighting.unwanted,
    }


_LOOKED_AT = ["size", "mtime_ns", "ctime_ns", "inode", "device", "namespace", "unwanted"]
_PLACE = insert("places", "folder_id", "name", "text", "photo_id", "seen_at", *_LOOKED_AT, unless_known=True)
_WITHDRAWN_AT_FIRST = WITHDRAWN_NOW.replace("entries.photo_id", ":photo_id").replace("entries.namespace", ":namespace")
_ENTRY = text(f"""
    INSERT INTO entries (photo_id, namespace, lane, order_at, group_key, size, state, reason, due_at, arrived_at,
                         withdrawn)
    VALUES (:photo_id, :namespace, :lane, :order_at, :group_key, :size, :state, :reason, :due_at, :arrived_at,
            {_WITHDRAWN_AT_FIRST})
""")  # noqa: S608  (no value in it)
_HISTORY = insert("history", "entry_id", "at", "after", "reason")
_NEW_PHOTO = insert("photos", *PHOTO_COLUMNS, unless_known=True)
_ANY_ASIDE = text("SELECT 1 FROM aside LIMIT 1")
_PRESENT = text("SELECT id, photo_id FROM places WHERE folder_id = :folder_id AND name = :name AND gone_at IS NULL")
_PICTURE_AT = text("""
    SELECT photos.picture_digest, photos.unfit_code
    FROM roots JOIN folders ON folders.root_id = roots.id JOIN places ON places.folder_id = folders.id
    JOIN photos ON photos.id = places.photo_id
    WHERE roots.path = :root AND folders.path = :folder AND places.name = :name AND places.gone_at IS NULL
""")
_PHOTO = text("SELECT id FROM photos WHERE digest = :digest")
_EDITS = text("UPDATE photos SET edit_of = :edit_of WHERE id = :photo_id")
_EDIT_OF = text("SELECT edit_of FROM photos WHERE id = :photo_id")
_GONE = text("UPDATE places SET gone_at = :at WHERE id = :place_id")
_LOOK_AGAIN = text("""
    UPDATE places SET size = :size, mtime_ns = :mtime_ns, ctime_ns = :ctime_ns, inode = :inode, device = :device,
                      namespace = :namespace, unwanted = :unwanted
    WHERE id = :place_id
""")
_ENTRY_OF = text("SELECT 1 FROM entries WHERE photo_id = :photo_id LIMIT 1")
_FIRST_ENTRY = text("SELECT * FROM entries WHERE photo_id = :photo_id ORDER BY id LIMIT 1")
_ADOPT = text("""
    UPDATE OR IGNORE entries
    SET namespace = CASE WHEN state IN ('ready', 'unfit') OR sent_metadata IS NULL THEN :namespace
                         ELSE json_extract(sent_metadata, '$.unique_id') END
    WHERE photo_id = :photo_id AND namespace = ''
""")
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
_REFRESH = text(f"UPDATE entries SET withdrawn = {WITHDRAWN_NOW} WHERE photo_id = :photo_id")  # noqa: S608  (no value in it)
_ORPHANS = text("""
    SELECT edits.id, edits.size, edits.unfit_code, edits.unfit_detail,
           entries.namespace, entries.lane, entries.order_at, entries.group_key
    FROM photos AS edits
    JOIN entries ON entries.photo_id = edits.edit_of
    WHERE edits.edit_of = :photo_id AND entries.withdrawn = 1 AND entries.state IN ('ready', 'refused', 'unfit')
      AND NOT EXISTS (SELECT 1 FROM entries AS kept WHERE kept.photo_id = :photo_id
                      AND kept.state IN ('uploaded', 'sending', 'unanswered'))
      AND EXISTS (SELECT 1 FROM places WHERE places.photo_id = edits.id AND places.gone_at IS NULL)
    ORDER BY edits.id
""")
