"""The client of the service, made when the first request is due.

A `sync` that finds nothing new sends none, and would take a seventh of its time to import requests and urllib3.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from syncd.model import RequestMetadata
    from syncd.upload.body import SendFile
    from syncd.upload.client import Client
    from syncd.upload.replies import Hit, Reply, SearchFailed


class ClientAtNeed:
    """Sends and searches as the client does that `make` gives; asked for it once, by whichever thread is first."""

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

    def send(
        self,
        metadata: RequestMetadata,
        files: Sequence[SendFile],
        *,
        completing: Callable[[], None],
        leaving: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> Reply:
        """Send one request."""
        return self.client().send(
            metadata, files, completing=completing, leaving=leaving, cancel=cancel, waiting=waiting
        )

    def search(self, marker: str, unique_id: str | None) -> tuple[Hit, ...] | SearchFailed:
        """Look images up by their marker."""
        return self.client().search(marker, unique_id)
