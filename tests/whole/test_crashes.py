"""The process dies, or is told to stop, at the moments that matter: nothing is stored twice, nothing is lost."""

from __future__ import annotations

import re
import shutil
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


def test_b3_the_intent_is_on_the_disk_before_the_body_and_before_its_end(
    program: Program, server: FaultServer, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: the order of system calls cannot be seen")
    program.photo("a.jpg")
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,pwrite64,write,sendto,sendmsg,shutdown"
    running = program.start(
        "sync", before=[strace, "-f", "-y", "-s", "64", "--seccomp-bpf", "-e", calls, "-o", str(trace)]
    )
    ended = running.wait(40)
    if not server.uploads:
        pytest.skip(f"strace cannot trace here: {ended.err[-200:]}")
    assert ended.code == 0
    events = list(events_of(trace.read_text(errors="replace")))
    head = next(i for i, (what, detail) in enumerate(events) if what == "send" and "POST" in detail)
    last = max(i for i, (what, _) in enumerate(events) if what == "send")
    assert synced(events[:head]), "the intent was in no durable log when the request began"
    between = events[head:last]
    assert ("wal written", "") in [(what, "") for what, _ in between], "completing_at is committed under way"
    assert synced(between), "completing_at was not durable when the last bytes left"


def events_of(trace: str) -> list[tuple[str, str]]:
    """What matters of a trace, in order: the WAL written, the WAL synced, bytes sent to the service."""
    found = []
    for line in trace.splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*ledger\.db-wal>", line):
            found.append(("wal written", ""))
        elif re.search(r"f(data)?sync\(\d+<[^>]*ledger\.db-wal>", line):
            found.append(("wal synced", ""))
        elif re.search(r"(sendto|sendmsg|write)\(\d+<(TCP|socket):", line):
            found.append(("send", line))
    return found


def synced(events: list[tuple[str, str]]) -> bool:
    """Whether what was written last to the WAL was synced after it."""
    order = [what for what, _ in events if what != "send"]
    return "wal written" in order and order[-1] == "wal synced"
