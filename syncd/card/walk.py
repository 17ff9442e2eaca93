"""The card as it is read: its folders listed, its files opened, never written, never followed out of it.

What lies on a card is not to be trusted: links are not followed, devices not opened, a directory that holds itself
(damaged FAT) ends the walk into it. All reading goes through `Card`, which tests replace by one that fails.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from syncd.card.layout import CardFile, is_card, is_system_file, is_system_folder
from syncd.card.slot import label_of
from syncd.errors import ReachError, UsageError
from syncd.model import Look, PlacePath
from syncd.printable import path_text
from syncd.watch.reach import Root

_DEEPEST: Final = 64
"""Folders in one another. No camera comes near; a damaged directory that holds itself would never end."""
_GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ESTALE, errno.ENOTCONN, errno.ESHUTDOWN})
"""What the system says when the device behind a file is not there any more."""


@dataclass(slots=True)
class Folder:
    """One folder of a card: the files in it, sorted by name, and what could not be taken, each with the reason."""

    path: bytes
    files: list[CardFile] = field(default_factory=list)
    refused: list[tuple[CardFile, str]] = field(default_factory=list)
    system: int = 0
    """Files that a computer left there."""


class Card:
    """A mounted card, or any folder, open for reading. `label` names it."""

    def __init__(self, path: bytes, label: str | None = None) -> None:
        try:
            self._root = Root(path)
        except (FileNotFoundError, ReachError) as error:
            raise UsageError(
                f"{path_text(path)} cannot be read as a card: "
                f"{error.message if isinstance(error, ReachError) else 'there is nothing at this path'}",
                hint="name the folder at which the card is mounted, as `lsblk` or your file manager shows it",
            ) from error
        self.path = path
        _leave_no_trace(self._root.descriptor)
        self._device = os.fstat(self._root.descriptor).st_dev
        self.label = label if label is not None else self._own_label()
        self._sysfs = Path(f"/sys/dev/block/{os.major(self._device)}:{os.minor(self._device)}")
        self._had_device = self._sysfs.exists()
        self._is_all_card = self.is_whole or self._is_part_of_a_card(os.path.realpath(path))

    def close(self) -> None:
        """Close it."""
        self._root.close()

    @property
    def device(self) -> int:
        """The number of the device that it is on (st_dev)."""
        return self._device

    @property
    def looks_like_a_card(self) -> bool:
        """Whether a camera wrote it."""
        with os.scandir(self._root.descriptor) as entries:
            return is_card(os.fsencode(entry.name) for entry in entries)

    @property
    def is_whole(self) -> bool:
        """Whether this is all of what is mounted there: a verdict on a part says nothing of the rest."""
        above = os.stat(os.path.join(self.path, b".."))  # noqa: PTH116, PTH118  (bytes)
        return above.st_dev != self._device

    def holds(self, path: bytes) -> bool:
        """Tell whether a file or folder elsewhere by its path lies on this card: formatting would take it, too."""
        real, own = os.path.realpath(path), os.path.realpath(self.path)
        if (real + b"/").startswith(own.rstrip(b"/") + b"/"):
            return True
        if not self._is_all_card:
            return False
        try:
            return os.stat(real).st_dev == self._device  # noqa: PTH116  (bytes)
        except OSError:
            return False

    def is_there(self) -> bool:
        """Tell whether the card is still in its reader, after something could not be read."""
        if self._had_device and not self._sysfs.exists():
            return False
        try:
            now = os.stat(self.path)  # noqa: PTH116  (bytes)
            os.listdir(self._root.descriptor)  # noqa: PTH208  (a descriptor)
        except OSError:
            return False
        return now.st_dev == self._device

    def folders(self) -> Iterator[Folder]:
        """Walk over the card, folder by folder, in the order of the names."""
        yield from self._walk(b"", [])

    def open_file(self, file: CardFile) -> tuple[int, Look]:
        """Open a file for reading; the caller closes it. Raises OSError or ReachError."""
        fd, look = self._root.open_photo(PlacePath(self.path, file.folder, file.name))
        _leave_no_trace(fd)
        return fd, look

    def read_into(self, fd: int, buffer: memoryview) -> int:
        """Read on in an open file. The one way in which bytes come from a card."""
        return os.readv(fd, [buffer])

    def _is_part_of_a_card(self, path: bytes) -> bool:
        """Tell whether the mount that a path lies on is a card: then all of that mount is, whatever was named."""
        while path not in {b"", b"/"}:
            above = os.path.dirname(path)  # noqa: PTH120  (bytes)
            if os.stat(above).st_dev != self._device:  # noqa: PTH116  (bytes)
                return is_card(_names(path))
            path = above
        return False

    def _own_label(self) -> str:
        own = label_of(self._device) if self.is_whole else None
        return own or _label(self.path)

    def _walk(self, path: bytes, above: list[tuple[int, int]]) -> Iterator[Folder]:
        folder = Folder(path)
        below: list[bytes] = []
        try:
            fd = self._root.open_folder(path)
        except (OSError, ReachError) as error:
            folder.refused.append((_folder_as_file(path), reason_of(error)))
            yield folder
            return
        identity = 0, 0
        try:
            _leave_no_trace(fd)
            seen = os.fstat(fd)
            identity = seen.st_dev, seen.st_ino
            if (identity in above and seen.st_ino) or len(above) >= _DEEPEST:
                folder.refused.append((_folder_as_file(path), "the folder lies in itself: the card is damaged"))
            else:
                _list(fd, folder, below)
        except OSError as error:
            folder.refused.append((_folder_as_file(path), f"the folder cannot be listed: {reason_of(error)}"))
        finally:
            os.close(fd)
        yield folder
        del folder
        for name in below:
            yield from self._walk(path + b"/" + name if path else name, [*above, identity])


def is_gone(error: BaseException) -> bool:
    """Tell whether an error says that the whole card is gone, and not one file of it damaged."""
    cause = error.__cause__ if isinstance(error, ReachError) else error
    return isinstance(cause, OSError) and cause.errno in _GONE


def reason_of(error: OSError | ReachError) -> str:
    """Say in a few words why something could not be read."""
    if isinstance(error, ReachError):
        # Its own sentence names the path, which is said beside it already.
        return reason_of(error.__cause__) if isinstance(error.__cause__, OSError) else error.message
    if error.errno == errno.EIO:
        return "read error (the card is damaged there, or is failing)"
    return error.strerror or str(error)


def _list(fd: int, folder: Folder, below: list[bytes]) -> None:
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                if is_system_folder(name):
                    folder.system += 1
                else:
                    below.append(name)
                continue
            if is_system_file(name):
                folder.system += 1
                continue
            try:
                seen = entry.stat(follow_symlinks=False)
            except OSError as error:
                folder.refused.append((CardFile(folder.path, name, 0, 0), reason_of(error)))
                continue
            file = CardFile(folder.path, name, seen.st_size, seen.st_mtime_ns)
            if stat.S_ISREG(seen.st_mode):
                folder.files.append(file)
            else:
                kind = "a symbolic link" if stat.S_ISLNK(seen.st_mode) else "no regular file"
                folder.refused.append((CardFile(folder.path, name, 0, 0), f"not copied: it is {kind}"))
    folder.files.sort(key=lambda file: file.name)
    below.sort(key=lambda name: (name.lower() != b"dcim", name))


def _names(path: bytes) -> list[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _leave_no_trace(fd)
        return [os.fsencode(name) for name in os.listdir(fd)]  # noqa: PTH208  (a descriptor)
    finally:
        os.close(fd)


def _leave_no_trace(fd: int) -> None:
    """Have the kernel not note when the card was read: on a mount that can be written it would write that down."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NOATIME)


def _folder_as_file(path: bytes) -> CardFile:
    above, _, name = path.rpartition(b"/")
    return CardFile(above, name or b".", 0, 0)


def _label(path: bytes) -> str:
    parts = [part for part in os.path.realpath(path).split(b"/") if part]
    while len(parts) > 1 and is_card(parts[-1:]):
        parts.pop()
    return os.fsdecode(parts[-1]) if parts else "card"
