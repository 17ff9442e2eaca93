"""The table of moves, as DESIGN states it, and the back-off."""

from __future__ import annotations

import random
from itertools import product

import pytest

from syncd.lifecycle import BACKOFF_CAP, MOVES, Outcome, State, backoff, may_move

ALLOWED = {
    ("ready", "sending"), ("ready", "unfit"), ("ready", "unanswered"),
    ("sending", "uploaded"), ("sending", "ready"), ("sending", "refused"), ("sending", "unanswered"),
    ("unanswered", "uploaded"), ("unanswered", "ready"), ("unanswered", "refused"),
    ("refused", "ready"),
    ("unfit", "ready"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_there_are_these_moves_and_no_others(before: State, after: State) -> None:
    assert may_move(before, after) == ((before.value, after.value) in ALLOWED)


def test_the_table_has_every_state() -> None:
    assert set(MOVES) == set(State)
    assert [state.value for state in State] == ["ready", "sending", "uploaded", "unanswered", "refused", "unfit"]


def test_what_is_uploaded_stays_so() -> None:
    assert not MOVES[State.UPLOADED]


def test_nothing_is_sent_but_from_ready() -> None:
    assert [before for before, after in MOVES.items() if State.SENDING in after] == [State.READY]


def test_the_words_that_the_ledger_stores() -> None:
    assert [outcome.value for outcome in Outcome] == [
        "stored", "rejected", "throttled", "paused", "unanswered", "not sent", "changed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("attempts", "ceiling"), [(1, 2.0), (2, 4.0), (5, 32.0), (9, 512.0), (10, 900.0), (1000, 900.0), (10**9, 900.0)]
)
def test_b13_the_back_off_doubles_with_full_jitter_and_has_a_cap(attempts: int, ceiling: float) -> None:
    rng = random.Random(1)
    waits = [backoff(attempts, rng) for _ in range(400)]
    assert min(waits) >= 0.0
    assert max(waits) <= ceiling <= BACKOFF_CAP
    # Full jitter: the waits fill the whole range, so that many syncds do not come back at once.
    assert min(waits) < ceiling * 0.05
    assert max(waits) > ceiling * 0.95
