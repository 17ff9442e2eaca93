"""Reading ahead: the worker reads the next files while the first are taken in.

So neither waits for the other, or has to be woken by it, at every file. What was begun first is concluded first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from syncd.daemon.reading import NotRead, Reading, Started, Vanished
from syncd.ledger.sightings import Sighting
from syncd.model import Look, PlacePath
from syncd.watch.reach import Root

SMALL: Final = 1_000_000
"""Bytes: of larger files only one is begun while another is waited for."""
SLOWEST_DISK: Final = 100_000.0
"""Bytes a second: a file that is read more slowly counts as hanging."""
_MOST: Final = 16
"""Files that are open and being read."""


class Conclude(Protocol):
    """Hears what came of a file."""

    def __call__(self, place: PlacePath, read: Sighting | NotRead, *, is_known: bool) -> None:
        """Take in what was read, or do what is to be done where nothing was."""


class Ahead:
    """The files that are being read. For the thread of the intake."""

    def __init__(
        self,
        reading: Reading,
        conclude: Conclude,
        *,
        is_wanted: Callable[[bytes], bool],
        progress: Callable[[float], None],
        waits_for: Callable[[int], None],
    ) -> None:
        """`is_wanted` tells whether anything of a root is to be taken in; `progress` hears how long a step may take.

        `waits_for` is called before a file of so many bytes is waited for: nothing should be kept waiting with it.
        """
        self._reading = reading
        self._conclude = conclude
        self._is_wanted = is_wanted
        self._progress = progress
        self._waits_for = waits_for
        self._started: deque[tuple[Started, bool]] = deque()
        """First started first, with whether it is known."""

    def read(self, root: Root, place: PlacePath, look: Look, *, is_known: bool) -> None:
        """Have a settled file read. It is concluded with those that come after it, or by `finish`."""
        started = self._reading.start(root, place, look)
        if isinstance(started, Vanished) and self.finish():
            started = self._reading.start(root, place, look)
        if not isinstance(started, Started):
            self._conclude(place, started, is_known=is_known)
            return
        self._started.append((started, is_known))
        if look.size > SMALL:
            self.finish(keep=1)
        elif len(self._started) >= _MOST:
            self.finish(keep=_MOST // 2)

    def finish(self, keep: int = 0) -> bool:
        """Conclude what was started, but for the last ones to `keep`; give it up where nothing is to be taken in.

        Tell whether there was any: then time has passed. A place is gone only if it is not there once all that may
        be there instead is taken in.
        """
        some = len(self._started) > keep
        while len(self._started) > keep:
            self.takes()
            started, is_known = self._started.popleft()
            if self._is_wanted(started.place.root):
                self._waits_for(started.look.size)
                self._conclude(started.place, self._reading.finish(started), is_known=is_known)
            else:
                self._reading.give_up(started)
        return some

    def takes(self, more: int = 0) -> None:
        """Say within how long all that is started can be read, and so many bytes more."""
        self._progress((more + sum(started.look.size for started, _ in self._started)) / SLOWEST_DISK)

    def give_up(self) -> None:
        """Close all files without waiting for what is in them."""
        while self._started:
            self._reading.give_up(self._started.popleft()[0])
