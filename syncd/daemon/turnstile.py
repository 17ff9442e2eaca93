"""Lets requests through one by one, as close together as the pace allows and never closer.

What can be done before is done before: the claim, the connection, reading and hashing the first bytes. Then a request
waits for its turn, so that none of that is lost time between two of them. What counts is its first byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

LEAD: Final = 0.5
"""Seconds before its turn at which a request is made: time for a connection over a slow line, and no more, because
what arrives meanwhile is not in it."""
LONGEST_HEAD_START: Final = 0.05
"""Seconds. A request may be marked as complete in the ledger so much before its turn, at most."""
_ENOUGH: Final = 1e-6
_FRESH: Final = 0.3

Pause = Callable[[float, threading.Event], None]
"""Waits so many seconds, or until the event is set."""


def real_pause(seconds: float, cancelled: threading.Event) -> None:
    """Wait on the clock of the machine."""
    cancelled.wait(seconds)


class Turnstile:
    """Shared by all requests under way. Without a `pause` nobody waits: each leaves as soon as it is made."""

    def __init__(self, monotonic: Callable[[], float], pause: Pause | None = None, *, lead: float = 0.0) -> None:
        self.lead = lead
        self._monotonic = monotonic
        self._pause = pause
        self._lock = threading.Lock()
        self._left = float("-inf")
        self._noting = threading.Lock()
        self._head_start = 0.0

    def turn(self, at: float, interval: float) -> Turn:
        """Give the turn of a request: at a moment (monotonic), and `interval` seconds after the one before."""
        return Turn(self, at, interval)

    def wait(self, turn: Turn) -> None:
        """Wait until little more than a commit is left to do before the turn, or until it is given up."""
        if self._pause is None:
            return
        left = turn.at - self._head_start - self._monotonic()
        if left > 0:
            self._pause(left, turn.cancel)
        turn.ready_at = self._monotonic()

    def leave(self, turn: Turn) -> None:
        """Wait for the turn itself; when this returns the first byte leaves."""
        with self._lock:
            if self._pause is not None and turn.interval:
                self._learn(self._monotonic() - turn.ready_at)
                while (left := max(turn.at, self._left + turn.interval) - self._monotonic()) > _ENOUGH:
                    self._pause(left, _NEVER)
            self.has_left()
            turn.left = True

    def has_left(self) -> None:
        """Note that a first byte leaves, or has left: the next one is as far from it as the pace wants.

        Between the two a thread may lose its core for some milliseconds.
        """
        with self._noting:
            self._left = self._monotonic()

    def _learn(self, took: float) -> None:
        """Learn how long it takes from the end of the waiting to the first byte: a commit, mostly."""
        took = min(LONGEST_HEAD_START, max(0.0, took))
        # Late is lost and early only waits a little longer: so it follows a slow commit at once, and a fast one slowly.
        self._head_start = took if took > self._head_start else self._head_start + _FRESH * (took - self._head_start)


class Turn:
    """The turn of one request."""

    def __init__(self, turnstile: Turnstile, at: float, interval: float) -> None:
        self._turnstile = turnstile
        self.at = at
        """On the monotonic clock."""
        self.interval = interval
        """Seconds from the one before."""
        self.cancel = threading.Event()
        """Set it to have the request given up, where it is not complete yet."""
        self.given_up = ""
        """Why it was not to leave after all."""
        self.left = False
        """Its first byte has left."""
        self.ready_at = at

    def wait(self) -> None:
        """Wait, before anything is committed."""
        self._turnstile.wait(self)

    def leave(self) -> None:
        """Wait for the very moment, and take note of it."""
        self._turnstile.leave(self)

    def has_left(self) -> None:
        """Hear that its first byte has left."""
        if self.interval:
            self._turnstile.has_left()

    def give_up(self, why: str) -> None:
        """Have the request not leave, if it has not."""
        if not self.left:
            self.given_up = why
            self.cancel.set()


_NEVER: Final = threading.Event()
