"""`run`: watch the folders and upload what is new, until told to stop.

Two workers: the intake on a thread of its own, the dispatch on the calling one. The observer starts before the first
scan, so that what changes during the scan is hinted at. Stop: no new work, the request in hand ends or is given up,
everything is closed in reverse.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from syncd.daemon.dispatch import Idle
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.voice import Said
from syncd.model import PlacePath
from syncd.watch.health import Problem
from syncd.watch.hints import HintBatch
from syncd.watch.reach import split

CHECK_EVERY: Final = 10.0
"""Seconds between two examinations of the watcher."""
STOP_WITHIN: Final = 8.0
"""Seconds that requests under way may take once a stop was asked for."""
_LOOK: Final = 1.0
"""Seconds after which the ledger is asked in any case: another command may have changed an entry."""


class Watching(Protocol):
    """The watcher of the roots."""

    def start(self) -> None:
        """Begin to watch."""
        ...

    def stop(self) -> None:
        """Give up all watches."""
        ...

    def check(self, now: float) -> list[Problem]:
        """Examine and heal; `now` on the monotonic clock."""
        ...

    def polled(self) -> dict[bytes, str]:
        """Give the roots without events, and why."""
        ...

    def scanned(self, root: bytes, folders: int) -> None:
        """Hear how many folders a scan found."""
        ...


class Hinting(Protocol):
    """The hints not yet taken."""

    def take(self, timeout: float) -> HintBatch:
        """Take all hints, waiting for the first."""
        ...

    def wake(self) -> None:
        """End the waiting."""
        ...


def run(pipeline: Pipeline, watcher: Watching, hints: Hinting, *, stop: threading.Event, wake: threading.Event) -> None:
    """Run until `stop` is set. Raises what ended a worker: systemd then starts syncd again."""
    worker = _Watchman(pipeline, watcher, hints, stop, wake)
    watcher.start()
    try:
        worker.start()
        _dispatch(pipeline, worker, stop, wake)
    finally:
        stop.set()
        pipeline.intake.halt()
        hints.wake()
        pipeline.dispatch.finish(STOP_WITHIN)
        worker.join()
        watcher.stop()
    if worker.error is not None:
        raise worker.error


def _dispatch(pipeline: Pipeline, worker: _Watchman, stop: threading.Event, wake: threading.Event) -> None:
    dispatch, clock = pipeline.dispatch, pipeline.clock
    while not stop.is_set() and worker.error is None:
        wake.clear()
        idle = dispatch.turn()
        if isinstance(idle, Idle):
            wake.wait(_LOOK if idle.until is None else max(0.0, min(_LOOK, idle.until - clock.now())))


class _Watchman:
    """The intake of the daemon: scans, hints, settling and the health of the watcher, on one thread."""

    def __init__(
        self,
        pipeline: Pipeline,
        watcher: Watching,
        hints: Hinting,
        stop: threading.Event,
        wake: threading.Event,
    ) -> None:
        self._pipeline = pipeline
        self._watcher = watcher
        self._hints = hints
        self._stop = stop
        self._wake = wake
        self._rng = random.Random()  # noqa: S311  (jitter, no secret)
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._scan_at: dict[bytes, float] = {}
        self._check_at = 0.0
        self._told: frozenset[str] = frozenset()
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            for root in self._pipeline.roots:
                self._scan(root)
            while not self._stop.is_set():
                self._turn()
        except BaseException as error:  # noqa: BLE001  (handed to the main thread, which raises it)
            self.error = error
        finally:
            self._wake.set()

    def _turn(self) -> None:
        intake, clock = self._pipeline.intake, self._pipeline.clock
        self._follow(self._hints.take(self._until_next(clock.monotonic())))
        intake.settle()
        now = clock.monotonic()
        for root in [root for root, at in self._scan_at.items() if at <= now]:
            self._scan(root)
        if now >= self._check_at:
            self._check_at = now + CHECK_EVERY
            self._tell(self._watcher.check(now))
            intake.set_aside_given_up()
            intake.rest()

    def _follow(self, batch: HintBatch) -> None:
        roots = self._pipeline.roots
        for root in batch.rescan:
            self._scan(root)
        for folder in sorted(batch.folders):
            place = split(folder, roots)
            if place is not None and place.root not in batch.rescan:
                self._pipeline.intake.look_below(place)
        places: list[PlacePath] = []
        for path in sorted(batch.files):
            place = split(path, roots)
            if place is not None and place.root not in batch.rescan:
                places.append(place)
        self._pipeline.intake.look_at(places)

    def _scan(self, root: bytes) -> None:
        settings = self._pipeline.settings.watch
        seen = self._pipeline.intake.scan(root)
        if seen is not None:
            self._watcher.scanned(root, seen)
        polled = root in self._watcher.polled()
        # Jittered, so that the rescans of many folders and many machines do not meet.
        wait = settings.poll if polled or seen is None else settings.rescan * self._rng.uniform(0.75, 1.25)
        self._scan_at[root] = self._pipeline.clock.monotonic() + wait

    def _until_next(self, now: float) -> float:
        times = [self._check_at, *self._scan_at.values()]
        due = self._pipeline.intake.next_due()
        if due is not None:
            times.append(due)
        return max(0.0, min(times) - now)

    def _tell(self, problems: Sequence[Problem]) -> None:
        """Say each problem of the watcher once, not at every look."""
        now = frozenset(str(problem) for problem in problems)
        for problem in problems:
            if str(problem) not in self._told:
                self._pipeline.voice.say(Said.WATCH, problem.root, f"{problem.fault}: {problem.detail}. {problem.hint}")
        self._told = now
