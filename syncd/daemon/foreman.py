"""The main thread of the daemon: keeps the way out at work, hears of signals and wishes, and ends it in order."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from syncd.daemon.outside import Outside
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.rest import Idle, Rest
from syncd.daemon.standing import AT_WORK, Rate, sentence
from syncd.daemon.vigil import UPLOADS
from syncd.daemon.watchman import Hinting, Watchman
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State

STOP_WITHIN: Final = 8.0
"""Seconds that requests under way may take once a stop was asked for; what is not complete then is given up."""
ANSWER_WITHIN: Final = 100.0
"""Seconds after that in which the answer to a complete request may come; without one it is unanswered."""
_LOOK: Final = 1.0
"""Seconds after which the ledger is asked in any case: another command may have changed an entry, or want a scan.

Only while something goes on: where nothing does, the ledger is waited for, and not asked."""
_SOON: Final = 0.02
"""Seconds after which it is asked once more after a write of another command, then twice that, and so on: such a write
is heard of before its transaction has ended."""
_COUNTING_SHARE: Final = 50
"""So many times as long as the counting for the line of status takes is waited for before the next."""


class Ending(StrEnum):
    """Why a run ended."""

    STOPPED = "stopped"
    RELOAD = "other settings are to be taken"


class Foreman:
    """The way out of the daemon, on the main thread, which also hears of signals and wishes."""

    def __init__(self, pipeline: Pipeline, watchman: Watchman, hints: Hinting, outside: Outside) -> None:
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
        """Send what is owed until a stop, until the intake fails, or until other settings are to be taken."""
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
