"""How many requests what is owed will take, and when it will be done. Pure.

The photos come as a stream, latest capture first, so that a library of a million is counted in little memory.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import Final

from syncd.model import Position
from syncd.upload.packing import EXACT, Limits, Parcel, Tolerance, plan

FEWEST_GAPS: Final = 5
"""So many requests must have left one after the other before their pace is believed."""
LONGEST_GAP: Final = 15 * 60.0
"""Seconds. What took longer was a pause, and says nothing about the pace."""
_TOGETHER: Final = 100
"""Requests' worth of files that are planned at once."""
_MOST_SPELLS: Final = 4000


@dataclass(frozen=True, slots=True)
class Waiting:
    """An owed photo, as far as the count of requests needs it."""

    alike: Hashable
    """Equal where nothing but time and place may differ."""
    seconds: float | None
    """The time that it would send; None: undated."""
    position: Position | None
    size: int
    split: int | None = None


@dataclass(slots=True)
class RequestCount:
    """Counts the requests for a stream of photos, the latest first."""

    limits: Limits
    tolerance: Tolerance = EXACT
    _whole: int = 0
    _filling: dict[tuple[Hashable, int, Hashable], list[Parcel[None]]] = field(default_factory=dict)

    def add(self, photo: Waiting) -> None:
        """Count a photo in."""
        most = max(1, min(self.limits.files, photo.split or self.limits.files))
        dated = photo.seconds is not None
        # Undated photos share a request only where all is equal, as the plan of the dispatch has it.
        key = (photo.alike, most, None if dated else (photo.position,))
        parcels = self._filling.setdefault(key, [])
        if parcels and (self._is_far(parcels[-1], photo) or len(parcels) >= _TOGETHER * most):
            self._whole += self._requests(parcels, most)
            parcels.clear()
        parcels.append(Parcel(None, photo.size, photo.seconds, photo.position))

    def total(self) -> int:
        """Give the number of requests."""
        return self._whole + sum(self._requests(parcels, most) for (_, most, _), parcels in self._filling.items())

    def _is_far(self, last: Parcel[None], photo: Waiting) -> bool:
        if last.seconds is None or photo.seconds is None:
            return False
        return abs(last.seconds - photo.seconds) > 2 * math.floor(self.tolerance.seconds)

    def _requests(self, parcels: Sequence[Parcel[None]], most: int) -> int:
        if len(parcels) <= 1:
            return len(parcels)
        limits = replace(self.limits, files=most)
        if self.tolerance and parcels[0].seconds is not None:
            return len(plan(parcels, limits, self.tolerance))
        by_place: dict[Position | None, list[Parcel[None]]] = {}
        for parcel in parcels:
            by_place.setdefault(parcel.position, []).append(parcel)
        return sum(len(plan(some, limits)) for some in by_place.values())


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that left, in seconds since the epoch."""

    at: float
    waiting_since: float | None
    """When the photo in it that waited longest became known."""


def observed_interval(sent: Sequence[Sent]) -> float | None:
    """Give the seconds from one request to the next while there was work, from the last requests in their order.

    A photo that arrives when nothing is owed leaves at once, and the time before it was no pace: only a gap counts
    whose request was waited for from before the one that left before it. None: too few to say.
    """
    gaps = [
        later.at - before.at
        for before, later in pairwise(sent)
        if later.waiting_since is not None and later.waiting_since <= before.at <= later.at <= before.at + LONGEST_GAP
    ]
    return sum(gaps) / len(gaps) if len(gaps) >= FEWEST_GAPS else None


@dataclass(frozen=True, slots=True)
class Rate:
    """What limits the way out: seconds from one request to the next, and photos a day."""

    interval: float
    budget: int = 0
    """Photos a day; 0: no budget."""
    left_today: int = 0


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which requests may leave, within one day: in seconds since the epoch."""

    begin: float
    end: float
    new_day: bool = False
    """The budget of the day begins anew with it."""


def done_at(photos: int, requests: int, rate: Rate, now: float, spells: Iterable[Spell]) -> float:
    """Tell when the last of so many photos in so many requests leaves, in seconds since the epoch.

    `spells` from now on, in their order. Where they are not enough, it goes on as in those that there are.
    """
    if not photos:
        return now
    each = requests * rate.interval / photos
    left, may_leave = float(photos), float(rate.left_today) if rate.budget else math.inf
    end = now
    for spell in islice(spells, _MOST_SPELLS):
        if spell.new_day and rate.budget:
            may_leave = float(rate.budget)
        leaving = min(may_leave, (spell.end - spell.begin) / each if each else math.inf)
        if left <= leaving:
            return spell.begin + left * each
        left, may_leave, end = left - leaving, may_leave - leaving, spell.end
    return end + left * (end - now) / (photos - left) if left < photos else math.inf
