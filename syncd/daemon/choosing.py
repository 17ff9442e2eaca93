"""Which requests leave next: arrivals before the backlog, in turn the longest waiting, and who waits for mates.

Nothing is claimed here. What one round chose already is left out of what it chooses next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncd.daemon.line import SMALL_FILE, SMALL_REQUEST, Line
from syncd.daemon.planner import Chosen, Planner
from syncd.ledger.waiting import Waiting
from syncd.settings import UploadSettings

OLDEST_EVERY: Final = 10
"""Every so many requests takes the longest waiting, so that nothing waits for ever."""
LINGER: Final = 2.0
"""Seconds for which an entry waits for mates while the intake is at work, where a pace makes requests scarce."""
MOMENT: Final = 0.5
"""The same without a pace: what is read within it still fills requests, and the line is not idle for long."""
_HEADS: Final = 16


@dataclass(slots=True)
class Round:
    """The requests that leave together, while they are chosen."""

    now: float
    due: float
    """When the first entry is due."""
    places: int
    """The most requests."""
    most: int
    """The most files in each."""
    budget: int | None
    """The most files in all of them; None: any number."""
    scarce: bool = True
    """Whether a pace makes requests scarce."""
    chosen: list[Chosen] = field(default_factory=list)
    put_off: list[int] = field(default_factory=list)
    """Entries that cannot be sent as things are."""
    taken: set[int] = field(default_factory=set)
    """Entries that are in one of its requests, or put off."""
    heads: dict[bool, list[int]] = field(default_factory=dict)
    """Those that come first; under True the longest waiting."""

    @property
    def files(self) -> int:
        """The most files in the next request."""
        if self.budget is None:
            return self.most
        return min(self.most, self.budget - sum(len(chosen.batch) for chosen in self.chosen))

    def linger(self, chosen: Chosen) -> float:
        """Tell for how many seconds a request waits for mates of its photos, while the intake is at work."""
        if chosen.full:
            return 0.0
        if self.scarce:
            return LINGER
        # Without a pace waiting saves but the overhead of a request, which is little beside the bytes of a large one.
        return MOMENT if chosen.bytes <= SMALL_FILE else 0.0

    def take(self, chosen: Chosen) -> None:
        """Note that a request was chosen."""
        self.chosen.append(chosen)
        self.taken.update(owed.entry_id for owed in chosen.batch)


class Choosing:
    """Chooses round by round. For the thread of the dispatch."""

    def __init__(
        self, waiting: Waiting, planner: Planner, settings: UploadSettings, line: Line, intake_busy: Callable[[], bool]
    ) -> None:
        self._waiting = waiting
        self._planner = planner
        self._settings = settings
        self._line = line
        self._intake_busy = intake_busy
        self._since_oldest = 0
        self._chosen_at = 0.0
        self._lingering: dict[int, float] = {}
        """Until when entries wait for mates, while the intake is at work."""

    @property
    def lingers(self) -> bool:
        """Whether entries wait for mates."""
        return bool(self._lingering)

    def choose(self, its: Round, under_way: Sequence[int]) -> None:
        """Choose the requests of a round, none where nothing is due. In a view of the queue.

        `under_way`: the bytes of each request under way.
        """
        busy = self._intake_busy()
        self._lingering = {entry_id: until for entry_id, until in self._lingering.items() if busy and until > its.now}
        if its.due > its.now:
            return
        sizes = [*under_way]
        while len(its.chosen) < its.places and its.files > 0:
            chosen = self._next(its, sizes)
            if chosen is None:
                break
            its.take(chosen)
            sizes.append(chosen.bytes)
        if its.chosen:
            self._chosen_at = its.now

    def _next(self, its: Round, under_way: Sequence[int]) -> Chosen | None:
        if self._is_the_last_place_for_small_ones(under_way):
            small = self._waiting.small_ones(self._settings.order, its.now, size=SMALL_FILE, limit=_HEADS)
            chosen, _ = self._first_that_need_not_linger(small, its, most_bytes=SMALL_REQUEST)
            if chosen is not None:
                return chosen
        oldest = self._is_the_turn_of_the_oldest(its.now)
        # While a scan records faster than is sent, those that come first are always new: then the oldest go.
        for waiting_longest in [True] if oldest else [False, True]:
            chosen, unfit = self._first_that_need_not_linger(self._heads(its, oldest=waiting_longest), its)
            its.put_off += unfit
            its.taken.update(unfit)
            if chosen is not None:
                self._since_oldest = 0 if oldest else self._since_oldest + 1
                return chosen
            if not self._lingering:
                break
        return None

    def _heads(self, its: Round, *, oldest: bool) -> Sequence[int]:
        """Give the entries that come first, as they were when the round began; some of them are taken meanwhile."""
        heads = its.heads.get(oldest)
        if heads is None or all(head in its.taken for head in heads):
            limit = _HEADS + len(its.taken)
            heads = its.heads[oldest] = self._waiting.head(self._settings.order, its.now, oldest=oldest, limit=limit)
        return heads

    def _first_that_need_not_linger(
        self, heads: Sequence[int], its: Round, *, most_bytes: int | None = None
    ) -> tuple[Chosen | None, list[int]]:
        put_off: list[int] = []
        for head in heads:
            if head in its.taken or self._lingering.get(head, 0.0) > its.now:
                continue  # a mate that came since is a head itself
            chosen = self._planner.around(head, its.files, its.now, most_bytes=most_bytes, without=its.taken)
            if chosen is None:
                put_off.append(head)
                continue
            age = its.now - chosen.batch[0].arrived_at
            linger = its.linger(chosen)
            if 0 <= age < linger and self._intake_busy():
                self._lingering[head] = its.now + linger - age
                continue
            self._lingering.pop(head, None)
            return chosen, put_off
        return None, put_off

    def _is_the_last_place_for_small_ones(self, under_way: Sequence[int]) -> bool:
        """Tell whether all places but one are taken by requests that take long: the last is kept for small files."""
        last = self._settings.in_flight > 1 and len(under_way) == self._settings.in_flight - 1
        return last and all(self._line.is_long(size) for size in under_way)

    def _is_the_turn_of_the_oldest(self, now: float) -> bool:
        """Tell whether the longest waiting goes. One that arrived since the last round goes before it, within limits.

        So an arrival is in the next request or, where that was made already, in the one after it.
        """
        if self._since_oldest < OLDEST_EVERY - 1:
            return False
        return self._since_oldest >= 2 * OLDEST_EVERY - 1 or not self._waiting.has_arrived_since(self._chosen_at, now)
