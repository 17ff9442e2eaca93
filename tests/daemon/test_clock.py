"""The day of a budget: from midnight to midnight where the machine stands, also when the clocks change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from syncd.daemon.clock import SystemClock, local_midnight, next_local_midnight


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.usefixtures("in_zone")
@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2024, 1, 15, 12, tzinfo=BERLIN), 24),
        (datetime(2024, 1, 15, 0, 0, tzinfo=BERLIN), 24),
        (datetime(2024, 1, 15, 23, 59, 59, tzinfo=BERLIN), 24),
        (datetime(2024, 2, 29, 12, tzinfo=BERLIN), 24),
        (datetime(2024, 12, 31, 23, tzinfo=BERLIN), 24),
        (datetime(2024, 3, 31, 1, tzinfo=BERLIN), 23),
        (datetime(2024, 3, 31, 12, tzinfo=BERLIN), 23),
        (datetime(2024, 10, 27, 1, tzinfo=BERLIN), 25),
        (datetime(2024, 10, 27, 12, tzinfo=BERLIN), 25),
    ],
)
def test_w16_a_day_is_from_midnight_to_midnight_also_when_it_has_23_or_25_hours(now: datetime, hours: int) -> None:
    moment = now.timestamp()
    midnight, following = local_midnight(moment), next_local_midnight(moment)
    assert datetime.fromtimestamp(midnight, BERLIN) == now.replace(hour=0, minute=0, second=0)
    assert midnight <= moment < following
    assert following - midnight == hours * 3600
    assert local_midnight(following) == following


def test_the_clocks_are_those_of_the_machine() -> None:
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 5
    assert clock.monotonic() <= clock.monotonic()
