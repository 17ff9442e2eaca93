"""The way out: what leaves, when, with what, and what comes of each answer. Real ledger and files, no network."""

from __future__ import annotations

import hashlib
import os
import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.daemon.clock import next_local_midnight
from syncd.daemon.rest import Idle, Rest
from syncd.daemon.voice import Said
from syncd.errors import BusyError
from syncd.ledger.plain import text
from syncd.ledger.store import connect
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State
from syncd.settings import OnUnanswered, RuleSettings
from syncd.upload.replies import PauseReason, Reply, SearchFailed, Stored
from tests.fakes.executor import StepExecutor
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import UNPACED, Rig, files_of, photos, set_up
from tests.fakes.service import Act, FakeService

HOUR = 3600.0
DAY = 24 * HOUR


def test_everything_is_sent_once_in_requests_of_equal_metadata(rig: Rig) -> None:
    photos(rig, 9, alike=True)
    photos(rig, 2, prefix="dated")
    assert rig.pump() == Idle(Rest.NOTHING_OWED)
    assert sorted(files_of(rig)) == [1, 1, 1, 4, 4]
    assert set(rig.service.billed().values()) == {1}
    assert len(rig.service.billed()) == 11
    rig.scan()
    assert rig.pump() == Idle(Rest.NOTHING_OWED)
    assert len(rig.service.requests) == 5, "nothing is sent on the second look"
    assert rig.dispatch.outcomes[State.UPLOADED] == 11


def test_every_request_bears_a_marker_of_its_own_unless_that_is_off(rig: Rig) -> None:
    photos(rig, 3)
    rig.pump()
    markers = [metadata.tags[-1] for metadata, _, _ in rig.service.requests]
    assert len(set(markers)) == 3
    assert all(marker.startswith("syncd-") for marker in markers)
    set_up(rig, marker=False)
    photos(rig, 1, prefix="q")
    rig.pump()
    assert rig.service.requests[-1][0].tags == ()
    assert rig.rows("SELECT marked FROM requests ORDER BY id DESC")[0].marked == 0


def test_the_wire_name_bears_the_digest(rig: Rig) -> None:
    photos(rig, 1)
    rig.pump()
    (image,) = rig.service.stored
    assert image.name == f"p0000-{image.digest[:12]}.jpg"


def test_no_more_requests_than_configured_are_under_way(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=2), executor=executor) as rig:
        photos(rig, 5)
        assert rig.dispatch.turn() is None
        assert rig.dispatch.turn() == Idle(Rest.UNDER_WAY)
        assert rig.dispatch.in_flight == 2
        assert rig.count(State.SENDING) == 2
        executor.step()
        assert rig.dispatch.turn() is None
        assert rig.dispatch.in_flight == 2
        assert rig.count(State.UPLOADED) == 1
        while executor.step():
            pass
        rig.dispatch.finish(None)


def test_the_pace_is_the_distance_between_requests_also_across_restarts(rig: Rig) -> None:
    set_up(rig, pace=60.0)
    photos(rig, 3)
    began = rig.clock.now()
    assert rig.dispatch.turn() is None
    assert rig.dispatch.turn() == Idle(Rest.PACE, began + 60.0)
    rig.restart()
    assert rig.dispatch.turn() == Idle(Rest.PACE, began + 60.0)
    rig.clock.advance(59.9)
    assert isinstance(rig.dispatch.turn(), Idle)
    rig.clock.advance(0.2)
    assert rig.dispatch.turn() is None
    assert len(rig.service.requests) == 2


def test_labels_are_those_of_the_moment_of_the_claim(rig: Rig) -> None:
    rig.write("private/a.jpg", photo_bytes("a"))
    rig.write("public/b.jpg", photo_bytes("b"))
    rig.scan()
    rig.rules = (RuleSettings("private/**", skip=True), RuleSettings("**", namespace="family", tags=("late",)))
    rig.restart()
    assert rig.pump() == Idle(Rest.NOTHING_OWED)
    assert [(image.namespace, image.tags[0]) for image in rig.service.stored] == [("family", "late")]
    assert rig.states()["private/a.jpg"] is State.READY


def test_a_photo_with_two_places_gets_the_tags_of_both(rig: Rig) -> None:
    rig.rules = tuple(RuleSettings(f"{name}/**", tags=(name,)) for name in ("one", "two"))
    rig.restart()
    for name in ("one", "two"):
        rig.write(f"{name}/a.jpg", photo_bytes("a"))
    rig.scan()
    rig.pump()
    assert rig.service.stored[0].tags[:2] == ("one", "two")
    assert len(rig.service.stored) == 1


def test_b13_an_hour_of_503_costs_a_dozen_photos_and_not_the_library(rig: Rig) -> None:
    photos(rig, 60, alike=True)
    set_up(rig, lookup_after=DAY)
    rig.service.always = Act.BROKEN_STORED
    end = rig.clock.now() + HOUR
    while rig.clock.now() < end:
        idle = rig.pump()
        assert idle.rest is Rest.UNANSWERED
        assert idle.until is not None
        rig.clock.advance(max(0.01, idle.until - rig.clock.now()))
    assert files_of(rig)[0] == 4
    assert set(files_of(rig)[1:]) == {1}
    assert len(rig.service.requests) <= 13
    rig.service.always = Act.OK
    rig.drain()
    assert set(rig.service.billed().values()) == {1}
    assert len(rig.service.billed()) == 60
    assert rig.count(State.READY) == 0


def test_b13_an_hour_without_network_is_a_bounded_number_of_tries_and_loses_nothing(rig: Rig) -> None:
    photos(rig, 60, alike=True)
    rig.service.always = Act.REFUSED
    end = rig.clock.now() + HOUR
    while rig.clock.now() < end:
        idle = rig.pump()
        assert idle.until is not None
        rig.clock.advance(max(0.01, idle.until - rig.clock.now()))
    assert len(rig.service.requests) < 60
    assert rig.count(State.UNANSWERED) == 0
    rig.service.always = Act.OK
    rig.drain()
    assert len(rig.service.billed()) == 60
    assert set(rig.service.billed().values()) == {1}


@pytest.mark.parametrize("seed", range(2))
def test_b13_the_budget_of_the_day_holds_whatever_the_service_does(rig: Rig, seed: int) -> None:
    rng = random.Random(seed)
    set_up(rig, daily_uploads=5, lookup_after=DAY)
    photos(rig, 30)
    acts = [Act.OK, Act.LOST_STORED, Act.BROKEN_STORED, Act.REFUSED, Act.THROTTLED, Act.CUT, Act.IDS_DO_NOT_FIT]
    for _ in range(3):
        midnight = next_local_midnight(rig.clock.now())
        before = len(rig.service.stored)
        while rig.clock.now() < midnight:
            rig.service.acts.extend(rng.choices(acts, k=20))
            idle = rig.pump()
            if rng.random() < 0.2:
                rig.restart()
            until = midnight if idle.until is None else min(midnight, idle.until)
            rig.clock.advance(max(0.01, until - rig.clock.now()))
            rig.service.acts.clear()
        assert len(rig.service.stored) - before <= 5
    assert len(rig.service.stored) == 15
    assert set(rig.service.billed().values()) == {1}


def test_the_budget_makes_a_batch_smaller_and_says_when_it_goes_on(rig: Rig) -> None:
    set_up(rig, daily_uploads=6)
    photos(rig, 10, alike=True)
    assert rig.pump() == Idle(Rest.BUDGET, next_local_midnight(rig.clock.now()))
    assert files_of(rig) == [4, 2]
    rig.pump()
    assert rig.voice.count(Said.BUDGET) == 1, "it is said once"


@pytest.mark.parametrize("act", [Act.NO_CREDITS, Act.BAD_KEY])
def test_b12_in_the_middle_of_many_files_the_whole_queue_pauses(tmp_path: Path, act: Act) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=3), executor=executor) as rig:
        photos(rig, 60)
        rig.service.acts.extend([Act.OK] * 20)
        rig.service.always = act
        for _ in range(100):
            rig.dispatch.turn()
            executor.step()
        assert len(rig.service.stored) == 20
        assert len(rig.service.requests) <= 20 + 3, "only those under way are wasted"
        assert rig.count(State.READY) == 40
        assert rig.voice.count(Said.PAUSED) == 1
        idle = rig.dispatch.turn()
        assert idle is not None
        assert idle.rest is Rest.PAUSED
        rig.restart()
        assert rig.dispatch.gate.pause is not None, "it lasts across a restart"


def test_a_person_s_pause_holds_from_the_next_request_on(rig: Rig) -> None:
    photos(rig, 2)
    assert rig.dispatch.turn() is None
    Wishes(rig.store).pause(rig.clock.now(), None)
    idle = rig.dispatch.turn()
    assert idle is not None
    assert idle.rest is Rest.BY_A_PERSON
    assert len(rig.service.requests) == 1


def test_a_pause_ends_with_the_probe_that_is_answered(rig: Rig) -> None:
    photos(rig, 6, alike=True)
    rig.service.acts.extend([Act.NO_CREDITS, Act.NO_CREDITS])
    idle = rig.pump()
    assert idle.until is not None
    rig.clock.advance(idle.until - rig.clock.now())
    rig.pump()
    assert files_of(rig) == [4, 1], "a probe is one file"
    idle = rig.pump()
    assert idle.until is not None
    rig.clock.advance(idle.until - rig.clock.now())
    assert rig.pump().rest is Rest.NOTHING_OWED
    assert files_of(rig) == [4, 1, 1, 4, 1]
    assert rig.voice.count(Said.RESUMED) == 1


def test_a_person_holds_and_releases_the_queue(rig: Rig) -> None:
    photos(rig, 1)
    rig.dispatch.hold("another account")
    rig.restart()
    rig.clock.advance(30 * DAY)
    rig.dispatch.probe_now()
    assert rig.dispatch.turn() == Idle(Rest.PAUSED, None)
    rig.dispatch.release()
    assert rig.pump().rest is Rest.NOTHING_OWED
    assert len(rig.service.stored) == 1


def test_b12_h2_too_fast_slows_everything_down(rig: Rig) -> None:
    photos(rig, 3)
    rig.service.acts.append(Act.THROTTLED)
    began = rig.clock.now()
    assert rig.drain().rest is Rest.NOTHING_OWED
    assert rig.clock.now() - began >= 3.0, "one request a second from then on"
    assert set(rig.service.billed().values()) == {1}


class Twins(FakeService):
    """Gives ids that cannot be right."""

    wrong: tuple[str, ...] = ()

    def send(self, *args: Any, **more: Any) -> Reply:
        answer = super().send(*args, **more)
        return Stored(self.wrong) if isinstance(answer, Stored) else answer


@pytest.mark.parametrize("wrong", [("7",), ("7", "8", "9"), ("7", "7"), ()], ids=["fewer", "more", "twice", "none"])
def test_b14_ids_that_cannot_be_right_are_given_to_nobody(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    service = Twins()
    service.wrong = wrong
    with Rig(tmp_path, service=service) as rig:
        photos(rig, 2, alike=True)
        rig.pump()
        assert rig.count(State.UNANSWERED) == 2
        assert rig.rows("SELECT 1 FROM entries WHERE image_id IS NOT NULL") == []
        assert "ids" in rig.voice.details(Said.UNANSWERED)[0]


def test_b14_an_id_that_another_photo_has_is_given_to_nobody(rig: Rig) -> None:
    photos(rig, 1)
    rig.pump()
    rig.service.acts.append(Act.KNOWN_ID)
    photos(rig, 1, prefix="q")
    rig.pump()
    assert rig.states() == {"p0000.jpg": State.UPLOADED, "q0000.jpg": State.UNANSWERED}


@pytest.mark.parametrize("act", [Act.LOST_STORED, Act.BROKEN_STORED, Act.IDS_DO_NOT_FIT])
def test_b1_what_may_be_stored_is_never_sent_again_by_itself(rig: Rig, act: Act) -> None:
    photos(rig, 1)
    rig.service.search_finds = False
    rig.service.acts.append(act)
    rig.drain()
    for _ in range(10):
        rig.restart()
        rig.scan()
        rig.drain()
        rig.clock.advance(DAY)
    assert len(rig.service.requests) == 1
    assert rig.states() == {"p0000.jpg": State.UNANSWERED}


def test_what_is_unanswered_is_looked_up_at_growing_distances_and_then_no_more(rig: Rig) -> None:
    photos(rig, 1)
    rig.service.search_finds = False
    rig.service.acts.append(Act.LOST_STORED)
    began = rig.clock.now()
    times = []
    while (idle := rig.pump()).until is not None:
        rig.clock.advance(max(0.01, idle.until - rig.clock.now()))
        before = rig.service.searches
        rig.pump()
        if rig.service.searches > before:
            times.append(round((rig.clock.now() - began) / 60.0))
    assert times == [1, 5, 30, 180, 1440, 4320]
    assert rig.states() == {"p0000.jpg": State.UNANSWERED}


def test_what_is_found_by_its_marker_is_adopted(rig: Rig) -> None:
    photos(rig, 3, alike=True)
    rig.service.acts.append(Act.LOST_STORED)
    assert rig.drain().rest is Rest.NOTHING_OWED
    assert set(rig.states().values()) == {State.UPLOADED}
    held = {
        row.digest: row.image_id
        for row in rig.rows("SELECT digest, image_id FROM entries JOIN photos ON photos.id = photo_id")
    }
    assert held == {image.digest: image.id for image in rig.service.stored}
    assert (len(rig.service.requests), rig.service.searches) == (1, 1)
    assert rig.voice.count(Said.FOUND) == 3


@pytest.mark.parametrize(
    ("policy", "requests", "state"),
    [(OnUnanswered.HOLD, 1, State.UNANSWERED), (OnUnanswered.RESEND, 2, State.UPLOADED)],
)
def test_only_where_a_person_chose_so_it_is_sent_again_after_the_last_miss(
    rig: Rig, policy: OnUnanswered, requests: int, state: State
) -> None:
    set_up(rig, unanswered=policy)
    photos(rig, 1)
    rig.service.search_finds = False
    rig.service.acts.append(Act.LOST)
    rig.drain()
    assert rig.service.searches == 6
    assert len(rig.service.requests) == requests
    assert rig.states() == {"p0000.jpg": state}


def test_without_a_marker_nothing_is_searched(rig: Rig) -> None:
    set_up(rig, marker=False)
    photos(rig, 1)
    rig.service.acts.append(Act.LOST_STORED)
    assert rig.drain() == Idle(Rest.NOTHING_OWED, None)
    assert rig.service.searches == 0


@pytest.mark.parametrize(
    ("failed", "interval", "paused"),
    [
        (SearchFailed("HTTP 503"), None, False),
        (SearchFailed("too fast", limited=True, retry_after=30.0), 1.0, False),
        (SearchFailed("bad key", paused=PauseReason.BAD_KEY), None, True),
    ],
    ids=["broken", "too fast", "paused"],
)
def test_a_search_that_fails_does_not_count_and_holds_for_all_that_leaves(
    rig: Rig, failed: SearchFailed, interval: float | None, *, paused: bool
) -> None:
    photos(rig, 1)
    rig.service.acts.append(Act.LOST_STORED)
    rig.pump()
    rig.service.search_fails = failed
    rig.clock.advance(61.0)
    rig.pump()
    assert rig.service.searches == 1
    assert rig.rows("SELECT lookups FROM requests")[0].lookups == 0
    assert rig.dispatch.gate.interval == interval
    assert (rig.dispatch.gate.pause is not None) == paused
    rig.service.search_fails = None
    rig.dispatch.probe_now()
    rig.drain()
    assert rig.states() == {"p0000.jpg": State.UPLOADED}


def test_a_file_that_cannot_be_opened_takes_nobodys_turn_and_is_looked_at_again(rig: Rig) -> None:
    paths = photos(rig, 6)
    for path in paths[3:]:
        path.unlink()
    idle = rig.pump()
    assert idle.rest is Rest.BACK_OFF
    assert len(rig.service.stored) == 3
    rig.intake.settle()
    assert rig.pump().rest is Rest.NOTHING_OWED, "they are gone, and withdrawn"


def test_b10_other_bytes_of_the_same_size_are_not_sent_in_place_of_the_photo(rig: Rig) -> None:
    (path,) = photos(rig, 1)
    old = path.read_bytes()
    look = path.stat()
    path.write_bytes(old.replace(b"Pp0", b"Pq0"))
    os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns))
    rig.drain()
    assert rig.voice.count(Said.CHANGED)
    assert [image.digest for image in rig.service.stored] == [
        rig.rows("SELECT digest FROM photos ORDER BY id DESC")[0].digest
    ]


def test_b10_a_file_that_changes_while_it_is_sent_is_sent_as_it_is_at_last(rig: Rig) -> None:
    paths = photos(rig, 3, alike=True)

    def rewrite() -> None:
        paths[1].write_bytes(photo_bytes("rewritten", more="x" * 50))

    rig.service.meanwhile = rewrite
    began, reads = rig.clock.now(), rig.reader.reads
    rig.drain()
    assert rig.reader.reads == reads + 1, "it is read again once, however often the older bytes were due"
    assert rig.clock.now() - began < 60.0
    assert set(rig.service.billed().values()) == {1}
    assert len(rig.service.billed()) == 3
    assert rig.states() == {f"p000{n}.jpg": State.UPLOADED for n in range(3)}


def test_a_rejected_batch_is_halved_until_the_bad_file_stands_alone(rig: Rig) -> None:
    paths = photos(rig, 4, alike=True)
    rig.service.bad = {hashlib.sha256(paths[1].read_bytes()).hexdigest()}
    rig.drain()
    assert {name for name, state in rig.states().items() if state is State.REFUSED} == {"p0001.jpg"}
    assert len(rig.service.stored) == 3
    assert len(rig.service.requests) <= 5


def test_a_cap_on_files_is_learned_for_good(rig: Rig) -> None:
    rig.service.cap = 2
    photos(rig, 8, alike=True)
    rig.drain()
    assert files_of(rig) == [4, 2, 2, 2, 2]
    rig.restart()
    photos(rig, 4, alike=True, prefix="q")
    rig.drain()
    assert files_of(rig)[5:] == [2, 2]


@pytest.mark.parametrize("field", ["camera_model", "datetime_taken", "tags"])
def test_metadata_never_block_an_upload(rig: Rig, field: str) -> None:
    rig.service.bad_field = field
    rig.write("a.jpg", photo_bytes("a", camera="Canon", taken=5))
    rig.scan()
    rig.drain()
    assert rig.states() == {"a.jpg": State.UPLOADED}
    assert len(rig.service.requests) == 2
    assert not getattr(rig.service.requests[-1][0], field)


def test_w16_a_clock_that_was_set_back_holds_nothing_up(rig: Rig) -> None:
    set_up(rig, pace=60.0)
    photos(rig, 2)
    rig.dispatch.turn()
    rig.clock.jump(-30 * DAY)
    began = rig.clock.now()
    rig.drain()
    assert len(rig.service.stored) == 2
    assert rig.clock.now() - began <= 61.0


def test_finishing_gives_up_what_is_not_complete(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, executor=executor) as rig:
        photos(rig, 1)
        rig.dispatch.turn()
        rig.dispatch.give_up_what_is_incomplete()
        executor.step()
        rig.dispatch.finish(0.0)
        assert rig.states() == {"p0000.jpg": State.READY}
        assert rig.service.stored == []


def test_a_request_that_is_made_and_has_not_left_does_not_leave_after_a_pause(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, executor=executor) as rig:
        photos(rig, 1)
        rig.dispatch.turn()
        assert rig.count(State.SENDING) == 1
        Wishes(rig.store).pause(rig.clock.now(), None)
        assert isinstance(idle := rig.dispatch.turn(), Idle)
        assert idle.rest is Rest.BY_A_PERSON
        executor.step()
        rig.dispatch.turn()
        assert rig.states() == {"p0000.jpg": State.READY}
        assert rig.service.stored == []
        Wishes(rig.store).resume()
        rig.dispatch.turn()
        executor.step()
        rig.dispatch.turn()
        assert len(rig.service.stored) == 1, "what was taken back had no try, and waits for nothing"


def test_without_a_pace_nothing_is_taken_back_because_others_left_first(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=3), executor=executor) as rig:
        photos(rig, 3)
        rig.dispatch.turn()
        for _ in range(3):
            rig.clock.advance(0.05)  # its thread has had no core yet
            executor.step()
            rig.dispatch.turn()
        assert len(rig.service.stored) == len(rig.service.requests) == 3
        assert rig.count(State.UPLOADED) == 3


def test_a_request_whose_turn_comes_after_a_pause_does_not_leave(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, pace=1.0), executor=executor) as rig:
        photos(rig, 1)
        rig.dispatch.turn()
        Wishes(rig.store).pause(rig.clock.now(), None)
        executor.step()  # nobody has looked around since
        rig.dispatch.turn()
        assert rig.states() == {"p0000.jpg": State.READY}
        assert rig.service.stored == []


def test_b11_answers_that_come_together_and_cannot_be_recorded_are_each_kept_for_the_next_start(tmp_path: Path) -> None:
    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=2), executor=executor) as rig:
        photos(rig, 2)
        rig.dispatch.turn()
        assert executor.step()
        assert executor.step()
        with rig.store.write() as connection:
            connection.execute(text("PRAGMA busy_timeout = 10"))
        with closing(connect(rig.ledger, "rw")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BusyError, match="is kept in"):
                rig.dispatch.turn()
        assert rig.count(State.SENDING) == 2
        rig.restart()
        assert rig.count(State.UPLOADED) == 2
        assert set(rig.service.billed().values()) == {1}


def test_an_id_that_two_answers_give_at_once_is_believed_once(tmp_path: Path) -> None:
    class Confused(FakeService):
        def send(self, *args: Any, **more: Any) -> Reply:
            reply = super().send(*args, **more)
            assert isinstance(reply, Stored)
            return Stored(("77",))

    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=2), service=Confused(), executor=executor) as rig:
        photos(rig, 2)
        rig.dispatch.turn()
        while executor.step():
            pass
        rig.dispatch.finish(None)
        assert sorted(rig.states().values()) == [State.UNANSWERED, State.UPLOADED]
