"""How files are divided among as few requests as possible. Pure.

The number of files in a request binds, and so do their bytes (bin packing), and with a tolerance also how far apart in
time and place they are: one value is sent for all, the middle, and it must lie within the tolerance for each.

First fit in several orders, the best of them taken; small groups are then searched for the optimum. Taking any batch
out of such a plan leaves what the same plan would make of the rest: so a plan may be carried out batch by batch, and be
made anew each time, without a request more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from syncd.model import Position

M = TypeVar("M")

OPTIMAL_UP_TO: Final = 12
"""So many files are packed into the fewest requests possible; more of them by first fit."""
METRES_A_DEGREE: Final = 111_195.08
"""Along a meridian of a sphere with the mean radius of the Earth."""
_MOST_STEPS: Final = 200_000
_MOST_STEPS_WITHIN: Final = 5_000
_MOST_IN_PLACE: Final = 200
"""So many files are also tried in the order of their places."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may hold: files, and bytes of files. A larger file travels alone."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far what is sent may be from what a photo says: seconds, and metres."""

    seconds: float = 0.0
    metres: float = 0.0

    def __bool__(self) -> bool:
        return self.seconds >= 1.0 or self.metres > 0.0


EXACT: Final = Tolerance()


@dataclass(frozen=True, slots=True)
class Parcel(Generic[M]):
    """A file to be packed: its bytes and, with a tolerance, the values that it would send alone."""

    member: M
    size: int
    seconds: float | None = None
    """The time that it would send, in seconds since any moment; None: without one."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """From where to where the files of a request reach, in time and place."""

    seconds: tuple[float, float] | None
    latitude: tuple[float, float] | None
    longitude: tuple[float, float] | None

    @classmethod
    def of(cls, parcel: Parcel[M]) -> Spread:
        """Give the spread of one file."""
        at, where = parcel.seconds, parcel.position
        return cls(
            None if at is None else (at, at),
            None if where is None else (where.latitude, where.latitude),
            None if where is None else (where.longitude, where.longitude),
        )

    def and_(self, other: Spread) -> Spread | None:
        """Give the spread of both; None where one says something that the other does not say at all."""
        if (self.seconds is None) != (other.seconds is None) or (self.latitude is None) != (other.latitude is None):
            return None
        return Spread(
            _both(self.seconds, other.seconds),
            _both(self.latitude, other.latitude),
            _both(self.longitude, other.longitude),
        )

    def is_within(self, tolerance: Tolerance) -> bool:
        """Tell whether the middle is within the tolerance of everything in it."""
        if self.seconds is not None and self.seconds[1] - self.seconds[0] > 2 * math.floor(tolerance.seconds):
            return False
        return self.reach <= tolerance.metres

    @property
    def reach(self) -> float:
        """Metres from the middle to the farthest corner, or a little more: never less, wherever on Earth."""
        if self.latitude is None or self.longitude is None:
            return 0.0
        (south, north), (west, east) = self.latitude, self.longitude
        nearest_equator = 0.0 if south <= 0.0 <= north else min(abs(south), abs(north))
        across = (east - west) * math.cos(math.radians(nearest_equator))
        return math.hypot(north - south, across) * METRES_A_DEGREE / 2

    @property
    def middle(self) -> tuple[float | None, Position | None]:
        """The values to send: for a single file exactly its own."""
        at = None if self.seconds is None else self.seconds[0] + (self.seconds[1] - self.seconds[0]) // 2
        if self.latitude is None or self.longitude is None:
            return at, None
        return at, Position(_half(self.latitude), _half(self.longitude))


def spread_of(parcels: Iterable[Parcel[M]]) -> Spread:
    """Give the spread of files that share a request."""
    first, *others = [Spread.of(parcel) for parcel in parcels]
    for other in others:
        both = first.and_(other)
        if both is None:
            raise ValueError("files with a value and files without it do not share a request")
        first = both
    return first


def metres_between(one: Position, other: Position) -> float:
    """Give the distance on a sphere with the mean radius of the Earth."""
    south, north = math.radians(one.latitude), math.radians(other.latitude)
    half = math.radians(other.longitude - one.longitude) / 2
    chord = math.sin((north - south) / 2) ** 2 + math.cos(south) * math.cos(north) * math.sin(half) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(chord)))) * METRES_A_DEGREE


def plan(
    parcels: Sequence[Parcel[M]], limits: Limits, tolerance: Tolerance = EXACT
) -> tuple[tuple[Parcel[M], ...], ...]:
    """Divide files among requests. They come in the order of preference; with no tolerance they are all alike.

    Where the number of files alone binds, or with a tolerance in time alone, no plan has fewer requests; the same holds
    for up to 12 files in any case. Else none is worse than taking them one by one as they fit.
    """
    if not tolerance and _only_the_number_binds(parcels, limits):
        return tuple(tuple(parcels[i : i + limits.files]) for i in range(0, len(parcels), limits.files))
    best = min((_first_fit(parcels, order, limits, tolerance) for order in _orders(parcels, tolerance)), key=len)
    if len(parcels) <= OPTIMAL_UP_TO:
        best = _search(sorted(parcels, key=_by_size), limits, tolerance, best)
    return tuple(tuple(batch.parcels) for batch in best)


def _only_the_number_binds(parcels: Sequence[Parcel[M]], limits: Limits) -> bool:
    largest = sorted((parcel.size for parcel in parcels), reverse=True)[: limits.files]
    return sum(largest) <= limits.bytes


def fewest(parcels: Sequence[Parcel[M]], limits: Limits) -> int:
    """Give a number of requests that no plan can do without."""
    sizes = [parcel.size for parcel in parcels]
    alone = [size for size in sizes if size > limits.bytes]
    rest = [size for size in sizes if size <= limits.bytes]
    by_bytes = -(-sum(rest) // limits.bytes) if rest else 0
    halves = sum(2 * size > limits.bytes for size in rest)
    return len(alone) + max(-(-len(rest) // limits.files), by_bytes, halves)


class Batch(Generic[M]):
    """A request that is being filled."""

    __slots__ = ("parcels", "room", "spread")

    def __init__(self, first: Parcel[M], limits: Limits) -> None:
        self.parcels = [first]
        self.room = limits.bytes - first.size
        self.spread = Spread.of(first)

    def takes(self, parcel: Parcel[M], limits: Limits, tolerance: Tolerance) -> bool:
        """Put a file into it, if there is room and it is near enough."""
        if parcel.size > self.room or len(self.parcels) >= limits.files:
            return False
        if tolerance:
            both = self.spread.and_(Spread.of(parcel))
            if both is None or not both.is_within(tolerance):
                return False
            self.spread = both
        self.parcels.append(parcel)
        self.room -= parcel.size
        return True

    def put_back(self, spread: Spread) -> None:
        """Take the last file out again; `spread` is what it was before."""
        self.room += self.parcels.pop().size
        self.spread = spread


@dataclass(frozen=True, slots=True)
class _Order:
    """An order in which files are put into the first request that takes them."""

    key: Callable[[Parcel[Any]], tuple[float, ...]]
    """Its first part is where along the order a file stands."""
    reach: float
    """From so far on along the order no file fits to the first of a request any more."""


def _orders(parcels: Sequence[Parcel[M]], tolerance: Tolerance) -> list[_Order]:
    if not tolerance:
        return [_Order(_by_size, math.inf)]
    orders = [_Order(_by_time, 2 * math.floor(tolerance.seconds))]
    places = [parcel.position for parcel in parcels if parcel.position is not None]
    if tolerance.metres and places and len(parcels) <= _MOST_IN_PLACE:
        degrees = 2.1 * tolerance.metres / METRES_A_DEGREE
        widest = max(1e-3, math.cos(math.radians(max(abs(place.latitude) for place in places))))
        orders += [_Order(_by_latitude, degrees), _Order(_by_longitude, degrees / widest)]
    return orders


def _first_fit(parcels: Sequence[Parcel[M]], order: _Order, limits: Limits, tolerance: Tolerance) -> list[Batch[M]]:
    done: list[Batch[M]] = []
    filling: list[tuple[float, Batch[M]]] = []
    for parcel in sorted(parcels, key=order.key):
        along = order.key(parcel)[0]
        out_of_reach = 0
        while out_of_reach < len(filling) and along - filling[out_of_reach][0] > order.reach:
            out_of_reach += 1
        done += [batch for _, batch in filling[:out_of_reach]]
        del filling[:out_of_reach]
        found = next((n for n, (_, batch) in enumerate(filling) if batch.takes(parcel, limits, tolerance)), None)
        if found is None:
            found = len(filling)
            filling.append((along, Batch(parcel, limits)))
        if len(filling[found][1].parcels) >= limits.files:
            done.append(filling.pop(found)[1])
    return done + [batch for _, batch in filling]


def _search(parcels: Sequence[Parcel[M]], limits: Limits, tolerance: Tolerance, best: list[Batch[M]]) -> list[Batch[M]]:
    """Look for a plan with fewer requests, from the fewest conceivable on."""
    steps = iter(range(_MOST_STEPS_WITHIN if tolerance else _MOST_STEPS))
    for most in range(fewest(parcels, limits), len(best)):
        found = _place(parcels, 0, most, [], _Rules(limits, tolerance, lambda: next(steps, None) is not None))
        if found is not None:
            return found
    return best


@dataclass(frozen=True, slots=True)
class _Rules:
    limits: Limits
    tolerance: Tolerance
    may_go_on: Callable[[], bool]
    """Whether the search may take another step: bounded, because with a tolerance its bounds are weak."""


def _place(
    parcels: Sequence[Parcel[M]], number: int, most: int, batches: list[Batch[M]], rules: _Rules
) -> list[Batch[M]] | None:
    """Find places for the files from `number` on in at most so many requests: depth first."""
    if number == len(parcels):
        return batches
    limits, parcel = rules.limits, parcels[number]
    left = sum(min(each.size, limits.bytes) for each in parcels[number:])
    room = sum(max(0, batch.room) for batch in batches) + (most - len(batches)) * limits.bytes
    if left > room or not rules.may_go_on():
        return None
    tried: set[tuple[int, int, Spread]] = set()
    for batch in batches:
        alike = (batch.room, len(batch.parcels), batch.spread)
        before = batch.spread
        if alike in tried or not batch.takes(parcel, limits, rules.tolerance):
            continue
        tried.add(alike)
        found = _place(parcels, number + 1, most, batches, rules)
        if found is not None:
            return found
        batch.put_back(before)
    if len(batches) < most:
        batches.append(Batch(parcel, limits))
        found = _place(parcels, number + 1, most, batches, rules)
        if found is not None:
            return found
        batches.pop()
    return None


def _both(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if one is None or other is None else (min(one[0], other[0]), max(one[1], other[1]))


def _half(ends: tuple[float, float]) -> float:
    return ends[0] if ends[0] == ends[1] else (ends[0] + ends[1]) / 2


def _by_size(parcel: Parcel[M]) -> tuple[float, ...]:
    return (-parcel.size,)


def _by_time(parcel: Parcel[M]) -> tuple[float, ...]:
    where = parcel.position or _NOWHERE
    return (-(parcel.seconds or 0.0), where.latitude, where.longitude, -parcel.size)


def _by_latitude(parcel: Parcel[M]) -> tuple[float, ...]:
    where = parcel.position or _NOWHERE
    return (where.latitude, where.longitude, -(parcel.seconds or 0.0), -parcel.size)


def _by_longitude(parcel: Parcel[M]) -> tuple[float, ...]:
    where = parcel.position or _NOWHERE
    return (where.longitude, where.latitude, -(parcel.seconds or 0.0), -parcel.size)


_NOWHERE: Final = Position(0.0, 0.0)
