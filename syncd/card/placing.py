"""Giving a finished file its name without ever overwriting another one, and making folders that last.

renameat2(2) with RENAME_NOREPLACE where the file system has it (ext4, xfs, btrfs, tmpfs, FAT, exFAT, CIFS), else
link(2) and unlink(2) (NFS), else, for FUSE drivers of FAT and exFAT that have neither: the name is reserved by an
empty file, made with O_EXCL, and the finished file is renamed over that. Only there an empty file can be seen under
the name for a moment, and after a power cut until the next import takes it away.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Final

_NO_REPLACE: Final = 1
_NOT_SUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES, errno.EINVAL})
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Rename = Callable[[int, bytes, int, bytes], None]
"""Source folder, name, target folder, name: raises OSError, FileExistsError where the target is there."""

_libc = ctypes.CDLL(None, use_errno=True)


def rename_exclusively(source_folder: int, source: bytes, folder: int, name: bytes) -> None:
    """Rename by renameat2 with RENAME_NOREPLACE."""
    if not hasattr(_libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _libc.renameat2(source_folder, source, folder, name, _NO_REPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def link_and_unlink(source_folder: int, source: bytes, folder: int, name: bytes) -> None:
    """Give the second name, then take the first."""
    os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(source, dir_fd=source_folder)


def reserve_and_rename(source_folder: int, source: bytes, folder: int, name: bytes) -> None:
    """Reserve the name by an empty file, then rename over it."""
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder))
    try:
        os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise


def place(
    source_folder: int,
    source: bytes,
    folder: int,
    name: bytes,
    ways: tuple[Rename, Rename, Rename] = (rename_exclusively, link_and_unlink, reserve_and_rename),
) -> None:
    """Give a file its name. Raises FileExistsError where another has it, OSError where it cannot be done."""
    first, second, third = ways
    try:
        first(source_folder, source, folder, name)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    else:
        return
    try:
        second(source_folder, source, folder, name)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    third(source_folder, source, folder, name)


def open_folder(root: int, path: bytes, *, make: bool) -> int:
    """Open a folder below an open one, component by component, following no link; the caller closes it.

    With `make` what is missing is made, and synced into the folder above. Raises OSError, which names the component.
    """
    here = os.dup(root)
    try:
        for part in path.split(b"/") if path else []:
            try:
                following = os.open(part, _FOLDER, dir_fd=here)
            except FileNotFoundError:
                if not make:
                    raise
                following = _made(here, part)
            except OSError as error:
                what = "is a symbolic link or no folder" if error.errno in {errno.ELOOP, errno.ENOTDIR} else ""
                raise OSError(error.errno, f"the folder {os.fsdecode(part)!r} {what or error.strerror}") from error
            os.close(here)
            here = following
    except BaseException:
        os.close(here)
        raise
    return here


def sync_folder(fd: int) -> None:
    """Make the names in a folder last. File systems that cannot sync folders (some FUSE drivers) are left at that."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS}:
            raise


def sync_file(path: bytes) -> None:
    """Make a file last that lay there before: whoever wrote it may not have waited for the medium."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _made(above: int, name: bytes) -> int:
    try:
        os.mkdir(name, 0o777, dir_fd=above)
        sync_folder(above)
    except FileExistsError:
        pass
    return os.open(name, _FOLDER, dir_fd=above)
