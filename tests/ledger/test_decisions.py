"""What a person decides, beside a running daemon: only where it may be decided, and only once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import UsageError
from syncd.ledger.decisions import Verdict, entries_at, held, resolve, retry
from syncd.ledger.queue import Answer, Receipt
from syncd.ledger.store import set_fact
from syncd.lifecycle import Outcome, State
from syncd.model import ImageType, PlacePath, Unfit, UnfitCode
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

READY, SENDING, UPLOADED = State.READY, State.SENDING, State.UPLOADED
UNANSWERED, REFUSED, UNFIT = State.UNANSWERED, State.REFUSED, State.UNFIT
IN_STATES = {READY: 1, SENDING: 2, UPLOADED: 3, UNANSWERED: 4, REFUSED: 5, UNFIT: 6}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An entry in each state; its number is in IN_STATES."""
    made = make_ledger(tmp_path, photos=5)
    cut = replace(photo(6, unfit=Unfit(UnfitCode.DAMAGED, "cut")), type=ImageType.JPEG)
    made.see(sighting(b"\xff.jpg", cut))
    made.upload(3)
    made.leave_unanswered(4, lookup_at=made.now + 60)
    made.answer(made.claim(5), Answer(Outcome.REJECTED), Receipt(5, REFUSED, "bad picture"))
    made.claim(2)
    assert made.states() == {number: state for state, number in IN_STATES.items()}
    return made


def test_retry_touches_refused_and_unfit_alone(ledger: Ledger) -> None:
    for before, number in IN_STATES.items():
        may = before in {REFUSED, UNFIT}
        assert retry(ledger.store, [number], ledger.tick()) == may
        assert ledger.states()[number] is (READY if may else before)
        assert (number in ledger.due()) == (may or before is READY)
    ledger.assert_whole()


def test_retry_of_all_counts_what_moved(ledger: Ledger) -> None:
    assert retry(ledger.store, list(IN_STATES.values()), ledger.tick()) == 2
    assert retry(ledger.store, list(IN_STATES.values()), ledger.tick()) == 0
    assert "a person" in ledger.rows("SELECT reason FROM entries WHERE id = 5")[0].reason


def test_retry_leaves_alone_what_no_request_can_hold(ledger: Ledger) -> None:
    ledger.see(sighting(b"text.jpg", photo(7, unfit=Unfit(UnfitCode.FORMAT, "text"))))
    ledger.see(sighting(b"large.jpg", photo(8, size=5000), unfit=Unfit(UnfitCode.TOO_LARGE, "5,000 bytes")))
    with ledger.store.write() as connection:
        set_fact(connection, "max_file_bytes", 4999)
    assert retry(ledger.store, [7, 8], ledger.tick()) == 0
    assert ledger.states()[7] is ledger.states()[8] is UNFIT
    assert not {7, 8} & set(ledger.due())


@pytest.mark.parametrize(
    ("verdict", "after"), [(Verdict.STORED, UPLOADED), (Verdict.RESEND, READY), (Verdict.DISMISS, REFUSED)]
)
def test_resolve_touches_unanswered_alone(ledger: Ledger, verdict: Verdict, after: State) -> None:
    image_id = "568102998803353601" if verdict is Verdict.STORED else None
    for before, number in IN_STATES.items():
        if before is not UNANSWERED:
            assert not resolve(ledger.store, number, verdict, image_id, ledger.tick())
            assert ledger.states()[number] is before
    assert ledger.lookups.next_due() is not None
    assert resolve(ledger.store, 4, verdict, image_id, ledger.tick())
    assert ledger.states()[4] is after
    assert ledger.lookups.next_due() is None, "it is not looked up any more"
    assert not resolve(ledger.store, 4, verdict, image_id, ledger.tick()), "once"
    ledger.assert_whole()


def test_a_resolved_entry_has_the_id_that_the_person_gave(ledger: Ledger) -> None:
    resolve(ledger.store, 4, Verdict.STORED, "568102998803353601", ledger.tick())
    (row,) = ledger.rows("SELECT image_id, reason, uploaded_at FROM entries WHERE id = 4")
    assert (row.image_id, row.uploaded_at) == ("568102998803353601", ledger.now)
    assert "a person" in row.reason


def test_what_is_no_image_id_is_refused(ledger: Ledger) -> None:
    wrong = (None, "", "0", "-5", "007", "12x", "1.5", "\uff11\uff12", " 12", "12\n", str(2**63), "9" * 30)
    for image_id in wrong:
        with pytest.raises(UsageError, match="digits"):
            resolve(ledger.store, 4, Verdict.STORED, image_id, ledger.tick())
    assert ledger.states()[4] is UNANSWERED


def test_an_id_that_another_photo_has_is_refused_with_its_holder(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match=r"entry 3") as refused:
        resolve(ledger.store, 4, Verdict.STORED, "7003", ledger.tick())
    assert refused.value.hint
    assert ledger.states()[4] is UNANSWERED


def test_what_waits_for_a_person_is_named_with_its_place_and_reason(ledger: Ledger) -> None:
    found = {one.entry_id: one for one in held(ledger.store, (REFUSED, UNFIT, UNANSWERED))}
    assert {number: one.state for number, one in found.items()} == {4: UNANSWERED, 5: REFUSED, 6: UNFIT}
    assert found[5].path == "/photos/IMG_0005.jpg"
    assert found[5].reason == "bad picture"
    assert found[6].path == r"/photos/\xff.jpg"
    assert found[6].reason == "damaged: cut"
    assert held(ledger.store, ()) == []


def test_what_is_gone_is_named_by_where_it_lay_and_a_present_place_comes_first(ledger: Ledger) -> None:
    first = sighting(b"IMG_0005.jpg", photo(5))
    ledger.lose(first)
    assert held(ledger.store, (REFUSED,))[0].path == "/photos/IMG_0005.jpg"
    ledger.see(sighting(b"new.jpg", photo(5), folder=b"deep"))
    assert held(ledger.store, (REFUSED,))[0].path == "/photos/deep/new.jpg"


@pytest.mark.parametrize(
    ("name", "found"),
    [(b"IMG_0004.jpg", [(4, UNANSWERED)]), (b"\xff.jpg", [(6, UNFIT)]), (b"img_0004.jpg", []), (b"", [])],
)
def test_the_entries_at_a_place(ledger: Ledger, name: bytes, found: list[tuple[int, State]]) -> None:
    assert entries_at(ledger.store, PlacePath(ROOT, b"", name)) == found


def test_the_entry_of_an_edit_is_that_of_its_photo(ledger: Ledger) -> None:
    ledger.see(sighting(b"IMG_0003.jpg", photo(33, picture=3)))
    assert entries_at(ledger.store, PlacePath(ROOT, b"", b"IMG_0003.jpg")) == [(3, UPLOADED)]
