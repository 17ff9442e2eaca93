"""The gate before everything that leaves: pace, breaker, back-off, pause; an hour of each fault."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.lifecycle import Outcome
from syncd.upload.pace import (
    BREAKER_CAP,
    FIRST_LEARNED,
    PAUSE_CAP,
    PAUSE_FIRST,
    QUIET_REQUESTS,
    SLOW_ENOUGH,
    SLOWEST,
    SYSTEMATIC,
    Answered,
    Gate,
    Go,
    Pause,
    Shut,
    after,
    by_the_clock,
    held_for_a_person,
    leaving,
    next_slot,
    opening,
    paused,
    probe_now,
    released,
)

NOW = 1_700_000_000.0
HOUR = 3600.0
HELD = Gate(pause=Pause("another account", NOW - 5, None))
PAUSED = Gate(pause=Pause("no credits", NOW - 5, NOW + 10))
PROBED = Gate(pause=Pause("no credits", NOW - 5, NOW))


def answered(gate: Gate, outcome: Outcome, *, pace: float | None = None, now: float = NOW, **more: object) -> Gate:
    said = Answered(outcome, 1, **more)  # type: ignore[arg-type]  # the fields of an answer, by name
    return after(gate, said, pace, now, random.Random(1))


@pytest.mark.parametrize(
    ("gate", "pace", "wanted"),
    [
        (Gate(), None, Go(0.0, probe=False)),
        (Gate(left_at=NOW), None, Go(NOW, probe=False)),
        (Gate(left_at=NOW), 60.0, Go(NOW + 60, probe=False)),
        (Gate(left_at=NOW, interval=120.0), 60.0, Go(NOW + 120, probe=False)),
        (Gate(left_at=NOW, interval=1.0), 60.0, Go(NOW + 60, probe=False)),
        (Gate(left_at=NOW, not_before=NOW + 300), 60.0, Go(NOW + 300, probe=False)),
        (Gate(unanswered=1, not_before=NOW + 1), None, Go(NOW + 1, True, "the last request was not answered")),
        (PAUSED, None, Go(NOW + 10, True, "no credits")),
        (replace(PAUSED, left_at=NOW), 60.0, Go(NOW + 60, True, "no credits")),
        (HELD, None, Shut("another account")),
        (replace(HELD, unanswered=3), None, Shut("another account")),
    ],
)
def test_when_the_next_request_may_leave(gate: Gate, pace: float | None, wanted: Go | Shut) -> None:
    assert opening(gate, pace, NOW) == wanted


@pytest.mark.parametrize("years", [0.01, 1, 30])
def test_w16_a_clock_that_was_set_back_holds_nothing_up_for_longer_than_the_longest_wait(years: float) -> None:
    past = NOW + years * 365 * 24 * HOUR
    gate = Gate(left_at=past, not_before=past, pause=Pause("no credits", past, past))
    assert next_slot(gate, 60.0, NOW) == NOW + 60
    found = opening(gate, 60.0, NOW)
    assert isinstance(found, Go)
    assert found.at <= NOW + PAUSE_CAP
    assert by_the_clock(HELD, NOW) == HELD, "what waits for a person waits for no clock"


def test_unanswered_requests_open_the_breaker_with_a_doubling_distance_to_an_hour() -> None:
    gate, waits = Gate(), []
    for _ in range(15):
        gate = answered(gate, Outcome.UNANSWERED)
        found = opening(gate, None, NOW)
        assert isinstance(found, Go)
        assert found.probe
        waits.append(found.at - NOW)
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == BREAKER_CAP == HOUR


def test_b13_an_hour_of_unanswered_requests_costs_a_dozen_photos() -> None:
    gate, now, requests = Gate(), NOW, 0
    while now < NOW + HOUR:
        requests += 1
        gate = answered(gate, Outcome.UNANSWERED, now=now)
        found = opening(gate, None, now)
        assert isinstance(found, Go)
        now = found.at
    assert requests <= 13


def test_b13_an_hour_without_a_way_out_is_a_bounded_number_of_tries() -> None:
    gate, now, requests = Gate(), NOW, 0
    while now < NOW + HOUR:
        requests += 1
        gate = answered(gate, Outcome.NOT_SENT, now=now)
        assert not gate.unanswered, "what never left needs no probes of single files"
        found = opening(gate, None, now)
        assert isinstance(found, Go)
        now = max(found.at, now)
    assert requests < 40


@pytest.mark.parametrize(
    "outcome", [Outcome.STORED, Outcome.REJECTED, Outcome.THROTTLED], ids=lambda outcome: outcome.value
)
def test_any_documented_answer_closes_the_breaker(outcome: Outcome) -> None:
    broken = Gate(unanswered=4, failures=3, not_before=NOW + 900)
    gate = answered(broken, outcome)
    assert (gate.unanswered, gate.failures) == (0, 0)
    assert gate.not_before <= NOW + FIRST_LEARNED


@pytest.mark.parametrize(
    "outcome", [Outcome.UNANSWERED, Outcome.NOT_SENT, Outcome.CHANGED, Outcome.PAUSED], ids=lambda each: each.value
)
def test_what_is_no_answer_leaves_the_breaker_open_or_pauses(outcome: Outcome) -> None:
    gate = answered(Gate(unanswered=4, not_before=NOW + 8), outcome)
    found = opening(gate, None, NOW)
    assert isinstance(found, Go)
    assert found.probe
    assert found.at > NOW


@pytest.mark.parametrize(
    ("pace", "learned", "wanted"),
    [
        (None, None, FIRST_LEARNED),
        (None, 1.0, 2.0),
        (1.0, None, 2.0),
        (60.0, None, SLOWEST),
        (60.0, 1.0, SLOWEST),
        (0.1, None, FIRST_LEARNED),
        (None, SLOWEST, SLOWEST),
        (300.0, None, SLOWEST),
    ],
)
def test_b12_a_429_slows_down_to_a_limit(pace: float | None, learned: float | None, wanted: float) -> None:
    gate = answered(Gate(interval=learned, quiet=7), Outcome.THROTTLED, pace=pace)
    assert (gate.interval, gate.quiet) == (wanted, 0)
    assert gate.not_before == NOW + wanted


@pytest.mark.parametrize(("retry_after", "wait"), [(None, 1.0), (0.2, 1.0), (30.0, 30.0)])
def test_h2_retry_after_only_makes_it_wait_longer(retry_after: float | None, wait: float) -> None:
    gate = answered(Gate(), Outcome.THROTTLED, retry_after=retry_after)
    assert gate.not_before == NOW + wait


def test_quiet_raises_the_pace_again_slowly_until_it_is_as_configured() -> None:
    gate = Gate(interval=4.0)
    seen = []
    for _ in range(400):
        gate = answered(gate, Outcome.STORED, pace=1.0)
        if gate.interval not in seen:
            seen.append(gate.interval)
    assert seen[:2] == [4.0, 4.0 / 1.5]
    assert seen[-1] is None, "as configured"
    steps = [each for each in seen if each is not None]
    assert steps == sorted(steps, reverse=True)
    assert len(seen) * QUIET_REQUESTS <= 400 + QUIET_REQUESTS


def test_without_a_configured_pace_what_was_learned_is_forgotten_at_last() -> None:
    gate = Gate(interval=1.0)
    for _ in range(QUIET_REQUESTS * 10):
        gate = answered(gate, Outcome.STORED)
    assert gate.interval is None


def test_a_pause_probes_after_15_minutes_growing_to_6_hours() -> None:
    gate, now, waits = paused(Gate(), "no credits", NOW), NOW, []
    for _ in range(8):
        assert gate.pause is not None
        assert gate.pause.probe_at is not None
        waits.append(gate.pause.probe_at - now)
        now = gate.pause.probe_at
        gate = paused(gate, "no credits", now)
    assert waits[:3] == [PAUSE_FIRST, 2 * PAUSE_FIRST, 4 * PAUSE_FIRST]
    assert waits[-1] == PAUSE_CAP
    assert gate.pause is not None
    assert gate.pause.since == NOW, "it is the same pause all the time"


def test_b12_a_day_without_credits_costs_few_probes() -> None:
    gate, now, probes = paused(Gate(), "no credits", NOW), NOW, 0
    while now < NOW + 24 * HOUR:
        found = opening(gate, None, now)
        assert isinstance(found, Go)
        now, probes = found.at, probes + 1
        gate = answered(gate, Outcome.PAUSED, now=now, message="no credits")
    assert probes <= 9


def test_a_pause_for_another_reason_begins_anew() -> None:
    gate = paused(PROBED, "bad key", NOW)
    assert gate.pause is not None
    assert (gate.pause.reason, gate.pause.since) == ("bad key", NOW)


@pytest.mark.parametrize("outcome", [Outcome.STORED, Outcome.REJECTED], ids=lambda outcome: outcome.value)
def test_b7_once_the_service_takes_a_request_again_whole_batches_leave(outcome: Outcome) -> None:
    gate = Gate()
    for _ in range(SLOW_ENOUGH):
        gate = answered(gate, Outcome.THROTTLED)
    probed = opening(gate, None, NOW + 24 * HOUR)
    assert isinstance(probed, Go)
    assert probed.probe
    gate = answered(gate, outcome)
    taken = opening(gate, None, NOW + 24 * HOUR)
    assert isinstance(taken, Go)
    assert not taken.probe
    assert answered(gate, Outcome.THROTTLED).throttles == 1


@pytest.mark.parametrize("outcome", [Outcome.STORED, Outcome.REJECTED], ids=lambda outcome: outcome.value)
def test_an_answer_ends_a_pause_but_not_one_for_a_person(outcome: Outcome) -> None:
    assert answered(PROBED, outcome).pause is None
    assert answered(HELD, outcome).pause == HELD.pause


def test_b12_an_answer_to_what_left_before_the_pause_does_not_end_it() -> None:
    gate = paused(Gate(), "no credits", NOW)
    early, late = (Answered(Outcome.STORED, 1, left_at=at) for at in (NOW - 0.1, NOW + 0.1))
    rng = random.Random(1)
    assert after(gate, early, None, NOW + 1.0, rng).pause == gate.pause
    assert after(gate, late, None, NOW + 1.0, rng).pause is None
    assert after(by_the_clock(gate, NOW - HOUR), replace(late, left_at=NOW - HOUR + 1), None, NOW, rng).pause is None


@pytest.mark.parametrize(
    "outcome", [Outcome.UNANSWERED, Outcome.THROTTLED, Outcome.NOT_SENT, Outcome.CHANGED], ids=lambda each: each.value
)
def test_what_says_nothing_of_the_reason_goes_on_with_the_pause(outcome: Outcome) -> None:
    gate = answered(PROBED, outcome)
    assert gate.pause is not None
    assert gate.pause.reason == "no credits"


def test_an_unanswered_probe_is_put_off_and_what_left_before_the_pause_is_no_probe() -> None:
    gate = answered(PROBED, Outcome.UNANSWERED)
    assert gate.pause is not None
    assert gate.pause.probe_at == NOW + 2 * PAUSE_FIRST
    assert answered(PAUSED, Outcome.UNANSWERED).pause == PAUSED.pause


def test_a_pause_of_a_person_is_not_turned_into_one_that_ends_by_itself() -> None:
    assert paused(HELD, "no credits", NOW).pause == HELD.pause
    assert isinstance(opening(probe_now(HELD, NOW), None, NOW), Shut)


def test_a_person_holds_and_releases() -> None:
    gate = held_for_a_person(Gate(refusals=5, refusal="no"), "another key", NOW)
    assert opening(gate, None, NOW) == Shut("another key")
    again = held_for_a_person(gate, "another key", NOW + 9)
    assert again.pause is not None
    assert again.pause.since == NOW
    assert released(gate) == Gate()


@pytest.mark.parametrize(
    "gate",
    [PAUSED, Gate(unanswered=9, not_before=NOW + 900), Gate(failures=9, not_before=NOW + 900)],
    ids=["paused", "breaker", "back-off"],
)
def test_a_sync_lets_one_request_try_at_once(gate: Gate) -> None:
    found = opening(probe_now(gate, NOW), None, NOW)
    assert isinstance(found, Go)
    assert found.at <= NOW


def refusal(message: str = "no", *, single: bool = True) -> Answered:
    return Answered(Outcome.REJECTED, 1 if single else 4, message, file_at_fault=single)


def test_five_refusals_in_a_row_with_the_same_message_pause_the_queue() -> None:
    gate = Gate()
    for count in range(1, SYSTEMATIC + 1):
        gate = after(gate, refusal("Invalid image"), None, NOW, random.Random(1))
        assert (gate.pause is not None) == (count == SYSTEMATIC)
    assert gate.pause is not None
    assert "Invalid image" in gate.pause.reason
    more = after(
        replace(gate, pause=replace(gate.pause, probe_at=NOW)), refusal("Invalid image"), None, NOW, random.Random(1)
    )
    assert more.pause is not None, "a probe that is refused with the same words goes on with the pause"
    assert more.pause.probe_at == NOW + 2 * PAUSE_FIRST
    assert answered(more, Outcome.STORED).refusals == 0


@pytest.mark.parametrize(
    "between",
    [refusal("another"), Answered(Outcome.STORED, 1)],
    ids=["another message", "a photo that was stored"],
)
def test_what_comes_between_breaks_the_run(between: Answered) -> None:
    gate = Gate()
    for _ in range(3):
        for answer in (*[refusal()] * (SYSTEMATIC - 1), between):
            gate = after(gate, answer, None, NOW, random.Random(1))
    assert gate.pause is None


def test_rejections_of_batches_are_no_refusals_of_files() -> None:
    gate = Gate()
    for _ in range(20):
        gate = after(gate, refusal(single=False), None, NOW, random.Random(1))
    assert gate == Gate()


def test_a_cap_on_files_is_learned() -> None:
    assert answered(Gate(), Outcome.REJECTED, batch_cap=3).batch_cap == 3


def test_leaving_is_noted() -> None:
    assert leaving(Gate(), NOW) == Gate(left_at=NOW)


@pytest.mark.parametrize("gate", [Gate(), PAUSED, HELD, Gate(1.5, 2.0, 3, 4, 5, 6.5, 7, "no", 8)])
def test_the_ledger_gives_the_gate_back_as_it_was(gate: Gate) -> None:
    assert Gate.from_json(json.loads(json.dumps(gate.to_json()))) == gate


@pytest.mark.parametrize(
    ("kept", "gate"),
    [
        (None, Gate()),
        ("nonsense", Gate()),
        ({}, Gate()),
        ({"left_at": 5.0, "of_tomorrow": 1}, Gate(left_at=5.0)),
        (
            {"pause": {"reason": "r", "since": 1.0, "probe_at": None, "of_tomorrow": 1}},
            Gate(pause=Pause("r", 1.0, None)),
        ),
    ],
)
def test_what_another_version_kept_is_read(kept: object, gate: Gate) -> None:
    assert Gate.from_json(kept) == gate


GATES = st.builds(
    Gate,
    left_at=st.floats(0, 2 * NOW),
    interval=st.none() | st.floats(0.1, SLOWEST),
    unanswered=st.integers(0, 50),
    failures=st.integers(0, 50),
    not_before=st.floats(0, 2 * NOW),
    refusals=st.integers(0, 9),
    refusal=st.sampled_from(("", "no")),
    pause=st.none()
    | st.builds(Pause, st.just("r"), st.just(NOW), st.none() | st.floats(0, 2 * NOW), st.integers(0, 40)),
)
ANSWERS = st.builds(
    Answered,
    st.sampled_from(Outcome),
    st.integers(1, 10),
    st.sampled_from(("", "no")),
    st.none() | st.floats(0, 6 * HOUR),
    st.none() | st.integers(1, 9),
    file_at_fault=st.booleans(),
)


@given(GATES, st.lists(ANSWERS, max_size=8), st.none() | st.floats(0.1, 3600))
def test_whatever_comes_the_gate_opens_again_within_hours_or_says_that_a_person_is_needed(
    gate: Gate, answers: list[Answered], pace: float | None
) -> None:
    rng = random.Random(2)
    for answer in answers:
        gate = after(gate, answer, pace, NOW, rng)
    found = opening(gate, pace, NOW)
    if isinstance(found, Shut):
        assert found.why
    else:
        assert found.at <= NOW + PAUSE_CAP
    if gate.unanswered or gate.pause:
        assert isinstance(found, Shut) or found.probe
