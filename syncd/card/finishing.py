"""The second half of a copy: synced, read back from the medium, named, and only then entered in the ledger.

A copy gets its name after it was read back, so that what lies under a final name is always whole and compared: nobody,
and no daemon that uploads what it sees, ever meets a bad one. It works on batches, so that a transaction and a look at
the free names serve many files.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from syncd.card import placing
from syncd.card.copying import Read
from syncd.card.destination import Destination, Temporary, is_regular, look_of
from syncd.card.layout import CardFile, Group, Rank, rank
from syncd.card.medium import CHUNK, Way, read_back
from syncd.card.naming import Template, Told, free_names, numbered
from syncd.ledger.imports import Imports, Intended, Known, Unless
from syncd.model import Capture, Look
from syncd.printable import path_text

HEAD: Final = 1 << 20
"""Bytes of a photo that are looked at for its date and camera: more than any camera writes before the picture."""
_TRIES: Final = 100
"""Names that are tried before a copy is given up. More are needed only where somebody makes files against us."""


class Dater(Protocol):
    """Reads what a photo says of itself from its first bytes; the extraction worker stands behind it."""

    def capture(self, head: bytes) -> Capture:
        """Give the capture; an empty one where the bytes say nothing."""
        ...


@dataclass(slots=True)
class Copying:
    """One copy on its way to one destination."""

    read: Read
    temporary: Temporary
    besides: frozenset[int] = frozenset()
    """Copies of the same bytes that do not serve."""
    head: bytes = b""
    way: Way | None = None
    """How it was read back."""
    seen: os.stat_result | None = None
    """The look at it before it was read back."""
    folder: bytes = b""
    name: bytes = b""
    number: int | None = None
    """In the ledger, once it is planned."""
    look: Look | None = None
    """Of the finished copy."""
    path: bytes | None = None
    failed: str = ""
    needless: bool = False
    """Another import makes, or made, a copy of the same bytes."""


@dataclass(slots=True)
class Work:
    """One group of companions with what was read of it. `anchor`: where a companion that is known already lies."""

    group: Group
    reads: list[Read] = field(default_factory=list)
    anchor: dict[Destination, bytes] = field(default_factory=dict)
    copies: list[Copying] = field(default_factory=list)
    facts: dict[CardFile, tuple[Known, tuple[bytes, ...]]] = field(default_factory=dict)
    """What was known of each file that was read, and where verified copies of it lay before."""


@dataclass(slots=True)
class Finisher:
    """Finishes batches for one import."""

    imports: Imports
    number: int
    template: Template
    label: str
    dater: Dater
    unless: Unless
    now: Callable[[], float]
    started_at: float
    verified: Callable[[Destination, int], None]
    """Told of the bytes that were read back from a destination; by several threads."""
    pool: Executor
    """Threads that sync files and read them back."""
    sequence: int = 0
    _reserved: set[tuple[Destination, bytes, bytes]] = field(default_factory=set)
    """Names that files of this batch are going to get, in lower case, as file systems of cards compare them."""
    _space: threading.local = field(default_factory=threading.local)

    def finish(self, batch: Sequence[Work]) -> None:
        """Take every copy of a batch as far as it comes; what became of it stands in its `Copying`."""
        copies: list[Copying] = []
        for work in batch:
            work.copies = [
                Copying(read, one, _judged_before(work, read)) for read in work.reads for one in read.temporaries
            ]
            copies += work.copies
        try:
            # Several at once: the journal is written once for all that wait, and one is read as another is hashed.
            list(self.pool.map(self._bring_home, copies))
            self._reserved.clear()
            for work in batch:
                self._choose_names(work)
            self._plan([copy for copy in copies if _goes_on(copy)])
            self._place([copy for copy in copies if _goes_on(copy)])
            self._record(copies)
        finally:
            for copy in copies:
                copy.temporary.close() if copy.path is not None else copy.temporary.drop()

    def _bring_home(self, copy: Copying) -> None:
        """Wait until a copy is on the medium, then read it back from there."""
        self._sync(copy)
        self._compare(copy)

    def _sync(self, copy: Copying) -> None:
        if copy.temporary.failed is None:
            try:
                os.fsync(copy.temporary.fd)
            except OSError as error:
                copy.temporary.fail(error)
        copy.failed = copy.temporary.failed or ""

    def _compare(self, copy: Copying) -> None:
        if copy.failed:
            return
        destination, prints = copy.temporary.destination, copy.read.prints
        head = HEAD if rank(copy.read.file.name) <= Rank.RAW else 0
        try:
            copy.seen = os.fstat(copy.temporary.fd)
            found = read_back(
                copy.temporary.name,
                at=destination.fd,
                head=head,
                went=lambda count: self.verified(destination, count),
                buffer=self._buffer(),
            )
        except OSError as error:
            copy.temporary.fail(error)
            copy.failed = copy.temporary.failed or ""
            return
        if (found.digest, found.size) != (prints.digest, prints.size):
            copy.failed = (
                f"what was read back from {path_text(destination.path)} is not what was written:"
                " its medium, or the memory of this computer, is failing"
            )
        copy.head, copy.way = found.head, found.way

    def _choose_names(self, work: Work) -> None:
        """Choose free names for a group, at each destination with one stem for all of its files."""
        if not any(_goes_on(copy) for copy in work.copies):
            return
        self.sequence += 1
        folder, stem = self.template.place(work.group, self._told(work))
        for destination in {copy.temporary.destination: None for copy in work.copies if _goes_on(copy)}:
            mine = {c.read.file: c for c in work.copies if c.temporary.destination is destination and _goes_on(c)}
            try:
                self._choose_for(work, destination, mine, (folder, stem))
            except OSError as error:
                for copy in mine.values():
                    copy.failed = destination.note(error)

    def _choose_for(
        self, work: Work, destination: Destination, mine: dict[CardFile, Copying], chosen: tuple[bytes, bytes]
    ) -> None:
        folder, given = _at_anchor(work, destination) or chosen
        wanted = Group(work.group.stem, tuple(mine), work.group.keeps_folders)
        names = free_names(wanted, given, lambda file, name: self._is_taken(mine[file], folder, name))
        for file, name in names.items():
            mine[file].folder, mine[file].name = folder, name
            self._reserved.add((destination, folder, name.lower()))

    def _told(self, work: Work) -> Told:
        dated, model = None, None
        for copy in work.copies:
            if copy.head and _goes_on(copy) and (dated is None or model is None):
                capture = self.dater.capture(copy.head)
                dated, model = dated or capture.taken_at, model or capture.camera_model
        if dated is None:
            # FAT stores the camera's wall clock, and the mount reads it as this machine's: so this gives it back.
            dated = _local(work.group.files[0].mtime_ns / 1e9)
        return Told(dated, model or "", self.sequence, self.label, _local(self.started_at))

    def _is_taken(self, copy: Copying, folder: bytes, name: bytes) -> bool:
        if (copy.temporary.destination, folder, name.lower()) in self._reserved:
            return True
        seen = copy.temporary.destination.look(folder, name)
        if seen is None:
            return False
        return not (is_regular(seen) and self._is_the_same(copy, folder, name, seen))

    def _is_the_same(self, copy: Copying, folder: bytes, name: bytes, seen: os.stat_result) -> bool:
        """Tell whether a file that lies there already holds the same bytes; it then serves as the copy."""
        prints = copy.read.prints
        if seen.st_size != prints.size:
            return False
        path = copy.temporary.destination.absolute(folder, name)
        try:
            return read_back(path, buffer=self._buffer()).digest == prints.digest
        except OSError:
            return False

    def _plan(self, copies: Sequence[Copying]) -> None:
        """Commit the names before they are given: what dies from here on is found by the next import."""
        intended = [
            Intended(
                kind=copy.temporary.destination.kind,
                path=copy.temporary.destination.absolute(copy.folder, copy.name),
                below=copy.temporary.destination.path,
                prints=copy.read.prints,
                unless=self.unless,
                besides=copy.besides,
            )
            for copy in copies
        ]
        for copy, number in zip(copies, self.imports.plan(self.number, intended), strict=True):
            copy.number = number
            copy.needless = number is None

    def _place(self, copies: Sequence[Copying]) -> None:
        """Give the copies their names, then sync every folder that got one."""
        folders: dict[tuple[Destination, bytes], int] = {}
        try:
            for copy in copies:
                try:
                    self._place_one(copy, folders)
                except OSError as error:
                    copy.failed = copy.temporary.destination.note(error)
            for (destination, folder), fd in folders.items():
                try:
                    placing.sync_folder(fd)
                except OSError as error:
                    for copy in copies:
                        if (copy.temporary.destination, copy.folder) == (destination, folder):
                            copy.failed = destination.note(error)
            for copy in copies:
                if not copy.failed:
                    self._confirm(copy)
        finally:
            for fd in folders.values():
                os.close(fd)

    def _place_one(self, copy: Copying, folders: dict[tuple[Destination, bytes], int]) -> None:
        destination = copy.temporary.destination
        key = destination, copy.folder
        if key not in folders:
            folders[key] = placing.open_folder(destination.fd, copy.folder, make=True)
        for name in _others(copy):
            try:
                placing.place(destination.fd, copy.temporary.name, folders[key], name)
            except FileExistsError:
                seen = destination.look(copy.folder, name)
                if seen is not None and is_regular(seen) and self._is_the_same(copy, copy.folder, name, seen):
                    copy.temporary.drop()
                    self._rename(copy, name)
                    return
                continue
            self._rename(copy, name)
            return
        copy.failed = f"no free name was found for it in {path_text(destination.absolute(copy.folder, b''))}"

    def _rename(self, copy: Copying, name: bytes) -> None:
        copy.path = copy.temporary.destination.absolute(copy.folder, name)
        if name != copy.name:
            copy.name = name
            self.imports.rename(copy.number or 0, copy.path)

    def _confirm(self, copy: Copying) -> None:
        """See that the file under the name is the one that was read back."""
        destination, prints = copy.temporary.destination, copy.read.prints
        try:
            seen = destination.look(copy.folder, copy.name)
            if seen is None or not is_regular(seen):
                copy.failed = "the copy was taken away again by another program"
                return
            own = os.fstat(copy.temporary.fd) if copy.temporary.fd >= 0 else None
            if own is None or not _is_untouched(seen, own, copy.seen):
                # Some FUSE drivers number files by their names; and a file that lay there already was not synced by us.
                path = destination.absolute(copy.folder, copy.name)
                placing.sync_file(path)
                if read_back(path, buffer=self._buffer()).digest != prints.digest:
                    copy.failed = "what lies under the name of the copy is not what was written"
                    return
            copy.look = look_of(seen)
        except OSError as error:
            copy.failed = destination.note(error)

    def _buffer(self) -> mmap.mmap:
        """Give the buffer of this thread."""
        if not hasattr(self._space, "buffer"):
            self._space.buffer = mmap.mmap(-1, CHUNK)
        buffer: mmap.mmap = self._space.buffer
        return buffer

    def _record(self, copies: Sequence[Copying]) -> None:
        looks = {copy.number: copy.look for copy in copies if copy.number is not None and copy.look is not None}
        self.imports.verified(looks, self.now())
        self.imports.forget([copy.number for copy in copies if copy.number is not None and copy.look is None])


def sized(work: Work) -> int:
    """Give the bytes of a group that are to be finished."""
    return sum(read.prints.size for read in work.reads if read.temporaries)


def _judged_before(work: Work, read: Read) -> frozenset[int]:
    """Give the verified copies of a file that were looked at, and found not to make this one needless."""
    known, _ = work.facts.get(read.file, (Known(), ()))
    return frozenset(copy.number for copy in known.copies if copy.look is not None)


def _goes_on(copy: Copying) -> bool:
    return not copy.failed and not copy.needless


def _is_untouched(seen: os.stat_result, own: os.stat_result, before: os.stat_result | None) -> bool:
    """Tell whether a file under its name is the one that was read back, and nobody wrote to it since."""
    same_file = (seen.st_dev, seen.st_ino) == (own.st_dev, own.st_ino)
    return same_file and before is not None and (seen.st_size, seen.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _others(copy: Copying) -> Iterator[bytes]:
    """Give the chosen name, and those to try where another program takes it at that very moment."""
    before, dot, behind = copy.name.rpartition(b".")
    stem, ending = (before, dot + behind) if before.strip(b".") else (copy.name, b"")
    return (one + ending for one in islice(numbered(stem, longest=len(ending)), _TRIES))


def _at_anchor(work: Work, destination: Destination) -> tuple[bytes, bytes] | None:
    """Give the folder and stem of a companion that lies at a destination already."""
    path = work.anchor.get(destination)
    if path is None:
        return None
    relative = path[len(destination.path.rstrip(b"/")) + 1 :]
    folder, _, name = relative.rpartition(b"/")
    return folder, name


def _local(seconds: float) -> datetime:
    """Give a moment on this machine's clock; of one that no calendar has (a damaged file system), the epoch."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return datetime(1970, 1, 1)  # noqa: DTZ001  (a wall clock)
