"""How fast bytes leave, as far as it is known: large files on a slow line must not take every request under way."""

from __future__ import annotations

from typing import Final

LONG: Final = 5.0
"""Seconds from which on a request is taken to hold its place for long."""
SMALL_FILE: Final = 1_000_000
"""Bytes of a file that is let past the large ones."""
SMALL_REQUEST: Final = 4_000_000
"""Bytes of a request that is let past the large ones; more takes long where nothing is known of the line."""
_TELLING: Final = 250_000
_FRESH: Final = 0.3


class Line:
    """Learns from requests that were answered. For the thread that plans."""

    def __init__(self) -> None:
        self._rate: float | None = None

    def note(self, size: int, seconds: float) -> None:
        """Learn that a request of so many bytes took so long, the answer included."""
        if size < _TELLING or seconds <= 0:
            return
        rate = size / seconds
        self._rate = rate if self._rate is None else self._rate + _FRESH * (rate - self._rate)

    def is_long(self, size: int) -> bool:
        """Tell whether a request of so many bytes would take long."""
        return size > SMALL_REQUEST if self._rate is None else size > self._rate * LONG
