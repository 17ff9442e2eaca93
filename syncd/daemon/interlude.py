"""Long work is interrupted for what is urgent: a scan of hours must not keep a new photo waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_BREATH: Final = 0.5
"""Seconds after which long work is interrupted for what is urgent."""
_DEEPEST: Final = 2
"""A scan is interrupted for a folder that appeared, and that for single files; those are quick."""


class Interludes:
    """Has what is urgent done twice a second in the middle of long work."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._between: Callable[[bool], None] | None = None
        self._depth = 0
        self._next_at = 0.0

    def __bool__(self) -> bool:
        """Tell whether this is the middle of one."""
        return self._depth > 0

    def serve(self, between: Callable[[bool], None]) -> None:
        """Have `between` called; it is told whether it must not begin long work again."""
        self._between = between

    def breathe(self) -> None:
        """Do what is urgent, where it is time."""
        if self._between is None or self._depth == _DEEPEST or self._monotonic() < self._next_at:
            return
        self._depth += 1
        self._next_at = self._monotonic() + _BREATH
        try:
            self._between(self._depth == _DEEPEST)
        finally:
            self._depth -= 1
            self._next_at = self._monotonic() + _BREATH
