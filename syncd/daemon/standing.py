"""How things stand, in one line that a person understands; and why nothing leaves, where nothing does. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from syncd.daemon.clock import next_local_midnight
from syncd.daemon.rest import Idle, Rest
from syncd.figures import amount, clock_time, duration
from syncd.ledger.reports import Status
from syncd.lifecycle import State
from syncd.printable import printable
from syncd.settings import UploadSettings
from syncd.upload.pace import Gate

RATE_OVER: Final = 300.0
"""Seconds over which the rate of uploads is measured."""
_LONGEST_REASON: Final = 120
AT_WORK: Final = frozenset({Rest.UNDER_WAY, Rest.PACE, Rest.LINGER})
"""Reasons to rest that are a part of the work."""


class Rate:
    """Photos a second, over the last minutes."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def note(self, uploaded: int, now: float) -> None:
        """Note how many photos were uploaded by now, on the monotonic clock."""
        self._points.append((now, uploaded))
        while len(self._points) > 2 and now - self._points[1][0] >= RATE_OVER:
            self._points.popleft()

    def photos_a_second(self) -> float | None:
        """Give the rate; None where nothing was uploaded, or not long enough to tell."""
        if len(self._points) < 2:
            return None
        (before, few), (now, many) = self._points[0], self._points[-1]
        return (many - few) / (now - before) if now - before >= 1.0 and many > few else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why nothing leaves: the reason, more of it in words, and when it ends (seconds since the epoch), where known."""

    reason: Rest
    detail: str
    until: float | None


def waiting(idle: Idle, gate: Gate, now: float) -> Waiting | None:
    """Say why owed photos wait; None where they do not, or where none is owed."""
    if idle.rest in AT_WORK or idle.rest is Rest.NOTHING_OWED:
        return None
    if idle.rest is Rest.PAUSED and gate.pause is not None:
        reason = printable(gate.pause.reason, _LONGEST_REASON)
        return Waiting(idle.rest, f"paused: {reason} since {clock_time(gate.pause.since, now)}", gate.pause.probe_at)
    if idle.detail:
        return Waiting(idle.rest, idle.detail, idle.until)
    goes_on = f", goes on at {clock_time(idle.until, now)}" if idle.until is not None else ""
    return Waiting(idle.rest, f"{idle.rest}{goes_on}", idle.until)


@dataclass(frozen=True, slots=True)
class Owing:
    """What the ledger says of the queue: seconds since the epoch, photos."""

    next_due: float | None
    """When the next owed entry is due; None where none is owed."""
    lookup_at: float | None
    sent_today: int


def why_waiting(settings: UploadSettings, shut: Idle | None, gate: Gate, owing: Owing, now: float) -> Waiting | None:
    """Say from the ledger alone why nothing leaves; None where something may, or where nothing is owed.

    It is what the dispatch would find; `shut` is what clock, network and person say.
    """
    if owing.next_due is None and owing.lookup_at is None:
        return None
    return waiting(_rest(settings, shut, gate, owing, now), gate, now)


def _rest(settings: UploadSettings, shut: Idle | None, gate: Gate, owing: Owing, now: float) -> Idle:
    if shut is not None:
        return shut
    if gate.pause is not None:
        return Idle(Rest.PAUSED, gate.pause.probe_at)
    if owing.next_due is None:
        return Idle(Rest.NOTHING_OWED, owing.lookup_at)
    if gate.not_before > now:
        return Idle(Rest.UNANSWERED if gate.unanswered else Rest.BACK_OFF, gate.not_before)
    if settings.daily_uploads and owing.sent_today >= settings.daily_uploads:
        return Idle(Rest.BUDGET, next_local_midnight(now))
    return Idle(Rest.BACK_OFF, owing.next_due) if owing.next_due > now else Idle(Rest.PACE)


def sentence(status: Status, idle: Idle | None, rate: float | None, now: float, *, done_at: float | None = None) -> str:
    """Say in one line how things stand. `done_at`: when all will be sent, where pace and budget say so."""
    entries = status.entries
    owed = entries[State.READY] + entries[State.SENDING]
    total = entries[State.UPLOADED] + owed + entries[State.UNANSWERED]
    held = waiting(idle, Gate.from_json(status.gate), now) if idle is not None and owed else None
    if held is not None:
        line = f"{held.detail}; {amount(owed, 'photo')} owed"
    elif owed:
        line = f"{entries[State.UPLOADED]:,} of {total:,} uploaded"
        left = max(0.0, done_at - now) if done_at is not None else owed / rate if rate is not None else None
        line += f", {_rate(rate)}" if rate is not None else ""
        line += f", about {duration(left)} left" if left is not None else ""
    else:
        line = f"watching; {amount(entries[State.UPLOADED], 'photo')} uploaded, nothing owed"
    for_a_person = entries[State.REFUSED] + entries[State.UNFIT] + entries[State.UNANSWERED]
    if for_a_person:
        line += f"; {for_a_person:,} for a person (`syncd status`)"
    if status.absent:
        line += f"; {amount(len(status.absent), 'folder')} not there"
    return line


def _rate(rate: float) -> str:
    """Write a rate in the unit in which it is a number that people read."""
    if rate >= 0.95:
        return f"{rate:.0f}/s"
    return f"{rate * 60:.0f}/min" if rate * 60 >= 0.95 else f"{rate * 3600:.0f}/h"
