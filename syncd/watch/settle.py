"""The waiting room: candidates that may still be written. Pure; the clocks are arguments.

A candidate has settled when the newest of its mtime and ctime lies `settle` or more in the past, or when size, mtime,
ctime and inode stayed the same over two looks at least `settle` apart. The first rule reads the wall clock and the
clock of the file system; the second reads only the monotonic clock, so a file from the future settles as well.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

from syncd.model import Look, PlacePath

_SECOND: Final = 1_000_000_000
_JUMP: Final = 1.0
"""Seconds by which the wall clock may drift from the monotonic one between two looks before it counts as a jump."""
_SHORTEST_WAIT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Settled:
    """Nobody is writing it any more, as far as can be seen."""

    look: Look


@dataclass(frozen=True, slots=True)
class Waiting:
    """It may still be written. Both times are on the monotonic clock."""

    since: float
    due: float


@dataclass(slots=True)
class _Wait:
    look: Look
    seen_at: float
    since: float
    due: float


class Settling:
    """The candidates that were looked at and have not settled. All times in seconds.

    At most `capacity` wait at a time: what comes beyond is turned away, and `turned_away` tells to scan again later.
    """

    def __init__(self, settle: float, give_up_after: float = 600.0, *, capacity: int = 100_000) -> None:
        self._settle = settle
        self._give_up_after = give_up_after
        self._capacity = capacity
        self._waits: dict[PlacePath, _Wait] = {}
        self._dues: list[tuple[float, PlacePath]] = []
        self._clock_ahead: float | None = None
        self._distrust_until = float("-inf")
        self._turned_away = False

    def __len__(self) -> int:
        return len(self._waits)

    def __contains__(self, place: PlacePath) -> bool:
        return place in self._waits

    def look(self, place: PlacePath, look: Look, now: float, monotonic: float) -> Settled | Waiting:
        """Judge one look, taken at `now` (wall clock) and `monotonic`. What settles leaves the waiting room."""
        self._watch_the_clock(now, monotonic)
        newest_ns = max(look.mtime_ns, look.ctime_ns)
        quiet = self._settle + _coarseness(newest_ns) if self._settle > 0 else 0.0
        age = now - newest_ns / _SECOND
        wait = self._waits.get(place)
        unchanged_since = wait.seen_at if wait is not None and wait.look == look else monotonic
        trusted = monotonic >= self._distrust_until
        if (trusted and age >= quiet) or monotonic - unchanged_since >= quiet:
            self.forget(place)
            return Settled(look)
        rest = unchanged_since + quiet - monotonic
        if trusted and age >= 0:
            rest = min(rest, quiet - age)
        due = monotonic + max(rest, _SHORTEST_WAIT)
        return self._keep(place, _Wait(look, unchanged_since, wait.since if wait else monotonic, due))

    def wait_anew(self, place: PlacePath, look: Look, monotonic: float) -> Waiting:
        """Have a file wait from now on, whatever its times say: it changed while it was read."""
        wait = self._waits.get(place)
        due = monotonic + max(self._settle, _SHORTEST_WAIT)
        return self._keep(place, _Wait(look, monotonic, wait.since if wait else monotonic, due))

    def due(self, monotonic: float) -> list[PlacePath]:
        """Return the candidates to look at again now. One that is not looked at is due again after `settle`."""
        places = []
        while self._dues and self._dues[0][0] <= monotonic:
            due, place = heapq.heappop(self._dues)
            wait = self._waits.get(place)
            if wait is not None and wait.due == due:
                places.append(place)
                wait.due = monotonic + max(self._settle, _SHORTEST_WAIT)
        for place in places:
            heapq.heappush(self._dues, (self._waits[place].due, place))
        return places

    def next_due(self) -> float | None:
        """Return when, on the monotonic clock, a candidate is due next. None: nobody waits."""
        while self._dues:
            due, place = self._dues[0]
            wait = self._waits.get(place)
            if wait is not None and wait.due == due:
                return due
            heapq.heappop(self._dues)
        return None

    def unsettled(self, monotonic: float) -> list[tuple[PlacePath, float]]:
        """Return those that have not settled for `give_up_after`, and since when (monotonic). They are kept waiting."""
        return [
            (place, wait.since) for place, wait in self._waits.items() if monotonic - wait.since >= self._give_up_after
        ]

    def places(self) -> list[PlacePath]:
        """Return all that wait."""
        return list(self._waits)

    def forget(self, place: PlacePath) -> None:
        """Let a candidate go: it is not there any more, or no candidate any more."""
        self._waits.pop(place, None)

    def turned_away(self) -> bool:
        """Tell, once, whether candidates were turned away for want of room: only a scan finds those again."""
        told, self._turned_away = self._turned_away, False
        return told

    def _keep(self, place: PlacePath, wait: _Wait) -> Waiting:
        if place in self._waits or len(self._waits) < self._capacity:
            before = self._waits.get(place)
            self._waits[place] = wait
            if before is None or before.due != wait.due:
                self._remember_due(wait.due, place)
        else:
            self._turned_away = True
        return Waiting(wait.since, wait.due)

    def _remember_due(self, due: float, place: PlacePath) -> None:
        # What was overtaken by a later look stays in the heap until its time comes; a storm must not let it grow.
        heapq.heappush(self._dues, (due, place))
        if len(self._dues) > 64 + 2 * len(self._waits):
            self._dues = [(wait.due, other) for other, wait in self._waits.items()]
            heapq.heapify(self._dues)

    def _watch_the_clock(self, now: float, monotonic: float) -> None:
        # After a jump (set by hand, resumed from suspend) a file in the middle of being written can look a day old.
        # Within one quiet spell its stamps would have moved on the new clock, so for that long only two looks count.
        ahead = now - monotonic
        if self._clock_ahead is not None and abs(ahead - self._clock_ahead) > _JUMP:
            self._distrust_until = monotonic + self._settle
        self._clock_ahead = ahead


def _coarseness(newest_ns: int) -> float:
    """Return how many seconds a stamp may lie before the write it stands for: 2 on FAT, 1 on some others, else 0.

    It is read from the stamp itself: a fine one falls on a whole second once in many millions, and costs a short wait.
    """
    if newest_ns % _SECOND:
        return 0.0
    return 1.0 if newest_ns // _SECOND % 2 else 2.0
