"""Whether every worker of the daemon makes progress, or is idle and will say so again in time.

A timer that only shows that the process lives would hide a hung thread. So each worker says, before each step, within
how many seconds it will be heard of again; who is not heard of is overdue, and the watchdog is not fed any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from syncd.daemon.flights import Sender
from syncd.model import RequestMetadata
from syncd.upload.body import SendFile
from syncd.upload.replies import Hit, Reply, SearchFailed

PATIENCE: Final = 300.0
"""Seconds that a step may take beyond what was said, where no service manager says how long it waits."""


INTAKE: Final = "the intake"
UPLOADS: Final = "the uploads"


@dataclass(frozen=True, slots=True)
class Overdue:
    """A worker that was not heard of in time. Seconds since it was last heard of."""

    worker: str
    silent: float

    def __str__(self) -> str:
        return f"{self.worker} has made no progress for {self.silent:.0f} s"


class Vigil:
    """Hears of the workers. From any thread."""

    def __init__(self, monotonic: Callable[[], float], patience: float = PATIENCE) -> None:
        self.patience = patience
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[float, float]] = {}

    def progress(self, worker: str, within: float = 0.0) -> None:
        """Hear that a worker has made a step, and that the next one takes at most so many seconds (and patience)."""
        now = self._monotonic()
        with self._lock:
            self._heard[worker] = (now, now + within + self.patience)

    def ended(self, worker: str) -> None:
        """Expect nothing more of a worker."""
        with self._lock:
            self._heard.pop(worker, None)

    def overdue(self) -> list[Overdue]:
        """Name those that should have been heard of."""
        now = self._monotonic()
        with self._lock:
            return [Overdue(worker, now - heard) for worker, (heard, due) in self._heard.items() if due < now]

    def next_due(self) -> float:
        """Tell, on the monotonic clock, when one is overdue at the earliest, if nobody is heard of before."""
        with self._lock:
            return min((due for _, due in self._heard.values()), default=float("inf"))


class WatchedSender:
    """A sender whose threads are watched. `step`: the longest that the network may keep one step waiting, in seconds.

    `passing` is to be called with the bytes of each piece of a body before it leaves; `hold_back` tells for how many
    seconds such a piece must wait.
    """

    def __init__(self, vigil: Vigil, step: float, hold_back: Callable[[int], float] = lambda _: 0.0) -> None:
        self._vigil = vigil
        self._step = step
        self._hold_back = hold_back
        self.sender: Callable[[], Sender] | None = None
        """Gives the sender that is watched."""

    def passing(self, size: int) -> float:
        """Hear that a piece of a body leaves; give the seconds for which it must wait."""
        wait = self._hold_back(size)
        self._vigil.progress(_thread(), self._step + wait)
        return wait

    def send(  # noqa: PLR0913  (one for each moment of a request)
        self,
        metadata: RequestMetadata,
        files: Sequence[SendFile],
        *,
        completing: Callable[[], None],
        leaving: Callable[[], None] | None = None,
        left: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> Reply:
        """Send one request."""
        assert self.sender is not None  # noqa: S101 - the composition root sets it before anything is sent
        self._vigil.progress(_thread(), self._step)
        try:
            return self.sender().send(
                metadata, files, completing=completing, leaving=leaving, left=left, cancel=cancel, waiting=waiting
            )
        finally:
            self._vigil.ended(_thread())

    def search(self, marker: str, unique_id: str | None) -> tuple[Hit, ...] | SearchFailed:
        """Look images up by their marker."""
        assert self.sender is not None  # noqa: S101 - see above
        self._vigil.progress(_thread(), self._step)
        try:
            return self.sender().search(marker, unique_id)
        finally:
            self._vigil.ended(_thread())


def _thread() -> str:
    return f"the sending thread {threading.current_thread().name}"
