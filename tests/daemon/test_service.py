"""The daemon over fakes: in which order it starts and ends, and what ends it."""

from __future__ import annotations

import threading
from dataclasses import replace

from syncd.daemon.foreman import Ending
from syncd.daemon.voice import Said
from syncd.errors import HungError
from syncd.lifecycle import State
from syncd.watch.health import Problem
from tests.fakes.daemon import Running, running
from tests.fakes.program import eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig, another_can_write
from tests.fakes.service import InterruptedService


def test_s1_it_is_ready_when_the_watcher_is_proved_and_before_the_first_scan_has_ended(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    with running(rig) as daemon:
        eventually(lambda: rig.count(State.UPLOADED) == 1)
    assert daemon.ending is Ending.STOPPED
    assert daemon.log[:3] == ["watching", "proved", "ready"]
    assert daemon.log[3:] == ["scanned", "stopping", "watched"]


def test_a_root_that_gives_no_echo_is_named(rig: Rig) -> None:
    daemon = Running(rig)
    daemon.watcher.silent = [bytes(rig.root)]
    daemon.start()
    eventually(lambda: rig.voice.count(Said.WATCH) == 1)
    daemon.stop()


def test_a_reload_that_cannot_be_taken_changes_nothing_and_one_that_can_ends_the_run(rig: Rig) -> None:
    answers = [False, True]
    daemon = Running(rig, lambda: answers.pop(0))
    daemon.start()
    eventually(lambda: "ready" in daemon.log)
    for _ in range(2):
        daemon.outside.reload.set()
        daemon.outside.wake.set()
        eventually(lambda: not daemon.outside.reload.is_set())
    daemon.wait()
    assert daemon.ending is Ending.RELOAD
    states = [one for one in daemon.log if one != "scanned"]
    assert states == ["watching", "proved", "ready", "reloading", "ready", "reloading", "watched"]


def test_what_ends_a_worker_ends_the_daemon(rig: Rig) -> None:
    rig.reader.fails = None
    daemon = Running(rig)

    def broken(now: float) -> list[Problem]:
        raise MemoryError

    daemon.watcher.check = broken  # type: ignore[method-assign]  # the fake is the test's own
    daemon.start()
    daemon.wait()
    assert isinstance(daemon.error, MemoryError)
    assert daemon.log[-1] == "watched", "all is closed"


def test_w15_an_intake_that_does_not_end_is_an_error_and_not_waited_for_for_ever(rig: Rig) -> None:
    held, reached = threading.Event(), threading.Event()
    daemon = Running(rig)
    daemon.outside = replace(daemon.outside, halt_within=0.0)

    def hanging(now: float) -> list[Problem]:
        reached.set()
        assert held.wait(20)
        return []

    daemon.watcher.check = hanging  # type: ignore[method-assign]  # see above
    daemon.start()
    assert reached.wait(20)
    daemon.stop()
    assert isinstance(daemon.error, HungError)
    assert any("does not end" in detail for detail in rig.voice.details(Said.WATCH))
    held.set()


def test_an_interrupt_in_the_middle_of_a_transaction_keeps_nobody_waiting(rig: Rig) -> None:
    began = threading.Event()

    def begin() -> None:
        rig.store.write().__enter__()
        began.set()

    rig.write("a.jpg", photo_bytes("a"))
    rig.service = InterruptedService(begin=begin)
    rig.restart()
    daemon = Running(rig)
    daemon.start()
    assert began.wait(10)
    assert another_can_write(rig, within=10.0)
    daemon.wait()
    assert isinstance(daemon.error, KeyboardInterrupt)
