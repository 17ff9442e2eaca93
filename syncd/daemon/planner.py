"""Which photos make the next request with a given one: the ledger's entries, the rules of this moment, the plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from syncd.ledger.rows import Off, Owed
from syncd.ledger.waiting import Waiting
from syncd.model import Capture, Labels, PlacePath, RequestMetadata
from syncd.rules import union
from syncd.settings import UploadSettings
from syncd.upload.batches import Wish, wish, worded
from syncd.upload.packing import EXACT, Limits, Parcel, Tolerance, metres_between, plan, spread_of

FIRST_LOOK: Final = 64
"""So many mates are looked at where they are surely enough."""
WINDOW: Final = 1000
"""At most so many are planned together; of a larger group those that come next."""
_A_HAIR: Final = 0.01
"""Metres that are no difference: the wire's decimals, twice over."""
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (a camera's wall clock has no zone)


class Labeller(Protocol):
    """The folder rules."""

    def labels(self, place: PlacePath, capture: Capture) -> Labels:
        """Give what the rules say of a place."""
        ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """A request to make: its files, the head first, and what is sent with them."""

    batch: tuple[Owed, ...]
    metadata: RequestMetadata
    off: Mapping[int, Off]
    """By how much that differs from what an entry would send alone, where it does."""
    full: bool
    """Whether no photo that may still come could travel with them."""

    @property
    def bytes(self) -> int:
        """The bytes of its files."""
        return sum(owed.size for owed in self.batch)


@dataclass(frozen=True, slots=True)
class _Wanted:
    owed: Owed
    own: Wish


class Planner:
    """Plans a request around an entry, anew each time: any batch of a plan leaves the rest of it as good as it was."""

    def __init__(self, waiting: Waiting, rules: Labeller, settings: UploadSettings, *, as_utc: bool) -> None:
        self._waiting = waiting
        self._rules = rules
        self._bytes = settings.batch_bytes
        self._tolerance = Tolerance(settings.time_tolerance, settings.place_tolerance)
        self._as_utc = as_utc

    def around(
        self, head: int, most: int, now: float, *, most_bytes: int | None = None, without: Collection[int] = ()
    ) -> Chosen | None:
        """Plan a request of at most so many files with an entry; None where the entry is not to be sent now.

        `most_bytes`: fewer than the settings allow. `without`: entries that another request takes.
        """
        mates = self._mates(head, now, max(FIRST_LOOK, 4 * most), without)
        first = self._wanted(mates[0]) if mates else None
        if first is None:
            return None
        limits = Limits(max(1, min(most, first.owed.split or most)), min(self._bytes, most_bytes or self._bytes))
        if self._tolerance and first.own.taken_at is not None:
            near = self._waiting.neighbours(first.owed, now, within=2 * self._tolerance.seconds, limit=WINDOW)
            near = [owed for owed in near if owed.entry_id not in without]
            return self._shared(first, [first, *self._alike(first, near)], limits)
        alike = [first, *self._equal(first, mates[1:])]
        if len(mates) >= max(FIRST_LOOK, 4 * most) and self._may_be_better(alike, limits, head, now):
            mates = self._mates(head, now, WINDOW, without)
            alike = [first, *self._equal(first, mates[1:])]
        return self._shared(first, alike, limits, exact=True)

    def _mates(self, head: int, now: float, limit: int, without: Collection[int]) -> list[Owed]:
        found = self._waiting.mates(head, now, limit=limit + len(without))
        return [owed for owed in found if owed.entry_id not in without][:limit]

    def _may_be_better(self, alike: Sequence[_Wanted], limits: Limits, head: int, now: float) -> bool:
        """Tell whether a longer look could fill the request better than these do."""
        if len(alike) < limits.files:
            return True
        return self._waiting.largest_mates(head, now, most=limits.files, among=WINDOW) > limits.bytes

    def _shared(self, first: _Wanted, some: Sequence[_Wanted], limits: Limits, *, exact: bool = False) -> Chosen:
        if len(some) == 1:
            return Chosen((first.owed,), _words(first), {}, full=limits.files == 1)
        parcels = [_parcel(wanted) for wanted in some]
        batches = plan(parcels, limits, EXACT if exact else self._tolerance)
        batch = next(batch for batch in batches if any(each.member is first for each in batch))
        together = [first, *(each.member for each in batch if each.member is not first)]
        sent = first.own if exact or len(together) == 1 else _middle(batch, first.own)
        return Chosen(
            batch=tuple(wanted.owed for wanted in together),
            metadata=worded(sent.rest, sent.taken_at, sent.position),
            off={
                wanted.owed.entry_id: off for wanted in together if (off := _difference(sent, wanted.own)) is not None
            },
            full=len(batch) >= limits.files or (exact and len(batches) > 1),
        )

    def _alike(self, first: _Wanted, owed: Sequence[Owed]) -> list[_Wanted]:
        """Give those that differ from the first in nothing but time and place."""
        found = [wanted for each in owed if (wanted := self._wanted(each)) is not None]
        return [wanted for wanted in found if wanted.own.rest == first.own.rest and wanted.own.taken_at is not None]

    def _equal(self, first: _Wanted, owed: Sequence[Owed]) -> list[_Wanted]:
        """Give those that would send the very same."""
        if not owed:
            return []
        same = _words(first)
        found = [wanted for each in owed if (wanted := self._wanted(each)) is not None]
        return [wanted for wanted in found if _words(wanted) == same]

    def _wanted(self, owed: Owed) -> _Wanted | None:
        """Give an entry with what it would send by the rules of this moment; None where no present place is wanted."""
        found = [self._rules.labels(place, owed.capture) for place in owed.places]
        labels = [
            its for its in found if its.skipped is None and (not owed.namespace or its.namespace == owed.namespace)
        ]
        if not labels:
            return None
        return _Wanted(owed, wish(owed.capture, union(labels), as_utc=self._as_utc, omit=owed.omit))


def _middle(batch: Sequence[Parcel[_Wanted]], own: Wish) -> Wish:
    at, where = spread_of(batch).middle
    return replace(own, taken_at=None if at is None else _EPOCH + timedelta(seconds=at), position=where)


def _difference(sent: Wish, own: Wish) -> Off | None:
    if sent is own:
        return None
    seconds = (sent.taken_at - own.taken_at).total_seconds() if sent.taken_at and own.taken_at else 0.0
    metres = metres_between(sent.position, own.position) if sent.position and own.position else 0.0
    return Off(seconds, metres) if seconds or metres >= _A_HAIR else None


def _words(wanted: _Wanted) -> RequestMetadata:
    return worded(wanted.own.rest, wanted.own.taken_at, wanted.own.position)


def _parcel(wanted: _Wanted) -> Parcel[_Wanted]:
    at = None if wanted.own.taken_at is None else (wanted.own.taken_at - _EPOCH).total_seconds()
    return Parcel(wanted, wanted.owed.size, at, wanted.own.position)
