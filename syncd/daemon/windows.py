"""When uploads may leave by the clock, by the network and by a person's word. Pure, but for the machine's time zone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Final

from syncd.daemon.rest import Idle, Rest
from syncd.figures import clock_time
from syncd.ledger.wishes import PersonPause
from syncd.settings import Hours, OnMetered, UploadSettings
from syncd.upload.forecast import Spell

_MINUTE: Final = 60.0
_DAY: Final = 24 * 60
"""Minutes."""
_LONGEST_GAP: Final = 180
"""Minutes that a change of the clock can take out of a day, and more."""


class Windows:
    """Tells the way out whether anything may leave now."""

    def __init__(
        self,
        settings: UploadSettings,
        person_pause: Callable[[], PersonPause | None],
        is_metered: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._person_pause = person_pause
        self._is_metered = is_metered

    def shut(self, now: float) -> Idle | None:
        """Say why nothing may leave; None where it may. A person's word counts as soon as it was given."""
        metered = self._settings.metered is OnMetered.WAIT and self._is_metered()
        return shut(self._settings.hours, self._person_pause(), now, metered=metered)


def shut(hours: Sequence[Hours], pause: PersonPause | None, now: float, *, metered: bool) -> Idle | None:
    """Say why nothing may leave now: a person's word comes before the clock, the clock before the network."""
    if pause is not None and pause.holds(now):
        end = "until `syncd resume`" if pause.until is None else f"until {clock_time(pause.until, now)}"
        return Idle(Rest.BY_A_PERSON, pause.until, f"paused by a person since {clock_time(pause.since, now)}, {end}")
    if hours and not is_open(hours, now):
        opens = next_opening(hours, now)
        return Idle(Rest.HOURS, opens, f"waiting for {clock_time(opens, now)}, as [upload] hours says")
    if metered:
        return Idle(Rest.METERED, None, 'waiting for a network that is not metered, as [upload] metered = "wait" says')
    return None


def is_open(hours: Sequence[Hours], now: float) -> bool:
    """Tell whether the wall clock lies in one of the spans. A span may go past midnight."""
    clock = time.localtime(now)
    minute = clock.tm_hour * 60 + clock.tm_min
    return any(
        span.begin <= minute < span.end if span.begin < span.end else minute >= span.begin or minute < span.end
        for span in hours
    )


def spells(hours: Sequence[Hours], now: float) -> Iterator[Spell]:
    """Give the times in which requests may leave, from now on and for ever; without hours whole days."""
    day = time.localtime(now)
    for days in count():
        midnight, next_midnight = (
            time.mktime((day.tm_year, day.tm_mon, day.tm_mday + after, 0, 0, 0, 0, 0, -1)) for after in (days, days + 1)
        )
        new_day = days > 0
        for begin, end in _spans(hours):
            opens, closes = (
                time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, 0, minute, 0, 0, 0, -1))
                for minute in (begin, end)
            )
            opens, closes = max(opens, midnight, now), min(closes, next_midnight)
            if opens < closes:
                yield Spell(opens, closes, new_day)
                new_day = False


def _spans(hours: Sequence[Hours]) -> list[tuple[int, int]]:
    """Give the minutes of a day in which it is open, as spans that neither meet nor go past midnight."""
    if not hours:
        return [(0, _DAY)]
    cut = [span for each in hours for span in _within_a_day(each)]
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(cut):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _within_a_day(span: Hours) -> list[tuple[int, int]]:
    return [(span.begin, span.end)] if span.begin < span.end else [(0, span.end), (span.begin, _DAY)]


def next_opening(hours: Sequence[Hours], now: float) -> float:
    """Tell when the next span begins, while none is open. On a day on which the clock changes, about when."""
    day = time.localtime(now)
    begins = [
        time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, 0, span.begin, 0, 0, 0, -1))
        for days in (0, 1, 2)
        for span in hours
    ]
    # A begin that the clock jumps over is not there on that day: its span opens behind the gap, or the next day.
    ahead = sorted(moment for moment in begins if moment > now)
    looks = (begin + minute * _MINUTE for begin in ahead for minute in range(_LONGEST_GAP))
    return next((look for look in looks if is_open(hours, look)), ahead[0])
