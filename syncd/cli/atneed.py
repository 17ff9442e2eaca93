"""The client of the service, made when the first request is due.

A `sync` that finds nothing new sends none, and would take a seventh of its time to import requests and urllib3.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from syncd.upload.client import Client


class ClientAtNeed:
    """Holds the client that `make` gives; asked for it once, by whichever thread is first."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._made is not None:
            self._made.close()

    def client(self) -> Client:
        """Give the client. Raises ConfigError where the settings let none be made."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def abandon(self, *, complete: bool = False) -> None:
        """End the requests under way, as the client does."""
        if self._made is not None:
            self._made.abandon(complete=complete)
