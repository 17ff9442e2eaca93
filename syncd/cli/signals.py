"""How the world outside speaks to a process: an end, other settings. Light: it is in force before the rest is imported.

A signal that comes earlier than its handler ends the process as it ends any other (a SIGINT with one line of its own).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass(frozen=True, slots=True)
class Signals:
    """How the threads of one process talk: `stop` ends it, `wake` says that there is news for the way out.

    `reload` has the daemon read its configuration again.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    wake: threading.Event = field(default_factory=threading.Event)
    reload: threading.Event = field(default_factory=threading.Event)


@contextmanager
def listening(signals: Signals, *, reloads: bool = False) -> Iterator[None]:
    """Have SIGTERM and SIGINT end the work in order, and SIGHUP read the configuration again where that `reloads`.

    A second SIGINT ends the work at once.
    """

    def on_end(number: int, _frame: FrameType | None) -> None:
        if signals.stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        signals.stop.set()
        signals.wake.set()

    def on_reload(_number: int, _frame: FrameType | None) -> None:
        signals.reload.set()
        signals.wake.set()

    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]]
    handlers = {signal.SIGTERM: on_end, signal.SIGINT: on_end}
    if reloads:
        handlers[signal.SIGHUP] = on_reload
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
