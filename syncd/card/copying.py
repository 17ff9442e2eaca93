"""One file of the card, read once: hashed while its bytes go to every destination."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import xxhash

from syncd.card.destination import Destination, Temporary
from syncd.card.layout import CardFile
from syncd.card.walk import is_gone, reason_of
from syncd.errors import ReachError
from syncd.ledger.imports import Fingerprints
from syncd.model import Look

HEAD: Final = 64 << 10
"""Bytes by which a file is probably known or certainly new."""
CHUNK: Final = 4 << 20


class Opener(Protocol):
    """The card, as far as one file is concerned."""

    def open_file(self, file: CardFile) -> tuple[int, Look]:
        """Open a file for reading; the caller closes it."""
        ...

    def read_into(self, fd: int, buffer: memoryview) -> int:
        """Read on."""
        ...


class StoppedError(Exception):
    """A person wants it to end; the file in hand was given up."""


class CardGoneError(Exception):
    """The card is not in its reader any more."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read to its end. `temporaries` are empty where it was read only to know it."""

    file: CardFile
    prints: Fingerprints
    temporaries: tuple[Temporary, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that the card did not give, and why."""

    file: CardFile
    reason: str


class Copier:
    """Reads files of a card, one after the other, through one buffer.

    `went` is told of every chunk that was read, `stop` is asked before each.
    """

    def __init__(self, card: Opener, *, went: Callable[[int], None], stop: Callable[[], bool]) -> None:
        self._card = card
        self._went = went
        self._stop = stop
        self._space = bytearray(CHUNK)

    def read(
        self,
        file: CardFile,
        wanted_by: Callable[[int, str], Sequence[Destination]],
    ) -> Read | Unread:
        """Read a file; `wanted_by(size, head)` says by its first bytes which destinations it is written to.

        Raises StoppedError, and CardGoneError where the error says that the card itself is gone.
        """
        try:
            fd, look = self._card.open_file(file)
        except (OSError, ReachError) as error:
            return _unread(file, error)
        temporaries: list[Temporary] = []
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            prints = self._copy(fd, look, wanted_by, temporaries)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            problem = _changed(look, os.fstat(fd), prints.size)
        except BaseException as error:
            for temporary in temporaries:
                temporary.drop()
            if isinstance(error, OSError):
                return _unread(file, error)
            raise
        finally:
            os.close(fd)
        if problem:
            for temporary in temporaries:
                temporary.drop()
            return Unread(file, problem)
        for temporary in temporaries:
            _hand_over(temporary, look)
        return Read(file, prints, tuple(temporaries))

    def _copy(
        self,
        fd: int,
        look: Look,
        wanted_by: Callable[[int, str], Sequence[Destination]],
        temporaries: list[Temporary],
    ) -> Fingerprints:
        digest, quick, head = hashlib.sha256(), xxhash.xxh64(), xxhash.xxh3_128()
        size = 0
        with memoryview(self._space) as view:
            while True:
                if self._stop():
                    raise StoppedError
                count = self._fill(fd, view[:HEAD] if size == 0 else view)
                piece = view[:count]
                if size == 0:
                    head.update(piece)
                    for destination in wanted_by(look.size, head.hexdigest()):
                        temporary = destination.temporary()
                        if temporary is not None:
                            temporaries.append(temporary)
                if not count:
                    break
                digest.update(piece)
                quick.update(piece)
                size += count
                for temporary in temporaries:
                    temporary.write(piece)
                self._went(count)
        return Fingerprints(digest.hexdigest(), quick.hexdigest(), head.hexdigest(), size)

    def _fill(self, fd: int, view: memoryview) -> int:
        """Read until the buffer is full or the file ends: what is taken for the head must not depend on short reads."""
        filled = 0
        while filled < len(view):
            count = self._card.read_into(fd, view[filled:])
            if not count:
                break
            filled += count
        return filled


def _hand_over(temporary: Temporary, look: Look) -> None:
    """Give the copy the time of the original, and have the kernel begin to write it."""
    if temporary.failed is not None:
        return
    try:
        os.utime(temporary.fd, ns=(look.mtime_ns, look.mtime_ns))
        os.posix_fadvise(temporary.fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        temporary.fail(error)


def _changed(before: Look, after: os.stat_result, size: int) -> str:
    if (before.size, before.mtime_ns) != (after.st_size, after.st_mtime_ns):
        return "it changed while it was read"
    if size != before.size:
        return f"the card gave {size:,} of its {before.size:,} bytes"
    return ""


def _unread(file: CardFile, error: OSError | ReachError) -> Unread:
    if is_gone(error):
        raise CardGoneError from error
    return Unread(file, reason_of(error))
