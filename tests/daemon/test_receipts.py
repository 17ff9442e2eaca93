"""What each kind of reply means: for every entry of the batch exactly one receipt, for the row, for the gate."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from syncd.daemon.receipts import Meaning, Request, meaning
from syncd.ledger.rows import Owed
from syncd.lifecycle import Outcome, State, may_move
from syncd.model import Capture, ImageType, PlacePath, RequestMetadata
from syncd.upload.replies import (
    BadRequest,
    Changed,
    Doubt,
    NotSent,
    Paused,
    PauseReason,
    RateLimited,
    Reply,
    Stored,
    TooMany,
    Unanswered,
)

NOW = 1_700_000_000.0
METADATA = RequestMetadata("n", "2024-01-01 00:00:00", "Canon", "1", "2", ("home", "syncd-1"))


def owed(number: int, *, attempts: int = 0, split: int | None = None, omit: frozenset[str] = frozenset()) -> Owed:
    place = PlacePath(b"/p", b"", b"%d.jpg" % number)
    digest = f"{number:064x}"
    return Owed(
        number,
        number,
        "",
        digest,
        100,
        ImageType.JPEG,
        Capture(),
        (place,),
        attempts,
        split,
        omit,
        "g",
        NOW,
        order_at=0.0,
    )


def request(*batch: Owed, metadata: RequestMetadata = METADATA, marked: bool = True) -> Request:
    return Request(batch, metadata, marked, lookup_after=60.0)


def judged(reply: Reply, *batch: Owed, metadata: RequestMetadata = METADATA, marked: bool = True) -> Meaning:
    return meaning(request(*batch, metadata=metadata, marked=marked), reply, NOW, random.Random(1))


ONE, TWO, THREE = owed(1), owed(2), owed(3)
REPLIES: list[tuple[Reply, Outcome, State]] = [
    (Stored(("7", "8", "9")), Outcome.STORED, State.UPLOADED),
    (NotSent("refused"), Outcome.NOT_SENT, State.READY),
    (Changed(1, "other bytes"), Outcome.CHANGED, State.READY),
    (TooMany(None, "too many"), Outcome.REJECTED, State.READY),
    (BadRequest("0003", "bad", None), Outcome.REJECTED, State.READY),
    (RateLimited(5.0, "slow down"), Outcome.THROTTLED, State.READY),
    (Paused(PauseReason.NO_CREDITS, "0402", "no points"), Outcome.PAUSED, State.READY),
    (Unanswered(Doubt.SERVER_ERROR, "HTTP 503", 503), Outcome.UNANSWERED, State.UNANSWERED),
]


@pytest.mark.parametrize(("reply", "outcome", "to"), REPLIES, ids=lambda value: type(value).__name__)
def test_every_entry_gets_one_receipt_along_the_moves(reply: Reply, outcome: Outcome, to: State) -> None:
    what = judged(reply, ONE, TWO, THREE)
    assert [receipt.entry_id for receipt in what.receipts] == [1, 2, 3]
    assert {receipt.to for receipt in what.receipts} == {to}
    assert all(may_move(State.SENDING, receipt.to) and receipt.reason for receipt in what.receipts)
    assert what.answer.outcome == what.gate.outcome == outcome
    assert what.gate.files == 3


@pytest.mark.parametrize(("reply", "outcome", "to"), REPLIES, ids=lambda value: type(value).__name__)
def test_only_what_may_be_stored_is_looked_up(reply: Reply, outcome: Outcome, to: State) -> None:
    what = judged(reply, ONE, TWO, THREE)
    assert what.answer.lookup_at == (NOW + 60.0 if to is State.UNANSWERED else None)


def test_ids_belong_to_the_files_in_their_order() -> None:
    what = judged(Stored(("70", "80")), TWO, ONE)
    assert [(receipt.entry_id, receipt.image_id) for receipt in what.receipts] == [(2, "70"), (1, "80")]


def test_b14_ids_that_do_not_fit_the_batch_are_given_to_nobody() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        judged(Stored(("70",)), ONE, TWO)


def test_without_a_marker_there_is_nothing_to_look_up() -> None:
    assert judged(Unanswered(Doubt.NO_ANSWER, "silence"), ONE, marked=False).answer.lookup_at is None


def test_an_unanswered_entry_is_never_due() -> None:
    what = judged(Unanswered(Doubt.NO_ANSWER, "silence"), ONE)
    assert what.receipts[0].due_at is None
    assert "silence" in what.receipts[0].reason


@pytest.mark.parametrize("attempts", [0, 3, 50])
def test_what_never_left_waits_longer_each_time(attempts: int) -> None:
    for seed in range(50):
        what = meaning(request(owed(1, attempts=attempts)), NotSent("no route"), NOW, random.Random(seed))
        due = what.receipts[0].due_at
        assert due is not None
        assert NOW <= due <= NOW + min(900.0, 2.0 ** (attempts + 1))


def test_b10_only_the_file_that_changed_waits() -> None:
    what = judged(Changed(1, "other bytes"), ONE, TWO, THREE)
    assert [receipt.due_at == NOW for receipt in what.receipts] == [True, False, True]
    assert "changed while it was sent" in what.receipts[1].reason
    assert "another file" in what.receipts[0].reason


@pytest.mark.parametrize(
    "reply",
    [RateLimited(900.0, "slow"), Paused(PauseReason.BAD_KEY, "0401", "bad key")],
    ids=["throttled", "paused"],
)
def test_b12_the_gate_waits_and_not_the_entries(reply: Reply) -> None:
    what = judged(reply, ONE, TWO)
    assert {receipt.due_at for receipt in what.receipts} == {NOW}
    assert what.gate.retry_after == (900.0 if isinstance(reply, RateLimited) else None)


def test_a_pause_names_its_reason() -> None:
    what = judged(Paused(PauseReason.NO_CREDITS, "0402", "You don't have enough points.", 200), ONE)
    assert what.gate.message == "no credits: You don't have enough points."
    assert (what.answer.status, what.answer.code) == (200, "0402")


@pytest.mark.parametrize(("cap", "files", "learned"), [(4, 5, 4), (9, 5, 4), (None, 5, 2), (0, 5, 2), (None, 2, 1)])
def test_a_cap_is_learned_and_no_entry_is_split(cap: int | None, files: int, learned: int) -> None:
    what = judged(TooMany(cap, "too many"), *(owed(n) for n in range(files)))
    assert what.gate.batch_cap == learned
    assert {receipt.split for receipt in what.receipts} == {None}
    assert {receipt.due_at for receipt in what.receipts} == {NOW}


@pytest.mark.parametrize(("files", "half"), [(10, 5), (5, 3), (3, 2), (2, 1)])
def test_a_rejected_batch_is_halved(files: int, half: int) -> None:
    what = judged(BadRequest("0003", "bad", None), *(owed(n) for n in range(files)))
    assert {receipt.split for receipt in what.receipts} == {half}
    assert {receipt.to for receipt in what.receipts} == {State.READY}
    assert not what.gate.file_at_fault


@pytest.mark.parametrize(
    "reply", [BadRequest("413", "too large", None, 413), TooMany(None, "too many")], ids=["bad", "too many"]
)
def test_the_file_that_stands_alone_is_refused(reply: Reply) -> None:
    what = judged(reply, owed(1, split=1))
    assert [(receipt.to, receipt.split) for receipt in what.receipts] == [(State.REFUSED, None)]
    assert what.gate.file_at_fault
    assert what.receipts[0].reason


def test_a_refusal_without_words_has_a_reason_all_the_same() -> None:
    assert "0003" in judged(BadRequest("0003", "", None), ONE).receipts[0].reason


@pytest.mark.parametrize("field", ["datetime_taken", "camera_model", "latitude", "longitude", "tags"])
@pytest.mark.parametrize("files", [1, 3])
def test_a_metadata_field_that_is_named_is_left_out_once(field: str, files: int) -> None:
    batch = [owed(n, omit=frozenset({"tags"} - {field})) for n in range(files)]
    what = judged(BadRequest("0003", f"{field} is invalid", field), *batch)
    assert {receipt.to for receipt in what.receipts} == {State.READY}
    assert {receipt.omit for receipt in what.receipts} == {frozenset({"tags"} | {field})}
    assert not what.gate.file_at_fault
    again = [replace(each, omit=frozenset({field})) for each in batch]
    what = judged(BadRequest("0003", f"{field} is invalid", field), *again)
    assert {receipt.omit for receipt in what.receipts} == {None}
    assert {receipt.to for receipt in what.receipts} == {State.REFUSED if files == 1 else State.READY}


@pytest.mark.parametrize("field", ["unique_id", "camera_model", "nonsense"])
def test_what_was_not_sent_or_cannot_be_left_out_is_the_files_fault(field: str) -> None:
    metadata = replace(METADATA, camera_model=None) if field == "camera_model" else METADATA
    what = judged(
        BadRequest("0003", f"{field} is invalid", field if field != "nonsense" else None), ONE, metadata=metadata
    )
    assert what.receipts[0].to is State.REFUSED
