"""Opens what is to be sent, at whichever of its places still has it, and puts off what cannot be opened."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from syncd.daemon.clock import Clock
from syncd.errors import ReachError
from syncd.ledger.queue import Queue
from syncd.ledger.rows import Owed
from syncd.lifecycle import backoff
from syncd.model import Look, PlacePath
from syncd.upload.body import SendFile
from syncd.upload.names import wire_name

Opened = tuple[PlacePath, SendFile]
"""A file that is open for sending, and where it lies."""


class Opener(Protocol):
    """Opens photos below their roots."""

    def open_photo(self, place: PlacePath) -> tuple[int, Look]:
        """Open a regular file; the caller closes it. Raises FileNotFoundError or ReachError."""
        ...


class Opening:
    """Opens the photos of a request. `look_again` hears of each place that is not what the ledger knows."""

    def __init__(
        self,
        *,
        opener: Opener,
        queue: Queue,
        look_again: Callable[[PlacePath], None],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._opener = opener
        self._queue = queue
        self._look_again = look_again
        self._clock = clock
        self._rng = rng
        self._tries: dict[int, int] = {}
        """How often in a row an entry could not be opened."""

    def open(self, owed: Owed) -> Opened | None:
        """Open a photo at the first of its places that has it; None where none has. The caller closes it."""
        for place in owed.places:
            try:
                fd, look = self._opener.open_photo(place)
            except (FileNotFoundError, ReachError, OSError):
                self._look_again(place)
                continue
            if look.size == owed.size:
                self._tries.pop(owed.entry_id, None)
                name = wire_name(place.name, owed.digest, owed.type)
                return place, SendFile(fd, owed.size, owed.digest, name, owed.type.mime)
            os.close(fd)
            self._look_again(place)
        return None

    def open_all(self, batch: Sequence[Owed], now: float) -> list[tuple[Owed, Opened]]:
        """Open the photos of a batch, and put off those that cannot be. The caller closes them."""
        opened: list[tuple[Owed, Opened]] = []
        try:
            for owed in batch:
                found = self.open(owed)
                if found is None:
                    self.put_off(owed.entry_id, now)
                else:
                    opened.append((owed, found))
        except BaseException:
            close(opened)
            raise
        return opened

    def put_off(self, entry_id: int, now: float) -> None:
        """Try an entry that cannot be sent as it lies later, each time later: it must not stand before others."""
        tries = self._tries[entry_id] = self._tries.get(entry_id, 0) + 1
        self._queue.defer(entry_id, now + 1.0 + backoff(tries, self._rng))

    def try_again(self) -> None:
        """Make what could not be opened due at once: a folder that was absent is back."""
        if self._tries:
            self._tries.clear()
            self._queue.hasten(self._clock.now())


def close(opened: Iterable[tuple[Owed, Opened]]) -> None:
    """Close photos that were opened."""
    for _, (_, file) in opened:
        os.close(file.fd)
