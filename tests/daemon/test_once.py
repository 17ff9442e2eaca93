"""One `sync`: what it waits for, what it does not, and with which exit code it ends."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.daemon import once
from syncd.daemon.once import PAUSED_GRACE, Result
from syncd.daemon.rest import Rest
from syncd.ledger.sightings import Recorded
from syncd.lifecycle import State
from syncd.settings import FolderSettings
from tests.fakes.clock import FakeClock
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig, another_can_write
from tests.fakes.service import Act, InterruptedService

NOTHING = Result(
    rest=Rest.NOTHING_OWED,
    paused=None,
    outcomes=Counter(),
    recorded=Counter(),
    unreadable=0,
    unsettled=0,
    lookups_outstanding=False,
    owed_later=False,
    absent=0,
    held=0,
    interrupted=False,
)


class Skipping(threading.Event):
    """An event whose waiting lets the fake clock go on instead, once the intake is at its end."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        if any(thread.name == "intake" for thread in threading.enumerate()):
            return super().wait(0.01)
        if not self.is_set():
            self._clock.advance(timeout or 0.0)
        return self.is_set()


def sync(rig: Rig, wait: float = 300.0, stop: threading.Event | None = None, *, skipping: bool = True) -> Result:
    """Run one sync as a new process would. With `skipping` time flies where it waits."""
    rig.wake = Skipping(rig.clock) if skipping else threading.Event()
    rig.restart()
    return once.sync(rig.pipeline, wait=wait, stop=stop or threading.Event(), wake=rig.wake)


def photos(rig: Rig, count: int, prefix: str = "p") -> None:
    for number in range(count):
        rig.write(f"{prefix}{number}.jpg", photo_bytes(f"{prefix}{number}", taken=number))


def test_all_is_sent_and_the_second_time_nothing(rig: Rig) -> None:
    photos(rig, 3)
    first = sync(rig)
    assert (first.exit_code, first.outcomes[State.UPLOADED], first.recorded[Recorded.OWED]) == (0, 3, 3)
    second = sync(rig)
    assert (second.exit_code, second.outcomes[State.UPLOADED], second.recorded.total()) == (0, 0, 0)
    assert len(rig.service.requests) == 3


def test_short_back_offs_are_waited_for(rig: Rig) -> None:
    photos(rig, 1)
    rig.service.acts.extend([Act.REFUSED, Act.CUT])
    began = rig.clock.now()
    result = sync(rig, wait=300.0)
    assert (result.exit_code, result.outcomes[State.UPLOADED]) == (0, 1)
    assert rig.clock.now() - began < 60.0


def test_what_is_due_after_the_wait_is_left_to_the_next_sync(rig: Rig) -> None:
    photos(rig, 1)
    rig.service.always = Act.REFUSED
    began = rig.clock.now()
    result = sync(rig, wait=30.0)
    assert (result.exit_code, result.owed_later, result.outcomes[State.UPLOADED]) == (75, True, 0)
    assert rig.clock.now() - began <= 32.0
    requests = len(rig.service.requests)
    assert sync(rig, wait=0.0).exit_code == 75
    assert len(rig.service.requests) <= requests + 1
    rig.service.always = Act.OK
    assert sync(rig).exit_code == 0


def test_what_is_stored_renews_the_patience(rig: Rig) -> None:
    photos(rig, 4)
    rig.service.acts.extend([Act.OK, Act.THROTTLED, Act.OK, Act.REFUSED, Act.OK])
    assert sync(rig, wait=5.0).outcomes[State.UPLOADED] == 4


@pytest.mark.parametrize("act", [Act.NO_CREDITS, Act.BAD_KEY])
def test_b12_a_paused_queue_ends_it_at_once_and_each_sync_is_one_probe(rig: Rig, act: Act) -> None:
    photos(rig, 5)
    rig.service.always = act
    for number in range(1, 4):
        began = rig.clock.now()
        result = sync(rig, wait=300.0)
        assert result.exit_code == 75
        assert result.rest is Rest.PAUSED
        assert result.paused
        assert rig.clock.now() - began <= PAUSED_GRACE + 2.0
        assert len(rig.service.requests) == number
    rig.service.always = Act.OK
    result = sync(rig)
    assert (result.exit_code, result.paused, result.outcomes[State.UPLOADED]) == (0, None, 5)


@pytest.mark.parametrize("pace", [None, 60.0])
def test_a_later_look_up_is_not_waited_for(rig: Rig, pace: float | None) -> None:
    photos(rig, 1)
    rig.upload = replace(rig.upload, pace=pace, lookup_after=3600.0)
    rig.service.acts.append(Act.LOST_STORED)
    began = rig.clock.now()
    result = sync(rig, wait=300.0)
    assert (result.exit_code, result.lookups_outstanding) == (75, True)
    assert result.outcomes[State.UNANSWERED] == 1
    assert rig.clock.now() - began < 10.0
    again = sync(rig)
    assert (again.exit_code, rig.service.searches) == (75, 0), "it is not due yet"
    assert again.outcomes[State.UNANSWERED] == 0, "an old one is no news"


def test_a_look_up_that_is_due_is_made_at_the_start(rig: Rig) -> None:
    photos(rig, 1)
    rig.service.acts.append(Act.LOST_STORED)
    sync(rig)
    rig.clock.advance(61.0)
    result = sync(rig)
    assert (result.exit_code, result.outcomes[State.UPLOADED], rig.service.searches) == (0, 1, 1)


def test_a_look_up_that_has_become_due_is_made_before_the_end(rig: Rig) -> None:
    photos(rig, 3)
    rig.upload = replace(rig.upload, pace=40.0)
    rig.service.acts.append(Act.LOST_STORED)
    result = sync(rig)
    assert rig.service.searches == 1
    assert (result.exit_code, result.outcomes[State.UPLOADED]) == (0, 3), "what was found needs no person"
    assert result.outcomes[State.UNANSWERED] == 0


def test_after_the_last_miss_an_unanswered_photo_keeps_no_sync_from_ending_well(rig: Rig) -> None:
    photos(rig, 1)
    rig.service.search_finds = False
    rig.service.acts.append(Act.LOST)
    sync(rig)
    for _ in range(6):
        rig.clock.advance(5000 * 60.0)
        sync(rig)
    assert sync(rig).exit_code == 0
    assert rig.states() == {"p0.jpg": State.UNANSWERED}


@pytest.mark.parametrize("bad", ["unfit", "refused", "unreadable"])
def test_what_needs_a_person_is_said_when_it_arises_and_not_again(rig: Rig, bad: str) -> None:
    if bad == "unfit":
        rig.write("a.jpg", photo_bytes("a", fit=False))
    else:
        path = rig.write("a.jpg", photo_bytes("a"))
        if bad == "refused":
            rig.service.bad = {hashlib.sha256(path.read_bytes()).hexdigest()}
        else:
            rig.reader.fails = OSError(5, "Input/output error")
    assert sync(rig).exit_code == 3
    assert sync(rig).exit_code == 0, "an old one is no news"
    if bad == "unreadable":
        assert rig.reader.reads == 2, "it is tried again all the same"
        assert rig.pipeline.status().ignored == {"unreadable": 1}
        rig.reader.fails = None
        assert sync(rig).outcomes[State.UPLOADED] == 1


def test_an_unsettled_file_makes_it_not_now(rig: Rig) -> None:
    photos(rig, 1)
    path = rig.write("later.jpg", photo_bytes("later"))
    os.utime(path, (rig.clock.now() + 9000.0, rig.clock.now() + 9000.0))
    result = sync(rig, wait=0.0, skipping=False)
    assert (result.exit_code, result.unsettled, result.outcomes[State.UPLOADED]) == (75, 1, 1)
    status = rig.pipeline.status()
    assert (status.unsettled, status.places) == (1, 1), "it is counted, and named"


def test_a_stop_ends_it_and_says_so(rig: Rig) -> None:
    photos(rig, 3)
    stop = threading.Event()
    stop.set()
    result = sync(rig, stop=stop)
    assert (result.exit_code, result.interrupted) == (75, True)
    assert sync(rig).exit_code == 0
    assert len(rig.service.stored) == 3
    assert set(rig.service.billed().values()) == {1}


def test_a_defect_in_the_intake_is_raised_and_not_swallowed(rig: Rig) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    photos(rig, 1)
    rig.reader.meanwhile = broken
    with pytest.raises(ZeroDivisionError):
        sync(rig)
    rig.restart()
    with pytest.raises(ZeroDivisionError):
        once.scan_only(rig.pipeline, wait=0.0, stop=threading.Event(), wake=threading.Event())


def test_b15_an_absent_root_keeps_nothing_else_from_being_sent(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.jpg").write_bytes(photo_bytes("b"))
    rig.folders = (FolderSettings(rig.root), FolderSettings(tmp_path / "other"))
    rig.root.rmdir()
    result = sync(rig)
    assert (result.absent, result.outcomes[State.UPLOADED]) == (1, 1)


def test_a_dry_run_records_and_sends_nothing(rig: Rig) -> None:
    photos(rig, 2)
    once.scan_only(rig.pipeline, wait=0.0, stop=threading.Event(), wake=threading.Event())
    assert rig.service.requests == []
    assert set(rig.states().values()) == {State.READY}


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({}, 0),
        ({"outcomes": Counter({State.UPLOADED: 5}), "recorded": Counter({Recorded.OWED: 5})}, 0),
        ({"absent": 1}, 0),
        ({"outcomes": Counter({State.REFUSED: 1})}, 3),
        ({"outcomes": Counter({State.UNANSWERED: 1})}, 3),
        ({"recorded": Counter({Recorded.UNFIT: 1})}, 3),
        ({"unreadable": 1}, 3),
        ({"held": 1}, 3),
        ({"paused": "no credits"}, 75),
        ({"rest": Rest.BUDGET}, 75),
        ({"owed_later": True}, 75),
        ({"lookups_outstanding": True}, 75),
        ({"unsettled": 1}, 75),
        ({"interrupted": True}, 75),
        ({"unsettled": 1, "unreadable": 1, "outcomes": Counter({State.REFUSED: 1})}, 75),
    ],
)
def test_exit_codes_by_their_precedence(what: dict[str, Any], code: int) -> None:
    assert replace(NOTHING, **what).exit_code == code


def test_an_interrupt_in_the_middle_of_a_transaction_keeps_nobody_waiting(rig: Rig) -> None:
    photos(rig, 1)
    rig.service = InterruptedService(begin=lambda: rig.store.write().__enter__())

    def run() -> None:
        with pytest.raises(KeyboardInterrupt):
            sync(rig, skipping=False)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    running.join(10)
    assert another_can_write(rig)
    assert not running.is_alive()
