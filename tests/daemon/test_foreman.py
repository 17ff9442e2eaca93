"""The main thread of the daemon: what wakes it up, how seldom it wakes up where nothing goes on, what it grants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from syncd.daemon.outside import Alarm, NoAlarm
from syncd.ledger.migrate import open_for_single_moves
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State
from tests.fakes.clock import FakeClock
from tests.fakes.daemon import Running, running
from tests.fakes.program import eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig
from tests.fakes.service import Act, FakeService


def test_a_wish_for_a_scan_is_granted_once_and_has_a_paused_queue_try(rig: Rig) -> None:
    rig.service.acts.extend([Act.NO_CREDITS])
    rig.write("a.jpg", photo_bytes("a"))
    with running(rig) as daemon:
        eventually(lambda: rig.dispatch.gate.pause is not None)
        with open_for_single_moves(rig.ledger) as beside:
            Wishes(beside).ask_for_scan(rig.clock.now())
        rig.clock.advance(1.0)
        daemon.wake_all()
        eventually(lambda: rig.count(State.UPLOADED) == 1)
        eventually(lambda: daemon.hints.rescans == [bytes(rig.root)])
        assert Wishes(rig.store).scan_asked_at() is None


class PassingWake(threading.Event):
    """Has the time that is waited for pass at once; so the main thread alone is seen, for some minutes of its own."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.ends: Callable[[], None] = lambda: None
        self.wakes: Callable[[], bool] = lambda: False
        """Asked before time passes: whether something wakes it at once."""
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if self.is_set():
            return True
        if self.wakes():
            return True
        self.waits.append(timeout)
        self._clock.advance(timeout)
        if sum(self.waits) >= MINUTES:
            self.ends()
        return False


class FakeAlarm:
    def __init__(self, written_before: Callable[[], None] = lambda: None) -> None:
        self.is_set = False
        self.settings = 0
        self._written_before = written_before

    def set(self) -> bool:
        self._written_before()
        self.settings += 1
        self.is_set = True
        return True


MINUTES = 200.0
"""Seconds. The intake makes no progress meanwhile, and must not count as hanging."""


def idle_daemon(rig: Rig, alarm: Alarm) -> tuple[Running, PassingWake]:
    daemon, wake = Running(rig), PassingWake(rig.clock)
    daemon.outside = replace(daemon.outside, wake=wake, written=alarm)
    wake.ends = daemon.outside.stop.set
    return daemon, wake


def test_an_idle_main_thread_wakes_up_every_ten_seconds_and_hears_of_the_ledger(rig: Rig) -> None:
    alarm = FakeAlarm()
    daemon, wake = idle_daemon(rig, alarm)
    daemon.start()
    daemon.wait()
    assert daemon.error is None
    assert sum(wake.waits) >= MINUTES
    assert len(wake.waits) <= 0.12 * sum(wake.waits)
    assert alarm.settings == 1


def test_an_idle_main_thread_that_cannot_hear_of_the_ledger_looks_once_a_second(rig: Rig) -> None:
    daemon, wake = idle_daemon(rig, NoAlarm())
    daemon.start()
    daemon.wait()
    assert set(wake.waits) == {1.0}


class Wishing:
    """Has another command ask for a scan, and notes when the daemon heard of it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.asked_at: list[float] = []
        self.granted_at: list[float] = []

    def ask(self) -> None:
        with open_for_single_moves(self._rig.ledger) as beside:
            Wishes(beside).ask_for_scan(self._rig.clock.now())
        self.asked_at.append(self._rig.clock.monotonic())

    def grant(self, root: bytes) -> None:
        self.granted_at.append(self._rig.clock.monotonic())


def test_what_was_written_just_before_the_alarm_was_set_is_heard_too(rig: Rig) -> None:
    wishing = Wishing(rig)
    daemon, _ = idle_daemon(rig, FakeAlarm(wishing.ask))
    daemon.hints.rescan = wishing.grant  # type: ignore[method-assign]  # the fake is the test's own
    daemon.start()
    daemon.wait()
    assert len(wishing.asked_at) == 1
    assert wishing.granted_at == wishing.asked_at


def test_a_write_that_is_heard_of_before_it_is_committed_is_looked_for_again_soon(rig: Rig) -> None:
    wishing, alarm = Wishing(rig), FakeAlarm()
    daemon, wake = idle_daemon(rig, alarm)
    daemon.hints.rescan = wishing.grant  # type: ignore[method-assign]  # the fake is the test's own
    tripped_at: list[float] = []

    def wakes() -> bool:
        if alarm.is_set and not tripped_at:
            alarm.is_set = False
            tripped_at.append(rig.clock.monotonic())
            return True
        if tripped_at and not wishing.asked_at and rig.clock.monotonic() > tripped_at[0] + 0.1:
            wishing.ask()  # this takes a tenth of a second to get to the disk
        return False

    wake.wakes = wakes
    daemon.start()
    daemon.wait()
    assert len(wishing.granted_at) == 1
    assert wishing.granted_at[0] - wishing.asked_at[0] < 0.3
    assert alarm.settings == 2, "and then it is waited for again"


def test_while_a_request_is_under_way_no_alarm_is_set(tmp_path: Path) -> None:
    hang = threading.Event()
    with ThreadPoolExecutor() as pool, Rig(tmp_path, executor=pool, service=FakeService(hang=hang)) as rig:
        rig.write("a.jpg", photo_bytes("a"))
        rig.scan()
        alarm = FakeAlarm()
        daemon, wake = idle_daemon(rig, alarm)

        def ends() -> None:
            daemon.outside.stop.set()
            hang.set()

        wake.ends = ends
        daemon.start()
        daemon.wait()
        assert daemon.error is None
        assert alarm.settings == 0
        assert max(wake.waits) == 1.0
        assert rig.count(State.UPLOADED) == 1
