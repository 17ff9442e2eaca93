"""A clock that only moves when a test moves it."""

from __future__ import annotations

import threading
import time

from syncd.watch.hints import HintBatch


class FakeClock:
    """Starts a month ahead of the machine's clock in most tests, so that files made just now have settled."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._monotonic = 1_000.0
        self._suspended = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def suspended(self) -> float:
        return self._suspended

    def suspend(self, seconds: float) -> None:
        """Have the machine sleep: the clock that people read goes on, the monotonic one does not."""
        self._now += seconds
        self._suspended += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the clock that people read; the monotonic one does not notice."""
        self._now += seconds


class RunningClock(FakeClock):
    """Goes on by itself, as far ahead of the machine's clock as it was made."""

    def __init__(self, ahead: float) -> None:
        super().__init__(time.time() + ahead)
        self._made = time.monotonic()

    def now(self) -> float:
        return self._now + time.monotonic() - self._made

    def monotonic(self) -> float:
        return time.monotonic()


class FakeHints:
    """Hints that a test gives one by one; what waits for them waits on the real clock, but never for long."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._batches: list[HintBatch] = []
        self._woken = False
        self.taken = 0
        self.rescans: list[bytes] = []

    def give(self, batch: HintBatch) -> None:
        with self._changed:
            self._batches.append(batch)
            self._changed.notify_all()

    def take(self, timeout: float) -> HintBatch:
        with self._changed:
            self.taken += 1
            self._changed.wait_for(lambda: self._woken or bool(self._batches), timeout)
            self._woken = False
            return self._batches.pop(0) if self._batches else HintBatch()

    def rescan(self, root: bytes) -> None:
        with self._changed:
            self.rescans.append(root)
        self.give(HintBatch(rescan=frozenset({root})))

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()
