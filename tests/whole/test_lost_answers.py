"""What was sent whole and not properly answered may be stored: held, looked up, and never sent again by itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program


def states(listed: dict[str, Any]) -> Counter[str]:
    return Counter(row["state"] for row in listed.values())


def test_b1_full_body_read_then_closed_reset_or_silent_is_never_sent_again(
    program: Program, server: FaultServer
) -> None:
    program.write_config(api={"answer_timeout": "500ms"})
    for number in range(3):
        program.photo(f"{number}.jpg")
    server.script(act.CLOSE_AFTER_BODY, act.RESET_AFTER_BODY, act.SILENT_AFTER_BODY)
    first = program.sync(wait="10s")
    assert first.json["unanswered"] == 3
    assert first.code == 75, "look-ups are outstanding"
    for _ in range(10):
        again = program.sync()
        assert again.code == 75
        assert again.json["unanswered"] == 0, "old ones are no news"
    assert len(server.uploads) == 3
    assert set(server.account.billed().values()) == {1}
    assert states(program.listed()) == {"unanswered": 3}


def test_unanswered_photos_are_looked_up_by_their_marker_and_adopted(program: Program, server: FaultServer) -> None:
    program.write_config(upload={"lookup_after": "1ms"})
    program.photo("a.jpg")
    program.photo("b.jpg", taken_at=None)
    server.script(act.CLOSE_AFTER_BODY, act.status(503).storing())
    server.account.search_misses = True
    assert program.sync(wait="10s").json["status"]["entries"]["unanswered"] == 2
    server.account.search_misses = False
    # 75 as long as a look-up is not due yet: they come at growing distances, and a sync does not wait for them.
    adopted = next(sync for sync in (program.sync() for _ in range(10)) if sync.code != 75)
    assert adopted.code == 0, adopted.err
    assert adopted.json["status"]["entries"]["uploaded"] == 2
    by_digest = {image.sha256: str(image.id) for image in server.stored}
    assert sorted(row["image_id"] for row in program.listed().values()) == sorted(by_digest.values())
    assert len(server.uploads) == 2
    assert not server.account.violations


def test_a_person_resolves_unanswered_photos(program: Program, server: FaultServer) -> None:
    for name in ("stored", "resend", "dismiss"):
        program.photo(f"{name}.jpg")
    server.script(act.CLOSE_AFTER_BODY, act.CLOSE_AFTER_BODY, act.CLOSE_AFTER_BODY.storing(False))
    program.sync(wait="10s")
    named = program.call("resolve")
    assert all(f"{program.library}/{name}.jpg" in named.out for name in ("stored", "resend", "dismiss"))

    path = str(program.library / "{}.jpg")
    bad = program.call("resolve", "--stored", "12x", path.format("stored"))
    assert bad.code == 2
    assert "digits" in bad.err
    assert program.call("resolve", "--stored", "568102998803353601", path.format("stored")).code == 0
    assert program.call("resolve", "--dismiss", path.format("dismiss")).code == 0
    assert program.call("resolve", "--resend", path.format("resend")).code == 0
    # The breaker is open after three lost answers: the next one leaves some seconds later.
    assert program.sync(wait="10s").code == 0
    listed = program.listed()
    assert listed["stored.jpg"]["image_id"] == "568102998803353601"
    assert listed["dismiss.jpg"]["state"] == "refused"
    assert listed["resend.jpg"]["state"] == "uploaded"
    assert len(server.uploads) == 4, "three, and the one that a person sent again"


def test_b4_broken_answers_are_unanswered_and_good_ones_in_odd_clothes_are_believed(
    program: Program, server: FaultServer
) -> None:
    program.write_config(api={"answer_timeout": "1s"})
    doubtful = [
        act.TRUNCATED_LENGTH,
        act.BAD_GZIP,
        act.drip(0.3),
        act.CAPTIVE_PORTAL.storing(),
    ]
    good = [act.EARLY_HINTS, act.OK_CHUNKED, act.IDS_AS_STRINGS]
    for number in range(len(doubtful) + len(good)):
        program.photo(f"{number}.jpg")
    # The good ones first: after a doubtful one, single photos go out at growing distances.
    server.script(*good, *doubtful[:2], act.OK, *doubtful[2:])
    program.photo("one-more.jpg")
    ended = program.sync(wait="20s", timeout=40)
    assert ended.code == 75
    assert states(program.listed()) == {"uploaded": len(good) + 1, "unanswered": len(doubtful)}
    assert len(server.uploads) == len(good) + 1 + len(doubtful)
    assert set(server.account.billed().values()) == {1}


def test_b14_ids_that_cannot_be_right_are_not_recorded(program: Program, server: FaultServer) -> None:
    program.photo("right.jpg")
    server.script(act.OK, act.KNOWN_IDS, default=act.FEWER_IDS)
    assert program.sync().json["uploaded"] == 1
    program.photo("known.jpg")
    ended = program.sync()
    assert ended.json["unanswered"] == 1
    assert "another photo has already" in ended.err
    program.photo("fewer.jpg", taken_at=None)
    assert program.sync(wait="5s").json["unanswered"] == 1
    listed = program.listed()
    assert {name: row["image_id"] for name, row in listed.items()} == {
        "right.jpg": str(server.stored[0].id), "known.jpg": None, "fewer.jpg": None,
    }  # fmt: skip
    assert set(server.account.billed().values()) == {1}


def test_b13_a_flapping_service_costs_single_probes_not_the_library(program: Program, server: FaultServer) -> None:
    for number in range(40):
        program.photo(f"{number}.jpg", taken_at=None)
    server.script(default=act.status(503))
    assert program.sync(wait="2900ms").code == 75
    # The first request, and a probe after 1 s; the next, 2 s later, would come after the wait however fast this goes.
    assert [len(request.files) for request in server.uploads] == [10, 1]
    server.refuse()
    refused = program.sync(wait="3s")
    assert refused.code == 75
    assert refused.json["unanswered"] == 0, "what never left is owed as before"
    server.script(default=act.OK)
    server.accept_again()
    assert program.sync(wait="30s", timeout=60).json["uploaded"] == 40 - 11
    assert set(server.account.billed().values()) == {1}


def test_b17_each_upload_comes_on_a_connection_of_its_own(program: Program, server: FaultServer) -> None:
    for number in range(4):
        program.photo(f"{number}.jpg")
    server.script(default=act.ok_then_close(0.05))
    assert program.sync().code == 0
    assert len({request.connection for request in server.uploads}) == 4
    assert set(server.account.billed().values()) == {1}


def test_b4_an_answer_that_never_ends_is_given_up_in_time(program: Program, server: FaultServer) -> None:
    program.write_config(api={"answer_timeout": "500ms"})
    program.photo("a.jpg")
    server.script(act.drip(0.2, headers=True))
    running = program.start("sync", "--wait", "0s")
    server.wait_for_stored(1, 20)
    assert running.wait(8).code == 75
    assert len(server.uploads) == 1
