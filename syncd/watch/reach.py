"""Opening files below a root without ever following a link, blocking, or leaving the root.

A root is opened once; everything below is reached from its descriptor, one component at a time. So a folder that is
swapped for a link between two system calls leads nowhere, and a FIFO or a device is never waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from syncd.errors import ReachError
from syncd.model import Look, PlacePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PHOTO = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What the kernel says when no folder lies where a place expects one: nothing, another kind of file, a link."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_HINTS = {
    errno.EACCES: "make it readable for the user that syncd runs as",
    errno.EPERM: "make it readable for the user that syncd runs as",
    errno.EIO: "the disk reports an error: look at the kernel's log, and copy what can still be read",
    errno.ESTALE: "the server of this folder has lost it: mount it again",
    errno.EMFILE: "raise the limit on open files (LimitNOFILE= in the unit)",
    errno.ENFILE: "the whole system has too many files open",
    errno.EAGAIN: "another program holds it with a lease; it will be tried again",
}


class Root:
    """An open root folder. The root path itself may be a link to a folder; nothing below it may be a link.

    Raises FileNotFoundError when there is nothing at the path, ReachError when there is but it cannot be opened.
    """

    def __init__(self, path: bytes) -> None:
        self.path = path
        try:
            self._fd = os.open(path, _FOLDER)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise _refusal(path, error) from error
        seen = os.fstat(self._fd)
        self.device = seen.st_dev
        self.inode = seen.st_ino

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the root. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def descriptor(self) -> int:
        """The root's own descriptor. It stays the root's: do not close it."""
        return self._fd

    def holds(self, relative: bytes) -> bool:
        """Tell whether anything at all lies at a path below the root, as far as can be seen."""
        try:
            os.stat(relative, dir_fd=self._fd, follow_symlinks=False)
        except OSError:
            return False
        return True

    def open_folder(self, folder: bytes) -> int:
        """Open a folder below the root for listing; the caller closes the descriptor.

        Raises FileNotFoundError when no folder lies there (a link is none), ReachError when it cannot be opened.
        """
        try:
            step = self._step_to(folder)
            try:
                return os.open(b".", _FOLDER, dir_fd=step)
            finally:
                os.close(step)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise FileNotFoundError(errno.ENOENT, "no folder lies there", self._join(folder)) from error
            raise _refusal(self._join(folder), error) from error

    def open_photo(self, place: PlacePath) -> tuple[int, Look]:
        """Open a file for reading and look at it; the caller closes the descriptor.

        Raises FileNotFoundError when it is not there, ReachError when it is not a regular file or cannot be opened.
        """
        try:
            step = self._step_to(place.folder, place.name)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise
            raise self._refusal_of_folder(place, error) from error
        try:
            return _open_regular(place, step)
        finally:
            os.close(step)

    def look(self, place: PlacePath) -> Look | None:
        """Look at a file without opening it. None: it is not there, or not as a regular file reached without links.

        Raises ReachError when that cannot be found out (permission, failing disk): the file must not be taken as gone.
        """
        try:
            step = self._step_to(place.folder, place.name)
            try:
                seen = os.stat(place.name, dir_fd=step, follow_symlinks=False)
            finally:
                os.close(step)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise _refusal(place.path, error) from error
        return _look(seen) if stat.S_ISREG(seen.st_mode) else None

    def _step_to(self, folder: bytes, name: bytes | None = None) -> int:
        """Walk to a folder, component by component, and return a descriptor that permits nothing but going on."""
        components = folder.split(b"/") if folder else []
        for part in components if name is None else [*components, name]:
            if part in {b"", b".", b".."} or b"/" in part or b"\0" in part:
                raise ReachError(
                    f"{folder + b'/' + (name or b'')!r} is not a path below a root",
                    hint="this is a mistake in syncd: please report it",
                )
        step = os.dup(self._fd)
        for part in components:
            try:
                following = os.open(part, _STEP, dir_fd=step)
            finally:
                os.close(step)
            step = following
        return step

    def _refusal_of_folder(self, place: PlacePath, error: OSError) -> ReachError:
        if error.errno in _NOT_THERE:
            return ReachError(
                f"{_shown(place.path)} was not opened: a folder on the way to it is a symbolic link or no folder",
                hint="syncd follows no links below a watched folder; watch the folder it points to instead",
            )
        return _refusal(place.path, error)

    def _join(self, folder: bytes) -> bytes:
        return self.path.rstrip(b"/") + b"/" + folder


def split(path: bytes, roots: Sequence[bytes]) -> PlacePath | None:
    """Say which place an absolute path is: of the innermost root that holds it. None: a root itself, or below none.

    The path is taken by its text: absolute and without `.`, `..` or doubled slashes.
    """
    owner: bytes | None = None
    below = b""
    for root in roots:
        prefix = root.rstrip(b"/") + b"/"
        if path.startswith(prefix) and (owner is None or len(prefix) > len(owner.rstrip(b"/")) + 1):
            owner, below = root, path[len(prefix) :]
    if owner is None or not below or path in {root.rstrip(b"/") for root in roots}:
        return None
    folder, _, name = below.rpartition(b"/")
    return PlacePath(owner, folder, name) if name else None


def _open_regular(place: PlacePath, step: int) -> tuple[int, Look]:
    # Looked at before it is opened: opening alone can already do something (a tape rewinds, a watchdog is armed).
    try:
        _require_regular(place, os.stat(place.name, dir_fd=step, follow_symlinks=False))
        descriptor = os.open(place.name, _PHOTO, dir_fd=step)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refusal(place.path, error) from error
    try:
        seen = os.fstat(descriptor)
        _require_regular(place, seen)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, _look(seen)


def _require_regular(place: PlacePath, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        kind = _KINDS.get(stat.S_IFMT(seen.st_mode), "something else")
        raise ReachError(
            f"{_shown(place.path)} was not opened: it is {kind}, not a regular file",
            hint="only regular files are photos; replace it by the file itself if it is one",
        )


def _look(seen: os.stat_result) -> Look:
    return Look(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev)


def _refusal(path: bytes, error: OSError | ValueError) -> ReachError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ELOOP:
        what, hint = "it has become a symbolic link", "syncd follows no links below a watched folder"
    elif number is None:
        what, hint = "that is not a path", "remove the zero byte from it"
    else:
        what, hint = os.strerror(number), _HINTS.get(number, "see whether other programs can open it")
    return ReachError(f"{_shown(path)} cannot be opened: {what}", hint=hint)


def _shown(path: bytes) -> str:
    """Return a path for a message: what a terminal could act upon, and what is not UTF-8, is escaped."""
    return repr(os.fsdecode(path))
