"""How files are divided among requests: never more than need be, held to brute force and to greed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import Position
from syncd.upload.packing import EXACT, Limits, Parcel, Tolerance, fewest, metres_between, plan, spread_of

MINUTE = Tolerance(60.0)
Plan = Sequence[Sequence[Parcel[int]]]


def parcels(sizes: Sequence[int]) -> list[Parcel[int]]:
    return [Parcel(number, size) for number, size in enumerate(sizes)]


def at(seconds: Sequence[int]) -> list[Parcel[int]]:
    return [Parcel(number, 1, float(each)) for number, each in enumerate(seconds)]


def fewest_by_trying_everything(sizes: Sequence[int], limits: Limits) -> int:
    best = len(sizes)

    def place(number: int, batches: list[tuple[int, int]]) -> None:
        nonlocal best
        if number == len(sizes):
            best = min(best, len(batches))
        elif len(batches) < best:
            for index, (total, files) in enumerate(batches):
                if total + sizes[number] <= limits.bytes and files < limits.files:
                    place(number + 1, [*batches[:index], (total + sizes[number], files + 1), *batches[index + 1 :]])
            place(number + 1, [*batches, (sizes[number], 1)])

    place(0, [])
    return best


def assert_possible(found: Plan, given_to_it: Sequence[Parcel[int]], limits: Limits) -> None:
    assert sorted(each.member for batch in found for each in batch) == list(range(len(given_to_it)))
    for batch in found:
        assert len(batch) <= limits.files
        assert len(batch) == 1 or sum(each.size for each in batch) <= limits.bytes


def assert_near(found: Plan, tolerance: Tolerance) -> None:
    for batch in found:
        seconds, where = spread_of(batch).middle
        for each in batch:
            assert (each.seconds is None) == (seconds is None)
            assert (each.position is None) == (where is None)
            if each.seconds is not None and seconds is not None:
                assert abs(each.seconds - seconds) <= tolerance.seconds
            if each.position is not None and where is not None:
                # A hundredth of a millimetre for the arithmetic.
                assert metres_between(each.position, where) <= tolerance.metres + 1e-5


limits_of = st.builds(Limits, files=st.integers(1, 6), bytes=st.integers(5, 40))


@given(st.lists(st.integers(1, 45), min_size=1, max_size=8), limits_of)
def test_small_groups_take_the_fewest_requests_there_can_be(sizes: list[int], limits: Limits) -> None:
    some = parcels(sizes)
    found = plan(some, limits)
    assert_possible(found, some, limits)
    assert len(found) == fewest_by_trying_everything(sizes, limits)
    assert fewest(some, limits) <= len(found)


@pytest.mark.parametrize("more", [[], [30, 30, 30, 30, 30]])
def test_up_to_twelve_files_take_the_fewest_where_first_fit_does_not(more: list[int]) -> None:
    sizes, limits = [15, 13, 10, 9, 5, 4, 3, *more], Limits(10, 30)
    assert first_fit_decreasing(sizes, limits) == 3 + len(more)
    assert len(plan(parcels(sizes), limits)) == 2 + len(more)


def first_fit_decreasing(sizes: Sequence[int], limits: Limits) -> int:
    batches: list[list[int]] = []
    for size in sorted(sizes, reverse=True):
        room = (batch for batch in batches if len(batch) < limits.files and sum(batch) + size <= limits.bytes)
        batch = next(room, None)
        if batch is None:
            batches.append([size])
        else:
            batch.append(size)
    return len(batches)


@given(st.lists(st.integers(1, 45), min_size=13, max_size=60), limits_of)
def test_larger_groups_are_packed_first_fit_decreasing(sizes: list[int], limits: Limits) -> None:
    some = parcels(sizes)
    found = plan(some, limits)
    assert_possible(found, some, limits)
    assert len(found) <= first_fit_decreasing(sizes, limits)


@given(st.integers(1, 400), st.integers(1, 30))
def test_where_the_number_binds_every_request_but_the_last_is_full(files: int, most: int) -> None:
    some = parcels([5] * files)
    found = plan(some, Limits(most, 5 * most))
    assert len(found) == math.ceil(files / most)
    assert [each.member for batch in found for each in batch] == list(range(files)), "in the order of preference"


@given(st.lists(st.integers(1, 45), min_size=1, max_size=30), limits_of, st.randoms(use_true_random=False))
def test_a_plan_made_anew_after_each_request_takes_no_request_more(
    sizes: list[int], limits: Limits, rng: random.Random
) -> None:
    left = parcels(sizes)
    planned = len(plan(left, limits))
    used = 0
    while left:
        batch = rng.choice(plan(left, limits))
        left = [each for each in left if each not in batch]
        rng.shuffle(left)
        used += 1
    assert used <= planned


@given(st.lists(st.integers(0, 900), min_size=1, max_size=60), st.integers(1, 10))
def test_with_a_tolerance_in_time_no_plan_has_fewer_requests(seconds: list[int], most: int) -> None:
    some = at(seconds)
    found = plan(some, Limits(most, 10**6), MINUTE)
    assert_possible(found, some, Limits(most, 10**6))
    assert_near(found, MINUTE)
    assert len(found) == fewest_stabs(seconds, most)


def fewest_stabs(seconds: Sequence[int], most: int) -> int:
    """Give the fewest requests by trying every way to cut the times, in their order, into runs.

    That is all there is to try: in two requests whose times interlock, files can be exchanged until they do not.
    """
    times = sorted(seconds)
    best = [0]
    for end in range(1, len(times) + 1):
        starts = [start for start in range(max(0, end - most), end) if times[end - 1] - times[start] <= 120]
        best.append(1 + min(best[start] for start in starts))
    return best[-1]


def fewest_stabs_by_trying_everything(seconds: Sequence[int], most: int) -> int:
    best = len(seconds)

    def place(number: int, batches: list[list[int]]) -> None:
        nonlocal best
        if number == len(seconds):
            best = min(best, len(batches))
        elif len(batches) < best:
            for batch in batches:
                together = [*batch, seconds[number]]
                if len(batch) < most and max(together) - min(together) <= 120:
                    batch.append(seconds[number])
                    place(number + 1, batches)
                    batch.pop()
            place(number + 1, [*batches, [seconds[number]]])

    place(0, [])
    return best


@given(st.lists(st.integers(0, 400), min_size=1, max_size=7), st.integers(1, 4))
def test_runs_are_all_there_is_to_try(seconds: list[int], most: int) -> None:
    assert fewest_stabs(seconds, most) == fewest_stabs_by_trying_everything(seconds, most)


points = st.builds(
    Position,
    latitude=st.sampled_from([-80.0, 0.0, 47.0]).flatmap(lambda base: st.floats(base, base + 0.004)),
    longitude=st.floats(8.0, 8.004),
)
placed = st.lists(st.tuples(st.integers(0, 400), st.none() | points, st.integers(1, 30)), min_size=1, max_size=40)


@given(placed, st.integers(1, 6), st.sampled_from([Tolerance(60, 100), Tolerance(0, 100), Tolerance(60, 0)]))
def test_in_time_and_place_no_plan_is_worse_than_greed_and_each_file_is_near_what_is_sent(
    seen: list[tuple[int, Position | None, int]], most: int, tolerance: Tolerance
) -> None:
    some = [Parcel(n, size, float(seconds), where) for n, (seconds, where, size) in enumerate(seen)]
    limits = Limits(most, 60)
    found = plan(some, limits, tolerance)
    assert_possible(found, some, limits)
    assert_near(found, tolerance)
    assert len(found) <= greedy(some, limits, tolerance)
    assert {tuple(batch) for batch in found} == {tuple(batch) for batch in plan(some, limits, tolerance)}


def greedy(some: Sequence[Parcel[int]], limits: Limits, tolerance: Tolerance) -> int:
    """Count the requests of whoever goes through the photos by time, and puts each with the first that it fits."""
    batches: list[list[Parcel[int]]] = []
    for each in sorted(some, key=lambda one: -(one.seconds or 0.0)):
        for batch in batches:
            together = [*batch, each]
            if len({one.position is None for one in together}) > 1 or len(together) > limits.files:
                continue
            if sum(one.size for one in together) <= limits.bytes and spread_of(together).is_within(tolerance):
                batch.append(each)
                break
        else:
            batches.append([each])
    return len(batches)


def test_a_photo_alone_sends_exactly_its_own_values() -> None:
    where = Position(47.123456789, -8.98765432101)
    assert spread_of([Parcel(1, 1, 1001.0, where)]).middle == (1001.0, where)
    assert spread_of([Parcel(1, 1, 1001.0, where), Parcel(2, 1, 1001.0, where)]).middle == (1001.0, where)


def test_with_and_without_a_value_do_not_share() -> None:
    dated, undated = Parcel(0, 1, 5.0), Parcel(1, 1)
    assert len(plan([dated, undated], Limits(9, 9), MINUTE)) == 2
    with pytest.raises(ValueError, match="do not share"):
        spread_of([dated, undated])


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        (Position(0.0, 0.0), Position(0.0, 1.0), 111_195),
        (Position(60.0, 0.0), Position(60.0, 1.0), 55_597),
        (Position(52.5200, 13.4050), Position(48.8566, 2.3522), 877_463),
        (Position(10.0, 20.0), Position(10.0, 20.0), 0),
    ],
)
def test_distances_are_those_on_the_sphere(one: Position, other: Position, metres: float) -> None:
    assert metres_between(one, other) == pytest.approx(metres, rel=0.001, abs=0.001)


def test_less_than_a_second_is_no_tolerance() -> None:
    assert not EXACT
    assert not Tolerance(0.5)
    assert Tolerance(1.0)
    assert Tolerance(0.0, 0.5)
