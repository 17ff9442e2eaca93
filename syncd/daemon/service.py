"""`run`: watch the folders and upload what is new, until told to stop or to take other settings.

Two workers: the intake on a thread of its own, the dispatch on the calling one. The observer starts before the first
scan, so that what changes during the scan is hinted at. Stop: no new work, the request in hand ends or is given up,
everything is closed in reverse.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from syncd.daemon.herald import Herald
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.rest import Idle, Rest
from syncd.daemon.standing import AT_WORK, Rate, sentence
from syncd.daemon.vigil import INTAKE, UPLOADS
from syncd.daemon.voice import Said
from syncd.errors import HungError
from syncd.figures import amount, duration
from syncd.ledger.watchbook import WatchBook
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State
from syncd.model import PlacePath
from syncd.watch.health import Problem
from syncd.watch.hints import HintBatch
from syncd.watch.reach import split

CHECK_EVERY: Final = 10.0
"""Seconds between two examinations of the watcher."""
PROVE_WITHIN: Final = 5.0
"""Seconds that the watcher has to show that events arrive, before syncd says that it is ready."""
STOP_WITHIN: Final = 8.0
"""Seconds that requests under way may take once a stop was asked for; what is not complete then is given up."""
ANSWER_WITHIN: Final = 100.0
"""Seconds after that in which the answer to a complete request may come; without one it is unanswered."""
HALT_WITHIN: Final = 20.0
"""Seconds in which the intake must end once it was told to."""
SUSPENDED: Final = 5.0
"""Seconds: a machine that slept for longer may have missed changes, and other disks may be mounted."""
AT_ONCE: Final = 64
"""Files that have settled, the latest ones, that are read when a scan is interrupted."""
_LOOK: Final = 1.0
"""Seconds after which the ledger is asked in any case: another command may have changed an entry, or want a scan.

Only while something goes on: where nothing does, the ledger is waited for, and not asked."""
_SOON: Final = 0.02
"""Seconds after which it is asked once more after a write of another command, then twice that, and so on: such a write
is heard of before its transaction has ended."""
_FAREWELL: Final = "what is under way is finished or given up, nothing new leaves"
_COUNTING_SHARE: Final = 50
"""So many times as long as the counting for the line of status takes is waited for before the next."""


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


class Alarm(Protocol):
    """Sets `wake` once when anybody writes to the ledger, after it was set."""

    @property
    def is_set(self) -> bool:
        """Whether the next write will wake."""
        ...

    def set(self) -> bool:
        """Have the next write wake, but none of before; False where that cannot be had."""
        ...


class NoAlarm:
    """Never wakes: the ledger is asked from time to time."""

    is_set: Final = False

    def set(self) -> bool:
        """Have nothing wake."""
        return False


class Ending(StrEnum):
    """Why a run ended."""

    STOPPED = "stopped"
    RELOAD = "other settings are to be taken"


@dataclass(slots=True)
class WatchHealth:
    """How the last look at the watcher went; read by others."""

    problems: tuple[Problem, ...] = ()
    polled: int = 0
    """Roots without events."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What reaches a running daemon from outside, and what it says there."""

    herald: Herald
    stop: threading.Event = field(default_factory=threading.Event)
    wake: threading.Event = field(default_factory=threading.Event)
    """There is news for the way out."""
    written: Alarm = field(default_factory=NoAlarm)
    """Sets `wake` when another command has written to the ledger."""
    reload: threading.Event = field(default_factory=threading.Event)
    """The configuration is to be read again."""
    reconsider: Callable[[], bool] = lambda: False
    """Reads the configuration again; tells whether its settings can be taken."""
    abandon: Callable[[], None] = lambda: None
    """Ends the requests that wait for an answer: they become unanswered."""
    done_at: Callable[[], float | None] = lambda: None
    """Tells when all that is owed will be sent, where that can be known."""
    health: WatchHealth = field(default_factory=WatchHealth)
    halt_within: float = HALT_WITHIN
    check_every: float = CHECK_EVERY
    """Seconds between two examinations of the watcher."""


def run(pipeline: Pipeline, watcher: Watching, hints: Hinting, outside: Outside) -> Ending:
    """Run until a stop, or until other settings are to be taken.

    Raises what ended a worker, HungError where one does not end: systemd then starts syncd again.
    """
    watchman = _Watchman(pipeline, watcher, hints, outside)
    dispatching = _Dispatching(pipeline, watchman, hints, outside)
    ending = Ending.STOPPED
    with ExitStack() as closing:
        closing.callback(watcher.stop)
        watcher.start()
        closing.callback(watchman.halt, outside.herald, outside.halt_within)
        closing.callback(dispatching.finish)
        closing.callback(watchman.hurry)
        _prove(pipeline, watcher)
        pipeline.voice.say(Said.READY, None, f"watching {amount(len(pipeline.roots), 'folder')}")
        outside.herald.ready(dispatching.line())
        watchman.start()
        ending = dispatching.until_it_ends()
        if ending is Ending.STOPPED:
            outside.herald.stopping(f"ending: {_FAREWELL}")
            pipeline.voice.say(Said.ENDING, None, _FAREWELL)
        else:
            pipeline.voice.say(Said.RELOADING, None, "the configuration can be used: all is built anew from it")
    if watchman.error is not None:
        raise watchman.error
    if watchman.hangs:
        raise HungError(
            f"{INTAKE} did not end within {outside.halt_within:.0f} s: a disk or network folder may hang",
            hint="Look at the folders and the kernel's log; nothing is lost, the next start goes on.",
        )
    return ending


def _prove(pipeline: Pipeline, watcher: Watching) -> None:
    for root in watcher.prove(PROVE_WITHIN):
        pipeline.voice.say(Said.WATCH, root, "no event has arrived yet; it is scanned, and watched anew if none comes")


class _Dispatching:
    """The way out of the daemon, on the main thread, which also hears of signals and wishes."""

    def __init__(self, pipeline: Pipeline, watchman: _Watchman, hints: Hinting, outside: Outside) -> None:
        self._pipeline = pipeline
        self._watchman = watchman
        self._hints = hints
        self._outside = outside
        self._wishes = Wishes(pipeline.store)
        self._rate = Rate()
        self._idle: Idle | None = None
        self._told: object = None
        self._line = ""
        self._count_at = 0.0
        self._told_rest: Rest | None = None
        self._wishes_at = float("-inf")
        self._is_quiet = False
        self._look = _LOOK

    def until_it_ends(self) -> Ending:
        outside, dispatch = self._outside, self._pipeline.dispatch
        while not outside.stop.is_set() and self._watchman.error is None:
            outside.wake.clear()
            if outside.reload.is_set() and self._takes_other_settings():
                return Ending.RELOAD
            self._grant_wishes()
            self._idle = dispatch.turn()
            outside.herald.vigil.progress(UPLOADS)
            outside.herald.turn(self.line)
            timeout = 0.0 if self._idle is None else self._until_next(self._idle)
            outside.herald.vigil.progress(UPLOADS, timeout)
            self._wait(timeout)
        return Ending.STOPPED

    def _wait(self, timeout: float) -> None:
        waited_for_a_write = self._outside.written.is_set
        woken = self._outside.wake.wait(timeout)
        self._is_quiet = not woken and (self._is_quiet or timeout >= _LOOK)
        if waited_for_a_write and not self._outside.written.is_set:
            self._look = _SOON
        elif not woken:
            self._look = min(_LOOK, 2 * self._look)

    def _until_next(self, idle: Idle) -> float:
        """Say for how many seconds there is nothing to do, if nobody wakes it."""
        clock, written = self._pipeline.clock, self._outside.written
        left = float("inf") if idle.until is None else max(0.0, idle.until - clock.now())
        if left <= _LOOK or not self._is_quiet or self._pipeline.dispatch.in_flight:
            return min(left, self._look)
        if written.is_set:
            return max(0.0, min(left, self._outside.herald.next_turn() - clock.monotonic()))
        if written.set():
            # What was written until now wakes nobody: all is asked once more.
            self._wishes_at = float("-inf")
            return 0.0
        return _LOOK

    def line(self) -> str:
        """Say how things stand; counted again only where something has happened since, and not all the time."""
        pipeline = self._pipeline
        begun = pipeline.clock.monotonic()
        rest = self._idle.rest if self._idle is not None and self._idle.rest not in AT_WORK else None
        if begun < self._count_at and rest is self._told_rest:
            return self._line
        self._told_rest = rest
        tally = pipeline.intake.tally
        happened = (dict(pipeline.dispatch.outcomes), dict(tally.recorded), tally.gone, set(tally.absent), rest)
        if happened != self._told:
            self._told = happened
            status = pipeline.status()
            self._rate.note(status.entries[State.UPLOADED], pipeline.clock.monotonic())
            rate, done_at = self._rate.photos_a_second(), self._outside.done_at()
            self._line = sentence(status, self._idle, rate, pipeline.clock.now(), done_at=done_at)
            took = pipeline.clock.monotonic() - begun
            self._count_at = begun + _COUNTING_SHARE * took
        return self._line

    def finish(self) -> None:
        """Let the requests under way end: first all of them, then those that are complete, at last none."""
        try:
            self._let_them_end()
        except BaseException:
            # Somebody is in a hurry, or the ledger is gone: nobody waits for an answer any more.
            self._outside.abandon()
            raise

    def _let_them_end(self) -> None:
        self._wait_for_answers(STOP_WITHIN)
        self._pipeline.dispatch.give_up_what_is_incomplete()
        self._wait_for_answers(ANSWER_WITHIN)
        if self._pipeline.dispatch.in_flight:
            self._outside.abandon()
        self._wait_for_answers(STOP_WITHIN)
        self._outside.herald.vigil.ended(UPLOADS)

    def _wait_for_answers(self, within: float) -> None:
        dispatch, clock = self._pipeline.dispatch, self._pipeline.clock
        deadline = clock.monotonic() + within
        while dispatch.in_flight and clock.monotonic() < deadline:
            self._outside.herald.vigil.progress(UPLOADS, _LOOK)
            self._outside.herald.turn()
            dispatch.collect(min(_LOOK, max(0.0, deadline - clock.monotonic())))

    def _takes_other_settings(self) -> bool:
        # Cleared first: a reload that is asked for while the file is read is another one.
        self._outside.reload.clear()
        self._outside.herald.reloading()
        if self._outside.reconsider():
            return True
        self._outside.herald.ready("the new configuration cannot be used and was not taken (the log says why)")
        return False

    def _grant_wishes(self) -> None:
        now = self._pipeline.clock.monotonic()
        if now - self._wishes_at < self._look / 4:
            return
        self._wishes_at = now
        asked_at = self._wishes.scan_asked_at()
        if asked_at is not None:
            self._wishes.scan_begins(asked_at)
            if self._pipeline.dispatch.gate.pause is not None:
                self._pipeline.dispatch.probe_now()
            for root in self._pipeline.roots:
                self._hints.rescan(root)


class _Watchman:
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
