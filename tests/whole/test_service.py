"""The real daemon under a service manager: what it is told, and what signals do, at the moments that matter."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli.main import main
from syncd.daemon.lock import holder_of
from syncd.ledger import reports
from syncd.ledger.migrate import open_for_reading
from syncd.lifecycle import State
from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.manager import ServiceManager
from tests.fakes.program import Ended, Program, Running, eventually

DAY = "1d"
"""The distance of rescans and polls where a test must not be helped by one."""


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    with ServiceManager() as listening:
        yield listening


def started(program: Program, manager: ServiceManager, watchdog: float | None = None, **env: str) -> Running:
    running = program.start("run", env=manager.environment(watchdog) | env)
    manager.wait_for_key("READY")
    return running


def test_s1_ready_means_lock_ledger_and_watcher_and_the_status_says_how_far_it_is(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    for number in range(3):
        program.photo(f"{number}.jpg")
    running = started(program, manager)
    assert holder_of(program.ledger) == f"pid {running.pid}: syncd run"
    assert count(program, State.REFUSED) == 0, "the ledger is there, migrated"
    server.wait_for_stored(3, 20)
    program.photo("later.jpg")
    server.wait_for_stored(4, 20)
    manager.wait_for(lambda told: any("4 photos uploaded" in one.get("STATUS", "") for one in told))

    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert manager.states() == ["READY", "STOPPING"]
    assert "starting" in manager.statuses()[0]


def test_nothing_is_ready_where_the_configuration_cannot_be_used(program: Program, manager: ServiceManager) -> None:
    program.config.write_text("[upload]\npace = 7\n", encoding="utf-8")
    ended = program.call("run", env=manager.environment())
    assert ended.code == 78
    assert manager.states() == []


def test_sighup_takes_new_folders_and_loses_nothing_that_is_under_way(
    program: Program, server: FaultServer, manager: ServiceManager, tmp_path: Path
) -> None:
    more = tmp_path / "More"
    more.mkdir()
    program.photo("a.jpg")
    release = threading.Event()
    server.script(act.held(release))
    running = started(program, manager)
    server.wait_for_stored(1, 20)

    program.photo("../More/b.jpg")
    program.write_config(folders=[{}, {"path": str(more)}], more={"log": {"level": "debug"}})
    running.send(signal.SIGHUP)
    manager.wait_for_key("RELOADING")
    release.set()
    manager.wait_for_key("READY", 2)
    server.wait_for_stored(2, 20)
    eventually(lambda: count(program, State.UPLOADED) == 2)
    assert "scanned" in running.said, "the new log level is in force"

    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert manager.states() == ["READY", "RELOADING", "READY", "STOPPING"]
    reloading = next(one for one in manager.told if "RELOADING" in one)
    assert 0 < int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert set(server.account.billed().values()) == {1}


def test_sighup_with_a_broken_file_leaves_the_old_settings_running_and_says_so(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    running = started(program, manager)
    before = program.config.read_text("utf-8")
    program.config.write_text(before + "\n[upload]\nfast = true\n", encoding="utf-8")
    running.send(signal.SIGHUP)
    manager.wait_for_key("READY", 2)
    assert "not taken" in manager.statuses()[-1]
    assert str(program.config) in running.said
    program.photo("a.jpg")
    server.wait_for_stored(1, 20)

    program.config.write_text(before.replace(str(program.ledger), str(program.home / "other.db")), encoding="utf-8")
    running.send(signal.SIGHUP)
    manager.wait_for_key("READY", 3)
    assert "[ledger] url cannot be changed by a reload" in running.said

    program.config.write_text(before.replace("[api]", '[api]\nca_file = "/nowhere.pem"'), encoding="utf-8")
    running.send(signal.SIGHUP)
    manager.wait_for_key("READY", 4)
    program.photo("b.jpg")
    server.wait_for_stored(2, 20)
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0


def test_signals_that_come_together_and_in_the_middle_of_a_reload(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    running = started(program, manager)
    for _ in range(5):
        running.send(signal.SIGHUP)
    manager.wait_for_key("RELOADING")
    running.send(signal.SIGHUP)
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    states = manager.states()
    assert states[-1] == "STOPPING"
    assert "RELOADING,RELOADING" not in ",".join(states), "each reload ends before the next begins"
    assert program.sync().code == 0


def test_s2_sigterm_records_the_answer_of_the_request_under_way_or_that_none_came(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    program.photo("a.jpg")
    release = threading.Event()
    server.script(act.held(release), act.held(threading.Event()))
    running = started(program, manager)
    server.wait_for_stored(1, 20)
    running.send(signal.SIGTERM)
    manager.wait_for_key("STOPPING")
    program.photo("b.jpg")
    release.set()
    assert running.wait(10).code == 0
    assert count(program, State.UPLOADED) == 1
    assert len(server.uploads) == 1, "nothing new starts once the end has begun"

    running = program.start("run", env=manager.environment())
    server.wait_for_stored(2, 20)
    running.send(signal.SIGTERM)
    assert running.wait(15).code == 0
    assert count(program, State.UNANSWERED) == 1
    assert set(server.account.billed().values()) == {1}


def test_w15_the_watchdog_is_fed_by_progress_and_not_while_a_worker_hangs(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    program.write_config(extract={"time_limit": "100ms"})
    program.photo("a.jpg")
    running = started(program, manager, watchdog=2.0)
    server.wait_for_stored(1, 20)
    manager.wait_for_key("WATCHDOG", 3)
    assert all(one["WATCHDOG"] == "1" for one in manager.told if "WATCHDOG" in one)

    worker = worker_of(running)
    os.kill(worker, signal.SIGSTOP)
    program.photo("b.jpg")
    manager.wait_for(lambda told: any(one.get("WATCHDOG") == "trigger" for one in told))
    assert any("the intake has made no progress" in status for status in manager.statuses())
    # As the service manager does it.
    running.send(signal.SIGABRT)
    ended = running.wait(10)
    assert ended.code == -signal.SIGABRT
    assert "extractor.py" in ended.err, "the log shows where it hung"
    told = [one["WATCHDOG"] for one in manager.told if "WATCHDOG" in one]
    assert told.index("trigger") == len(told) - 1, "nothing feeds it any more"

    assert program.sync().code == 0
    assert set(server.account.billed().values()) == {1}


def test_commands_work_beside_the_daemon_which_does_what_they_ask_for(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    program.write_config(watch={"rescan": DAY, "poll": DAY}, folders=[{"watch": "poll"}])
    server.script(act.envelope("0003", "this picture is not wanted"))
    program.photo("a.jpg")
    running = started(program, manager)
    eventually(lambda: count(program, State.REFUSED) == 1)
    program.photo("b.jpg")
    sync = here(program, "sync")
    assert sync.code == 75
    assert f"pid {running.pid}: syncd run does it" in sync.err
    server.wait_for_stored(1, 20)
    assert here(program, "sync", "--dry-run").code == 0
    assert here(program, "retry", str(program.library / "a.jpg")).code == 0
    server.wait_for_stored(2, 20)
    eventually(lambda: count(program, State.UPLOADED) == 2)
    assert {row["state"] for row in here(program, "list", "--json").json} == {"uploaded"}
    assert here(program, "status", "--json").json["held_by"] == f"pid {running.pid}: syncd run"
    why = here(program, "why", str(program.library / "a.jpg"))
    assert "a person asked for another try" in why.out

    server.script(act.CLOSE_AFTER_BODY)
    program.photo("c.jpg")
    assert here(program, "sync").code == 75
    eventually(lambda: count(program, State.UNANSWERED) == 1)
    assert here(program, "resolve", str(program.library / "c.jpg"), "--resend").code == 0
    server.wait_for_stored(4, 20)
    assert program.call("run").code == 75, "a second daemon ends at once"
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert sorted(server.account.billed().values()) == [1, 1, 2], "twice only where a person asked for it"


def test_pause_and_resume_and_the_reason_that_status_shows(
    program: Program, server: FaultServer, manager: ServiceManager
) -> None:
    running = started(program, manager)
    assert here(program, "pause", "--for", "2h").code == 0
    program.photo("a.jpg")
    eventually(lambda: count(program, State.READY) == 1)
    manager.wait_for(lambda told: any("paused by a person" in one.get("STATUS", "") for one in told))
    status = here(program, "status", "--json").json
    assert status["paused"].startswith("paused by a person since")
    assert status["waiting"]["reason"] == "paused by a person"
    assert status["waiting"]["until"] is not None
    assert "paused by a person" in here(program, "status").out
    assert server.uploads == []
    assert here(program, "resume").code == 0
    server.wait_for_stored(1, 20)
    assert here(program, "status", "--json").json["waiting"] is None
    assert here(program, "resume").out == "nobody had paused it\n"
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0

    assert here(program, "pause").code == 0
    program.photo("b.jpg")
    paused = here(program, "sync")
    assert paused.code == 75
    assert "paused by a person" in paused.out
    assert len(server.uploads) == 1


def test_hours_and_bandwidth_hold_in_the_real_process(program: Program, server: FaultServer) -> None:
    now = time.localtime()
    closed = f"{(now.tm_hour + 2) % 24:02}:00-{(now.tm_hour + 3) % 24:02}:00"
    program.photo("a.jpg", padding=600_000)
    program.write_config(upload={"hours": closed})
    waiting = program.sync()
    assert waiting.code == 75
    assert waiting.json["status"]["waiting"]["reason"] == "outside the hours for uploads"
    assert server.uploads == []

    program.write_config(upload={"bandwidth": "500KB/s"})
    begun = time.monotonic()
    assert program.sync().code == 0
    assert time.monotonic() - begun >= 0.8, "600 KB at 500 KB a second"


def test_metrics_and_the_hook_of_the_real_daemon(
    program: Program, server: FaultServer, manager: ServiceManager, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    tell = tmp_path / "tell"
    tell.write_text(f"#!/bin/sh\nenv > {told}.partial\nmv {told}.partial {told}\nexit 1\n", encoding="utf-8")
    tell.chmod(0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    textfile = tmp_path / "syncd.prom"
    metrics = {"address": f"127.0.0.1:{port}", "textfile": str(textfile)}
    program.write_config(more={"metrics": metrics, "notify": {"command": [str(tell)]}})
    program.photo("a.jpg")
    program.library.joinpath("cut.jpg").write_bytes(b"\xff\xd8\xff")
    running = started(program, manager, SYNCD_API_KEY="sk-mavi-sentinel-of-the-environment")
    server.wait_for_stored(1, 20)
    eventually(lambda: 'syncd_entries{state="uploaded"} 1' in scraped(port))
    assert 'syncd_events_total{event="unfit"} 1' in scraped(port)
    assert textfile.read_text("utf-8").startswith("# HELP syncd_info")
    running.send(signal.SIGTERM)
    assert running.wait(20).code == 0
    assert not textfile.exists()
    assert "SYNCD_EVENT=needs-a-person" in told.read_text("utf-8")
    assert "cut.jpg: unfit" in told.read_text("utf-8")
    assert "sentinel" not in told.read_text("utf-8")
    assert f"hook: {tell} ended with 1" in running.said


def scraped(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def here(program: Program, *arguments: str) -> Ended:
    """Run a command in this process: what it says and its code, without the second that a process takes to start."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--config", str(program.config), *arguments])
    return Ended(code, out.getvalue(), err.getvalue())


def count(program: Program, state: State) -> int:
    """Look into the ledger, as a command beside the daemon would, without starting one."""
    with open_for_reading(program.ledger) as store:
        return reports.status(store).entries[state]


def worker_of(running: Running) -> int:
    """The extraction worker: the child that runs syncd.extract.worker."""
    found: list[int] = []

    def look() -> bool:
        everyone = list(Path(f"/proc/{running.pid}/task").glob("*/children"))
        pids = {int(pid) for path in everyone for pid in path.read_text().split()}
        found[:] = [pid for pid in pids if b"syncd.extract.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return bool(found)

    eventually(look)
    return found[0]
