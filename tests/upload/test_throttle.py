"""The ceiling on bytes a second."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.upload.throttle import BURST, Throttle
from tests.fakes.clock import FakeClock


def test_without_a_ceiling_nothing_waits() -> None:
    assert Throttle(None, FakeClock(0.0).monotonic).delay(10**9) == 0.0


@given(
    st.lists(st.tuples(st.integers(1, 200_000), st.floats(0.0, 3.0)), min_size=1, max_size=60),
    st.sampled_from([10_000.0, 1_000_000.0]),
)
def test_never_more_leaves_than_the_ceiling_allows_whatever_rests_lie_between(
    pieces: list[tuple[int, float]], rate: float
) -> None:
    clock = FakeClock(0.0)
    throttle = Throttle(rate, clock.monotonic)
    begin, sent = clock.monotonic(), 0
    for size, rest in pieces:
        clock.advance(rest)
        wait = throttle.delay(size)
        clock.advance(wait)
        # What has left before this piece must have had its time, but for one burst.
        assert sent <= rate * (clock.monotonic() - begin + BURST) + 1e-6
        sent += size


def test_the_whole_rate_is_used() -> None:
    clock = FakeClock(0.0)
    throttle = Throttle(100_000.0, clock.monotonic)
    begin = clock.monotonic()
    for _ in range(100):
        clock.advance(throttle.delay(10_000))
    assert clock.monotonic() - begin == pytest.approx(10.0, rel=0.05)


def test_threads_share_it() -> None:
    clock = FakeClock(0.0)
    throttle = Throttle(100_000.0, clock.monotonic)
    waits: list[float] = []
    threads = [
        threading.Thread(target=lambda: waits.extend(throttle.delay(10_000) for _ in range(50))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(waits) == pytest.approx(199 * 0.1 - BURST)
