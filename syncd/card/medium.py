"""Reading back from the medium what was written to it, and not what the kernel remembers of it.

After fsync(2) a file is read with O_DIRECT, which goes past the page cache to the device. Where a file system does not
take that (tmpfs, some FUSE and network file systems), the pages are dropped with posix_fadvise(2) first, and the file
is read in the ordinary way. What no program can prove: that a device which confirms a flush has really written, and
does not answer from a memory of its own; and that a kernel has really dropped what it was advised to drop.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CHUNK: Final = 4 << 20
"""Bytes of one read. A multiple of every block size that O_DIRECT asks for."""
_NO_DIRECT: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class Way(StrEnum):
    """How a file was read back. The values are what `--json` and the lists say."""

    DIRECT = "direct"
    """Past the page cache (O_DIRECT)."""
    DROPPED = "cache dropped"
    """Through the page cache, after the kernel was asked to forget the file."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What lies on the medium: SHA-256 in hex, bytes, the first of them, and how they were read."""

    digest: str
    size: int
    head: bytes
    way: Way


def read_back(
    path: bytes,
    *,
    at: int | None = None,
    head: int = 0,
    went: Callable[[int], None] = lambda _: None,
    buffer: mmap.mmap | None = None,
) -> ReadBack:
    """Read a file from the medium; `at` is the descriptor of the folder that a relative path is below.

    What was written to it must have been synced before. `head`: how many of its first bytes to give. `went` is told of
    each chunk. Raises OSError.
    """
    try:
        fd = os.open(path, _OPEN | os.O_DIRECT, dir_fd=at)
    except OSError as error:
        if error.errno not in _NO_DIRECT:
            raise
        return _dropped(path, at, head, went, buffer)
    try:
        with _working(buffer) as space:
            return _hash(fd, space, head, went, Way.DIRECT)
    except OSError as error:
        if error.errno not in _NO_DIRECT:
            raise
    finally:
        os.close(fd)
    return _dropped(path, at, head, went, buffer)


def _dropped(path: bytes, at: int | None, head: int, went: Callable[[int], None], buffer: mmap.mmap | None) -> ReadBack:
    fd = os.open(path, _OPEN, dir_fd=at)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        with _working(buffer) as space:
            return _hash(fd, space, head, went, Way.DROPPED)
    finally:
        os.close(fd)


def _hash(fd: int, space: mmap.mmap, head: int, went: Callable[[int], None], way: Way) -> ReadBack:
    digest, size, first = hashlib.sha256(), 0, bytearray()
    with memoryview(space) as view:
        while True:
            count = os.preadv(fd, [view], size)
            if not count:
                return ReadBack(digest.hexdigest(), size, bytes(first), way)
            digest.update(view[:count])
            if len(first) < head:
                first += view[: min(count, head - len(first))]
            size += count
            went(count)
            if count % mmap.PAGESIZE and way is Way.DIRECT:
                # The end of the file. Another read would not be aligned, which some file systems refuse.
                return ReadBack(digest.hexdigest(), size, bytes(first), way)


@contextmanager
def _working(buffer: mmap.mmap | None) -> Iterator[mmap.mmap]:
    """Give the buffer, or one for this file alone. Anonymous memory is aligned to pages, as O_DIRECT wants it."""
    if buffer is not None:
        yield buffer
        return
    with mmap.mmap(-1, CHUNK) as own:
        yield own
