"""Roots and folders in the ledger: their numbers, what the last scan found in them, what is set aside there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from syncd.ledger.plain import Connection, insert, text
from syncd.ledger.rows import nanoseconds, signed, unsigned
from syncd.ledger.store import Store, fact, set_fact
from syncd.model import PlacePath
from syncd.printable import path_json, path_text, printable

ARRIVALS: Final = 1
BACKLOG: Final = 2
UNSEEN: Final = "unseen"
"""The fact that names the folders which the last scan could not look into: root -> folder below it -> why."""
_REMEMBERED_FOLDERS = 4096
_KEPT_UNSEEN: Final = 300
_LOOKS_AT_ONCE: Final = 2000
"""Places of a folder that are compared at once: some people have all of their photos in one."""

Seen = tuple[int, int, int, int, int]
"""Size, mtime_ns, ctime_ns, inode, device: as a scan sees a file."""
KnownLook = tuple[int, int, int, int]
"""Size in bytes, mtime and ctime in nanoseconds, inode: what tells that nobody touched a file."""


class AsideReason(StrEnum):
    """Why a file on the disk is neither a place nor ignored."""

    UNSETTLED = "unsettled"
    """It is, or may be, still being written."""
    UNREADABLE = "unreadable"
    """It cannot be opened or read."""


@dataclass(frozen=True, slots=True)
class RootRecord:
    """What the ledger knows of a root."""

    path: bytes
    device: int | None
    scanned_before: bool
    has_places: bool
    absent: str | None
    held: str | None
    """Why nothing of it is taken in before a person says so."""
    released: bool
    """Whether a person did, for the next whole scan."""


class Territory:
    """The folders of the ledger. Numbers of folders are remembered, a bounded number of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root_ids: dict[bytes, int] = {}
        self._folder_ids: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()
        self._lanes: dict[bytes, int] = {}
        self._undone = store.undone

    def configure(self, configured: Iterable[bytes]) -> None:
        """Tell which roots the configuration has. The others are dropped: kept, but neither scanned nor counted.

        What the rules say of the places of a dropped root changes with it: judge the places again afterwards.
        """
        wanted = dict.fromkeys(sorted(configured), 0)
        with self._store.write() as connection:
            known = {row.path: row.dropped for row in connection.execute(_CONFIGURED)}
            for path in wanted.keys() - known.keys():
                connection.execute(_ROOT, {"path": path, "text": path_text(path)})
            for path, dropped in known.items():
                if wanted.get(path, 1) != dropped:
                    connection.execute(_DROPPED, {"path": path, "dropped": not dropped})

    def roots(self) -> list[RootRecord]:
        """Give what is known of the roots of the configuration."""
        with self._store.read() as connection:
            rows = connection.execute(_ROOTS).all()
        return [
            RootRecord(
                path=row.path,
                device=None if row.device is None else unsigned(row.device),
                scanned_before=row.first_scan_at is not None,
                has_places=bool(row.has_places),
                absent=row.absent,
                held=row.held,
                released=bool(row.released),
            )
            for row in rows
        ]

    def sample(self, root: bytes, most: int = 24) -> list[bytes]:
        """Give some paths below a root at which photos lay when last seen: a few are enough to know the root by."""
        with self._store.read() as connection:
            rows = connection.execute(_SAMPLE, {"root": root, "most": most})
            return [row.folder + b"/" + row.name if row.folder else row.name for row in rows]

    def known_looks(self, root: bytes, folder: bytes) -> dict[bytes, KnownLook]:
        """Give the present places of one folder, by name, with the look at which each was seen."""
        with self._store.read() as connection:
            number = self._find_folder(connection, root, folder)
            if number is None:
                return {}
            return {row.name: _known_look(row) for row in connection.execute(_LOOKS, {"folder_id": number})}

    def knows_all(self, root: bytes, folder: bytes, device: int, files: Mapping[bytes, Seen]) -> bool:
        """Tell whether the present places of a folder are these files, unchanged, and nothing else is known there.

        The one question of a rescan where nothing happened. `device` is that of the folder: the ledger's own is not
        compared, because disks get another number at each mount. Where this says no, the folder is to be compared
        file by file; it also says no where the numbers of a file were folded to fit, or a file has its own device.
        """
        with self._store.read() as connection:
            number = self._find_folder(connection, root, folder)
            if number is None:
                return not files
            known, found = 0, files.items()
            values = {"folder_id": number, "device": signed(device)}
            for rows in connection.execute(_LOOKS_ON, values).slices(_LOOKS_AT_ONCE):
                known += len(rows)
                if not {row[0]: row[1:] for row in rows}.items() <= found:
                    return False
            return known == len(files) and connection.execute(_ANY_ASIDE, {"folder_id": number}).first() is None

    def known_at(self, place: PlacePath) -> tuple[KnownLook | None, bool]:
        """Give the look at which a present place was seen last, and whether a file is set aside there."""
        with self._store.read() as connection:
            number = self._find_folder(connection, place.root, place.folder)
            if number is None:
                return None, False
            row = connection.execute(_LOOK, {"folder_id": number, "name": place.name}).first()
            aside_there = connection.execute(_IS_ASIDE, {"folder_id": number, "name": place.name}).first()
        return (None if row is None else _known_look(row)), aside_there is not None

    def folders_below(self, root: bytes) -> list[bytes]:
        """Give every folder of a root in which the ledger has a present place or a file set aside."""
        with self._store.read() as connection:
            return [row[0] for row in connection.execute(_FOLDERS_IN_USE, {"root": root})]

    def scanned(self, root: bytes, device: int, counts: Mapping[str, int], now: float) -> None:
        """Record the end of a whole scan of a root: what was ignored there, by reason."""
        with self._store.write() as connection:
            root_id = self._root_id(connection, root)
            connection.execute(_SCANNED, {"root_id": root_id, "device": signed(device), "now": now})
            connection.execute(_FORGET_IGNORED, {"root_id": root_id})
            rows = ({"root_id": root_id, "reason": r, "files": n} for r, n in sorted(counts.items()) if n)
            connection.execute_each(_IGNORED, rows)
            self._lanes[root] = ARRIVALS

    def note_unseen(self, root: bytes, found: Mapping[bytes, str]) -> int:
        """Record which folders of a root the last whole scan could not look into, and why; give how many are new.

        A few hundred are kept: more of them have one cause.
        """
        kept = {path_json(folder): printable(why) for folder, why in sorted(found.items())[:_KEPT_UNSEEN]}
        with self._store.write() as connection:
            known = fact(connection, UNSEEN) or {}
            new = kept.keys() - known.pop(path_json(root), {}).keys()
            if kept:
                known[path_json(root)] = kept
            set_fact(connection, UNSEEN, known or None)
        return len(new)

    def set_absent(self, root: bytes, reason: str | None, now: float) -> None:
        """Record that a root cannot be believed at the moment, and why; None: it is there."""
        with self._store.write() as connection:
            connection.execute(
                text("""UPDATE roots SET absent = :reason,
                        absent_since = CASE WHEN :reason IS NULL THEN NULL ELSE coalesce(absent_since, :now) END
                        WHERE path = :root AND absent IS NOT :reason"""),
                {"root": root, "reason": reason, "now": now},
            )

    def put_aside(self, found: Sequence[tuple[PlacePath, AsideReason, str]], now: float) -> int:
        """Record files that are neither places nor ignored, with the reason and a detail for the person.

        Give how many of them were not aside for that reason before.
        """
        if not found:
            return 0
        new = 0
        with self._store.write() as connection:
            for place, reason, detail in found:
                said = printable(detail)
                folder_id = self.folder_id(connection, place.root, place.folder)
                new += connection.execute(_IS_ASIDE, {"folder_id": folder_id, "name": place.name}).scalar() != reason
                connection.execute(
                    _ASIDE,
                    {
                        "folder_id": folder_id,
                        "name": place.name,
                        "text": path_text(place.name),
                        "reason": reason,
                        "detail": said,
                        "since": now,
                    },
                )
        return new

    def names_aside(self, root: bytes, folder: bytes) -> frozenset[bytes]:
        """Give the names that are set aside in a folder."""
        with self._store.read() as connection:
            number = self._find_folder(connection, root, folder)
            if number is None:
                return frozenset()
            return frozenset(row[0] for row in connection.execute(_ASIDE_NAMES, {"folder_id": number}))

    def clear_aside(self, connection: Connection, folder_id: int, name: bytes) -> None:
        """Forget that a file was set aside; a part of the caller's transaction."""
        connection.execute(_CLEAR_ASIDE, {"folder_id": folder_id, "name": name})

    def lane(self, connection: Connection, root: bytes) -> int:
        """Tell the lane of a photo that is seen now: an arrival only after the root's first whole scan."""
        self._forget_what_was_undone()
        lane = self._lanes.get(root)
        if lane is None:
            scanned_at = connection.execute(_FIRST_SCAN, {"root": root}).scalar()
            lane = self._lanes[root] = BACKLOG if scanned_at is None else ARRIVALS
        return lane

    def folder_id(self, connection: Connection, root: bytes, folder: bytes) -> int:
        """Give the number of a folder, making it where it is new; a part of the caller's transaction."""
        number = self._find_folder(connection, root, folder)
        if number is None:
            values = {"root_id": self._root_id(connection, root), "path": folder, "text": path_text(folder)}
            number = int(connection.execute(_NEW_FOLDER, values).lastrowid)
        return number

    def _find_folder(self, connection: Connection, root: bytes, folder: bytes) -> int | None:
        self._forget_what_was_undone()
        key = (root, folder)
        number = self._folder_ids.get(key)
        if number is None:
            number = connection.execute(_FOLDER, {"root": root, "path": folder}).scalar()
            if number is not None:
                self._folder_ids[key] = number
                if len(self._folder_ids) > _REMEMBERED_FOLDERS:
                    self._folder_ids.popitem(last=False)
        return number

    def _forget_what_was_undone(self) -> None:
        """Forget the numbers of folders: one that was made in a transaction that failed may be another's next time."""
        if self._undone != self._store.undone:
            self._undone = self._store.undone
            self._folder_ids.clear()
            self._root_ids.clear()
            self._lanes.clear()

    def _root_id(self, connection: Connection, root: bytes) -> int:
        self._forget_what_was_undone()
        number = self._root_ids.get(root)
        if number is None:
            number = int(connection.execute(_ROOT_ID, {"root": root}).scalar_one())
            self._root_ids[root] = number
        return number


def _known_look(row: Any) -> KnownLook:
    return row.size, nanoseconds(row.mtime_ns), nanoseconds(row.ctime_ns), unsigned(row.inode)


_ROOTS = text("""
    SELECT path, device, first_scan_at, absent, held, released, EXISTS (
        SELECT 1 FROM folders JOIN places ON places.folder_id = folders.id
        WHERE folders.root_id = roots.id AND places.gone_at IS NULL) AS has_places
    FROM roots WHERE NOT dropped ORDER BY path
""")
# One look into an index for each folder: grouping the places would sort the whole library, in memory.
_SAMPLE = text("""
    SELECT folder, name FROM (
        SELECT folders.path AS folder,
               (SELECT min(places.name) FROM places
                WHERE places.folder_id = folders.id AND places.gone_at IS NULL) AS name
        FROM roots JOIN folders ON folders.root_id = roots.id WHERE roots.path = :root)
    WHERE name IS NOT NULL LIMIT :most
""")
_CONFIGURED = text("SELECT path, dropped FROM roots")
_ROOT = insert("roots", "path", "text")
_DROPPED = text("UPDATE roots SET dropped = :dropped WHERE path = :path")
_ROOT_ID = text("SELECT id FROM roots WHERE path = :root")
_FIRST_SCAN = text("SELECT first_scan_at FROM roots WHERE path = :root")
_NEW_FOLDER = text("INSERT INTO folders (root_id, path, text) VALUES (:root_id, :path, :text)")
_FOLDER = text("""
    SELECT folders.id FROM folders JOIN roots ON roots.id = folders.root_id
    WHERE roots.path = :root AND folders.path = :path
""")
_LOOKS = text("""
    SELECT name, size, mtime_ns, ctime_ns, inode FROM places WHERE folder_id = :folder_id AND gone_at IS NULL
""")
_LOOKS_ON = text("""
    SELECT name, size, mtime_ns, ctime_ns, inode, :device FROM places WHERE folder_id = :folder_id AND gone_at IS NULL
""")
_LOOK = text("""
    SELECT size, mtime_ns, ctime_ns, inode FROM places
    WHERE folder_id = :folder_id AND name = :name AND gone_at IS NULL
""")
_ASIDE = text("""
    INSERT INTO aside (folder_id, name, text, reason, detail, since)
    VALUES (:folder_id, :name, :text, :reason, :detail, :since)
    ON CONFLICT (folder_id, name) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
""")
_IS_ASIDE = text("SELECT reason FROM aside WHERE folder_id = :folder_id AND name = :name")
_FOLDERS_IN_USE = text("""
    SELECT folders.path FROM folders JOIN roots ON roots.id = folders.root_id
    WHERE roots.path = :root AND (
        EXISTS (SELECT 1 FROM places WHERE places.folder_id = folders.id AND places.gone_at IS NULL)
        OR EXISTS (SELECT 1 FROM aside WHERE aside.folder_id = folders.id))
    ORDER BY folders.path
""")
_ANY_ASIDE = text("SELECT 1 FROM aside WHERE folder_id = :folder_id LIMIT 1")
_ASIDE_NAMES = text("SELECT name FROM aside WHERE folder_id = :folder_id")
_CLEAR_ASIDE = text("DELETE FROM aside WHERE folder_id = :folder_id AND name = :name")
_FORGET_IGNORED = text("DELETE FROM ignored WHERE root_id = :root_id")
_IGNORED = insert("ignored", "root_id", "reason", "files")
_SCANNED = text("""
    UPDATE roots SET device = :device, first_scan_at = coalesce(first_scan_at, :now), last_scan_at = :now,
                     absent = NULL, absent_since = NULL, released = 0
    WHERE id = :root_id
""")
