"""Threads on a clock that jumps to the next moment at which one of them has something to do: ten minutes in a second.

Each thread that takes part either runs or pauses; when all pause, time goes on to the earliest end of a pause.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from syncd.model import RequestMetadata
from syncd.upload.body import SendFile
from syncd.upload.replies import Hit, Reply, SearchFailed, Stored

P = ParamSpec("P")
T = TypeVar("T")


class VirtualTime:
    """Both clocks of the daemon. The thread that makes it takes part from the start."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._passed = 0.0
        self._running = 1
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._pauses: list[tuple[float, int, threading.Event]] = []
        self._awake: set[int] = set()
        self._waiting: tuple[int, threading.Event] | None = None
        self._news = False

    def now(self) -> float:
        return self._start + self._passed

    def monotonic(self) -> float:
        return self._passed

    def suspended(self) -> float:
        return 0.0

    def pause(self, seconds: float, _cancelled: threading.Event | None = None) -> None:
        """Let time pass, for this thread."""
        with self._lock:
            event = self._sleep(seconds)[1]
        event.wait()

    def wait_for_news(self, seconds: float) -> None:
        """Let time pass until `news` is called; for one thread."""
        with self._lock:
            if self._news:
                self._news = False
                return
            number, event = self._sleep(seconds)
            self._waiting = (number, event)
        event.wait()
        with self._lock:
            self._waiting, self._news = None, False

    def news(self) -> None:
        """End the waiting for news, now or the next time."""
        with self._lock:
            self._news = True
            if self._waiting is not None and self._waiting[0] not in self._awake:
                self._awake.add(self._waiting[0])
                self._running += 1
                self._waiting[1].set()

    def begins(self) -> None:
        """Count a thread in."""
        with self._lock:
            self._running += 1

    def ends(self) -> None:
        """Count this thread out."""
        with self._lock:
            self._rest()

    def _sleep(self, seconds: float) -> tuple[int, threading.Event]:
        event, number = threading.Event(), next(self._numbers)
        heapq.heappush(self._pauses, (self._passed + max(0.0, seconds), number, event))
        self._rest()
        return number, event

    def _rest(self) -> None:
        self._running -= 1
        while self._running == 0 and self._pauses:
            at, number, event = heapq.heappop(self._pauses)
            if number in self._awake:
                self._awake.discard(number)
                continue
            self._passed = max(self._passed, at)
            self._awake.add(number) if self._waiting is not None and self._waiting[0] == number else None
            self._running += 1
            event.set()


class VirtualExecutor(Executor):
    """A thread for each piece of work, counted in before it starts."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 -- as the pool of the standard library does it
                future.set_exception(error)
            finally:
                self._time.ends()

        self._time.begins()
        threading.Thread(target=work, daemon=True).start()
        return future


class DistantService:
    """Stores everything, after a while: a connection, a commit, bytes on a line that all share, an answer."""

    def __init__(self, time: VirtualTime, *, connecting: float, latency: float, bytes_a_second: float = 1e12) -> None:
        self._time = time
        self._connecting, self._latency, self._rate = connecting, latency, bytes_a_second
        self._ids = itertools.count(1000)
        self._lock = threading.Lock()
        self._sending = 0
        self.left: list[tuple[float, tuple[str, ...]]] = []
        """When the first byte of each request left, and which files were in it."""

    def send(
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
        assert leaving is not None
        assert left is not None
        assert waiting is not None
        self._time.pause(self._connecting)
        waiting()
        completing()
        self._time.pause(0.003)
        leaving()
        image_id = str(next(self._ids))
        if int(image_id) % 2:
            self._time.pause(0.002)  # its thread lost its core just now
        with self._lock:
            self.left.append((self._time.monotonic(), tuple(file.wire_name for file in files)))
        left()
        self._send_bytes(sum(file.size for file in files))
        self._time.pause(self._latency)
        return Stored((image_id, *(str(next(self._ids)) for _ in files[1:])))

    def search(self, marker: str, unique_id: str | None) -> tuple[Hit, ...] | SearchFailed:
        return ()

    def _send_bytes(self, size: float) -> None:
        """Share the line: in steps, each as long as so many bytes take with as many others as send now."""
        with self._lock:
            self._sending += 1
        while size > 0:
            step = min(size, self._rate / 10)
            self._time.pause(step * self._sending / self._rate)
            size -= step
        with self._lock:
            self._sending -= 1


def nothing(*_: Any) -> None:
    """Do nothing."""
