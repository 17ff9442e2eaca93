"""The intake of the daemon: when it scans, what sleep of the machine costs, what it says of the watcher."""

from __future__ import annotations

import pytest

from syncd.daemon.outside import CHECK_EVERY
from syncd.daemon.voice import Said
from syncd.lifecycle import State
from syncd.watch.health import Fault, Problem
from syncd.watch.hints import HintBatch
from tests.fakes.daemon import Running, running
from tests.fakes.program import eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig


def test_w16_after_a_sleep_of_the_machine_all_is_scanned_once_and_the_watcher_looked_at(rig: Rig) -> None:
    with running(rig) as daemon:
        eventually(lambda: daemon.log.count("scanned") == 1)
        rig.write("meanwhile.jpg", photo_bytes("m"))
        checks = daemon.watcher.checks
        rig.clock.suspend(8 * 3600.0)
        daemon.wake_all()
        eventually(lambda: rig.count(State.UPLOADED) == 1)
        assert rig.voice.count(Said.AWAKE) == 1
        assert daemon.watcher.checks == checks + 1
        taken = daemon.hints.taken
        daemon.wake_all()
        eventually(lambda: daemon.hints.taken > taken)
        assert daemon.log.count("scanned") == 2, "once, not at every look"
        rig.clock.suspend(0.5)
        daemon.wake_all()
        assert rig.voice.count(Said.AWAKE) == 1


@pytest.mark.parametrize("jump", [86400.0, -86400.0, 3600.0, -3600.0])
def test_w16_a_clock_that_jumps_holds_nothing_up_and_starts_no_storm(rig: Rig, jump: float) -> None:
    with running(rig) as daemon:
        rig.write("a.jpg", photo_bytes("a"))
        daemon.hints.give(HintBatch(files=frozenset({bytes(rig.root / "a.jpg")})))
        eventually(lambda: rig.count(State.UPLOADED) == 1)
        rig.clock.jump(jump)
        rig.write("b.jpg", photo_bytes("b"))
        daemon.hints.give(HintBatch(files=frozenset({bytes(rig.root / "b.jpg")})))
        rig.clock.advance(5.0)
        daemon.wake_all()
        eventually(lambda: settled(rig, daemon))
    assert len(rig.service.requests) == 2
    assert daemon.log.count("scanned") == 1


def settled(rig: Rig, daemon: Running) -> bool:
    rig.clock.advance(1.0)
    daemon.wake_all()
    return rig.count(State.UPLOADED) == 2


def test_what_the_watcher_finds_wrong_is_said_once_and_kept_for_those_who_ask(rig: Rig) -> None:
    daemon = Running(rig)
    problem = Problem(bytes(rig.root), Fault.OVERFLOW, "scanned")
    daemon.watcher.problems = [problem]
    daemon.start()
    eventually(lambda: daemon.outside.health.problems == (problem,))
    for _ in range(3):
        rig.clock.advance(CHECK_EVERY)
        checks = daemon.watcher.checks
        daemon.wake_all()
        eventually(lambda checks=checks: daemon.watcher.checks > checks)  # type: ignore[misc]  # mypy cannot type defaults of a lambda
    assert rig.voice.count(Said.WATCH) == 1
    daemon.stop()


def test_an_idle_intake_wakes_up_every_ten_seconds(rig: Rig) -> None:
    daemon = Running(rig)
    waits: list[float] = []

    def passing(timeout: float) -> HintBatch:
        waits.append(timeout)
        rig.clock.advance(timeout)
        if sum(waits) >= 200.0:
            daemon.outside.stop.set()
            daemon.outside.wake.set()
        return HintBatch()

    daemon.hints.take = passing  # type: ignore[method-assign]  # the fake is the test's own
    daemon.start()
    daemon.wait()
    assert daemon.error is None
    assert sum(waits) >= 200.0
    assert len(waits) <= 0.12 * sum(waits)
