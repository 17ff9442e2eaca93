"""A week of a laptop and its service, in simulated time: nights, pauses, sleep, clocks set, outages, budgets.

Whatever happens, no photo is stored twice, none is lost, nothing leaves when it must not, and there is no storm.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from syncd.daemon.rest import Idle, Rest
from syncd.daemon.standing import waiting
from syncd.daemon.windows import is_open
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State
from syncd.settings import Hours, OnMetered, UploadSettings
from syncd.upload.pace import Gate
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig
from tests.fakes.service import Act

HOUR = 3600.0
DAY = 24 * HOUR
NIGHT = (Hours(22 * 60, 7 * 60),)
BUDGET = 40
MONDAY = (2027, 3, 22, 9)
"""The week in which the clocks of Berlin go forward, on its Sunday; a month and more after the files are made."""


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


@dataclass(slots=True)
class Week:
    rig: Rig
    rng: random.Random
    sent: list[float] = field(default_factory=list)
    rests: Counter[Rest] = field(default_factory=Counter)
    photos: int = 0

    def hour(self) -> None:
        """Let an hour pass, as the daemon would: a scan now and then, a turn whenever something is due."""
        rig = self.rig
        end = rig.clock.monotonic() + HOUR
        rig.scan()
        while rig.clock.monotonic() < end:
            rig.intake.settle()
            idle = self.turns()
            self.check(idle)
            ahead = 1800.0 if idle.until is None else max(0.5, idle.until - rig.clock.now())
            rig.clock.advance(min(ahead, 1800.0, max(0.5, end - rig.clock.monotonic())))

    def turns(self) -> Idle:
        for _ in range(500):
            before = len(self.rig.service.requests)
            idle = self.rig.dispatch.turn()
            self.sent += [self.rig.clock.now()] * (len(self.rig.service.requests) - before)
            if idle is not None and not self.rig.dispatch.in_flight:
                return idle
        raise AssertionError("a storm: 500 turns without a rest")

    def check(self, idle: Idle) -> None:
        """Every waiting has a reason in words."""
        self.rests[idle.rest] += 1
        owed = self.rig.count(State.READY)
        if owed and idle.rest not in {Rest.PACE, Rest.LINGER, Rest.UNDER_WAY, Rest.NOTHING_OWED}:
            found = waiting(idle, Gate.from_json(self.rig.queue.gate()), self.rig.clock.now())
            assert found is not None
            assert found.detail

    def take(self, count: int) -> None:
        for _ in range(count):
            self.photos += 1
            self.rig.write(f"{self.photos // 20}/{self.photos}.jpg", photo_bytes(f"p{self.photos}", taken=self.photos))

    def restart(self) -> None:
        self.rig.restart()


@pytest.mark.parametrize("seed", [1])
def test_w16_a_week_of_nights_pauses_sleep_and_outages(tmp_path: Path, seed: int) -> None:
    settings = UploadSettings(
        pace=60.0, batch_files=4, hours=NIGHT, daily_uploads=BUDGET, metered=OnMetered.WAIT, lookup_after=600.0
    )
    with Rig(tmp_path, upload=settings) as rig:
        rig.clock.jump(time.mktime((*MONDAY, 0, 0, 0, 0, -1)) - rig.clock.now())
        week = Week(rig, random.Random(seed))
        week.take(60)
        for day in range(7):
            live_a_day(week, day)
        rig.service.always = Act.OK
        rig.service.acts.clear()
        rig.metered = False
        Wishes(rig.store).resume()
        while rig.count(State.READY) and len(week.sent) < 1000:
            week.hour()
        for _ in range(30):
            week.hour()

        assert rig.count(State.UPLOADED) == week.photos == len(rig.service.billed())
        assert set(rig.service.billed().values()) == {1}
        assert all(is_open(NIGHT, moment) for moment in week.sent), "nothing leaves outside of the hours"
        by_hour = Counter(int(moment // HOUR) for moment in week.sent)
        assert max(by_hour.values()) <= 61
        by_day = Counter(time.strftime("%F", time.localtime(image_at)) for image_at in uploaded_at(rig))
        assert max(by_day.values()) <= BUDGET
        assert week.rests[Rest.HOURS]
        assert week.rests[Rest.BY_A_PERSON]
        assert week.rests[Rest.METERED]


def live_a_day(week: Week, day: int) -> None:
    """One day: photos come, and one kind of trouble."""
    rig, rng = week.rig, week.rng
    week.take(rng.randrange(5, 15))
    for hour in range(24):
        if day == 0 and hour == 14:
            rig.service.acts.extend([Act.LOST_STORED, Act.BROKEN_STORED, Act.OK, Act.REFUSED, Act.CUT])
        if day == 1 and hour == 13:
            Wishes(rig.store).pause(rig.clock.now(), rig.clock.now() + 5 * HOUR)
        if day == 2:
            rig.metered = 13 <= hour < 18
        if day == 3:
            rig.service.always = Act.REFUSED if 12 <= hour < 20 else Act.OK
        if day == 4 and hour == 15:
            rig.service.acts.extend([Act.NO_CREDITS, Act.THROTTLED])
            rig.clock.suspend(3 * HOUR)
        if day == 5 and hour in {3, 16}:
            # Set wrong, and right again: by an hour, as after a flat battery.
            rig.clock.jump(rng.choice([-1, 1]) * HOUR)
        if rng.random() < 0.1:
            week.restart()
        week.hour()


def uploaded_at(rig: Rig) -> list[float]:
    return [row[0] for row in rig.rows("SELECT uploaded_at FROM entries WHERE uploaded_at IS NOT NULL")]
