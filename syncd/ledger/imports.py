"""What the ledger knows of camera cards: which imports ran, and which verified copies they made.

A copy is planned (its name is chosen and committed), then placed, then verified: only the last counts as imported.
What a process that died left planned is looked at by the next import. Written beside a running daemon, in short
transactions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from syncd.ledger.plain import Connection, Row, insert, text
from syncd.ledger.reports import WITHDRAWN
from syncd.ledger.rows import nanoseconds, signed, unsigned
from syncd.ledger.store import Store
from syncd.lifecycle import State
from syncd.model import Look, PlacePath
from syncd.printable import path_text, printable


class Kind(StrEnum):
    """What a copy is. The values are what the ledger stores."""

    COPY = "copy"
    """Made by an import at its destination."""
    SECOND = "second"
    """Made by an import at its second destination."""
    FOUND = "found"
    """Lay there before; read back and found to be the same."""


class Unless(StrEnum):
    """Which copies of the same bytes make a planned one needless."""

    ANY = "any"
    THIS_IMPORT = "this import"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What one read of a file gave: SHA-256, XXH64 (big-endian), XXH3-128 of its first bytes, all in hex; bytes."""

    digest: str
    quick: str
    head: str
    size: int


@dataclass(frozen=True, slots=True)
class Intended:
    """A copy that is about to get its name. `below` is the destination (absolute) in which others count."""

    kind: Kind
    path: bytes
    below: bytes
    prints: Fingerprints
    unless: Unless
    besides: frozenset[int] = frozenset()
    """Copies that are known and were found not to serve: gone, changed, or on the card itself."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy in the ledger. `look` is what fstat said when it was verified; None: nothing is promised yet."""

    number: int
    kind: Kind
    path: bytes
    prints: Fingerprints
    look: Look | None


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of a photo at the service: its state ("withdrawn" where the rules keep it back), its image id."""

    state: str
    image_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """All that the ledger knows of some bytes."""

    copies: tuple[Copy, ...] = ()
    places: tuple[PlacePath, ...] = ()
    """Where they lie in watched folders, as far as the last scan saw."""
    is_photo: bool = False
    """Whether they were ever seen in a watched folder."""
    uploads: tuple[Upload, ...] = ()


@dataclass(frozen=True, slots=True)
class Hint:
    """What the ledger may know of a file. Where neither is true, it certainly knows nothing of it."""

    copied: bool
    """A copy has this size, and begins like this: almost certainly the same."""
    seen: bool
    """A photo in a watched folder has this size: often by chance."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An import that has not ended: it runs, or it died."""

    number: int
    token: str
    destinations: tuple[bytes, ...]


class Imports:
    """The imports and copies of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, token: str, source: bytes, label: str, destinations: Sequence[bytes], now: float) -> int:
        """Note that an import begins; give its number."""
        row = {
            "token": token,
            "source": source,
            "text": path_text(source),
            "label": printable(label),
            "destinations": json.dumps([os.fsdecode(path) for path in destinations]),
            "started_at": now,
        }
        with self._store.write() as connection:
            return connection.execute(insert("imports", *row), row).lastrowid

    def end(self, number: int, now: float) -> None:
        """Note that an import has ended, and left nothing behind that another must clean up."""
        with self._store.write() as connection:
            connection.execute(_END, {"number": number, "now": now})

    def unfinished(self) -> list[Unfinished]:
        """Give the imports that have not ended."""
        with self._store.read() as connection:
            rows = connection.execute(_UNFINISHED).all()
        return [
            Unfinished(row.id, row.token, tuple(os.fsencode(path) for path in json.loads(row.destinations)))
            for row in rows
        ]

    def unverified(self, number: int) -> list[Copy]:
        """Give the copies that an import has planned and not verified."""
        with self._store.read() as connection:
            return [_copy(row) for row in connection.execute(_UNVERIFIED, {"number": number})]

    def knows_size(self, size: int) -> bool:
        """Tell whether anything of this size was imported or seen: what has another size is certainly new."""
        with self._store.read() as connection:
            return bool(connection.execute(_KNOWS_SIZE, {"size": size}).scalar())

    def hint(self, size: int, head: str) -> Hint:
        """Tell by its size and first bytes what a file may be. Only its digest can say what it is."""
        with self._store.read() as connection:
            row = connection.execute(_HINT, {"size": size, "head": head}).one()
        return Hint(bool(row.copied), bool(row.seen))

    def known(self, digest: str) -> Known:
        """Give what is known of some bytes."""
        with self._store.read() as connection:
            found = tuple(_copy(row) for row in connection.execute(_COPIES, {"digest": digest}))
            photo = connection.execute(_PHOTO, {"digest": digest}).first()
            if photo is None:
                return Known(found)
            places = connection.execute(_PLACES, {"photo_id": photo.id})
            entries = connection.execute(_ENTRIES, {"photo_id": photo.id, "edit_of": photo.edit_of})
            return Known(
                copies=found,
                places=tuple(PlacePath(row.root, row.folder, row.name) for row in places),
                is_photo=True,
                uploads=tuple(_upload(row) for row in entries),
            )

    def plan(self, number: int, intended: Sequence[Intended]) -> list[int | None]:
        """Commit the names of copies, before they get them; give a number for each, None where it is needless.

        One transaction: of two imports that read the same bytes at the same time, one alone makes the copy.
        """
        with self._store.write() as connection:
            return [self._plan(connection, number, one) for one in intended]

    def rename(self, number: int, path: bytes) -> None:
        """Change the name of a planned copy: another file took the one before."""
        with self._store.write() as connection:
            connection.execute(_RENAME, {"number": number, "path": path, "text": path_text(path)})

    def verified(self, looks: Mapping[int, Look], now: float) -> None:
        """Note that copies lie under their names, durable, and were read back: from now on they count as imported."""
        if not looks:
            return
        rows = [{"number": number, "now": now, **_look_columns(look)} for number, look in looks.items()]
        with self._store.write() as connection:
            connection.execute_each(_VERIFIED, rows)

    def forget(self, numbers: Sequence[int]) -> None:
        """Forget planned copies that came to nothing."""
        if not numbers:
            return
        with self._store.write() as connection:
            connection.execute(_FORGET, {"numbers": json.dumps(list(numbers))})

    def adopt(self, number: int, path: bytes, prints: Fingerprints, look: Look, now: float) -> None:
        """Note a file that lay there already and was read back: it is a verified copy of the same bytes."""
        with self._store.write() as connection:
            found = {**_print_columns(Kind.FOUND, path, prints), **_look_columns(look)}
            row = {**found, "import_id": number, "verified_at": now}
            connection.execute(insert("copies", *row), row)

    def _plan(self, connection: Connection, number: int, one: Intended) -> int | None:
        if one.unless is not Unless.NEVER:
            wanted = {"digest": one.prints.digest, "number": number, "own": one.unless is Unless.THIS_IMPORT}
            for row in connection.execute(_RIVALS, wanted):
                if row.id not in one.besides and counts_for(Kind(row.kind), row.path, one.kind, one.below):
                    return None
        planned = {**_print_columns(one.kind, one.path, one.prints), "import_id": number}
        return connection.execute(insert("copies", *planned), planned).lastrowid


def counts_for(kind: Kind, path: bytes, wanted: Kind, below: bytes) -> bool:
    """Tell whether a copy makes another needless: at the destination any first copy does, at the second one there."""
    if wanted is Kind.SECOND:
        return path.startswith(below.rstrip(b"/") + b"/")
    return kind is not Kind.SECOND


def _print_columns(kind: Kind, path: bytes, prints: Fingerprints) -> dict[str, object]:
    return {
        "digest": prints.digest,
        "quick": prints.quick,
        "head": prints.head,
        "size": prints.size,
        "kind": kind,
        "path": path,
        "text": path_text(path),
    }


def _look_columns(look: Look) -> dict[str, int]:
    return {
        "mtime_ns": signed(look.mtime_ns),
        "ctime_ns": signed(look.ctime_ns),
        "inode": signed(look.inode),
        "device": signed(look.device),
    }


def _copy(row: Row) -> Copy:
    look = None
    if row.verified_at is not None:
        times = nanoseconds(row.mtime_ns), nanoseconds(row.ctime_ns)
        look = Look(row.size, *times, unsigned(row.inode), unsigned(row.device))
    prints = Fingerprints(row.digest, row.quick, row.head, row.size)
    return Copy(row.id, Kind(row.kind), row.path, prints, look)


def _upload(row: Row) -> Upload:
    held_back = row.withdrawn and row.state not in {State.UPLOADED, State.SENDING}
    return Upload(WITHDRAWN if held_back else row.state, row.image_id, row.reason)


_END = text("UPDATE imports SET ended_at = :now WHERE id = :number")
_UNFINISHED = text("SELECT id, token, destinations FROM imports WHERE ended_at IS NULL ORDER BY id")
_UNVERIFIED = text("SELECT * FROM copies WHERE import_id = :number AND verified_at IS NULL ORDER BY id")
_COPIES = text("SELECT * FROM copies WHERE digest = :digest ORDER BY kind = 'second', id")
_HINT = text("""
    SELECT EXISTS (SELECT 1 FROM copies WHERE size = :size AND head = :head) AS copied,
           EXISTS (SELECT 1 FROM photos WHERE size = :size) AS seen
""")
_KNOWS_SIZE = text("""
    SELECT EXISTS (SELECT 1 FROM copies WHERE size = :size) OR EXISTS (SELECT 1 FROM photos WHERE size = :size)
""")
_PHOTO = text("SELECT id, edit_of FROM photos WHERE digest = :digest")
_PLACES = text("""
    SELECT roots.path AS root, folders.path AS folder, places.name
    FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE places.photo_id = :photo_id AND places.gone_at IS NULL ORDER BY places.id
""")
_ENTRIES = text("""
    SELECT state, withdrawn, image_id, reason FROM entries
    WHERE photo_id = coalesce(:edit_of, :photo_id) ORDER BY id
""")
_RIVALS = text("""
    SELECT id, kind, path FROM copies WHERE digest = :digest AND (NOT :own OR import_id = :number)
""")
_RENAME = text("UPDATE copies SET path = :path, text = :text WHERE id = :number AND verified_at IS NULL")
_VERIFIED = text("""
    UPDATE copies SET verified_at = :now, mtime_ns = :mtime_ns, ctime_ns = :ctime_ns, inode = :inode, device = :device
    WHERE id = :number
""")
_FORGET = text("""
    DELETE FROM copies WHERE verified_at IS NULL AND id IN (SELECT value FROM json_each(:numbers))
""")
