"""The whole way from the disk to the service with a watcher that fails: noticed, said, healed, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.summary import Around, status_json, status_lines
from syncd.daemon import service
from syncd.daemon.herald import Herald
from syncd.daemon.notify import Notifier
from syncd.daemon.outside import Outside
from syncd.daemon.vigil import Vigil
from syncd.daemon.voice import Said
from syncd.ledger.watchbook import WatchRecord
from syncd.settings import WatchSettings
from syncd.watch.health import Fault, Problem
from syncd.watch.hints import HintBatch, Hints
from syncd.watch.observer import WatchedRoot, Watcher, WatchMode
from tests.fakes.clock import FakeHints, RunningClock
from tests.fakes.program import eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import MONTH, Rig


@dataclass(slots=True)
class Silent:
    """A watcher that believes in itself and hears nothing."""

    how: dict[bytes, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def start(self) -> None: ...

    def prove(self, within: float) -> list[bytes]:
        return []

    def stop(self) -> None: ...

    def check(self, now: float) -> list[Problem]:
        return self.problems

    def polled(self) -> dict[bytes, str]:
        return self.how

    def scanned(self, root: bytes, folders: int) -> None: ...


@dataclass(slots=True)
class Daemon:
    """`syncd run` on a thread, over the rig: examines its watcher ten times a second."""

    rig: Rig
    watcher: Any
    hints: Any
    error: BaseException | None = None

    @property
    def root(self) -> bytes:
        return bytes(self.rig.root)

    @property
    def record(self) -> WatchRecord:
        (record,) = self.rig.pipeline.status().watching
        return record

    def new(self, name: str) -> None:
        # At once: the clock is ahead, so that a half-written file would count as settled.
        beside = self.rig.folder / "being written"
        beside.write_bytes(photo_bytes(name))
        beside.rename(self.rig.root / name)

    def arrives(self, name: str) -> None:
        """Write a photo, and wait until the service has it."""
        before = len(self.rig.service.stored)
        self.new(name)
        self.has(before + 1)

    def has(self, count: int) -> None:
        eventually(lambda: self.error is not None or len(self.rig.service.stored) >= count)
        assert self.error is None
        assert len(self.rig.service.stored) == count

    def hears(self, name: str) -> None:
        """Assert that an event alone brings a photo: no scan runs meanwhile."""
        scans = self.rig.voice.count(Said.SCANNED)
        self.arrives(name)
        assert self.rig.voice.count(Said.SCANNED) == scans


@contextmanager
def running(rig: Rig, watcher: Any = None, hints: Any = None, mode: WatchMode = WatchMode.AUTO) -> Iterator[Daemon]:
    hints = hints or Hints(linger=0.0)
    watcher = watcher or Watcher([WatchedRoot(bytes(rig.root), mode)], hints)
    daemon = Daemon(rig, watcher, hints)
    herald = Herald(Notifier(), Vigil(rig.clock.monotonic), rig.clock, lambda _: None)
    outside = Outside(herald, wake=rig.wake, check_every=0.1)

    def run() -> None:
        try:
            service.run(rig.pipeline, watcher, hints, outside)
        except BaseException as error:  # noqa: BLE001 -- for the test to look at
            daemon.error = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield daemon
    finally:
        outside.stop.set()
        outside.wake.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path, clock=RunningClock(MONTH)) as made:
        made.write("2024/old.jpg", photo_bytes("old"))
        yield made


def observer_of(daemon: Daemon) -> Any:
    """The observer; Any, because these tests reach into what watchdog does not publish."""
    return daemon.watcher._watches[daemon.root].observer


def kill_dispatcher(daemon: Daemon) -> None:
    observer = observer_of(daemon)._observer
    observer.stop()
    observer.join()


def kill_reader(daemon: Daemon) -> None:
    reader = observer_of(daemon)._observer._inotify_fd
    reader.stopped_event.set()
    daemon.new("2024/wakes the reader.jpg")
    reader.join(10)


def kill_emitter(daemon: Daemon) -> None:
    (emitter,) = observer_of(daemon)._observer.emitters
    emitter.stop()
    emitter.join(10)


def delete_root(daemon: Daemon) -> None:
    shutil.rmtree(daemon.rig.root)
    eventually(lambda: (daemon.record.trouble or "").startswith(Fault.ABSENT))
    assert daemon.rig.voice.count(Said.ABSENT) == 1
    daemon.rig.root.mkdir()
    daemon.rig.write("2024/old.jpg", photo_bytes("old"))


def replace_root(daemon: Daemon) -> None:
    daemon.rig.root.rename(daemon.rig.folder / "elsewhere")
    daemon.rig.root.mkdir()
    daemon.rig.write("2024/old.jpg", photo_bytes("old"))


def lose_a_watch(daemon: Daemon) -> None:
    (group,) = observer_of(daemon)._groups()
    with group._lock:
        group._remove_callbacks([group._active_callbacks_by_path[daemon.root + b"/2024"]])


@pytest.mark.parametrize(
    ("break_it", "fault"),
    [
        pytest.param(kill_dispatcher, Fault.DEAD, id="w1"),
        pytest.param(kill_reader, Fault.DEAD, id="w2_reader"),
        pytest.param(kill_emitter, Fault.DEAD, id="w2_emitter"),
        pytest.param(delete_root, Fault.ABSENT, id="w3"),
        pytest.param(replace_root, Fault.REPLACED, id="w4"),
    ],
)
def test_w1_to_w4_a_deaf_watcher_is_noticed_said_and_healed(
    rig: Rig, break_it: Callable[[Daemon], None], fault: Fault
) -> None:
    with running(rig) as daemon:
        daemon.has(1)
        daemon.hears("2024/before.jpg")
        assert (daemon.record.how, daemon.record.trouble) == ("events", None)
        break_it(daemon)
        daemon.new("2024/meanwhile.jpg")
        eventually(lambda: any(image.name.startswith("meanwhile") for image in rig.service.stored))
        eventually(lambda: daemon.record.trouble is None and daemon.record.last_trouble is not None)
        assert daemon.record.last_trouble is not None
        assert daemon.record.last_trouble.startswith(fault)
        assert any(str(fault) in detail for detail in rig.voice.details(Said.WATCH))
        eventually(lambda: observer_of(daemon) is not None)
        daemon.arrives("2024/after.jpg")
        daemon.hears("2024/heard.jpg")
    assert set(rig.service.billed().values()) == {1}
    assert daemon.record.how is None, "nobody watches any more"


def test_w8_a_lost_watch_is_noticed_by_the_next_scan(rig: Rig) -> None:
    with running(rig) as daemon:
        daemon.has(1)
        lose_a_watch(daemon)
        daemon.hints.rescan(daemon.root)
        eventually(lambda: daemon.record.last_trouble is not None)
        assert daemon.record.last_trouble is not None
        assert daemon.record.last_trouble.startswith(Fault.UNWATCHED)
        daemon.arrives("2024/a.jpg")


def test_w5_a_folder_moved_out_is_gone_and_comes_back_without_cost(rig: Rig) -> None:
    rig.write("stays.jpg", photo_bytes("stays"))
    with running(rig) as daemon:
        daemon.has(2)
        (rig.root / "2024").rename(rig.folder / "outside")
        eventually(lambda: set(rig.states()) == {"stays.jpg"})
        (rig.folder / "outside" / "later.jpg").write_bytes(photo_bytes("written outside"))
        (rig.folder / "outside").rename(rig.root / "back")
        eventually(lambda: set(rig.states()) == {"stays.jpg", "back/old.jpg", "back/later.jpg"})
        daemon.has(3)


def test_b15_a_folder_that_is_gone_from_an_empty_root_is_not_believed(rig: Rig) -> None:
    rig.scan()
    rig.drain()
    (rig.root / "2024").rename(rig.folder / "outside")
    rig.intake.look_below(rig.place("2024"))
    assert set(rig.states()) == {"2024/old.jpg"}


def test_w13_a_polled_root_is_scanned_by_itself_and_says_why(rig: Rig) -> None:
    rig.pipeline = replace(rig.pipeline, settings=replace(rig.pipeline.settings, watch=WatchSettings(poll=0.2)))
    with running(rig, mode=WatchMode.POLL) as daemon:
        daemon.has(1)
        daemon.arrives("a.jpg")
        assert daemon.record.how == "polled: set to poll"
        assert daemon.record.missed == 0, "no event was expected"


def test_what_only_the_rescan_finds_is_counted_and_said(rig: Rig) -> None:
    rig.pipeline = replace(rig.pipeline, settings=replace(rig.pipeline.settings, watch=WatchSettings(rescan=0.2)))
    with running(rig, Silent(), FakeHints()) as daemon:
        daemon.has(1)
        daemon.arrives("2024/a.jpg")
        os.utime(rig.root / "2024" / "old.jpg")
        eventually(lambda: daemon.record.missed == 1)
        rig.write("2024/old.jpg", photo_bytes("old", more="a keyword"))
        eventually(lambda: daemon.record.missed == 2)
        (rig.root / "unreadable.jpg").symlink_to("nothing")
        scans = rig.voice.count(Said.SCANNED)
        eventually(lambda: rig.voice.count(Said.SCANNED) >= scans + 2)
    assert daemon.record.missed == 2, "what was only touched, or is no photo, was not missed"
    assert rig.voice.count(Said.WATCH) == 2
    rig.restart()
    status = rig.pipeline.status()
    assert status_json(status)["found_only_by_rescan"] == 2
    assert "found only by the rescan: 2 files" in list(status_lines(status))


def test_the_status_tells_how_each_root_is_watched(rig: Rig) -> None:
    trouble = Problem(bytes(rig.root), Fault.LIMIT, "fs.inotify.max_user_watches is 10")
    with running(rig, Silent({bytes(rig.root): "the limit"}, [trouble]), FakeHints()) as daemon:
        eventually(lambda: daemon.record.trouble is not None)
        status = rig.pipeline.status()
    said = "the limit on watches is reached: fs.inotify.max_user_watches is 10"
    (shown,) = status_json(status, Around(holder="pid 1: syncd run"))["watching"]
    assert (shown["how"], shown["trouble"], shown["found_only_by_rescan"]) == ("polled: the limit", said, 0)
    assert any(said in line for line in status_lines(status, Around(holder="pid 1: syncd run")))
    (shown,) = status_json(status)["watching"]
    assert (shown["how"], shown["trouble"], shown["last_trouble"]) == (None, None, said), "its daemon was killed"


def test_w17_what_arrives_in_the_middle_of_a_long_scan_is_served_at_once(rig: Rig) -> None:
    for number in range(200):
        rig.write(f"many/{number:03d}.jpg", photo_bytes(f"many {number}"))
    hints = FakeHints()
    reads = threading.Semaphore(0)
    in_the_middle = threading.Event()

    def slowly() -> None:
        if rig.reader.reads >= 100:
            in_the_middle.set()
            reads.acquire(timeout=0.3)

    rig.reader.meanwhile = slowly
    with running(rig, Silent(), hints) as daemon:
        assert in_the_middle.wait(20)
        daemon.new("2024/urgent.jpg")
        hints.give(HintBatch(files=frozenset({daemon.root + b"/2024/urgent.jpg"})))
        eventually(lambda: any(image.name.startswith("urgent") for image in rig.service.stored))
        assert rig.voice.count(Said.SCANNED) == 0, "the scan still goes on"
        rig.reader.meanwhile = None
        daemon.has(202)
    assert set(rig.service.billed().values()) == {1}


def test_w17_what_comes_behind_the_back_of_a_scan_is_not_gone(rig: Rig) -> None:
    rig.write("2024/comes back.jpg", photo_bytes("comes back"))
    rig.scan()
    (rig.root / "2024" / "comes back.jpg").unlink()
    rig.write("2024/old.jpg", photo_bytes("read while the other comes back"))

    def come_back() -> None:
        rig.reader.meanwhile = None
        rig.write("2024/comes back.jpg", photo_bytes("comes back"))

    rig.reader.meanwhile = come_back
    rig.scan()
    assert set(rig.states()) == {"2024/old.jpg", "2024/comes back.jpg"}
    assert rig.voice.count(Said.GONE) == 0
