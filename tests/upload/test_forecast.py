"""How many requests, and until when: counted from a stream, learnt from what left, within the budget of a day."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count as count_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import Position
from syncd.upload.forecast import Rate, RequestCount, Sent, Spell, Waiting, done_at, observed_interval
from syncd.upload.packing import EXACT, Limits, Parcel, Tolerance, plan

LIMITS = Limits(4, 100)
DAY = 24 * 3600.0


def days() -> Iterator[Spell]:
    return (Spell(n * DAY, (n + 1) * DAY, new_day=n > 0) for n in count_from())


def nights() -> Iterator[Spell]:
    """An hour from midnight on."""
    return (Spell(n * DAY, n * DAY + 3600, new_day=n > 0) for n in count_from())


def count(photos: list[Waiting], tolerance: Tolerance = EXACT, limits: Limits = LIMITS) -> int:
    counted = RequestCount(limits, tolerance)
    for each in sorted(photos, key=lambda one: -(one.seconds or 0.0)):
        counted.add(each)
    return counted.total()


seen = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300) | st.none()), max_size=30)


@given(seen, st.sampled_from([EXACT, Tolerance(60.0)]))
def test_a_stream_is_counted_as_it_would_be_planned(photos: list[tuple[str, int | None]], tolerance: Tolerance) -> None:
    waiting = [Waiting(alike, None if at is None else float(at), None, 10) for alike, at in photos]
    expected = 0
    for alike in "ab":
        undated = sum(each == (alike, None) for each in photos)
        expected += math.ceil(undated / 4)
        dated = [Parcel(None, 10, float(at)) for each, at in photos if each == alike and at is not None]
        groups = [dated] if tolerance else [[p for p in dated if p.seconds == s] for s in {p.seconds for p in dated}]
        expected += sum(len(plan(group, LIMITS, tolerance)) for group in groups)
    assert count(waiting, tolerance) == expected


def test_other_places_and_other_splits_are_other_requests() -> None:
    here, there = Position(1.0, 1.0), Position(2.0, 2.0)
    assert count([Waiting("a", 5.0, here, 1), Waiting("a", 5.0, there, 1), Waiting("a", 5.0, None, 1)]) == 3
    assert count([Waiting("a", None, here, 1), Waiting("a", None, here, 1), Waiting("a", None, there, 1)]) == 2
    assert count([Waiting("a", 5.0, None, 1, split=1), Waiting("a", 5.0, None, 1, split=1)]) == 2


def test_bytes_are_counted_too_and_a_large_group_is_cut_between_whole_requests() -> None:
    assert count([Waiting("a", None, None, 60)] * 7) == 7
    assert count([Waiting("a", None, None, 1)] * 2000) == 500


@pytest.mark.parametrize(
    ("sent", "interval"),
    [
        ([Sent(n * 2.0, 0.0) for n in range(11)], 2.0),
        ([Sent(n * 2.0, 0.0) for n in range(5)], None),
        # Each photo came when nothing was owed: how long nothing came is no pace.
        ([Sent(n * 500.0, n * 500.0 - 1) for n in range(11)], None),
        # A night in which the service was away.
        ([Sent(n * 1.0 + (30_000 if n > 5 else 0), 0.0) for n in range(11)], 1.0),
        # A clock that was set back.
        ([Sent(n * 1.0 - (500 if n > 5 else 0), -1000.0) for n in range(11)], 1.0),
        ([], None),
    ],
)
def test_the_pace_is_learnt_from_requests_that_were_waited_for(sent: list[Sent], interval: float | None) -> None:
    assert observed_interval(sent) == interval


@pytest.mark.parametrize(
    ("photos", "requests", "rate", "at"),
    [
        (0, 0, Rate(1.0), 0.0),
        (100, 50, Rate(2.0), 100.0),
        (100, 50, Rate(2.0, budget=1000, left_today=1000), 100.0),
        # 10 today, 1000 on each of the following days, the last one at noon of its pace.
        (3010, 3010, Rate(10.0, budget=1000, left_today=10), 3 * DAY + 10_000.0),
        (500, 500, Rate(0.0, budget=100, left_today=0), 5 * DAY),
        # The pace is slower than the budget.
        (17_280, 17_280, Rate(10.0, budget=100_000, left_today=100_000), 2 * DAY),
    ],
)
def test_done_when_the_pace_and_the_budget_allow(photos: int, requests: int, rate: Rate, at: float) -> None:
    assert done_at(photos, requests, rate, 0.0, days()) == pytest.approx(at)


@pytest.mark.parametrize(
    ("photos", "rate", "at"),
    [
        (100, Rate(10.0), 1000.0),
        (500, Rate(10.0), DAY + 1400.0),
        (500, Rate(10.0, budget=200, left_today=200), 2 * DAY + 1000.0),
        (36_000, Rate(10.0), 99 * DAY + 3600.0),
    ],
)
def test_nothing_leaves_between_two_spells(photos: int, rate: Rate, at: float) -> None:
    assert done_at(photos, photos, rate, 0.0, nights()) == pytest.approx(at)


def test_where_nothing_may_ever_leave_there_is_no_end() -> None:
    assert done_at(1, 1, Rate(1.0), 0.0, []) == math.inf


def test_a_budget_for_centuries_is_told_at_once() -> None:
    found = done_at(10**7, 10**7, Rate(1.0, budget=1, left_today=1), 0.0, days())
    assert found == pytest.approx(10**7 * DAY, rel=0.01)
