"""One `sync`: scan every root, upload all that is owed, end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from syncd.daemon.pipeline import Pipeline
from syncd.daemon.rest import Idle, Rest
from syncd.daemon.voice import Said
from syncd.ledger.sightings import Recorded
from syncd.ledger.territory import AsideReason
from syncd.lifecycle import State

PAUSED_GRACE: Final = 10.0
"""Seconds that the scan under way may still take once the queue is paused, so that the counts are whole."""
_LOOK: Final = 1.0
"""Seconds after which the loop looks around in any case."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a sync came to."""

    rest: Rest
    """Why it ended."""
    paused: str | None
    outcomes: Counter[State]
    """What became of entries in this run."""
    recorded: Counter[Recorded]
    unreadable: int
    unsettled: int
    lookups_outstanding: bool
    owed_later: bool
    absent: int
    held: int
    """Folders of which nothing is taken in before a person says so."""
    interrupted: bool
    waiting: str = ""
    """Why nothing may leave, where the clock, the network or a person says so."""

    @property
    def exit_code(self) -> int:
        """The exit code, by the precedence of the README's table."""
        outstanding = self.paused is not None or self.rest is Rest.BUDGET or self.owed_later or self.lookups_outstanding
        if self.interrupted or outstanding or self.unsettled:
            return 75
        arose = self.outcomes[State.REFUSED] + self.outcomes[State.UNANSWERED]
        arose += self.recorded[Recorded.UNFIT] + self.recorded[Recorded.DOUBTFUL]
        return 3 if arose or self.unreadable or self.held else 0


def sync(pipeline: Pipeline, *, wait: float, stop: threading.Event, wake: threading.Event) -> Result:
    """Run to the end. `wait`: seconds to wait for an entry that is not due yet. `wake` is set when there is news."""
    if pipeline.dispatch.gate.pause is not None:
        pipeline.dispatch.probe_now()
    scanning = _Scanning(pipeline, wait, stop, wake)
    scanning.start()
    try:
        idle = _send_all(pipeline, scanning, wait, stop, wake)
    finally:
        pipeline.store.let_go()
        scanning.end()
        pipeline.dispatch.finish(0.0 if stop.is_set() else None)
    if scanning.error is not None:
        raise scanning.error
    return _result(pipeline, idle, interrupted=stop.is_set())


def scan_only(pipeline: Pipeline, *, wait: float, stop: threading.Event, wake: threading.Event) -> bool:
    """Scan and record as a sync does, and send nothing. Tell whether something arose that needs a person."""
    scanning = _Scanning(pipeline, wait, stop, wake)
    scanning.start()
    while scanning.alive():
        wake.wait(_LOOK)
        wake.clear()
        if stop.is_set():
            break
    scanning.end()
    if scanning.error is not None:
        raise scanning.error
    tally = pipeline.intake.tally
    return bool(tally.recorded[Recorded.UNFIT] + tally.recorded[Recorded.DOUBTFUL] + tally.unreadable) or bool(
        tally.held
    )


class _Scanning:
    """The intake of one sync, on a thread of its own."""

    def __init__(self, pipeline: Pipeline, wait: float, stop: threading.Event, wake: threading.Event) -> None:
        self._pipeline = pipeline
        self._wait = wait
        self._stop = stop
        self._wake = wake
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watched, args=(self._scan_all,), name="intake", daemon=True)
        self._done = False
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        return not self._done

    def go_on(self) -> None:
        """Look again at what is due for a look after the scan: a file that changed while it was sent."""
        due = None if self.alive() or self.error is not None else self._pipeline.intake.next_due()
        if due is not None and due <= self._pipeline.clock.monotonic():
            self._thread.join()
            self._done = False
            self._thread = threading.Thread(target=self._watched, args=(self._settle_all,), name="intake", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Have it end after the file in hand."""
        self._ended.set()
        self._pipeline.intake.halt()
        self._thread.join()

    def _scan_all(self) -> None:
        for root in self._pipeline.roots:
            self._pipeline.intake.scan(root)
        self._settle_all()

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (handed to the main thread, which raises it)
            self.error = error
        finally:
            self._done = True
            self._wake.set()

    def _settle_all(self) -> None:
        intake, clock = self._pipeline.intake, self._pipeline.clock
        deadline = clock.monotonic() + self._wait
        while not self._ended.is_set() and not self._stop.is_set():
            due = intake.next_due()
            if due is None or due > deadline:
                break
            self._ended.wait(max(0.0, due - clock.monotonic()))
            intake.settle()
        intake.flush()


def _send_all(
    pipeline: Pipeline, scanning: _Scanning, wait: float, stop: threading.Event, wake: threading.Event
) -> Idle:
    dispatch, clock = pipeline.dispatch, pipeline.clock
    patience = clock.monotonic() + wait
    paused_since: float | None = None
    uploaded = 0
    while True:
        wake.clear()
        scanning.go_on()
        scanning_still = scanning.alive()
        idle = dispatch.turn()
        if stop.is_set():
            return idle or Idle(Rest.UNDER_WAY)
        if dispatch.outcomes[State.UPLOADED] != uploaded:
            uploaded = dispatch.outcomes[State.UPLOADED]
            patience = clock.monotonic() + wait
        if idle is None:
            continue
        paused_since = (paused_since or clock.monotonic()) if idle.rest is Rest.PAUSED else None
        overdue = paused_since is not None and clock.monotonic() - paused_since > PAUSED_GRACE
        if (
            not dispatch.in_flight
            and (overdue or not scanning_still)
            and _is_over(idle, clock.now(), patience, pipeline)
        ):
            return idle
        timeout = _LOOK if idle.until is None else max(0.0, min(_LOOK, idle.until - clock.now()))
        wake.wait(timeout)


def _is_over(idle: Idle, now: float, patience: float, pipeline: Pipeline) -> bool:
    match idle.rest:
        case Rest.NOTHING_OWED | Rest.PAUSED | Rest.BUDGET | Rest.BY_A_PERSON | Rest.HOURS | Rest.METERED:
            return True
        case Rest.BACK_OFF | Rest.UNANSWERED:
            left = patience - pipeline.clock.monotonic()
            return idle.until is None or idle.until - now > left
        case Rest.PACE | Rest.LINGER | Rest.UNDER_WAY:
            return False


def _result(pipeline: Pipeline, idle: Idle, *, interrupted: bool) -> Result:
    intake, dispatch = pipeline.intake, pipeline.dispatch
    waiting = intake.waiting()
    if waiting:
        pipeline.voice.say(Said.UNSETTLED, None, f"{waiting} files have not settled yet ({AsideReason.UNSETTLED})")
    now = pipeline.status()
    pause = dispatch.gate.pause
    return Result(
        rest=idle.rest,
        paused=pause.reason if pause is not None else None,
        outcomes=dispatch.outcomes,
        recorded=intake.tally.recorded,
        unreadable=intake.tally.unreadable,
        unsettled=waiting,
        lookups_outstanding=now.lookup_at is not None,
        owed_later=now.entries[State.READY] > 0,
        absent=len(intake.tally.absent),
        held=len(intake.tally.held),
        interrupted=interrupted,
        waiting=idle.detail,
    )
