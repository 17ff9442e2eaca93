"""The pace is used up and never exceeded: on a clock that jumps, with latency, connections and commits in between."""

from __future__ import annotations

import os
import random
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.daemon.dispatch import Dispatch
from syncd.daemon.turnstile import LEAD, LONGEST_HEAD_START, Turnstile
from syncd.ledger.plain import text
from syncd.model import Look, PlacePath
from syncd.rules import Rules
from syncd.settings import FolderSettings, UploadSettings
from tests.fakes.ledgers import Ledger, make_ledger, photo, sighting
from tests.fakes.virtual import DistantService, VirtualExecutor, VirtualTime, nothing
from tests.fakes.voice import FakeVoice

RULES = Rules.compile((FolderSettings(Path("/photos")),), ())
LATENCY = 0.3


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    # Where it can be, in memory: what the disk takes for a commit is no part of these minutes.
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder, make_ledger(Path(folder)) as made:
        yield made


class Opener:
    """Opens what has the size that the ledger knows; planning and opening take their time."""

    def __init__(self, time: VirtualTime, sizes: dict[bytes, int]) -> None:
        self._time = time
        self._sizes = sizes

    def open_photo(self, place: PlacePath) -> tuple[int, Look]:
        self._time.pause(0.004)
        return os.open(os.devnull, os.O_RDONLY), Look(self._sizes[place.name], 1, 1, 1, 1)


class Simulation:
    """The dispatch over a real ledger, in virtual time."""

    def __init__(self, ledger: Ledger, settings: UploadSettings, service_rate: float = 1e12) -> None:
        self.time = VirtualTime(ledger.now + 10_000)
        self.service = DistantService(self.time, connecting=0.08, latency=LATENCY, bytes_a_second=service_rate)
        self.sizes = {row.name: row.size for row in ledger.rows("SELECT name, size FROM places")}
        self.dispatch = Dispatch(
            queue=ledger.queue,
            lookups=ledger.lookups,
            rules=RULES,
            settings=settings,
            as_utc=False,
            sender=self.service,
            opener=Opener(self.time, self.sizes),
            executor=VirtualExecutor(self.time),
            clock=self.time,
            voice=FakeVoice(),
            rng=random.Random(1),
            look_again=nothing,
            answered=self.time.news,
            turnstile=Turnstile(self.time.monotonic, self.time.pause, lead=LEAD),
        )

    def run(self, seconds: float) -> list[float]:
        """Give when the first byte of each request left."""
        end = self.time.monotonic() + seconds
        while self.time.monotonic() < end:
            idle = self.dispatch.turn()
            if idle is not None:
                until = end - self.time.monotonic()
                if idle.until is not None:
                    until = min(until, max(0.0, idle.until - self.time.now()))
                self.time.wait_for_news(until)
        left = [at for at, _ in self.service.left]
        while self.dispatch.in_flight:
            self.time.pause(1.0)
            self.dispatch._collect()
        return left


def one_each(ledger: Ledger, count: int, size: int = 1000) -> None:
    """Owe so many photos of which none can share a request."""
    seen = [sighting(b"%d.jpg" % n, photo(n, size=size), folder=b"f%d" % n, order_at=float(n)) for n in range(count)]
    for start in range(0, count, 500):
        ledger.see(*seen[start : start + 500])


def assert_used_up(left: Sequence[float], interval: float, seconds: float) -> None:
    assert min((later - before for before, later in pairwise(left)), default=interval) >= interval - 1e-5
    assert len(left) >= 0.97 * seconds / interval


@pytest.mark.parametrize(("interval", "seconds"), [(1.0, 100.0), (60.0, 600.0), (0.1, 12.0)])
def test_97_percent_of_what_the_pace_allows_leave_and_none_is_too_close(
    ledger: Ledger, interval: float, seconds: float
) -> None:
    one_each(ledger, int(seconds / interval) + 5)
    simulation = Simulation(ledger, UploadSettings(pace=interval, in_flight=4, batch_files=1))
    assert_used_up(simulation.run(seconds), interval, seconds)


def test_large_files_on_a_slow_line_neither_starve_small_ones_nor_the_pace(ledger: Ledger) -> None:
    large = [sighting(b"L%d" % n, photo(n, size=20_000_000), order_at=2000.0 + n) for n in range(60)]
    small = [
        sighting(b"S%d" % n, photo(1000 + n, size=80_000), folder=b"s%d" % n, order_at=float(n)) for n in range(150)
    ]
    ledger.see(*large)
    ledger.see(*small)
    simulation = Simulation(ledger, UploadSettings(pace=1.0, in_flight=4, batch_files=1), service_rate=1e6)
    left = simulation.run(100.0)
    assert min(later - before for before, later in pairwise(left)) >= 1.0 - 1e-5
    names = [name for _, files in simulation.service.left for name in files]
    small_ones = sum(name.startswith("S") for name in names)
    assert small_ones >= 60, "the last place goes to small files, about one a second"
    assert sum(name.startswith("L") for name in names) >= 3, "and large ones go on beside them"
    assert len(left) >= 70


def test_an_arrival_is_in_the_next_request_or_the_one_after_it(ledger: Ledger) -> None:
    one_each(ledger, 300)
    with ledger.store.write() as connection:
        connection.execute(text("UPDATE roots SET first_scan_at = 1"))
    simulation = Simulation(ledger, UploadSettings(pace=1.0, in_flight=2, batch_files=1))
    rng = random.Random(3)
    for number in range(12):
        simulation.run(rng.uniform(1.0, 5.0))
        name = b"new%d.jpg" % number
        simulation.sizes[name] = 1000
        ledger.now = simulation.time.now() - 1.0
        ledger.see(sighting(name, photo(5000 + number), folder=b"new%d" % number))
        before = len(simulation.service.left)
        simulation.run(3.0)
        names = [files[0] for _, files in simulation.service.left[before:]]
        assert any(each.startswith(f"new{number}-") for each in names[:2]), names


def test_what_waits_is_taken_back_when_an_answer_shuts_the_gate(ledger: Ledger) -> None:
    """A request that is made, and whose turn has not come, does not leave after the service said: no credits."""
    turnstile = Turnstile(lambda: 0.0, lambda seconds, cancelled: None, lead=LEAD)
    turn = turnstile.turn(0.4, 1.0)
    turn.give_up("no credits")
    assert turn.cancel.is_set()
    assert not turn.left
    turn = turnstile.turn(0.0, 0.0)
    turn.leave()
    turn.give_up("too late")
    assert not turn.given_up
    assert not turn.cancel.is_set()


def test_the_next_one_keeps_its_distance_from_when_the_first_byte_left_indeed() -> None:
    now = 0.0

    def pause(seconds: float, cancelled: threading.Event) -> None:
        nonlocal now
        now += seconds

    turnstile = Turnstile(lambda: now, pause)
    turn = turnstile.turn(0.0, 1.0)
    turn.leave()
    now += 0.02  # its thread lost its core before it wrote
    turn.has_left()
    turnstile.turn(1.0, 1.0).leave()
    assert now == pytest.approx(1.02)


def test_the_head_start_follows_a_slow_commit_at_once_and_has_an_end() -> None:
    now = 0.0
    waited: list[float] = []

    def pause(seconds: float, cancelled: threading.Event) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds

    turnstile = Turnstile(lambda: now, pause)
    for commit in (0.01, 0.01, 5.0, 0.0):
        turn = turnstile.turn(now + 1.0, 1.0)
        turn.wait()
        now += commit
        turn.leave()
    # The first wait is whole and its commit makes it late; the next one begins its commit that much before.
    assert waited[:3] == pytest.approx([1.0, 0.99, 0.99])
    assert waited[-2] == pytest.approx(1.0 - LONGEST_HEAD_START)
