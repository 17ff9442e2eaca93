"""The ledger as the queue: its order, the intent, what came of it, and what a process that died left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import pytest

from syncd.errors import IllegalMoveError, LedgerError, SyncdError
from syncd.ledger.guard import MarkFile
from syncd.ledger.moves import move
from syncd.ledger.queue import FARTHEST, Answer, Claim, Queue, Receipt, Settlement
from syncd.ledger.store import Store
from syncd.lifecycle import Outcome, State, may_move
from syncd.model import RequestMetadata
from tests.fakes.ledgers import START, Ledger, backlog, commits
from tests.fakes.program import eventually

DAY = 24 * 3600.0


def test_the_intent_is_whole_in_the_ledger_before_anything_leaves(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    request = ledger.claim(2, 1, namespace="family", tags=("home",))
    (row,) = ledger.rows("SELECT * FROM requests")
    assert row.marker.startswith("syncd-")
    assert (row.marked, row.namespace, row.files, row.bytes) == (1, "family", 2, 2000)
    assert (row.completing_at, row.answered_at, row.outcome) == (None, None, None)
    assert ledger.states() == {1: State.SENDING, 2: State.SENDING}
    assert [r.entry_id for r in ledger.rows("SELECT entry_id FROM sent ORDER BY position")] == [2, 1]
    for entry in ledger.rows("SELECT attempts, sent_metadata FROM entries"):
        assert entry.attempts == 1
        assert entry.sent_metadata == '{"unique_id": "family", "tags": ["home"]}'
    mark = MarkFile(ledger.path).read()
    assert mark is not None
    assert mark.requests == request
    assert ledger.queue.last_sent_at() == ledger.now


@pytest.mark.parametrize("meanwhile", ["claimed", "unfit"])
def test_a_claim_of_what_is_not_ready_any_more_changes_nothing(ledger: Ledger, meanwhile: str) -> None:
    backlog(ledger, 1, 2)
    if meanwhile == "claimed":
        ledger.claim(2)
    else:
        with ledger.store.write() as connection:
            move(connection, 2, State.READY, State.UNFIT, "too large", ledger.now)
    before = len(ledger.rows("SELECT * FROM requests"))
    with pytest.raises(IllegalMoveError):
        ledger.claim(1, 2)
    assert ledger.states()[1] is State.READY
    assert len(ledger.rows("SELECT * FROM requests")) == before
    assert ledger.rows("SELECT * FROM sent WHERE entry_id = 1") == []
    ledger.assert_whole()


def test_a_marker_is_never_used_twice(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    claim = Claim("syncd-1", True, RequestMetadata("n"), ((1, "a.jpg", 1),))
    ledger.queue.claim([claim], ledger.tick())
    with pytest.raises(LedgerError):
        ledger.queue.claim([replace(claim, files=((2, "b.jpg", 1),))], ledger.tick())
    assert ledger.states()[2] is State.READY


def test_a_request_without_its_mark_does_not_leave(ledger: Ledger) -> None:
    backlog(ledger, 1)
    mark = MarkFile(ledger.path).path
    mark.unlink()
    mark.mkdir()
    with pytest.raises(LedgerError, match="mark"):
        ledger.claim(1)


def test_receipts_are_all_committed_or_none(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    request = ledger.claim(1)
    with pytest.raises(IllegalMoveError):
        ledger.answer(
            request,
            Answer(Outcome.STORED),
            Receipt(1, State.UPLOADED, "id", "7"),
            Receipt(2, State.UPLOADED, "id", "8"),
        )
    assert ledger.states() == {1: State.SENDING, 2: State.READY}
    assert ledger.rows("SELECT outcome FROM requests")[0].outcome is None
    assert ledger.queue.gate() is None


def test_an_image_id_is_kept_as_it_came(ledger: Ledger) -> None:
    backlog(ledger, 1)
    big = str(2**63 - 1)
    ledger.answer(ledger.claim(1), Answer(Outcome.STORED, 200, "0000"), Receipt(1, State.UPLOADED, "id", big))
    (row,) = ledger.rows("SELECT image_id, typeof(image_id) AS kind, uploaded_at FROM entries")
    assert (row.image_id, row.kind, row.uploaded_at) == (big, "text", ledger.now)
    assert ledger.queue.held_ids([big, "5"]) == {big}


def test_foreign_words_are_safe_in_the_ledger(ledger: Ledger) -> None:
    backlog(ledger, 1)
    answer = Answer(Outcome.REJECTED, 200, "0003", "no\x1b[2J")
    ledger.answer(ledger.claim(1), answer, Receipt(1, State.REFUSED, "no\x1b[2J\n"))
    assert ledger.rows("SELECT message FROM requests")[0].message == r"no\x1b[2J"
    assert ledger.rows("SELECT reason FROM entries")[0].reason == r"no\x1b[2J\x0a"


def test_the_gate_is_kept_with_the_receipts(ledger: Ledger) -> None:
    backlog(ledger, 1)
    request = ledger.claim(1)
    answer, receipts = Answer(Outcome.UNANSWERED), [Receipt(1, State.UNANSWERED, "s")]
    ledger.queue.settle([Settlement(request, answer, receipts)], {"n": 1}, ledger.now)
    assert Queue(ledger.store).gate() == {"n": 1}
    ledger.queue.set_gate({"n": 2})
    assert ledger.queue.gate() == {"n": 2}


def test_the_ledger_refuses_every_move_that_is_none(ledger: Ledger) -> None:
    backlog(ledger, 1)
    for before, after in product(State, State):
        if not may_move(before, after):
            with pytest.raises(IllegalMoveError), ledger.store.write() as connection:
                move(connection, 1, before, after, "r", ledger.now)
        elif before is not State.READY:
            with ledger.store.write() as connection:
                assert not move(connection, 1, before, after, "r", ledger.now), "it is not in that state"
    assert ledger.states() == {1: State.READY}
    assert len(ledger.moves(1)) == 1


@pytest.mark.parametrize(
    ("completing", "marked", "state", "outcome", "looked_up"),
    [
        (False, True, State.READY, Outcome.NOT_SENT, False),
        (True, True, State.UNANSWERED, Outcome.UNANSWERED, True),
        (True, False, State.UNANSWERED, Outcome.UNANSWERED, False),
    ],
)
def test_b2_what_was_sending_is_settled_by_how_far_it_was(
    ledger: Ledger, *, completing: bool, marked: bool, state: State, outcome: Outcome, looked_up: bool
) -> None:
    backlog(ledger, 1, 2, 3)
    request = ledger.claim(1, 2, marked=marked)
    if completing:
        ledger.queue.completing(request, ledger.tick())
    counts = ledger.queue.recover(ledger.tick())
    assert counts == ((2, 0) if completing else (0, 2))
    assert ledger.states() == {1: state, 2: state, 3: State.READY}
    (row,) = ledger.rows("SELECT outcome, lookup_at, answered_at FROM requests")
    assert (row.outcome, row.lookup_at) == (outcome, ledger.now if looked_up else None)
    assert row.answered_at is not None
    assert ledger.queue.recover(ledger.tick()) == (0, 0), "once is enough"
    assert (1 in ledger.due()) == (not completing)
    ledger.assert_whole()


def test_recovery_leaves_a_request_that_was_answered_alone(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    ledger.upload(1)
    ledger.claim(2)
    ledger.queue.recover(ledger.tick())
    assert [row.outcome for row in ledger.rows("SELECT outcome FROM requests ORDER BY id")] == ["stored", "not sent"]
    assert ledger.states()[1] is State.UPLOADED


def test_w16_what_was_put_off_while_the_clock_was_wrong_is_due_after_a_start(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    ledger.queue.defer(1, ledger.now + FARTHEST + 100)
    ledger.queue.defer(2, ledger.now + 600)
    ledger.queue.recover(ledger.now)
    assert ledger.due() == [1]
    ledger.queue.hasten(ledger.now)
    assert ledger.due() == [2, 1]


def test_a_deferral_is_no_move_and_only_for_what_is_ready(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    ledger.upload(1)
    ledger.queue.defer(1, ledger.now + 9)
    ledger.queue.defer(2, ledger.now + 9)
    assert len(ledger.moves(2)) == 1
    assert ledger.states() == {1: State.UPLOADED, 2: State.READY}


def test_a_budget_counts_what_is_or_may_be_stored_and_nothing_else(ledger: Ledger) -> None:
    backlog(ledger, *range(1, 10))
    ledger.upload(1, 2)
    ledger.leave_unanswered(3)
    ledger.answer(ledger.claim(4), Answer(Outcome.REJECTED), Receipt(4, State.REFUSED, "no"))
    ledger.answer(ledger.claim(5), Answer(Outcome.NOT_SENT), Receipt(5, State.READY, "no route"))
    assert ledger.queue.sent_since(START) == 3
    ledger.claim(6, 7)
    assert ledger.queue.sent_since(START) == 5, "what is under way is paid for until the opposite is known"
    assert ledger.queue.sent_since(ledger.now) == 2
    assert ledger.queue.sent_since(ledger.now + DAY) == 0


def test_requests_are_settled_all_or_none(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    first, second = ledger.claim(1), ledger.claim(2)
    stored = Answer(Outcome.STORED, 200, "0000")
    good = Settlement(first, stored, [Receipt(1, State.UPLOADED, "id", "71")])
    for wrong in ("71", "72"):
        receipts = [Receipt(2, State.UPLOADED, "id", wrong), *([] if wrong == "71" else [Receipt(1, State.READY, "?")])]
        with pytest.raises(SyncdError):
            ledger.queue.settle([good, Settlement(second, stored, receipts)], {}, ledger.tick())
        assert set(ledger.states().values()) == {State.SENDING}
    ledger.queue.settle([good], {}, ledger.tick())
    assert ledger.states() == {1: State.UPLOADED, 2: State.SENDING}


def test_several_claims_are_one_intent(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    first, second, again = (
        Claim(f"syncd-{n}", True, RequestMetadata("n"), ((entry, "a.jpg", 1),)) for n, entry in enumerate((1, 2, 1))
    )
    with pytest.raises(IllegalMoveError):
        ledger.queue.claim([second, first, again], ledger.tick())
    assert set(ledger.states().values()) == {State.READY}
    assert ledger.rows("SELECT count(*) AS n FROM requests")[0].n == 0
    assert ledger.queue.claim([first, second], ledger.tick()) == [1, 2]
    mark = MarkFile(ledger.path).read()
    assert mark is not None
    assert mark.requests == 2


def test_notes_that_come_while_another_is_committed_share_the_next_transaction(ledger: Ledger) -> None:
    backlog(ledger, 1, 2, 3, 4)
    requests = [ledger.claim(entry) for entry in (1, 2, 3, 4)]
    before = commits(ledger.path)
    with ThreadPoolExecutor(4) as pool:
        with ledger.store.write():
            # The first waits for this transaction, and the others for the first.
            noted = [pool.submit(ledger.queue.completing, request, ledger.tick()) for request in requests]
            eventually(lambda: len(ledger.queue._completing) == 3)
        for each in noted:
            each.result(timeout=10)
    rows = ledger.rows("SELECT completing_at FROM requests ORDER BY id")
    assert all(row.completing_at is not None for row in rows)
    assert commits(ledger.path) - before == 2


def test_a_note_that_cannot_be_committed_is_no_note_for_anybody(ledger: Ledger) -> None:
    backlog(ledger, 1, 2)
    requests = [ledger.claim(1), ledger.claim(2)]
    with Store(ledger.path, query_only=True) as blocked, ThreadPoolExecutor(2) as pool:
        queue = Queue(blocked)
        noted = [pool.submit(queue.completing, request, ledger.tick()) for request in requests]
        for each in noted:
            with pytest.raises(LedgerError):
                each.result(timeout=10)
    assert all(row.completing_at is None for row in ledger.rows("SELECT completing_at FROM requests"))
