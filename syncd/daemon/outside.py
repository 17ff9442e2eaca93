"""What reaches a running daemon from outside, and what it says there: signals, other commands, the service manager."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from syncd.daemon.herald import Herald
from syncd.watch.health import Problem

CHECK_EVERY: Final = 10.0
"""Seconds between two examinations of the watcher."""
HALT_WITHIN: Final = 20.0
"""Seconds in which the intake must end once it was told to."""


class Alarm(Protocol):
    """Sets `wake` once when anybody writes to the ledger, after it was set."""

    @property
    def is_set(self) -> bool:
        """Whether the next write will wake."""
        ...

    def set(self) -> bool:
        """Have the next write wake, but none of before; False where that cannot be had."""
        ...


class NoAlarm:
    """Never wakes: the ledger is asked from time to time."""

    is_set: Final = False

    def set(self) -> bool:
        """Have nothing wake."""
        return False


@dataclass(slots=True)
class WatchHealth:
    """How the last look at the watcher went; read by others."""

    problems: tuple[Problem, ...] = ()
    polled: int = 0
    """Roots without events."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What reaches a running daemon from outside, and what it says there."""

    herald: Herald
    stop: threading.Event = field(default_factory=threading.Event)
    wake: threading.Event = field(default_factory=threading.Event)
    """There is news for the way out."""
    written: Alarm = field(default_factory=NoAlarm)
    """Sets `wake` when another command has written to the ledger."""
    reload: threading.Event = field(default_factory=threading.Event)
    """The configuration is to be read again."""
    reconsider: Callable[[], bool] = lambda: False
    """Reads the configuration again; tells whether its settings can be taken."""
    abandon: Callable[[], None] = lambda: None
    """Ends the requests that wait for an answer: they become unanswered."""
    done_at: Callable[[], float | None] = lambda: None
    """Tells when all that is owed will be sent, where that can be known."""
    health: WatchHealth = field(default_factory=WatchHealth)
    halt_within: float = HALT_WITHIN
    check_every: float = CHECK_EVERY
    """Seconds between two examinations of the watcher."""
