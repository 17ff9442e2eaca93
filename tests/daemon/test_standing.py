"""The one line that a person reads in `systemctl status`."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from syncd.daemon.rest import Idle, Rest
from syncd.daemon.standing import RATE_OVER, Owing, Rate, sentence, waiting, why_waiting
from syncd.ledger.reports import Absent, Status
from syncd.lifecycle import State
from syncd.settings import UploadSettings
from syncd.upload.pace import Gate, Pause

NOW = time.mktime((2026, 3, 4, 14, 30, 0, 0, 0, -1))
TWO = time.mktime((2026, 3, 4, 14, 2, 0, 0, 0, -1))
TOMORROW = time.mktime((2026, 3, 5, 0, 0, 0, 0, 0, -1))


def status(gate: Gate | None = None, absent: tuple[Absent, ...] = (), **counts: int) -> Status:
    return Status(
        entries=dict.fromkeys(State, 0) | {State(name): count for name, count in counts.items()},
        withdrawn=0,
        held=0,
        unsettled=0,
        places=0,
        photos=0,
        ignored={},
        held_folders=(),
        absent=absent,
        requests=0,
        lookup_at=None,
        last_scan_at=None,
        gate=gate.to_json() if gate else None,
    )


BUSY = status(uploaded=1204, ready=8200, sending=8)
CREDITS = Gate(pause=Pause("no credits", TWO, NOW + 60))


@pytest.mark.parametrize(
    ("given", "idle", "rate", "line"),
    [
        (BUSY, None, 1.0, "1,204 of 9,412 uploaded, 1/s, about 2 h 17 min left"),
        (BUSY, Idle(Rest.PACE, NOW + 1), 1 / 60, "1,204 of 9,412 uploaded, 1/min, about 5 days 16 h left"),
        (BUSY, None, None, "1,204 of 9,412 uploaded"),
        (status(CREDITS, ready=3), Idle(Rest.PAUSED), 1.0, "paused: no credits since 14:02; 3 photos owed"),
        (status(CREDITS, uploaded=3), Idle(Rest.PAUSED), None, "watching; 3 photos uploaded, nothing owed"),
        (
            status(ready=1),
            Idle(Rest.BUDGET, TOMORROW),
            None,
            "the budget of the day is spent, goes on at 2026-03-05 00:00; 1 photo owed",
        ),
        (status(ready=1), Idle(Rest.HOURS, NOW, "until 22:00"), None, "until 22:00; 1 photo owed"),
        (
            status(None, (Absent(b"/p", "not there", NOW),), uploaded=5, refused=1, unanswered=1),
            Idle(Rest.NOTHING_OWED),
            None,
            "watching; 5 photos uploaded, nothing owed; 2 for a person (`syncd status`); 1 folder not there",
        ),
    ],
)
def test_the_line(given: Status, idle: Idle | None, rate: float | None, line: str) -> None:
    assert sentence(given, idle, rate, NOW) == line


@pytest.mark.parametrize("rest", list(Rest))
def test_every_rest_but_work_itself_is_a_waiting_with_words(rest: Rest) -> None:
    found = waiting(Idle(rest, NOW + 60), CREDITS, NOW)
    if rest in {Rest.UNDER_WAY, Rest.PACE, Rest.LINGER, Rest.NOTHING_OWED}:
        assert found is None
    else:
        assert found is not None
        assert found.detail


def test_what_pace_and_budget_say_comes_before_the_rate_of_the_last_minutes() -> None:
    line = sentence(BUSY, None, 1.0, NOW, done_at=NOW + 9 * 86400)
    assert line == "1,204 of 9,412 uploaded, 1/s, about 9 days 0 h left"
    assert sentence(BUSY, None, None, NOW, done_at=NOW + 60) == "1,204 of 9,412 uploaded, about 60 s left"


def test_what_the_service_says_cannot_break_the_line_or_fill_it() -> None:
    gate = Gate(pause=Pause("no\ncredits " + "x" * 5000, TWO, None))
    line = sentence(status(gate, ready=1), Idle(Rest.PAUSED), None, NOW)
    assert line.isprintable()
    assert len(line) < 200


def test_the_rate_is_that_of_the_last_minutes() -> None:
    rate = Rate()
    assert rate.photos_a_second() is None
    rate.note(100, 0.0)
    assert rate.photos_a_second() is None
    rate.note(100, 10.0)
    assert rate.photos_a_second() is None, "nothing was uploaded"
    rate.note(120, 20.0)
    assert rate.photos_a_second() == 1.0
    for second in range(30, int(3 * RATE_OVER), 10):
        rate.note(120 + (second - 20) * 2, float(second))
    assert rate.photos_a_second() == pytest.approx(2.0)


def test_a_status_of_another_day_names_the_day() -> None:
    gate = replace(CREDITS, pause=Pause("no credits", TWO - 86400, None))
    assert "since 2026-03-03 14:02" in sentence(status(gate, ready=1), Idle(Rest.PAUSED), None, NOW)


LATER = NOW + 600
DUE = Owing(next_due=NOW - 1, lookup_at=None, sent_today=0)


@pytest.mark.parametrize(
    ("settings", "shut", "gate", "owing", "reason", "until"),
    [
        (UploadSettings(), None, Gate(), DUE, None, None),
        (UploadSettings(), Idle(Rest.HOURS, LATER, "x"), Gate(), Owing(None, None, 0), None, None),
        (UploadSettings(), Idle(Rest.HOURS, LATER, "x"), CREDITS, DUE, Rest.HOURS, LATER),
        (UploadSettings(), None, CREDITS, DUE, Rest.PAUSED, NOW + 60),
        (UploadSettings(), None, CREDITS, Owing(None, LATER, 0), Rest.PAUSED, NOW + 60),
        (UploadSettings(), None, Gate(), Owing(None, LATER, 0), None, None),
        (UploadSettings(), None, Gate(unanswered=2, not_before=LATER), DUE, Rest.UNANSWERED, LATER),
        (UploadSettings(), None, Gate(failures=2, not_before=LATER), DUE, Rest.BACK_OFF, LATER),
        (UploadSettings(daily_uploads=5), None, Gate(), replace(DUE, sent_today=5), Rest.BUDGET, TOMORROW),
        (UploadSettings(daily_uploads=5), None, Gate(), replace(DUE, sent_today=4), None, None),
        (UploadSettings(), None, Gate(), replace(DUE, next_due=LATER), Rest.BACK_OFF, LATER),
    ],
)
def test_status_gives_the_reason_of_every_waiting_from_the_ledger_alone(
    settings: UploadSettings, shut: Idle | None, gate: Gate, owing: Owing, reason: Rest | None, until: float | None
) -> None:
    found = why_waiting(settings, shut, gate, owing, NOW)
    assert (found.reason if found else None, found.until if found else None) == (reason, until)
