"""What the service documents as not stored: the queue pauses, slows down, halves, or refuses the one bad file."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from itertools import pairwise

from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import KEY, PATIENCE, Program

OTHER_KEY = "sk-mavi-another-1b6f"


def test_b12_a_bad_key_no_credits_or_a_closed_account_pause_the_queue_at_once(
    program: Program, server: FaultServer
) -> None:
    program.write_config(upload={"in_flight": 2})
    for number in range(30):
        program.photo(f"{number}.jpg")
    server.script(act.OK, act.OK, default=act.NO_CREDITS)
    began = time.monotonic()
    ended = program.sync(wait="5m")
    assert time.monotonic() - began < PATIENCE, "it does not wait for credits"
    assert ended.code == 75
    assert ended.json["uploaded"] == 2
    assert "points" in ended.json["status"]["paused"]
    assert len(server.uploads) <= 2 + 2, "at most those under way are wasted"

    for reason in (act.BAD_KEY, act.status(401), act.DISABLED, act.status(403, b"<html>no</html>", "text/html")):
        before = len(server.uploads)
        server.script(default=reason)
        ended = program.sync(wait="5m")
        assert ended.code == 75
        assert ended.json["status"]["paused"]
        assert [len(request.files) for request in server.uploads[before:]] == [1], "one probe for each sync"
    server.script(default=act.OK)
    ended = program.sync()
    assert ended.code == 0
    assert ended.json["status"]["paused"] is None
    assert set(server.account.billed().values()) == {1}
    assert len(server.stored) == 30


def test_b12_h2_a_429_slows_down_whatever_its_retry_after_says(program: Program, server: FaultServer) -> None:
    for number in range(3):
        program.photo(f"{number}.jpg")
    server.script(act.OK, act.rate_limited("-5"), act.rate_limited("soon"))
    ended = program.sync(wait="6s")
    assert ended.json["uploaded"] == 3
    assert len(server.uploads) == 5
    # By the ledger's own clock: this process may be late to note what arrives.
    with sqlite3.connect(program.ledger) as connection:
        times = connection.execute("SELECT sent_at, answered_at FROM requests ORDER BY id").fetchall()
    connection.close()
    waits = [after[0] - before[1] for before, after in pairwise(times)]
    assert waits[1] >= 1.0, "after the first complaint"
    assert waits[2] >= 2.0, "slower after each"
    assert set(server.account.billed().values()) == {1}


def test_h2_an_endless_retry_after_does_not_hang_a_sync(program: Program, server: FaultServer) -> None:
    program.photo("a.jpg")
    server.script(act.rate_limited("1000000000"), default=act.OK)
    began = time.monotonic()
    ended = program.sync(wait="2s")
    assert time.monotonic() - began < PATIENCE
    assert ended.code == 75
    assert ended.json["status"]["entries"]["ready"] == 1
    assert len(server.uploads) == 1


def test_h1_an_early_413_refuses_this_file_and_one_with_retry_after_is_tried_later(
    program: Program, server: FaultServer
) -> None:
    program.photo("large.jpg", padding=3_000_000)
    server.script(act.early(413))
    ended = program.sync()
    assert ended.code == 3
    assert ended.json["refused"] == 1
    assert program.sync().code == 0, "an old one is no news"
    assert len(server.uploads) == 1

    retried = program.call("retry", "--all")
    assert retried.code == 0
    server.script(act.early(413, {"Retry-After": "1"}), default=act.OK)
    assert program.sync(wait="10s").json["uploaded"] == 1
    assert set(server.account.billed().values()) == {1}


def test_b5_redirects_are_not_followed_and_pause_the_queue(program: Program, server: FaultServer) -> None:
    program.photo("a.jpg")
    program.photo("b.jpg")
    with FaultServer() as elsewhere:
        for status, there in ((302, server.base_url), (307, server.base_url), (307, elsewhere.base_url)):
            before = len(server.uploads)
            server.script(default=act.redirect(status, f"{there}/upload_img"))
            ended = program.sync(wait="5m")
            assert ended.code == 75
            assert "paused" in ended.err
            assert len(server.uploads) == before + 1
        assert elsewhere.connections == 0
    assert not server.stored
    server.script(default=act.OK)
    assert program.sync().json["uploaded"] == 2


def test_a_batch_with_one_bad_file_is_halved_until_it_stands_alone(program: Program, server: FaultServer) -> None:
    paths = [program.photo(f"{number}.jpg", taken_at=None) for number in range(8)]
    bad = paths[3]
    server.account.bad = {hashlib.sha256(bad.read_bytes()).hexdigest()}
    ended = program.sync(wait="10s")
    assert ended.code == 3
    assert ended.json["uploaded"] == 7
    listed = program.listed()
    assert {name for name, row in listed.items() if row["state"] == "refused"} == {bad.name}
    assert listed[bad.name]["reason"]
    assert len(server.uploads) <= 8

    server.account.bad = set()
    assert program.call("retry", str(bad)).code == 0
    assert program.sync().code == 0
    assert set(server.account.billed().values()) == {1}
    assert len(server.stored) == 8


def test_another_key_pauses_until_a_person_says_that_it_is_the_same_account(
    program: Program, server: FaultServer
) -> None:
    program.photo("a.jpg")
    assert program.sync().code == 0
    program.photo("b.jpg")
    program.use_key(OTHER_KEY)
    server.account.key = OTHER_KEY
    asked = program.sync(wait="5m")
    assert asked.code == 75
    assert "ledger account --same" in asked.json["status"]["paused"]
    assert len(server.uploads) == 1
    assert program.call("ledger", "account", "--same").code == 0
    ended = program.sync()
    assert ended.code == 0
    assert ended.json["uploaded"] == 1
    assert server.uploads[1].header("Authorization") == OTHER_KEY
    assert not {KEY, OTHER_KEY} & set((asked.err + asked.out + ended.err + ended.out).split())
