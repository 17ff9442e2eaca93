"""Which requests leave next. Real ledger and files, no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.daemon.choosing import LINGER, MOMENT, OLDEST_EVERY
from syncd.daemon.rest import Idle, Rest
from syncd.lifecycle import State
from syncd.settings import Order
from tests.fakes.executor import StepExecutor
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import UNPACED, Rig, files_of, photos, set_up
from tests.fakes.service import Act

HOUR = 3600.0


def test_the_newest_go_first_and_every_tenth_request_takes_the_longest_waiting(rig: Rig) -> None:
    photos(rig, 30)
    for _ in range(OLDEST_EVERY + 1):
        assert rig.dispatch.turn() is None
    sent = [int(names[0][1:5]) for _, names, _ in rig.service.requests]
    # All arrived in one scan, in the order in which the file system keeps them.
    rows = rig.rows("SELECT text FROM entries JOIN places ON places.photo_id = entries.photo_id ORDER BY entries.id")
    arrived = [int(row.text[1:5]) for row in rows]
    first = list(range(29, 20, -1))
    longest = next(number for number in arrived if number not in first)
    assert sent == [*first, longest, next(number for number in range(29, -1, -1) if number not in {*first, longest})]


def test_the_backlog_can_go_the_other_way_round(rig: Rig) -> None:
    set_up(rig, order=Order.OLDEST)
    photos(rig, 5)
    rig.pump()
    assert [names[0][1:5] for _, names, _ in rig.service.requests] == ["0000", "0001", "0002", "0003", "0004"]


def test_while_a_scan_runs_an_entry_waits_a_moment_for_mates(tmp_path: Path) -> None:
    with Rig(tmp_path, upload=replace(UNPACED, pace=1.0)) as rig:
        photos(rig, 2, alike=True)
        rig.intake._busy = True
        idle = rig.dispatch.turn()
        assert idle is not None
        assert idle.rest is Rest.LINGER
        rig.clock.advance(LINGER)
        assert rig.dispatch.turn() is None
        rig.dispatch.collect(1.0)
        rig.clock.advance(1.0)
        photos(rig, 4, alike=True, prefix="full")
        rig.intake._busy = True
        assert rig.dispatch.turn() is None, "a full request waits for nobody"
        rig.intake._busy = False


def test_without_a_pace_an_entry_waits_but_shortly_for_mates(rig: Rig) -> None:
    photos(rig, 2, alike=True)
    rig.intake._busy = True
    idle = rig.dispatch.turn()
    assert idle is not None
    assert idle.rest is Rest.LINGER
    rig.clock.advance(MOMENT)
    assert rig.dispatch.turn() is None
    rig.intake._busy = False


def test_nobody_waits_for_the_mates_of_what_has_left_as_a_mate_itself(rig: Rig) -> None:
    photos(rig, 1, prefix="later")
    later = rig.clock.now() + 600.0
    rig.queue.defer(1, later)
    photos(rig, 1, alike=True, prefix="a")
    rig.intake._busy = True
    rig.dispatch.turn()
    rig.clock.advance(0.6 * MOMENT)
    photos(rig, 1, alike=True, prefix="b")
    rig.intake._busy = True
    idle = rig.dispatch.turn()
    assert idle is not None
    assert idle.rest is Rest.LINGER, "both wait, the second the longer"
    rig.clock.advance(0.6 * MOMENT)
    assert rig.dispatch.turn() is None
    assert files_of(rig) == [2]
    rig.intake._busy = False
    assert rig.dispatch.turn() == Idle(Rest.BACK_OFF, later), "a sync would not end before"


def test_without_a_pace_a_large_photo_waits_for_nobody(rig: Rig) -> None:
    rig.write("large.jpg", photo_bytes("large", more="x" * 1_000_000))
    rig.scan()
    rig.intake._busy = True
    assert rig.dispatch.turn() is None
    rig.intake._busy = False


def test_requests_that_leave_together_share_no_photo_and_fill_their_batches(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=4), executor=executor) as rig:
        photos(rig, 10, alike=True)
        photos(rig, 1, prefix="dated")
        assert rig.dispatch.turn() is None
        assert rig.dispatch.in_flight == 4
        assert rig.count(State.SENDING) == 11
        while executor.step():
            pass
        rig.dispatch.finish(None)
        assert sorted(files_of(rig)) == [1, 2, 4, 4]
        assert set(rig.service.billed().values()) == {1}
        assert rig.count(State.UPLOADED) == 11


def test_the_budget_of_a_day_holds_for_all_that_leave_together(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=4, daily_uploads=6), executor=executor) as rig:
        photos(rig, 12, alike=True)
        rig.dispatch.turn()
        assert rig.count(State.SENDING) == 6
        while executor.step():
            pass
        rig.dispatch.finish(None)
        assert sorted(files_of(rig)) == [2, 4]


def test_while_requests_do_not_get_through_they_leave_one_by_one(tmp_path: Path) -> None:
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=4)) as rig:
        photos(rig, 20)
        rig.service.always = Act.REFUSED
        rig.dispatch.turn()
        assert isinstance(rig.dispatch.turn(), Idle)
        tried = len(rig.service.requests)
        rig.clock.advance(HOUR)
        rig.dispatch.turn()
        assert (tried, len(rig.service.requests)) == (4, 5)
