"""Look-ups that are owed: of unanswered requests that bore a marker, until nothing of them is missed any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.errors import LedgerError
from syncd.ledger.decisions import Verdict, resolve
from syncd.ledger.lookups import Pending
from syncd.lifecycle import State
from tests.fakes.ledgers import Ledger, make_ledger

LATER = 10_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return make_ledger(tmp_path, photos=4)


def pending(ledger: Ledger, now: float | None = None) -> Pending:
    found = ledger.lookups.due(ledger.now if now is None else now)
    assert found is not None
    return found


def test_nothing_is_owed_where_everything_was_answered(ledger: Ledger) -> None:
    ledger.upload(1)
    assert ledger.lookups.next_due() is None
    assert ledger.lookups.due(ledger.now + LATER) is None


def test_a_request_is_looked_up_once_it_is_due_and_the_longest_due_first(ledger: Ledger) -> None:
    second = ledger.leave_unanswered(1, 2, lookup_at=ledger.now + 60)
    first = ledger.leave_unanswered(3, lookup_at=ledger.now + 30)
    assert ledger.lookups.next_due() == pytest.approx(ledger.now + 30, abs=10)
    assert ledger.lookups.due(ledger.now) is None
    found = pending(ledger, ledger.now + 100)
    assert found.request_id == first
    assert [entry for entry, _ in found.missing] == [3]
    ledger.lookups.postpone(found, ledger.now + 1000)
    found = pending(ledger, ledger.now + 100)
    assert (found.request_id, found.lookups, found.namespace) == (second, 0, "default")
    assert found.missing == ((1, "photo-000000000001.jpg"), (2, "photo-000000000002.jpg"))
    marker = ledger.rows("SELECT marker FROM requests WHERE id = :id", id=second)[0].marker
    assert found.marker == marker


def test_what_is_found_is_adopted_with_its_reason_and_the_rest_is_looked_up_again(ledger: Ledger) -> None:
    ledger.leave_unanswered(1, 2, lookup_at=ledger.now)
    found = pending(ledger)
    ledger.lookups.done(found, {2: "77"}, ledger.now + 300, ledger.tick())
    assert ledger.states() == {1: State.UNANSWERED, 2: State.UPLOADED, 3: State.READY, 4: State.READY}
    assert ledger.rows("SELECT image_id FROM entries WHERE id = 2")[0].image_id == "77"
    assert found.marker in ledger.rows("SELECT reason FROM entries WHERE id = 2")[0].reason
    again = pending(ledger, ledger.now + 300)
    assert (again.lookups, [entry for entry, _ in again.missing]) == (1, [1])
    ledger.lookups.done(again, {1: "78"}, ledger.now + 900, ledger.tick())
    assert ledger.lookups.next_due() is None, "nothing is missed any more"
    ledger.assert_whole()


def test_after_the_last_miss_there_are_no_more_look_ups_and_the_entry_is_held(ledger: Ledger) -> None:
    ledger.leave_unanswered(1, lookup_at=ledger.now)
    ledger.lookups.done(pending(ledger), {}, None, ledger.tick())
    assert ledger.lookups.next_due() is None
    assert ledger.states()[1] is State.UNANSWERED
    assert 1 not in ledger.due()


def test_a_search_that_was_not_answered_does_not_count(ledger: Ledger) -> None:
    ledger.leave_unanswered(1, lookup_at=ledger.now)
    ledger.lookups.postpone(pending(ledger), ledger.now + 60)
    assert ledger.lookups.due(ledger.now) is None
    assert pending(ledger, ledger.now + 60).lookups == 0


def test_an_id_that_another_photo_holds_is_never_adopted(ledger: Ledger) -> None:
    ledger.upload(4)
    ledger.leave_unanswered(1, lookup_at=ledger.now)
    with pytest.raises(LedgerError, match="contradicts"):
        ledger.lookups.done(pending(ledger), {1: "7004"}, None, ledger.tick())
    assert ledger.states()[1] is State.UNANSWERED
    assert ledger.lookups.next_due() is not None


def test_what_a_person_settled_is_not_missed_any_more(ledger: Ledger) -> None:
    ledger.leave_unanswered(1, 2, lookup_at=ledger.now)
    resolve(ledger.store, 1, Verdict.DISMISS, None, ledger.tick())
    assert [entry for entry, _ in pending(ledger).missing] == [2]
    resolve(ledger.store, 2, Verdict.STORED, "99", ledger.tick())
    assert ledger.lookups.next_due() is None


def test_an_entry_that_was_sent_again_is_missed_in_its_last_request_alone(ledger: Ledger) -> None:
    ledger.leave_unanswered(1, 2, lookup_at=ledger.now)
    resolve(ledger.store, 1, Verdict.RESEND, None, ledger.tick())
    second = ledger.leave_unanswered(1, lookup_at=ledger.now)
    first = pending(ledger)
    assert [entry for entry, _ in first.missing] == [2]
    ledger.lookups.done(first, {}, None, ledger.tick())
    last = pending(ledger)
    assert (last.request_id, [entry for entry, _ in last.missing]) == (second, [1])


def test_resending_is_a_move_with_its_reason(ledger: Ledger) -> None:
    ledger.leave_unanswered(1, 2, lookup_at=ledger.now)
    found = pending(ledger)
    ledger.lookups.done(found, {2: "5"}, None, ledger.tick())
    assert ledger.lookups.resend(found, ledger.tick()) == 1, "only what is unanswered still"
    assert ledger.states()[1] is State.READY
    assert ledger.states()[2] is State.UPLOADED
    assert 'unanswered = "resend"' in ledger.rows("SELECT reason FROM entries WHERE id = 1")[0].reason
    assert 1 in ledger.due()
    ledger.assert_whole()
