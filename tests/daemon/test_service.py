"""The daemon over fakes: in which order it starts and ends, what it grants, and what sleep of the machine costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.daemon import service
from syncd.daemon.herald import Herald
from syncd.daemon.notify import Notifier
from syncd.daemon.service import Alarm, Ending, NoAlarm, Outside
from syncd.daemon.vigil import Vigil
from syncd.daemon.voice import Said
from syncd.errors import HungError
from syncd.ledger.migrate import open_for_single_moves
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State
from syncd.watch.health import Fault, Problem
from syncd.watch.hints import HintBatch
from tests.fakes.clock import FakeClock, FakeHints
from tests.fakes.program import eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig
from tests.fakes.service import Act, FakeService


class FakeWatcher:
    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.silent: list[bytes] = []
        self.problems: list[Problem] = []
        self.checks = 0

    def start(self) -> None:
        self.log.append("watching")

    def prove(self, within: float) -> list[bytes]:
        self.log.append("proved")
        return self.silent

    def stop(self) -> None:
        self.log.append("watched")

    def check(self, now: float) -> list[Problem]:
        self.checks += 1
        return self.problems

    def polled(self) -> dict[bytes, str]:
        return {}

    def scanned(self, root: bytes, folders: int) -> None:
        self.log.append("scanned")


class TellingHerald(Herald):
    def __init__(self, clock: FakeClock, log: list[str]) -> None:
        super().__init__(Notifier(), Vigil(clock.monotonic), clock, lambda _: None)
        self.log = log

    def ready(self, status: str) -> None:
        self.log.append("ready")
        super().ready(status)

    def reloading(self) -> None:
        self.log.append("reloading")

    def stopping(self, status: str) -> None:
        self.log.append("stopping")


class Running:
    """A daemon on a thread of the test."""

    def __init__(self, rig: Rig, reconsider: Callable[[], bool] = lambda: False) -> None:
        self.log: list[str] = []
        self.watcher = FakeWatcher(self.log)
        self.hints = FakeHints()
        self.outside = Outside(herald=TellingHerald(rig.clock, self.log), wake=rig.wake, reconsider=reconsider)
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self._rig = rig
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.ending = service.run(self._rig.pipeline, self.watcher, self.hints, self.outside)
        except BaseException as error:  # noqa: BLE001 -- looked at by the test
            self.error = error

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def stop(self) -> None:
        self.outside.stop.set()
        self.outside.wake.set()
        self.wait()

    def wake_all(self) -> None:
        self.hints.wake()
        self.outside.wake.set()


@contextmanager
def running(rig: Rig, reconsider: Callable[[], bool] = lambda: False) -> Iterator[Running]:
    daemon = Running(rig, reconsider)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as made:
        yield made


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
        rig.clock.advance(service.CHECK_EVERY)
        checks = daemon.watcher.checks
        daemon.wake_all()
        eventually(lambda checks=checks: daemon.watcher.checks > checks)  # type: ignore[misc]  # mypy cannot type defaults of a lambda
    assert rig.voice.count(Said.WATCH) == 1
    daemon.stop()


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


def test_an_idle_intake_wakes_up_every_ten_seconds(rig: Rig) -> None:
    daemon = Running(rig)
    waits: list[float] = []

    def passing(timeout: float) -> HintBatch:
        waits.append(timeout)
        rig.clock.advance(timeout)
        if sum(waits) >= MINUTES:
            daemon.outside.stop.set()
            daemon.outside.wake.set()
        return HintBatch()

    daemon.hints.take = passing  # type: ignore[method-assign]  # the fake is the test's own
    daemon.start()
    daemon.wait()
    assert daemon.error is None
    assert sum(waits) >= MINUTES
    assert len(waits) <= 0.12 * sum(waits)


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
