"""A few rounds of signal_loop. The whole loop is a command of its own."""

from __future__ import annotations

from tests.whole.signal_loop import loop


def test_s2_signals_at_any_moment_store_nothing_twice_and_lose_nothing() -> None:
    loop(seed=5, rounds=2, say=lambda line: None)
