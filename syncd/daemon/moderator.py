"""A voice that does not repeat itself for ever: a fault that goes on is said a few times, then counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncd.daemon.voice import Said, Voice
from syncd.figures import amount

WINDOW: Final = 600.0
"""Seconds over which repetitions are counted."""
SAME: Final = 3
"""So often the same fault with the same detail is said in a window."""
ALL: Final = 100
"""So often a kind of fault is said in a window, whatever the details."""
REPEATING: Final = frozenset(
    {
        Said.NOT_SENT,
        Said.THROTTLED,
        Said.REJECTED,
        Said.CHANGED,
        Said.UNREADABLE,
        Said.UNSETTLED,
        Said.ABSENT,
        Said.WATCH,
        Said.METRICS,
        Said.HOOK,
    }
)
"""What may be said again and again of the same thing. A photo that changes state is always said."""


@dataclass(slots=True)
class _Window:
    begun: float
    said: Counter[str]
    kept: int = 0
    last: tuple[bytes | None, str] = (None, "")


class Moderator:
    """Hands on what is worth a line, and counts everything. `counts` is what was heard since the start."""

    def __init__(self, voice: Voice, monotonic: Callable[[], float]) -> None:
        self.counts: Counter[Said] = Counter()
        self._voice = voice
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._windows: dict[Said, _Window] = {}

    def say(self, said: Said, path: bytes | None, detail: str) -> None:
        """Hear that something happened."""
        with self._lock:
            self.counts[said] += 1
            over = self._close_windows()
            worth_a_line = self._is_worth_a_line(said, path, detail)
        for kind, kept, where, last in over:
            self._voice.say(kind, where, f"{last} (and {amount(kept, 'time')} more like it in the last minutes)")
        if worth_a_line:
            self._voice.say(said, path, detail)

    def _is_worth_a_line(self, said: Said, path: bytes | None, detail: str) -> bool:
        if said not in REPEATING:
            return True
        window = self._windows.setdefault(said, _Window(self._monotonic(), Counter()))
        window.said[detail] += 1
        if window.said[detail] <= SAME and window.said.total() <= ALL:
            return True
        window.kept += 1
        window.last = (path, detail)
        return False

    def _close_windows(self) -> list[tuple[Said, int, bytes | None, str]]:
        now = self._monotonic()
        over = [said for said, window in self._windows.items() if now - window.begun >= WINDOW]
        closed = [(said, self._windows.pop(said)) for said in over]
        return [(said, window.kept, *window.last) for said, window in closed if window.kept]
