"""The intake of the daemon, on a thread of its own: when it scans, what it hears of, and the health of the watcher."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from syncd.daemon.herald import Herald
from syncd.daemon.outside import Outside
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.vigil import INTAKE
from syncd.daemon.voice import Said
from syncd.figures import duration
from syncd.ledger.watchbook import WatchBook
from syncd.model import PlacePath
from syncd.watch.health import Problem
from syncd.watch.hints import HintBatch
from syncd.watch.reach import split

SUSPENDED: Final = 5.0
"""Seconds: a machine that slept for longer may have missed changes, and other disks may be mounted."""
AT_ONCE: Final = 64
"""Files that have settled, the latest ones, that are read when a scan is interrupted."""
_LOOK: Final = 1.0
"""Seconds between two looks at whether it has ended."""


class Watching(Protocol):
    """The watcher of the roots."""

    def start(self) -> None:
        """Begin to watch."""
        ...

    def prove(self, within: float) -> list[bytes]:
        """Wait until each watched root has shown that events arrive; give those that did not in time."""
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

    def rescan(self, root: bytes) -> None:
        """Ask for a scan of a whole root."""
        ...

    def wake(self) -> None:
        """End the waiting."""
        ...


class Watchman:
    """The intake of the daemon: scans, hints, settling and the health of the watcher, on one thread."""

    def __init__(self, pipeline: Pipeline, watcher: Watching, hints: Hinting, outside: Outside) -> None:
        self._pipeline = pipeline
        self._watcher = watcher
        self._hints = hints
        self._wake = outside.wake
        self._vigil = outside.herald.vigil
        self._health = outside.health
        self._check_every = outside.check_every
        self._ended = threading.Event()
        self._rng = random.Random()  # noqa: S311  (jitter, no secret)
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._scan_at: dict[bytes, float] = {}
        self._check_at = 0.0
        self._suspended = pipeline.clock.suspended()
        self._told: frozenset[str] = frozenset()
        self._book = WatchBook(pipeline.store)
        self._asked: set[bytes] = set()
        self._later: set[bytes] = set()
        self._seen: set[bytes] = set()
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to scan."""
        self._vigil.progress(INTAKE)
        self._thread.start()

    def hurry(self) -> None:
        """Have it end after the file in hand, without waiting for it."""
        self._ended.set()
        self._pipeline.intake.halt()
        self._hints.wake()

    def halt(self, herald: Herald, within: float) -> None:
        """Have it end after the file in hand, and wait for that, so many seconds at most."""
        self.hurry()
        clock = self._pipeline.clock
        deadline = clock.monotonic() + within
        while self.hangs and clock.monotonic() < deadline:
            self._hints.wake()
            herald.turn()
            self._thread.join(_LOOK)
        self._vigil.ended(INTAKE)
        if self.hangs:
            # Said now: closing the ledger under it may hang, too.
            self._pipeline.voice.say(Said.WATCH, None, f"{INTAKE} does not end: a disk or network folder may hang")

    @property
    def hangs(self) -> bool:
        """Whether the thread is (still) at work."""
        return self._thread.ident is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._pipeline.intake.interleave(self._between)
            self._check()
            for root in self._pipeline.roots:
                self._scan(root)
            while not self._ended.is_set():
                self._turn()
            self._book.ended()
        except BaseException as error:  # noqa: BLE001  (handed to the main thread, which raises it)
            self.error = error
        finally:
            self._vigil.ended(INTAKE)
            self._wake.set()

    def _turn(self) -> None:
        intake, clock = self._pipeline.intake, self._pipeline.clock
        timeout = self._until_next(clock.monotonic())
        self._vigil.progress(INTAKE, timeout)
        self._follow(self._take(timeout))
        intake.settle()
        self._mind_sleep()
        now = clock.monotonic()
        for root in [root for root, at in self._scan_at.items() if at <= now or root in self._asked]:
            self._scan(root)
        if now >= self._check_at:
            self._check()
            intake.set_aside_given_up()
            intake.rest()

    def _between(self, deep: bool) -> None:  # noqa: FBT001  (as Intake.interleave says)
        """Serve what arrives in the middle of a scan, and examine the watcher. Scans that are asked for come after.

        `deep`: in the middle of what this does itself; then folders wait, too, and single files alone are served.
        """
        self._vigil.progress(INTAKE)
        self._follow(self._take(0.0, deep=deep))
        self._pipeline.intake.settle(AT_ONCE)
        self._mind_sleep()
        if self._pipeline.clock.monotonic() >= self._check_at:
            self._check()

    def _check(self) -> None:
        now = self._pipeline.clock.monotonic()
        self._check_at = now + self._check_every
        problems = self._watcher.check(now)
        polled = self._watcher.polled()
        self._health.problems, self._health.polled = tuple(problems), len(polled)
        self._tell(problems)
        for root in self._pipeline.roots:
            found = [f"{problem.fault}: {problem.detail}" for problem in problems if problem.root == root]
            how = f"polled: {polled[root]}" if root in polled else "events"
            self._book.note(root, how, "; ".join(found) or None, self._pipeline.clock.now())

    def _take(self, timeout: float, *, deep: bool = False) -> HintBatch:
        batch = self._hints.take(timeout)
        if deep:
            self._later |= batch.folders
            return replace(batch, folders=frozenset())
        later, self._later = frozenset(self._later), set()
        return replace(batch, folders=batch.folders | later)

    def _mind_sleep(self) -> None:
        if self._was_suspended():
            self._asked.update(self._pipeline.roots)
            self._check_at = 0.0
            self._wake.set()  # what was waited for by the clock may be due

    def _was_suspended(self) -> bool:
        """Tell whether the machine slept since the last look: what changed meanwhile gave no events."""
        slept = self._pipeline.clock.suspended() - self._suspended
        self._suspended += slept
        if slept < SUSPENDED:
            return False
        self._pipeline.voice.say(Said.AWAKE, None, f"the machine was suspended for {duration(slept)}; all is scanned")
        return True

    def _follow(self, batch: HintBatch) -> None:
        roots = self._pipeline.roots
        self._asked |= batch.rescan
        places: list[PlacePath] = []
        for path in sorted(batch.files):
            place = split(path, roots)
            if place is not None and place.root not in batch.rescan:
                places.append(place)
        self._pipeline.intake.look_at(places)
        for folder in sorted(batch.folders):
            place = split(folder, roots)
            if place is not None and place.root not in batch.rescan:
                self._pipeline.intake.look_below(place)

    def _scan(self, root: bytes) -> None:
        settings = self._pipeline.settings.watch
        intake = self._pipeline.intake
        polled = root in self._watcher.polled()
        expects_nothing = root in self._seen and root not in self._asked and not polled
        self._asked.discard(root)
        self._seen.discard(root)
        seen = intake.scan(root, expects_nothing=expects_nothing)
        if seen is not None:
            self._seen.add(root)
            self._watcher.scanned(root, seen)
        missed = intake.tally.missed.pop(root, 0)
        if missed:
            self._book.missed(root, missed)
            self._pipeline.voice.say(Said.WATCH, root, f"the rescan found {missed:,} files that no event had told of")
        polled = root in self._watcher.polled()
        # Jittered, so that the rescans of many folders and many machines do not meet.
        wait = settings.poll if polled or seen is None else settings.rescan * self._rng.uniform(0.75, 1.25)
        self._scan_at[root] = self._pipeline.clock.monotonic() + wait

    def _until_next(self, now: float) -> float:
        if self._asked or self._later:
            return 0.0
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
