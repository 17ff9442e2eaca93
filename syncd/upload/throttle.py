"""The ceiling on bytes a second, shared by all requests under way. Pure but for its own count; the clock is given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

BURST: Final = 0.25
"""Seconds of the allowed bytes that may leave at once after a rest."""


class Throttle:
    """Tells each piece how long it must wait, so that all together stay below the ceiling. From any thread."""

    def __init__(self, bytes_per_second: float | None, monotonic: Callable[[], float]) -> None:
        self._rate = bytes_per_second
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._free_at = float("-inf")
        """When everything that was let through so far will have left, at the allowed rate."""

    def delay(self, size: int) -> float:
        """Let so many bytes through, and give the seconds that they must wait before they leave."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._monotonic()
            self._free_at = max(self._free_at, now - BURST)
            wait = max(0.0, self._free_at - now)
            self._free_at += size / self._rate
        return wait
