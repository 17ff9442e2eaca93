"""When uploads may leave: hours of the day over every change of the clock, a person's pause, the network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import islice

import pytest

from syncd.daemon.rest import Rest
from syncd.daemon.windows import Windows, is_open, next_opening, shut, spells
from syncd.ledger.wishes import PersonPause
from syncd.settings import Hours, OnMetered, UploadSettings

NIGHT = Hours(22 * 60, 7 * 60)
NOON = Hours(12 * 60, 13 * 60 + 30)
SMALL_HOURS = Hours(2 * 60 + 15, 2 * 60 + 45)
"""A span that is not there on the night in spring, and there twice on the night in autumn."""
MINUTE = 60.0


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def at(month: int, day: int, hour: int, minute: int = 0) -> float:
    return time.mktime((2026, month, day, hour, minute, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("hours", "hour", "minute", "expected"),
    [
        ((NIGHT,), 21, 59, False),
        ((NIGHT,), 22, 0, True),
        ((NIGHT,), 3, 0, True),
        ((NIGHT,), 6, 59, True),
        ((NIGHT,), 7, 0, False),
        ((NOON,), 12, 0, True),
        ((NOON,), 13, 29, True),
        ((NOON,), 13, 30, False),
        ((NIGHT, NOON), 12, 30, True),
        ((NIGHT, NOON), 14, 0, False),
        ((Hours(22 * 60, 0),), 23, 59, True),
        ((Hours(22 * 60, 0),), 0, 0, False),
        ((Hours(60, 24 * 60),), 23, 59, True),
        ((Hours(60, 24 * 60),), 0, 30, False),
    ],
)
def test_open_or_not(hours: tuple[Hours, ...], hour: int, minute: int, expected: bool) -> None:  # noqa: FBT001 -- a table
    assert is_open(hours, at(6, 15, hour, minute)) is expected


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ((6, 15, 8), (6, 15, 12)),
        ((6, 15, 14), (6, 15, 22)),
        ((12, 31, 14), (12, 31, 22)),
    ],
)
def test_the_next_opening(now: tuple[int, int, int], opens: tuple[int, int, int]) -> None:
    assert next_opening((NIGHT, NOON), at(*now)) == at(*opens)


@pytest.mark.parametrize("hours", [(NIGHT,), (NOON,), (SMALL_HOURS,), (Hours(150, 180),), (Hours(0, 60), NOON)])
@pytest.mark.parametrize("day", [(3, 28), (10, 24)], ids=["spring", "autumn"])
def test_w16_the_opening_that_is_told_is_the_first_also_over_a_change_of_the_clock(
    hours: tuple[Hours, ...], day: tuple[int, int]
) -> None:
    begin = at(*day, 12)
    minutes = [begin + number * MINUTE for number in range(48 * 60)]
    open_ones = [moment for moment in minutes if is_open(hours, moment)]
    for now in minutes[: 36 * 60 : 7]:
        if is_open(hours, now):
            continue
        told = next_opening(hours, now)
        first = next((moment for moment in open_ones if moment > now), None)
        assert is_open(hours, told)
        if first is not None and told < minutes[-1]:
            # Where the span comes twice in a night, the later one may be told: the gate is asked each second anyway.
            assert told - first in {0.0, 3600.0}


def test_w16_a_week_of_hours_lets_through_what_it_should_although_a_night_has_23_or_25_hours() -> None:
    for day in ((3, 25), (10, 21)):
        begin = at(*day, 12)
        minutes = sum(is_open((NIGHT,), begin + number * MINUTE) for number in range(7 * 24 * 60))
        gained = -60 if day[0] == 3 else 60
        assert minutes == 7 * 9 * 60 + gained


def test_a_person_comes_before_the_clock_and_the_clock_before_the_network() -> None:
    now = at(6, 15, 14)
    pause = PersonPause(at(6, 15, 13), at(6, 15, 16))
    found = shut((NIGHT,), pause, now, metered=True)
    assert found is not None
    assert (found.rest, found.until) == (Rest.BY_A_PERSON, at(6, 15, 16))
    assert found.detail == "paused by a person since 13:00, until 16:00"
    over = shut((NIGHT,), pause, at(6, 15, 16), metered=True)
    assert over is not None
    assert (over.rest, over.until, over.detail) == (
        Rest.HOURS, at(6, 15, 22), "waiting for 22:00, as [upload] hours says",
    )  # fmt: skip
    night = shut((NIGHT,), pause, at(6, 15, 23), metered=True)
    assert night is not None
    assert night.rest is Rest.METERED
    assert shut((NIGHT,), pause, at(6, 15, 23), metered=False) is None
    endless = shut((), PersonPause(now, None), now, metered=False)
    assert endless is not None
    assert endless.detail == "paused by a person since 14:00, until `syncd resume`"


def test_a_pause_counts_at_once_and_the_network_is_asked_only_where_it_is_wanted() -> None:
    now = at(6, 15, 14)
    pauses: list[PersonPause | None] = [None]
    asked: list[str] = []

    def is_metered() -> bool:
        asked.append("network")
        return True

    windows = Windows(UploadSettings(), lambda: pauses[0], is_metered)
    assert windows.shut(now) is None
    pauses[0] = PersonPause(now, None)
    found = windows.shut(now)
    assert found is not None
    assert found.rest is Rest.BY_A_PERSON
    assert not asked

    waiting = Windows(UploadSettings(metered=OnMetered.WAIT), lambda: None, is_metered)
    found = waiting.shut(now)
    assert found is not None
    assert found.rest is Rest.METERED


def opened(hours: tuple[Hours, ...], now: float, many: int) -> list[tuple[float, float, bool]]:
    return [(each.begin, each.end, each.new_day) for each in islice(spells(hours, now), many)]


def test_without_hours_each_day_is_a_spell() -> None:
    assert opened((), at(6, 1, 9), 2) == [(at(6, 1, 9), at(6, 2, 0), False), (at(6, 2, 0), at(6, 3, 0), True)]


def test_a_night_is_cut_at_midnight_where_a_new_budget_begins() -> None:
    assert opened((NIGHT, NOON), at(6, 1, 6), 5) == [
        (at(6, 1, 6), at(6, 1, 7), False),
        (at(6, 1, 12), at(6, 1, 13, 30), False),
        (at(6, 1, 22), at(6, 2, 0), False),
        (at(6, 2, 0), at(6, 2, 7), True),
        (at(6, 2, 12), at(6, 2, 13, 30), False),
    ]
    assert opened((NIGHT,), at(6, 1, 23), 1) == [(at(6, 1, 23), at(6, 2, 0), False)]


def test_spans_that_meet_are_one() -> None:
    hours = (Hours(9 * 60, 12 * 60), Hours(11 * 60, 13 * 60), Hours(13 * 60, 14 * 60))
    assert opened(hours, at(6, 1, 0), 1) == [(at(6, 1, 9), at(6, 1, 14), False)]


def test_a_span_that_the_clock_jumps_over_is_no_spell() -> None:
    assert opened((SMALL_HOURS,), at(3, 29, 0), 1)[0][0] >= at(3, 29, 3)
