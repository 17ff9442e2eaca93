"""Bad days of the service, on a simulated clock: bounded requests, and a queue that comes back by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.daemon.rest import Rest
from syncd.daemon.voice import Said
from syncd.lifecycle import State
from tests.fakes.clock import RunningClock
from tests.fakes.program import eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import MONTH, UNPACED, Rig
from tests.fakes.service import Act
from tests.whole.test_watching import running

HOUR = 3600.0
DAY = 24 * HOUR
PHOTOS = 60


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path, upload=replace(UNPACED, batch_files=10)) as made:
        for number in range(PHOTOS):
            made.write(f"{number}.jpg", photo_bytes(str(number)))
        made.scan()
        yield made


def live(rig: Rig, seconds: float, *, each: Callable[[], None] = lambda: None) -> list[float]:
    """Let so much time pass; give when requests left, in seconds from the beginning."""
    began = rig.clock.now()
    left: list[float] = []
    while rig.clock.now() < began + seconds:
        before = len(rig.service.requests)
        each()
        idle = rig.dispatch.turn()
        left += [rig.clock.now() - began] * (len(rig.service.requests) - before)
        if idle is not None:
            until = rig.clock.now() + HOUR if idle.until is None else idle.until
            rig.clock.advance(max(0.01, min(until, began + seconds) - rig.clock.now()))
    return left


def most_in_an_hour(left: list[float]) -> int:
    """After the first hour, in which it finds out."""
    hours = Counter(int(at // HOUR) for at in left if at >= HOUR)
    return max(hours.values(), default=0)


@pytest.mark.parametrize(
    ("act", "in_a_day", "in_an_hour", "unanswered"),
    [
        (Act.BROKEN, 40, 2, 49),  # a first batch of 10, and then single photos
        (Act.BROKEN_STORED, 40, 2, 49),
        (Act.LOST, 40, 2, 49),
        (Act.REFUSED, 250, 20, 0),
        (Act.THROTTLED, 45, 3, 0),
        (Act.NO_CREDITS, 12, 1, 0),
        (Act.BAD_KEY, 12, 1, 0),
    ],
)
def test_b13_a_service_that_is_down_for_a_day_is_asked_seldom_and_the_queue_comes_back_by_itself(
    rig: Rig, act: Act, in_a_day: int, in_an_hour: int, unanswered: int
) -> None:
    rig.service.always = act
    rig.service.search_finds = act is Act.BROKEN_STORED
    left = live(rig, DAY)
    assert 0 < len(left) <= in_a_day
    assert most_in_an_hour(left) <= in_an_hour
    assert rig.service.searches <= 6 * len(left)
    assert rig.count(State.UNANSWERED) <= unanswered
    assert rig.count(State.READY) + rig.count(State.UNANSWERED) + rig.count(State.UPLOADED) == PHOTOS
    if act in {Act.THROTTLED, Act.NO_CREDITS, Act.BAD_KEY}:
        files = [len(names) for _, names, _ in rig.service.requests]
        assert files[-1] == 1, "what is probed is one photo"

    rig.restart()
    probes = rig.count(State.UNANSWERED)
    rig.service.always = Act.OK
    live(rig, 7 * HOUR)
    assert rig.count(State.READY) == 0
    assert rig.count(State.UPLOADED) >= PHOTOS - probes
    if act is Act.BROKEN_STORED:
        live(rig, 4 * DAY)
        assert rig.count(State.UPLOADED) == PHOTOS, "the probes were stored, and are found"
    assert set(rig.service.billed().values()) == {1}


def test_b13_a_service_that_flaps_all_day_costs_a_probe_for_each_fall(rig: Rig) -> None:
    def flap() -> None:
        rig.service.always = Act.BROKEN_STORED if int(rig.clock.now() // 600) % 2 else Act.OK

    for number in range(PHOTOS, 6 * PHOTOS):
        rig.write(f"{number}.jpg", photo_bytes(str(number)))
    rig.scan()
    rig.upload = replace(rig.upload, pace=10.0)
    rig.restart()
    live(rig, DAY, each=flap)
    rig.service.always = Act.OK
    live(rig, 5 * DAY)
    assert rig.count(State.UPLOADED) == 6 * PHOTOS
    assert set(rig.service.billed().values()) == {1}


def test_b13_a_service_that_takes_its_time_is_not_hurried(rig: Rig) -> None:
    def slow() -> None:
        rig.service.meanwhile = lambda: rig.clock.advance(100.0)

    left = live(rig, DAY, each=slow)
    assert len(left) == PHOTOS / 10
    assert rig.count(State.UPLOADED) == PHOTOS


def test_b13_the_budget_of_a_day_holds_across_restarts_and_midnights(rig: Rig) -> None:
    rig.upload = replace(rig.upload, daily_uploads=25)
    rig.restart()
    stored: Counter[tuple[int, int]] = Counter()
    for _ in range(4 * 24):
        before = len(rig.service.stored)
        day = time.localtime(rig.clock.now())
        until = rig.clock.now() + HOUR
        while (idle := rig.dispatch.turn()) is None:
            pass
        stored[day.tm_year, day.tm_yday] += len(rig.service.stored) - before
        assert idle.rest in {Rest.BUDGET, Rest.NOTHING_OWED}
        rig.clock.advance(until - rig.clock.now())
        rig.restart()
    assert max(stored.values()) == 25
    assert rig.count(State.UPLOADED) == PHOTOS
    assert sorted(count for count in stored.values() if count) == [10, 25, 25]


def test_w17_a_burst_of_files_while_uploads_run_arrives_whole_and_once(tmp_path: Path) -> None:
    """In small what `benchmarks/storm.py` does with 50,000 files and the real process."""
    with Rig(tmp_path, clock=RunningClock(MONTH), upload=replace(UNPACED, batch_files=50)) as rig:
        for number in range(100):
            rig.write(f"before/{number}.jpg", photo_bytes(f"before {number}"))
        with running(rig) as daemon:
            for number in range(1500):
                daemon.new(f"burst {number}.jpg")
            eventually(lambda: daemon.error is not None or len(rig.service.stored) >= 1600, 40)
            assert daemon.error is None
        assert rig.count(State.UPLOADED) == 1600
        assert set(rig.service.billed().values()) == {1}
        assert rig.voice.count(Said.UNREADABLE) == 0
        (record,) = rig.pipeline.status().watching
        assert record.missed == 0
