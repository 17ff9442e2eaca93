"""When the next request may leave, and in what shape. Pure: the state of the gate in, the new state out.

The service allows few requests, bills each upload, and may suspend a key that insists. So one gate stands before
everything that leaves: the pace, the breaker after unanswered requests, the back-off after failed ones, the pause.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from syncd.lifecycle import Outcome, backoff

BREAKER_FIRST: Final = 1.0
BREAKER_CAP: Final = 3600.0
PAUSE_FIRST: Final = 15 * 60.0
PAUSE_CAP: Final = 6 * 3600.0
SLOWEST: Final = 120.0
FIRST_LEARNED: Final = 1.0
QUIET_REQUESTS: Final = 50
SLOW_ENOUGH: Final = 8
"""Answers in a row that it was too fast, after which the distance goes on doubling, to an hour; single files try."""
SYSTEMATIC: Final = 5
"""So many single-file refusals in a row with the same message are no longer the files' fault."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The whole queue stands still, until a person has put something right."""

    reason: str
    since: float
    probe_at: float | None
    """When one request may try whether it is still so; None: only a person ends it."""
    probes: int = 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read a pause from the ledger; what another version added to it is left out."""
        return cls(**{k: v for k, v in value.items() if k in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Gate:
    """All that decides when the next request may leave. Times are seconds since the epoch."""

    left_at: float = 0.0
    """When the last request left."""
    interval: float | None = None
    """Seconds between requests that the service taught us; None: as configured."""
    quiet: int = 0
    """Answered requests since the service last complained about the pace, or since the pace was last raised."""
    unanswered: int = 0
    """Unanswered requests in a row. More than none: the breaker is open, and only single-file probes leave."""
    failures: int = 0
    """Requests in a row that never left completely."""
    not_before: float = 0.0
    refusals: int = 0
    refusal: str = ""
    batch_cap: int | None = None
    """The most files the service said it takes in a request."""
    throttles: int = 0
    """Requests in a row that came too fast for the service."""
    pause: Pause | None = None

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read a gate from the ledger; an unknown or missing one is an open gate."""
        if not isinstance(value, dict):
            return cls()
        pause = value.get("pause")
        known = {k: v for k, v in value.items() if k in cls.__dataclass_fields__ and k != "pause"}
        return cls(**known, pause=Pause.from_json(pause) if isinstance(pause, dict) else None)

    def to_json(self) -> dict[str, Any]:
        """Give the gate as the ledger keeps it."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {"pause": asdict(self.pause) if self.pause is not None else None}


@dataclass(frozen=True, slots=True)
class Go:
    """A request may leave from `at` on. `probe`: one file alone."""

    at: float
    probe: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Shut:
    """Nothing leaves before a person has done something."""

    why: str


def next_slot(gate: Gate, pace: float | None, now: float) -> float:
    """Tell when the pace lets the next request leave, whatever it is. A clock that was set back does not hold it up."""
    return min(gate.left_at, now) + max(pace or 0.0, gate.interval or 0.0)


def opening(gate: Gate, pace: float | None, now: float) -> Go | Shut:
    """Tell from when on the next request may leave. `pace` is the configured distance in seconds; None: no limit."""
    gate = by_the_clock(gate, now)
    at = max(next_slot(gate, pace, now), gate.not_before)
    if gate.pause is not None:
        if gate.pause.probe_at is None:
            return Shut(gate.pause.reason)
        return Go(max(at, gate.pause.probe_at), probe=True, why=gate.pause.reason)
    if gate.unanswered:
        return Go(at, probe=True, why="the last request was not answered")
    if gate.throttles >= SLOW_ENOUGH:
        return Go(at, probe=True, why="the service has found every request too fast for long")
    return Go(at, probe=False)


def by_the_clock(gate: Gate, now: float) -> Gate:
    """Give the gate without times that the clock, since it was set back, would make it wait for for years."""
    pause = gate.pause
    if pause is None and gate.left_at <= now and gate.not_before <= now + PAUSE_CAP:
        return gate  # as nearly always: this is asked at every turn
    if pause is not None and pause.probe_at is not None:
        pause = replace(pause, since=min(pause.since, now), probe_at=min(pause.probe_at, now + PAUSE_CAP))
    return replace(gate, left_at=min(gate.left_at, now), not_before=min(gate.not_before, now + PAUSE_CAP), pause=pause)


def leaving(gate: Gate, now: float) -> Gate:
    """Note that a request leaves."""
    return gate if gate.left_at == now else replace(gate, left_at=now)


@dataclass(frozen=True, slots=True)
class Answered:
    """What the gate must know of an answer."""

    outcome: Outcome
    files: int
    message: str = ""
    retry_after: float | None = None
    batch_cap: int | None = None
    """The service named the most files that it takes."""
    file_at_fault: bool = False
    """A request of one file was refused for good."""
    left_at: float = math.inf
    """When the request left. What left before a pause began says nothing about its reason."""


def after(  # noqa: PLR0911  (one return for each outcome)
    gate: Gate, answer: Answered, pace: float | None, now: float, rng: random.Random
) -> Gate:
    """Give the gate after an answer."""
    match answer.outcome:
        case Outcome.UNANSWERED:
            run = gate.unanswered + 1
            wait = min(BREAKER_CAP, BREAKER_FIRST * 2.0 ** min(run - 1, 32))
            return replace(gate, unanswered=run, not_before=now + wait, quiet=0, pause=_probed(gate.pause, now))
        case Outcome.NOT_SENT:
            run = gate.failures + 1
            return replace(gate, failures=run, not_before=now + backoff(run, rng))
        case Outcome.THROTTLED:
            slower = _slower(gate, pace)
            run = gate.throttles + 1
            # Slower than the slowest pace, and still too fast: a cap of the day, which insisting does not lift.
            wait = min(BREAKER_CAP, slower * 2.0 ** max(0, min(run, 32) - SLOW_ENOUGH))
            if answer.retry_after is not None:
                wait = max(answer.retry_after, wait)
            # It says nothing of what a pause is about: that goes on, and the probe comes again.
            gate = replace(_responsive(gate, answer), pause=gate.pause)
            return replace(gate, interval=slower, quiet=0, throttles=run, not_before=now + wait)
        case Outcome.PAUSED:
            return paused(gate, answer.message, now)
        case Outcome.CHANGED:
            return gate
        case Outcome.STORED:
            gate = _responsive(gate, answer)
            return _eased(replace(gate, refusals=0, refusal="") if gate.refusals or gate.refusal else gate, pace)
        case Outcome.REJECTED:
            return _after_rejection(gate, answer, now)


def paused(gate: Gate, reason: str, now: float) -> Gate:
    """Pause the queue, or go on pausing it after a probe that changed nothing: 15 minutes, growing to 6 hours.

    A pause that only a person ends stays as it is.
    """
    before = gate.pause
    if before is None:
        pause: Pause | None = Pause(reason, now, now + PAUSE_FIRST)
    elif before.probe_at is None:
        pause = before
    else:
        pause = _probed(replace(before, reason=reason, since=before.since if before.reason == reason else now), now)
    return replace(gate, pause=pause, unanswered=0, failures=0)


def _probed(pause: Pause | None, now: float) -> Pause | None:
    """Put the next probe off, after one that changed nothing. An answer to what left before the pause is no probe."""
    if pause is None or pause.probe_at is None or pause.probe_at > now:
        return pause
    probes = pause.probes + 1
    return replace(pause, probes=probes, probe_at=now + min(PAUSE_CAP, PAUSE_FIRST * 2.0 ** min(probes, 32)))


def held_for_a_person(gate: Gate, reason: str, now: float) -> Gate:
    """Pause the queue until a person says how to go on."""
    since = gate.pause.since if gate.pause and gate.pause.reason == reason else now
    return replace(gate, pause=Pause(reason, since, None))


def released(gate: Gate) -> Gate:
    """End a pause, and the run of equal refusals that may have been its reason."""
    return replace(gate, pause=None, refusals=0, refusal="")


def probe_now(gate: Gate, now: float) -> Gate:
    """Let one request try at once where the gate has it wait: a person asked, or key or configuration are others."""
    pause = gate.pause
    if pause is not None and pause.probe_at is not None:
        pause = replace(pause, probe_at=now, probes=0)
    return replace(gate, pause=pause, not_before=min(gate.not_before, now), failures=0)


def _responsive(gate: Gate, answer: Answered) -> Gate:
    """Close the breaker and end failures and pause: the service answered something that it documents.

    A pause that only a person ends stays, and so does one that began after the answered request had left: with two
    under way, one may be stored while the other is told that there are no credits.
    """
    pause = gate.pause
    if pause is None and not (gate.unanswered or gate.failures or gate.throttles or gate.not_before):
        return gate
    stays = pause is not None and (pause.probe_at is None or answer.left_at < pause.since)
    return replace(gate, unanswered=0, failures=0, throttles=0, not_before=0.0, pause=pause if stays else None)


def _slower(gate: Gate, pace: float | None) -> float:
    current = max(pace or 0.0, gate.interval or 0.0)
    return min(SLOWEST, max(FIRST_LEARNED, 2.0 * current)) if current else FIRST_LEARNED


def _eased(gate: Gate, pace: float | None) -> Gate:
    if gate.interval is None:
        return gate
    if gate.quiet + 1 < QUIET_REQUESTS:
        return replace(gate, quiet=gate.quiet + 1)
    faster = gate.interval / 1.5
    return replace(gate, quiet=0, interval=None if faster <= max(pace or 0.0, 0.05) else faster)


def _after_rejection(before: Gate, answer: Answered, now: float) -> Gate:
    gate = _responsive(before, answer)
    if answer.batch_cap is not None:
        return replace(gate, batch_cap=answer.batch_cap)
    if not answer.file_at_fault:
        return gate
    run = gate.refusals + 1 if gate.refusal == answer.message else 1
    gate = replace(gate, refusals=run, refusal=answer.message)
    if run >= SYSTEMATIC:
        # The run is kept: a probe that is refused with the same message goes on with this pause.
        reason = f"{SYSTEMATIC} files in a row, or more, were refused with the same message: {answer.message}"
        return paused(replace(gate, pause=before.pause), reason, now)
    return gate
