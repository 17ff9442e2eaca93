"""When the watchdog is fed, and how often things are said."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.daemon.herald import STATUS_EVERY, Herald
from syncd.daemon.notify import Notifier
from syncd.daemon.vigil import Overdue, Vigil
from tests.fakes.clock import FakeClock
from tests.fakes.program import eventually


@dataclass(frozen=True, slots=True)
class ListeningNotifier(Notifier):
    sent: list[str] = field(default_factory=list)

    def _send(self, *assignments: str) -> None:
        self.sent.extend(assignments)


class Stage:
    def __init__(self, watchdog: float | None) -> None:
        self.clock = FakeClock(0.0)
        self.vigil = Vigil(self.clock.monotonic, patience=watchdog or 300.0)
        self.notifier = ListeningNotifier("@", watchdog)
        self.hung: list[list[Overdue]] = []
        self.herald = Herald(self.notifier, self.vigil, self.clock, self.hung.append)

    def count(self, assignment: str) -> int:
        return self.notifier.sent.count(assignment)


def test_it_is_fed_four_times_within_its_time_while_all_make_progress() -> None:
    stage = Stage(watchdog=8.0)
    for _ in range(80):
        stage.vigil.progress("a")
        stage.herald.turn()
        stage.clock.advance(0.1)
    assert stage.count("WATCHDOG=1") == 4


def test_while_a_pipeline_is_built_it_is_fed_without_progress() -> None:
    stage = Stage(watchdog=0.04)
    with stage.herald.building():
        eventually(lambda: stage.count("WATCHDOG=1") >= 3)
    fed = stage.count("WATCHDOG=1")
    stage.herald.turn()
    assert stage.count("WATCHDOG=1") <= fed + 1


def test_it_is_not_fed_while_one_hangs_whatever_the_others_do_and_again_once_it_goes_on() -> None:
    stage = Stage(watchdog=8.0)
    stage.vigil.progress("hanging")
    for _ in range(20):
        stage.clock.advance(1.0)
        stage.vigil.progress("busy")
        stage.herald.turn(lambda: "all is well")
    fed = stage.count("WATCHDOG=1")
    assert fed <= 4
    assert stage.count("WATCHDOG=trigger") == 1, "said once, not at every look"
    assert [[one.worker for one in overdue] for overdue in stage.hung] == [["hanging"]]

    stage.vigil.progress("hanging", within=100)
    stage.clock.advance(1.0)
    stage.vigil.progress("busy")
    stage.herald.turn()
    assert stage.count("WATCHDOG=1") == fed + 1


def test_without_a_watchdog_nothing_is_fed_and_a_hung_worker_is_still_noticed() -> None:
    stage = Stage(watchdog=None)
    stage.vigil.progress("hanging")
    stage.herald.turn()
    stage.clock.advance(301.0)
    stage.herald.turn()
    assert stage.count("WATCHDOG=1") == 0
    assert len(stage.hung) == 1


def test_a_status_is_said_when_it_changes_and_not_too_often() -> None:
    stage = Stage(watchdog=None)
    stage.herald.ready("at work")
    lines = iter(f"line {number}" for number in range(100))
    for _ in range(int(3 * STATUS_EVERY)):
        stage.clock.advance(1.0)
        stage.herald.turn(lambda: next(lines))
    assert [one for one in stage.notifier.sent if one.startswith("STATUS=line")] == [
        "STATUS=line 0",
        "STATUS=line 1",
        "STATUS=line 2",
    ]
    for _ in range(int(3 * STATUS_EVERY)):
        stage.clock.advance(1.0)
        stage.herald.turn(lambda: "the same")
    assert stage.count("STATUS=the same") == 1


def test_it_says_when_it_must_hear_of_the_main_thread_again() -> None:
    stage = Stage(watchdog=80.0)
    stage.vigil.progress("a")
    stage.herald.turn(lambda: "at work")
    assert stage.herald.next_turn() - stage.clock.monotonic() == STATUS_EVERY
    for _ in range(10):
        stage.clock.advance(stage.herald.next_turn() - stage.clock.monotonic())
        stage.vigil.progress("a")
        stage.herald.turn(lambda: "at work")
    assert stage.count("WATCHDOG=1") == 6, "at 0, and every 20 s"


def test_it_hears_of_the_main_thread_as_soon_as_a_worker_is_overdue_and_then_once_a_second() -> None:
    stage = Stage(watchdog=80.0)
    stage.vigil.progress("hanging")
    for _ in range(30):
        stage.herald.turn(lambda: "at work")
        if stage.hung:
            break
        stage.clock.advance(stage.herald.next_turn() - stage.clock.monotonic())
    assert [[round(one.silent) for one in overdue] for overdue in stage.hung] == [[81]]
    assert stage.herald.next_turn() - stage.clock.monotonic() == 1.0
