"""The ledger as the queue: its order, the intent, what came of it, and what a process that died left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest

from syncd.errors import IllegalMoveError, LedgerError, SyncdError
from syncd.ledger import waiting
from syncd.ledger.guard import MarkFile
from syncd.ledger.moves import move
from syncd.ledger.plain import text
from syncd.ledger.queue import FARTHEST, Answer, Claim, Queue, Receipt, Settlement
from syncd.ledger.store import Store
from syncd.lifecycle import Outcome, State, may_move
from syncd.model import Capture, PlacePath, RequestMetadata
from tests.fakes.ledgers import ROOT, START, Ledger, make_ledger, photo, sighting

DAY = 24 * 3600.0
NOON = Capture(taken_at=datetime(2024, 1, 1, 12))  # noqa: DTZ001 -- a camera's wall clock has no zone


def backlog(ledger: Ledger, *numbers: int) -> None:
    """Photos seen in the first scan, with the capture time as their order."""
    ledger.see(*(sighting(b"%d.jpg" % n, photo(n), order_at=float(n)) for n in numbers))


def end_first_scan(ledger: Ledger) -> None:
    ledger.territory.scanned(ROOT, 1, {}, ledger.tick())


def test_arrivals_come_first_the_newest_before_the_others_then_the_backlog(ledger: Ledger) -> None:
    backlog(ledger, 2, 3, 1)
    end_first_scan(ledger)
    ledger.see(sighting(b"old-but-new.jpg", photo(10), order_at=0.0))
    ledger.see(sighting(b"newer.jpg", photo(11), order_at=1.0))
    by_number = dict(zip((2, 3, 1, 10, 11), (1, 2, 3, 4, 5), strict=True))
    assert ledger.queue.head("newest", ledger.now, limit=9) == [by_number[n] for n in (11, 10, 3, 2, 1)]
    assert ledger.queue.head("oldest", ledger.now, limit=9) == [by_number[n] for n in (11, 10, 1, 2, 3)]
    assert ledger.queue.head("newest", ledger.now) == [by_number[11]]
    assert ledger.queue.head("newest", ledger.now, limit=3) == [by_number[n] for n in (11, 10, 3)]
    assert ledger.queue.head("newest", ledger.now, oldest=True, limit=9) == [1, 2, 3, 4, 5], "the longest waiting"


def test_only_what_is_due_wanted_and_ready_is_in_the_queue(ledger: Ledger) -> None:
    backlog(ledger, 1, 2, 3, 4)
    ledger.queue.defer(1, ledger.now + 100)
    ledger.lose(sighting(b"2.jpg", photo(2)))
    ledger.claim(3)
    for oldest in (False, True):
        assert ledger.queue.head("newest", ledger.now, oldest=oldest, limit=9) == [4]
    assert ledger.queue.mates(1, ledger.now, limit=9) == []
    assert ledger.queue.next_due() is not None
    ledger.claim(4)
    assert ledger.queue.next_due() == pytest.approx(ledger.now + 100, abs=10)
    assert ledger.queue.head("newest", ledger.now, limit=9) == []


def test_nothing_is_owed_in_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.queue.next_due() is None
    assert ledger.queue.last_sent_at() is None
    assert ledger.queue.head("newest", ledger.now, limit=9) == []
    assert ledger.queue.gate() is None
    assert ledger.queue.sent_since(0.0) == 0


def test_mates_are_those_with_equal_metadata_the_newest_first(ledger: Ledger) -> None:
    dated = [sighting(b"%d.jpg" % n, photo(n, capture=NOON), order_at=float(n)) for n in (1, 2, 3, 4)]
    ledger.see(*dated, sighting(b"undated.jpg", photo(5)))
    found = ledger.queue.mates(2, ledger.now, limit=9)
    assert [owed.entry_id for owed in found] == [2, 4, 3, 1]
    assert found[0].capture == NOON
    assert found[0].places == (PlacePath(ROOT, b"", b"2.jpg"),)
    assert [owed.entry_id for owed in ledger.queue.mates(2, ledger.now, limit=3)] == [2, 4, 3]
    ledger.queue.defer(4, ledger.now + 9)
    assert [owed.entry_id for owed in ledger.queue.mates(2, ledger.now, limit=9)] == [2, 3, 1]


@pytest.mark.parametrize(
    "receipt", [Receipt(2, State.READY, "r", split=1), Receipt(2, State.READY, "r", omit=frozenset({"tags"}))]
)
def test_what_was_rejected_together_is_not_the_mate_of_others(ledger: Ledger, receipt: Receipt) -> None:
    backlog(ledger, 1, 2, 3)
    ledger.answer(ledger.claim(2), Answer(Outcome.REJECTED), replace(receipt, due_at=ledger.now))
    ledger.tick()
    assert [owed.entry_id for owed in ledger.queue.mates(2, ledger.now, limit=9)] == [2]
    assert [owed.entry_id for owed in ledger.queue.mates(1, ledger.now, limit=9)] == [1, 3]
    owed = ledger.queue.mates(2, ledger.now, limit=9)[0]
    assert (owed.attempts, owed.split, owed.omit) == (1, receipt.split, receipt.omit or frozenset())


def test_an_entry_knows_its_places_in_the_order_in_which_they_were_seen(ledger: Ledger) -> None:
    names = (b"z.jpg", b"a.jpg", b"\xff\n.jpg")
    for name in names:
        ledger.see(sighting(name, photo(1)))
    ledger.lose(sighting(b"a.jpg", photo(1)))
    owed = ledger.queue.mates(1, ledger.now, limit=1)[0]
    assert [place.name for place in owed.places] == [b"z.jpg", b"\xff\n.jpg"]


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


def test_another_root_that_was_dropped_gives_no_place(tmp_path: Path) -> None:
    with make_ledger(tmp_path, roots=[b"/a", b"/b"]) as ledger:
        ledger.see(sighting(b"x.jpg", photo(1), root=b"/a"), sighting(b"y.jpg", photo(1), root=b"/b"))
        ledger.territory.configure([b"/b"])
        owed = ledger.queue.mates(1, ledger.now, limit=1)[0]
        assert [place.path for place in owed.places] == [b"/b/y.jpg"]


@pytest.mark.parametrize(
    "query", ["_ARRIVALS", "_BACKLOG_NEWEST", "_BACKLOG_OLDEST", "_WAITING", "_MATES", "_NEXT_DUE"]
)
def test_each_question_that_is_asked_at_every_turn_reads_an_index_in_order(ledger: Ledger, query: str) -> None:
    values = {"now": 0, "limit": 1, "group_key": "", "namespace": "", "split": None, "omit": None, "entry_id": 1}
    sql = getattr(waiting, query)
    with ledger.store.read() as connection:
        plan = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"), values)]
    assert "USING" in plan[0]
    assert "INDEX ix_entries_" in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan), plan


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
    backlog(ledger, 1, 2, 3)
    requests = [ledger.claim(entry) for entry in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        with ledger.store.write():
            # None of them gets to write yet.
            noted = [pool.submit(ledger.queue.completing, request, ledger.tick()) for request in requests]
            assert not wait(noted, timeout=0.05).done
        for each in noted:
            each.result(timeout=10)
    rows = ledger.rows("SELECT completing_at FROM requests ORDER BY id")
    assert all(row.completing_at is not None for row in rows)


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
