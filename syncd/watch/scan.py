"""The truth about a root: a walk over all of its folders, one folder at a time. Whether a root can be walked at all.

A scan says what is there now; it does not know what was there before, opens no file, and follows no link to a folder.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from syncd.errors import ReachError
from syncd.watch.filters import SYSTEM_FOLDERS, Filter, Ignored
from syncd.watch.reach import Root

Stamp: TypeAlias = tuple[int, int, int, int, int]
"""Size, mtime_ns, ctime_ns, inode, device: a Look before it is one, for `Look(*stamp)` where the names are wanted.

A rescan compares a hundred thousand of them with the ledger and finds them equal: a plain tuple costs a third.
"""

_ENCODING: Final = sys.getfilesystemencoding()
_ENTER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_VANISHED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_OPEN_FOLDERS: Final = 64
"""How many folders of the current path are held open: enough for every real tree, few enough for any limit."""
_STATS_BETWEEN_STOPS: Final = 512
_INSIDE_ITSELF: Final = "it is mounted inside itself, and was not entered again"


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What lies directly in one folder.

    The candidates in `files` and the counts in `ignored` add up to the entries that are neither folders nor links to
    folders. With an `error` the folder was not seen whole: no place in it or below it may be taken as gone.
    A folder of which no listing comes at all, in a walk that was not stopped, is not there.
    """

    folder: bytes
    files: dict[bytes, Stamp]
    """Candidates by name, with their stat values."""
    ignored: dict[Ignored, int]
    device: int
    """The device that the folder itself is on."""
    subfolders: int
    """How many folders lie in it, other roots and ignored ones included; links to folders are none."""
    error: str | None = None
    reason: Ignored | None = None
    """Why the whole folder is ignored, if it is."""


@dataclass(slots=True)
class _Frame:
    """A folder on the current path, with the subfolders still to be entered (last one first)."""

    folder: bytes
    fd: int
    identity: tuple[int, int]
    reason: Ignored | None
    names: list[bytes]


@dataclass(slots=True)
class _Content:
    """What one folder holds, while it is being listed."""

    files: dict[bytes, Stamp] = field(default_factory=dict)
    ignored: dict[Ignored, int] = field(default_factory=dict)
    names: list[bytes] = field(default_factory=list)
    error: str | None = None

    refused: int = 0

    def count(self, reason: Ignored) -> None:
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    def refuse(self, error: OSError) -> None:
        self.count(Ignored.UNREADABLE)
        self.refused += 1
        self.error = f"{self.refused} of its files could not be looked at: {_sentence(error)}"


def never() -> bool:
    """Never stop."""
    return False


def walk(
    root: Root,
    filters: Filter,
    *,
    nested: frozenset[bytes] = frozenset(),
    stop: Callable[[], bool] = never,
    below: bytes = b"",
) -> Iterator[FolderListing]:
    """Yield a listing for each folder at and below `below`, parents first, sorted by name.

    Ignored folders are listed too: without candidates, each of their files counted under the folder's reason.
    The folders in `nested` (absolute paths of other roots) are not entered. When `stop` says so, the walk ends
    between two listings. What vanishes meanwhile is left out.
    """
    return _Walk(root, filters, nested, stop).run(below)


class _Walk:
    def __init__(self, root: Root, filters: Filter, nested: frozenset[bytes], stop: Callable[[], bool]) -> None:
        self._root = root
        self._filters = filters
        self._stop = stop
        self._stopped = False
        prefix = root.path.rstrip(b"/") + b"/"
        self._nested = {path[len(prefix) :].rstrip(b"/") for path in nested if path.startswith(prefix)}
        self._path: list[_Frame] = []

    def run(self, below: bytes) -> Iterator[FolderListing]:
        try:
            yield from self._enter(below, self._filters.folder(below))
            while self._path and not self._stopping():
                frame = self._path[-1]
                if not frame.names:
                    _close(self._path.pop())
                    continue
                name = frame.names.pop()
                folder = frame.folder + b"/" + name if frame.folder else name
                if folder not in self._nested:
                    yield from self._enter(folder, frame.reason or self._filters.subfolder(folder))
        finally:
            for frame in self._path:
                _close(frame)

    def _stopping(self) -> bool:
        # Once stopped, for good: a folder that was left in the middle would otherwise look as if it were not there.
        self._stopped = self._stopped or self._stop()
        return self._stopped

    def _enter(self, folder: bytes, reason: Ignored | None) -> Iterator[FolderListing]:
        try:
            fd = self._open(folder)
        except (OSError, ReachError) as error:
            if not isinstance(error, OSError) or error.errno not in _VANISHED:
                yield FolderListing(folder, {}, {}, 0, 0, _sentence(error), reason)
            return
        seen = os.fstat(fd)
        frame = _Frame(folder, fd, (seen.st_dev, seen.st_ino), reason, [])
        if any(above.identity == frame.identity for above in self._path):
            _close(frame)
            yield FolderListing(folder, {}, {}, seen.st_dev, 0, _INSIDE_ITSELF, reason)
            return
        content = self._list(fd, folder, reason)
        if content is None:
            _close(frame)
            return
        frame.names = sorted(content.names, reverse=True)
        self._push(frame)
        yield FolderListing(
            folder, content.files, content.ignored, seen.st_dev, len(frame.names), content.error, reason
        )

    def _list(self, fd: int, folder: bytes, reason: Ignored | None) -> _Content | None:
        """List an open folder. None: the walk was stopped in the middle."""
        content = _Content()
        listed: list[os.DirEntry[str]] = []
        try:
            with os.scandir(fd) as entries:
                listed.extend(entries)
        except OSError as error:
            content.error = _sentence(error)
        # In the order of their inodes, which on a cold disk is the order of their tracks; from the end, to let them go.
        listed.sort(key=os.DirEntry.inode, reverse=True)
        while listed:
            self._look_at(reversed(listed[-_STATS_BETWEEN_STOPS:]), folder, reason, content)
            del listed[-_STATS_BETWEEN_STOPS:]
            if listed and self._stopping():
                return None
        return content

    def _look_at(
        self, entries: Iterable[os.DirEntry[str]], folder: bytes, reason: Ignored | None, content: _Content
    ) -> None:
        """Look at some of the entries of a folder: the candidates among them, with their stat values."""
        # Once for each file of every rescan: each call that can be left out here is a twentieth of the whole.
        judge, files = self._filters.file, content.files
        for entry in entries:
            try:
                # Some file systems do not list what is a file: there each of these asks the disk, and may fail.
                if not entry.is_file(follow_symlinks=False):
                    _count_other(entry, reason, content)
                    continue
                name = entry.name.encode(_ENCODING, "surrogateescape")
                why = reason or judge(folder, name)
                if why is not None:
                    content.count(why)
                    continue
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                content.refuse(error)
                continue
            files[name] = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev)

    def _push(self, frame: _Frame) -> None:
        if not frame.names:
            _close(frame)
            return
        self._path.append(frame)
        far = len(self._path) - 1 - _OPEN_FOLDERS
        if far > 0:
            _close(self._path[far])

    def _open(self, folder: bytes) -> int:
        """Open a folder from the one above it on the current path; the first one from the root."""
        if not self._path:
            return self._root.open_folder(folder)
        return os.open(folder.rpartition(b"/")[2], _ENTER, dir_fd=self._descriptor(len(self._path) - 1))

    def _descriptor(self, index: int) -> int:
        """Return the descriptor of a folder on the current path, opened again if it was closed on the way down."""
        nearest = index
        while self._path[nearest].fd < 0:
            nearest -= 1
        for depth in range(nearest + 1, index + 1):
            frame, above = self._path[depth], self._path[depth - 1]
            frame.fd = os.open(frame.folder.rpartition(b"/")[2], _ENTER, dir_fd=above.fd)
            seen = os.fstat(frame.fd)
            if (seen.st_dev, seen.st_ino) != frame.identity:
                _close(frame)
                raise OSError(errno.ESTALE, "the folder above it was replaced meanwhile")
            if 0 < depth - 1 <= index - _OPEN_FOLDERS:
                _close(above)
        return self._path[index].fd


def _close(frame: _Frame) -> None:
    if frame.fd >= 0:
        os.close(frame.fd)
        frame.fd = -1


def _count_other(entry: os.DirEntry[str], reason: Ignored | None, content: _Content) -> None:
    if entry.is_dir(follow_symlinks=False):
        content.names.append(entry.name.encode(_ENCODING, "surrogateescape"))
    elif not entry.is_symlink():
        content.count(reason or Ignored.SPECIAL)
    elif not _leads_to_folder(entry):
        content.count(reason or Ignored.SYMLINK)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _sentence(error: OSError | ReachError) -> str:
    if isinstance(error, ReachError):
        return error.message
    return error.strerror or str(error)


class Absence(StrEnum):
    """Why a root counts as absent. The values are what `status` shows."""

    MISSING = "missing"
    NOT_A_FOLDER = "not a folder"
    UNREADABLE = "not readable"
    EMPTY = "empty"
    OTHER_DEVICE = "on another device than before"


@dataclass(frozen=True, slots=True)
class Absent:
    """A root that is not what it was: none of its places may be marked gone."""

    root: bytes
    absence: Absence
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.absence}: {self.detail}" if self.detail else str(self.absence)


def presence(
    root: bytes,
    known_device: int | None,
    had_places: bool,  # noqa: FBT001 - the second of two answers of the ledger, in their order
    *,
    sample: Collection[bytes] = (),
) -> Absent | None:
    """Tell whether a root is there as it was known; None: it is.

    Empty means that it holds nothing but hidden and system entries although places were known in it: a disk that is
    not mounted leaves such a folder behind. A device number alone proves little, because btrfs, NFS, FUSE and USB
    disks get a new one at every mount: with a `sample` of paths below the root that were there before (a few dozen),
    another number counts only when none of them is there any more. Without a sample the number decides.
    """
    try:
        with Root(root) as opened:
            names = os.listdir(opened.descriptor)  # noqa: PTH208 - a descriptor, not a path
            if had_places and all(_says_nothing(os.fsencode(name)) for name in names):
                return Absent(root, Absence.EMPTY, "photos were seen here before; is its disk mounted?")
            moved = had_places and known_device is not None and opened.device != known_device
            if moved and not any(opened.holds(path) for path in sample):
                return Absent(
                    root, Absence.OTHER_DEVICE, "none of the photos known here is there; is its disk mounted?"
                )
    except FileNotFoundError:
        return Absent(root, Absence.MISSING, "there is nothing at this path")
    except ReachError as error:
        kind = Absence.NOT_A_FOLDER if isinstance(error.__cause__, NotADirectoryError) else Absence.UNREADABLE
        return Absent(root, kind, error.hint)
    except OSError as error:
        return Absent(root, Absence.UNREADABLE, _sentence(error))
    return None


def _says_nothing(name: bytes) -> bool:
    return name.startswith(b".") or name.lower() in SYSTEM_FOLDERS
