"""A folder that an import copies into: temporary files, names, room, and what is taken away when it is over."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import Final

from syncd.card import placing
from syncd.errors import UsageError
from syncd.ledger.imports import Kind
from syncd.model import Look
from syncd.printable import path_text

PREFIX: Final = b".syncd-"
SUFFIX: Final = b".part"
"""Temporary files are `.syncd-TOKEN-NUMBER.part`: hidden and partial, so that the watcher passes them by."""
_TEMPORARY: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_ONE_FILE: Final = frozenset(
    {errno.EFBIG, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EEXIST, errno.EXDEV}
)
"""Errors that speak of one file or its name. Every other one speaks of the whole destination."""


@dataclass(slots=True)
class Temporary:
    """A copy that has no name yet. `failed` says why nothing will become of it."""

    destination: Destination
    name: bytes
    fd: int
    failed: str | None = None

    def write(self, piece: memoryview) -> None:
        """Write on. An error fails the copy, and the destination where it is not the file's alone; it is not raised."""
        if self.failed is not None:
            return
        try:
            while piece:
                piece = piece[os.write(self.fd, piece) :]
        except OSError as error:
            self.fail(error)

    def fail(self, error: OSError) -> None:
        """Give the copy up."""
        self.failed = self.destination.note(error)
        self.drop()

    def drop(self) -> None:
        """Take it away. May be called again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.destination.unlink_temporary(self.name)

    def close(self) -> None:
        """Let go of the file, which has got its name."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Destination:
    """One destination of one import, open. `out` says why nothing more can be written to it."""

    def __init__(self, path: bytes, kind: Kind, token: str) -> None:
        self.path = path
        self.kind = kind
        self.out: str | None = None
        self._token = token.encode("ascii")
        self._count = 0
        try:
            _make(path)
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(
                f"the destination {path_text(path)} cannot be used: {error.strerror}",
                hint="name a folder that this user can write to",
            ) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise UsageError(
                f"the destination {path_text(path)} cannot be written to",
                hint="name a folder that this user can write to",
            )

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)

    def free(self) -> int:
        """Give the bytes that are free for this user."""
        seen = os.statvfs(self.fd)
        return seen.f_bavail * seen.f_frsize

    def temporary(self) -> Temporary | None:
        """Make a temporary file; None where the destination takes no more (`out` says why)."""
        self._count += 1
        name = PREFIX + self._token + b"-%d" % self._count + SUFFIX
        try:
            return Temporary(self, name, os.open(name, _TEMPORARY, 0o666, dir_fd=self.fd))
        except OSError as error:
            self.out = self.note(error)
            return None

    def note(self, error: OSError) -> str:
        """Give the reason that an error is; remember it where nothing more can be written."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            reason = f"the destination {path_text(self.path)} is full"
        elif error.errno == errno.EFBIG:
            reason = f"it is too large for the file system of {path_text(self.path)}"
        else:
            reason = f"the destination {path_text(self.path)} failed: {error.strerror or error}"
        if error.errno not in _OF_ONE_FILE:
            self.out = self.out or reason
        return reason

    def unlink_temporary(self, name: bytes) -> None:
        """Take a temporary file away, where it is still there."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except OSError:
            # Gone already, or the disk is: the next import looks again for what is left.
            return

    def look(self, folder: bytes, name: bytes) -> os.stat_result | None:
        """Look at what lies at a name below it; None: nothing."""
        try:
            return os.stat(folder + b"/" + name if folder else name, dir_fd=self.fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def absolute(self, folder: bytes, name: bytes) -> bytes:
        """Give the path of a name below it."""
        return b"/".join(filter(None, (self.path.rstrip(b"/"), folder, name)))

    def place(self, temporary: Temporary, folder: bytes, name: bytes) -> int:
        """Give a temporary file its name; give its folder's descriptor, which the caller closes. Raises OSError."""
        below = placing.open_folder(self.fd, folder, make=True)
        try:
            placing.place(self.fd, temporary.name, below, name)
        except BaseException:
            os.close(below)
            raise
        return below


def _make(path: bytes) -> None:
    """Make a folder and those above it that are missing, each synced into the one above."""
    above = os.path.dirname(path)  # noqa: PTH120  (bytes)
    if os.path.isdir(path) or above == path:  # noqa: PTH112  (bytes)
        return
    _make(above)
    os.mkdir(path)  # noqa: PTH102  (bytes)
    fd = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        placing.sync_folder(fd)
    finally:
        os.close(fd)


def leftovers(path: bytes, token: str) -> list[bytes]:
    """Name the temporary files that an import left in a destination; none where it is not there."""
    start = PREFIX + token.encode("ascii") + b"-"
    try:
        names = os.listdir(path)  # noqa: PTH208  (bytes)
    except OSError:
        return []
    return [path.rstrip(b"/") + b"/" + name for name in names if name.startswith(start) and name.endswith(SUFFIX)]


def look_of(seen: os.stat_result) -> Look:
    """Give what a stat said as a value."""
    return Look(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev)


def is_regular(seen: os.stat_result | None) -> bool:
    """Tell whether a file is there that can hold a copy."""
    return seen is not None and stat.S_ISREG(seen.st_mode)
