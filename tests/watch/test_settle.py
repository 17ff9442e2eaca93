from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import Look, PlacePath
from syncd.watch.settle import Settled, Settling, Waiting

PLACE = PlacePath(b"/photos", b"2024", b"a.jpg")
NOW = 1_700_000_000.25


def look_at(age: float, *, size: int = 100, now: float = NOW) -> Look:
    """A look at a file whose stamps lie `age` seconds before `now`, on a file system with fine stamps."""
    stamp = int((now - age) * 1_000_000_000)
    return Look(size, stamp, stamp, 7, 1)


def test_an_old_file_settles_at_the_first_look() -> None:
    room = Settling(2.0)
    assert room.look(PLACE, look_at(2.5), NOW, 50.0) == Settled(look_at(2.5))
    assert len(room) == 0
    assert room.next_due() is None


def test_a_young_file_is_due_when_it_would_be_old_enough() -> None:
    room = Settling(2.0)
    waiting = room.look(PLACE, look_at(0.5), NOW, 50.0)
    assert isinstance(waiting, Waiting)
    assert waiting.due == pytest.approx(51.5)
    assert room.next_due() == waiting.due
    assert room.due(51.0) == []
    assert room.due(51.6) == [PLACE]
    assert isinstance(room.look(PLACE, look_at(0.5), NOW + 1.6, 51.6), Settled)


def test_the_newest_of_mtime_and_ctime_counts() -> None:
    copied_with_its_time = replace(look_at(0.5), mtime_ns=look_at(86_400).mtime_ns)
    assert isinstance(Settling(2.0).look(PLACE, copied_with_its_time, NOW, 50.0), Waiting)
    from_tomorrow = replace(look_at(100), mtime_ns=look_at(-86_400).mtime_ns)
    assert isinstance(Settling(2.0).look(PLACE, from_tomorrow, NOW, 50.0), Waiting)


def test_a_file_from_the_future_settles_by_two_looks() -> None:
    room = Settling(2.0)
    future = look_at(-86_400)
    assert room.look(PLACE, future, NOW, 50.0) == Waiting(50.0, 52.0)
    assert isinstance(room.look(PLACE, future, NOW + 1.9, 51.9), Waiting)
    assert isinstance(room.look(PLACE, future, NOW + 2.0, 52.0), Settled)


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_w14_any_change_between_two_looks_starts_the_wait_again(field: str) -> None:
    room = Settling(2.0)
    future = look_at(-86_400)
    room.look(PLACE, future, NOW, 50.0)
    changed = replace(future, **{field: getattr(future, field) + 1})
    assert isinstance(room.look(PLACE, changed, NOW + 2.1, 52.1), Waiting)
    assert isinstance(room.look(PLACE, changed, NOW + 4.0, 54.0), Waiting)
    assert isinstance(room.look(PLACE, changed, NOW + 4.1, 54.1), Settled)


def test_w14_a_slow_writer_waits_and_is_named_after_ten_minutes() -> None:
    room = Settling(2.0, give_up_after=600.0)
    for second in range(700):
        now = NOW + second
        assert isinstance(room.look(PLACE, look_at(0.1, size=second, now=now), now, 50.0 + second), Waiting)
        assert room.unsettled(50.0 + second) == ([(PLACE, 50.0)] if second >= 600 else [])
    assert isinstance(room.look(PLACE, look_at(3.0, size=699, now=NOW + 702), NOW + 702, 752.0), Settled)
    assert room.unsettled(2000.0) == []


@pytest.mark.parametrize("settle", [0.0, 2.0])
def test_what_changed_while_it_was_read_waits_however_old_it_is(settle: float) -> None:
    room = Settling(settle)
    assert isinstance(room.look(PLACE, look_at(100.0), NOW, 50.0), Settled)
    waiting = room.wait_anew(PLACE, look_at(90.0, size=101), 60.0)
    assert room.places() == [PLACE]
    assert waiting.due == room.next_due() == pytest.approx(60.0 + max(settle, 0.05))
    assert room.due(62.1) == [PLACE]
    assert isinstance(room.look(PLACE, look_at(90.0, size=101), NOW, 62.1), Settled)


def test_the_clock_set_forward_does_not_settle_what_is_being_written() -> None:
    room = Settling(2.0)
    room.look(PLACE, look_at(0.1), NOW, 50.0)
    tomorrow = NOW + 86_400
    assert isinstance(room.look(PLACE, look_at(0.1, size=200), tomorrow, 50.5), Waiting)
    # The writer goes on, now with stamps of the new clock.
    written = look_at(0.1, size=300, now=tomorrow + 2.1)
    assert isinstance(room.look(PLACE, written, tomorrow + 2.1, 52.6), Waiting)
    assert isinstance(room.look(PLACE, written, tomorrow + 4.2, 54.7), Settled)


def test_the_clock_set_back_delays_by_no_more_than_two_looks() -> None:
    room = Settling(2.0)
    room.look(PLACE, look_at(0.1), NOW, 50.0)
    yesterday = NOW - 86_400
    assert isinstance(room.look(PLACE, look_at(0.1), yesterday, 51.0), Waiting)
    assert isinstance(room.look(PLACE, look_at(0.1), yesterday + 1, 52.0), Settled)


@pytest.mark.parametrize(("stamp", "extra"), [(1_700_000_000, 2.0), (1_700_000_001, 1.0)])
def test_stamps_of_whole_seconds_wait_for_their_coarseness(stamp: int, extra: float) -> None:
    on_fat = Look(100, stamp * 1_000_000_000, stamp * 1_000_000_000, 7, 1)
    assert isinstance(Settling(2.0).look(PLACE, on_fat, stamp + 2.0 + extra - 0.1, 50.0), Waiting)
    assert isinstance(Settling(2.0).look(PLACE, on_fat, stamp + 2.0 + extra, 50.0), Settled)


def test_without_a_settle_time_nothing_waits() -> None:
    assert isinstance(Settling(0.0).look(PLACE, look_at(-5), NOW, 50.0), Settled)


def test_who_is_due_and_not_looked_at_is_due_again() -> None:
    room = Settling(2.0)
    room.look(PLACE, look_at(-5), NOW, 50.0)
    assert room.due(52.0) == [PLACE]
    assert room.due(52.1) == []
    assert room.due(54.0) == [PLACE]


def test_forgotten_is_never_due() -> None:
    room = Settling(2.0)
    room.look(PLACE, look_at(0), NOW, 50.0)
    room.forget(PLACE)
    room.forget(PLACE)
    assert PLACE not in room
    assert room.next_due() is None
    assert room.due(1000.0) == []


def test_memory_is_bounded_and_who_is_turned_away_is_told() -> None:
    room = Settling(2.0, capacity=3)
    for number in range(5):
        room.look(PlacePath(b"/r", b"", b"%d.jpg" % number), look_at(0), NOW, 50.0)
    assert len(room) == 3
    assert room.turned_away()
    assert not room.turned_away()
    for number in range(10_000):
        room.look(PlacePath(b"/r", b"", b"1.jpg"), look_at(0, size=number), NOW, 50.0 + number / 1e6)
    assert len(room._dues) < 100


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.booleans()), min_size=1, max_size=40),
    st.floats(0.1, 5),
    st.floats(-100, 100),
)
def test_what_is_written_without_a_pause_never_settles_and_what_is_left_alone_does(
    steps: list[tuple[float, bool]], settle: float, skew: float
) -> None:
    """The file system's clock may be off by `skew`; then only stamps from the future are certain to be fresh."""
    room = Settling(settle)
    now, monotonic, size = NOW, 0.0, 0
    written_at = monotonic
    for pause, written in steps:
        now, monotonic = now + pause, monotonic + pause
        if written:
            size, written_at = size + 1, monotonic
        stamp = int((now - (monotonic - written_at) + abs(skew)) * 1e9) // 1000 * 1000 + 1
        verdict = room.look(PLACE, Look(size, stamp, stamp, 7, 1), now, monotonic)
        if isinstance(verdict, Settled):
            assert monotonic - written_at >= settle - 1e-6
        else:
            assert verdict.due <= monotonic + settle + 0.05 + 1e-6
            assert room.next_due() == verdict.due
