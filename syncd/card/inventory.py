"""What lies on a card, taken down once, in flat memory: counted before anything is copied, named when it cannot be."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Final, Protocol, Self

import xxhash

from syncd.card.layout import CardFile, Group, groups
from syncd.card.walk import Folder

_LARGEST_LIST: Final = 1 << 20
"""Bytes of the list that are kept in memory: those of some 10,000 files."""


class Listing(Protocol):
    """The card, as far as listing it goes."""

    def folders(self) -> Iterator[Folder]:
        """Walk over it."""
        ...


class Inventory:
    """The groups of a card in the order in which they are copied, and what they amount to.

    `knows_size` tells of a size whether anything known has it; what has another is certainly new.
    """

    def __init__(self, card: Listing, knows_size: Callable[[int], bool] = lambda _: False) -> None:
        self._card = card
        self.files = 0
        self.bytes = 0
        self.new_bytes = 0
        """Of files that are certainly not known."""
        self.system = 0
        self.refused: list[tuple[CardFile, str]] = []
        """What cannot be read, each with the reason."""
        self._list: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_LARGEST_LIST)  # noqa: SIM115  (closed by close)
        self._state = self._take_down(knows_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._list.close()

    def groups(self) -> Iterator[Group]:
        """Give the groups, as often as asked."""
        position = 0
        while True:
            self._list.seek(position)
            line = self._list.readline()
            if not line:
                return
            position = self._list.tell()
            yield _group(json.loads(line))

    def is_still_true(self) -> bool:
        """List the card once more: whether the same files, of the same sizes and times, lie on it."""
        state = xxhash.xxh3_128()
        for folder in self._card.folders():
            _note(folder, state)
        return state.hexdigest() == self._state

    def _take_down(self, knows_size: Callable[[int], bool]) -> str:
        state = xxhash.xxh3_128()
        for folder in self._card.folders():
            _note(folder, state)
            self.system += folder.system
            self.refused += folder.refused
            for group in groups(folder.files):
                self._list.write(_line(group))
                for file in group.files:
                    self.files += 1
                    self.bytes += file.size
                    self.new_bytes += 0 if knows_size(file.size) else file.size
        return state.hexdigest()


def _note(folder: Folder, state: xxhash.xxh3_128) -> None:
    for file in folder.files:
        state.update(b"%s\0%d %d\0" % (file.relative, file.size, file.mtime_ns))


def _line(group: Group) -> bytes:
    files = [[os.fsdecode(f.folder), os.fsdecode(f.name), f.size, f.mtime_ns] for f in group.files]
    return json.dumps([os.fsdecode(group.stem), group.keeps_folders, files]).encode("ascii") + b"\n"


def _group(row: list[object]) -> Group:
    stem, keeps_folders, files = row
    assert isinstance(files, list)  # noqa: S101  (our own line)
    members = tuple(CardFile(os.fsencode(f[0]), os.fsencode(f[1]), f[2], f[3]) for f in files)
    return Group(os.fsencode(str(stem)), members, bool(keeps_folders))
