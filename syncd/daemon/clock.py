"""Time as an argument: what the daemon asks of a clock, and the clock of the machine."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that people read and that may jump, one that only goes on."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps, and stands still while the machine is suspended."""
        ...

    def suspended(self) -> float:
        """Seconds for which the machine was suspended since it started."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        return time.monotonic()

    def suspended(self) -> float:
        """Seconds for which the machine was suspended since it started (clock_gettime(2))."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def local_midnight(now: float) -> float:
    """Give the last midnight of the machine's time zone: where the day of a daily budget begins."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))


def next_local_midnight(now: float) -> float:
    """Give the next midnight of the machine's time zone, also on a day of 23 or 25 hours."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + 1, 0, 0, 0, 0, 0, -1))
