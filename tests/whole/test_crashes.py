"""The process dies, or is told to stop, at the moments that matter: nothing is stored twice, nothing is lost."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program, eventually

LARGE = 3_000_000
"""Bytes of a photo that no buffer between the two swallows whole."""


def held_and_told(release: threading.Event, answered: threading.Event) -> act.Behaviour:
    """Stored, answered when the test says so; says when the answer has left."""

    def answer(exchange: act.Exchange) -> None:
        assert release.wait(20)
        exchange.answer(200, act.success(exchange.ids))
        answered.set()

    return act.Behaviour("ok when released, and told", answer, stores=True)


def test_b2_killed_in_the_body_before_the_answer_and_before_the_commit(program: Program, server: FaultServer) -> None:
    program.photo("first.jpg", padding=LARGE)

    server.script(act.stop_reading(100_000))
    dying = program.start("sync")
    server.wait_until(lambda: any(request.body_read >= 100_000 for request in server.uploads), 20)
    dying.kill()
    assert not server.stored, "the body was never complete"

    server.account.search_misses = True
    server.script(act.held(threading.Event()))
    dying = program.start("sync")
    server.wait_for_stored(1, 20)
    dying.kill()

    program.photo("second.jpg")
    release, answered = threading.Event(), threading.Event()
    server.script(held_and_told(release, answered))
    dying = program.start("sync")
    server.wait_for_stored(2, 20)
    # Stopped, it is given the answer and can do nothing with it.
    dying.send(signal.SIGSTOP)
    eventually(lambda: " T " in Path(f"/proc/{dying.pid}/stat").read_text())
    release.set()
    assert answered.wait(20)
    dying.kill()

    server.script(act.OK)
    last = program.sync()
    assert last.json["status"]["entries"] == {
        "ready": 0, "sending": 0, "uploaded": 0, "unanswered": 2, "refused": 0, "unfit": 0,
    }  # fmt: skip
    assert last.code == 75
    assert len(server.uploads) == 3
    assert set(server.account.billed().values()) == {1}


def test_s2_sigterm_in_the_middle_of_a_body_gives_it_up_and_after_it_waits_for_the_answer(
    program: Program, server: FaultServer
) -> None:
    program.photo("a.jpg", padding=LARGE)
    server.script(act.stop_reading(100_000))
    running = program.start("sync", "--json")
    server.wait_until(lambda: any(request.body_read >= 100_000 for request in server.uploads), 20)
    running.send(signal.SIGTERM)
    ended = running.wait(10)
    assert ended.code == 75
    assert ended.json["status"]["entries"]["ready"] == 1

    release = threading.Event()
    server.script(act.held(release))
    running = program.start("sync", "--json")
    server.wait_for_stored(1, 20)
    running.send(signal.SIGTERM)
    release.set()
    ended = running.wait(10)
    assert ended.json["uploaded"] == 1
    assert program.sync().code == 0
    assert set(server.account.billed().values()) == {1}


@pytest.mark.parametrize("command", ["sync", "run"])
def test_a_second_ctrl_c_ends_it_at_once_and_nothing_is_sent_twice(
    program: Program, server: FaultServer, command: str
) -> None:
    program.write_config(api={"answer_timeout": "60s"})
    program.photo("a.jpg")
    server.script(act.held(threading.Event()))
    running = program.start(command)
    server.wait_for_stored(1, 20)
    running.send(signal.SIGINT)
    time.sleep(0.5)
    running.send(signal.SIGINT)
    ended = running.wait(10)
    assert ended.code == 75
    assert "interrupted; what was done is recorded" in ended.err
    server.script(act.OK)
    program.sync()
    assert program.status()["entries"]["ready"] == 0
    assert set(server.account.billed().values()) == {1}


def test_run_ends_with_0_on_sigterm(program: Program, server: FaultServer) -> None:
    program.photo("a.jpg")
    running = program.start("run")
    server.wait_for_stored(1, 20)
    program.photo("b.jpg")
    server.wait_for_stored(2, 20)
    asked = time.monotonic()
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert time.monotonic() - asked < 10
    assert program.status()["entries"]["uploaded"] == 2
