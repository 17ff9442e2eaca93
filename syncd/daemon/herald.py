"""What a running daemon says of itself to the service manager: one line of status, and that every worker lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from syncd.daemon.clock import Clock
from syncd.daemon.notify import Notifier
from syncd.daemon.vigil import Overdue, Vigil

STATUS_EVERY: Final = 10.0
"""Seconds between two lines of status while something changes."""
BUILD_WITHIN: Final = 900.0
"""Seconds that building a pipeline may take: as long as the start of the service may (TimeoutStartSec)."""
_LOOK_EVERY: Final = 1.0


class Herald:
    """Feeds the watchdog while nobody is overdue. `hung` is called once for the workers that are."""

    def __init__(self, notifier: Notifier, vigil: Vigil, clock: Clock, hung: Callable[[list[Overdue]], None]) -> None:
        self.vigil = vigil
        self._notifier = notifier
        self._clock = clock
        self._hung = hung
        self._look_every = min(_LOOK_EVERY, (notifier.watchdog or 60.0) / 8)
        self._feed_every = (notifier.watchdog or 60.0) / 4
        self._looked_at = self._fed_at = self._told_at = float("-inf")
        self._told = ""
        self._overdue: frozenset[str] = frozenset()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Keep the watchdog fed while a pipeline is built: a large ledger is checked, its places are judged anew.

        There is no progress to be heard of in it; so it is believed for a while, and no longer.
        """
        ended = threading.Event()

        def feed() -> None:
            deadline = time.monotonic() + BUILD_WITHIN
            while not ended.wait(self._feed_every) and time.monotonic() < deadline:
                self._notifier.alive()

        thread = threading.Thread(target=feed, name="building", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def ready(self, status: str) -> None:
        """Say that all is at work: lock, ledger and watcher are proved."""
        self._told = status
        self._notifier.ready(status)
        self.turn()

    def reloading(self) -> None:
        """Say that the configuration is read again."""
        self._notifier.reloading()

    def stopping(self, status: str) -> None:
        """Say that the end begins."""
        self._told = status
        self._notifier.stopping(status)

    def turn(self, status: Callable[[], str] | None = None) -> None:
        """Hear that the main thread lives; feed the watchdog, and say how things stand where that has changed."""
        now = self._clock.monotonic()
        if now < self._looked_at + self._look_every:
            return
        self._looked_at = now
        overdue = self.vigil.overdue()
        if overdue:
            self._say_hung(overdue)
            return
        self._overdue = frozenset()
        if now >= self._fed_at + self._feed_every:
            self._fed_at = now
            self._notifier.alive()
        if status is not None and now >= self._told_at + STATUS_EVERY:
            self._told_at = now
            self._say(status())

    def next_turn(self) -> float:
        """Tell, on the monotonic clock, when it must hear of the main thread again."""
        dues = [self._told_at + STATUS_EVERY, self.vigil.next_due()]
        if self._notifier.watchdog is not None:
            dues.append(self._fed_at + self._feed_every)
        return max(min(dues), self._looked_at + self._look_every)

    def _say(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._notifier.status(line)

    def _say_hung(self, overdue: list[Overdue]) -> None:
        workers = frozenset(one.worker for one in overdue)
        if workers <= self._overdue:
            return
        self._overdue |= workers
        self._hung(overdue)
        self._told = "; ".join(str(one) for one in overdue)
        self._notifier.hung(self._told)
