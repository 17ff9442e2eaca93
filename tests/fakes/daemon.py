"""The daemon over fakes, on a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from syncd.daemon import service
from syncd.daemon.foreman import Ending
from syncd.daemon.herald import Herald
from syncd.daemon.notify import Notifier
from syncd.daemon.outside import Outside
from syncd.daemon.vigil import Vigil
from syncd.watch.health import Problem
from tests.fakes.clock import FakeClock, FakeHints
from tests.fakes.rig import Rig


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
        self._thread = threading.Thread(target=self._run, daemon=True)

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
