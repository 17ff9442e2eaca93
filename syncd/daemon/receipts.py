"""What a reply means for each entry of the batch, for the ledger and for the gate. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from syncd.ledger.outcomes import Answer, Receipt
from syncd.ledger.rows import Owed
from syncd.lifecycle import Outcome, State, backoff
from syncd.model import RequestMetadata
from syncd.upload.batches import OMITTABLE
from syncd.upload.lookup import next_lookup
from syncd.upload.pace import Answered
from syncd.upload.replies import (
    BadRequest,
    Changed,
    NotSent,
    Paused,
    RateLimited,
    Reply,
    Stored,
    TooMany,
    Unanswered,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent: the batch in the order of its parts, and the metadata as they went out."""

    batch: tuple[Owed, ...]
    metadata: RequestMetadata
    marked: bool
    lookup_after: float


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reply means: for the request's row, for each entry, for the gate."""

    answer: Answer
    receipts: tuple[Receipt, ...]
    gate: Answered


def meaning(  # noqa: PLR0911  (one return for each kind of reply)
    request: Request, reply: Reply, now: float, rng: random.Random
) -> Meaning:
    """Judge a reply. Every entry of the batch gets exactly one receipt."""
    batch = request.batch
    match reply:
        case Stored(ids):
            receipts = [
                Receipt(owed.entry_id, State.UPLOADED, f"image id {image_id}", image_id)
                for owed, image_id in zip(batch, ids, strict=True)
            ]
            return _meaning(request, Answer(Outcome.STORED, 200, "0000"), receipts)
        case NotSent(cause, status, code):
            receipts = [_again(owed, f"not sent: {cause}", now, rng) for owed in batch]
            return _meaning(request, Answer(Outcome.NOT_SENT, status, code, cause), receipts)
        case Changed(index, detail):
            receipts = [
                _again(owed, f"changed while it was sent: {detail}", now, rng)
                if position == index
                else Receipt(owed.entry_id, State.READY, "given up: another file of the request changed", due_at=now)
                for position, owed in enumerate(batch)
            ]
            return _meaning(request, Answer(Outcome.CHANGED, message=detail), receipts)
        case TooMany() | BadRequest():
            return _rejected(request, reply, now)
        case RateLimited(retry_after, message, status, code):
            receipts = [Receipt(owed.entry_id, State.READY, f"too fast: {message}", due_at=now) for owed in batch]
            answered = Answered(Outcome.THROTTLED, len(batch), message, retry_after=retry_after)
            return Meaning(Answer(Outcome.THROTTLED, status, code, message), tuple(receipts), answered)
        case Paused(reason, code, message, status):
            said = f"{reason}: {message}" if message else str(reason)
            receipts = [Receipt(owed.entry_id, State.READY, said, due_at=now) for owed in batch]
            answered = Answered(Outcome.PAUSED, len(batch), said)
            return Meaning(Answer(Outcome.PAUSED, status, code, said), tuple(receipts), answered)
        case Unanswered(cause, message, status, code):
            said = f"{cause}: {message}" if message else str(cause)
            receipts = [Receipt(owed.entry_id, State.UNANSWERED, said) for owed in batch]
            lookup_at = next_lookup(0, now, request.lookup_after) if request.marked else None
            return _meaning(request, Answer(Outcome.UNANSWERED, status, code, said, lookup_at), receipts)
        case _:
            assert_never(reply)


def given_up(request: Request, why: str, now: float) -> Meaning:
    """Judge a request that was made, and taken back before its first byte left: all as if it had never been made."""
    receipts = [Receipt(owed.entry_id, State.READY, f"not sent: {why}", due_at=now) for owed in request.batch]
    return _meaning(request, Answer(Outcome.NOT_SENT, message=why), receipts)


def _meaning(request: Request, answer: Answer, receipts: Sequence[Receipt]) -> Meaning:
    return Meaning(answer, tuple(receipts), Answered(answer.outcome, len(request.batch), answer.message or ""))


def _again(owed: Owed, reason: str, now: float, rng: random.Random) -> Receipt:
    return Receipt(owed.entry_id, State.READY, reason, due_at=now + backoff(owed.attempts + 1, rng))


def _rejected(request: Request, reply: TooMany | BadRequest, now: float) -> Meaning:
    """Learn the cap, or leave the named field out, or halve the batch, or refuse the file that stands alone."""
    batch = request.batch
    message = reply.message
    answer = Answer(Outcome.REJECTED, reply.status, reply.code, message)
    if isinstance(reply, TooMany) and len(batch) > 1:
        cap = min(reply.cap or len(batch) // 2, len(batch) - 1)
        receipts = [
            Receipt(o.entry_id, State.READY, f"too many files in a request: {message}", due_at=now) for o in batch
        ]
        return Meaning(answer, tuple(receipts), Answered(Outcome.REJECTED, len(batch), message, batch_cap=max(1, cap)))
    field = reply.field if isinstance(reply, BadRequest) else None
    if field in OMITTABLE and _carries(request.metadata, field) and not any(field in owed.omit for owed in batch):
        reason = f"will be sent without {field}: {message}"
        receipts = [Receipt(owed.entry_id, State.READY, reason, due_at=now, omit=owed.omit | {field}) for owed in batch]
        return Meaning(answer, tuple(receipts), Answered(Outcome.REJECTED, len(batch), message))
    if len(batch) > 1:
        half = (len(batch) + 1) // 2
        reason = f"a request of {len(batch)} files was rejected, trying {half}: {message}"
        receipts = [Receipt(owed.entry_id, State.READY, reason, due_at=now, split=half) for owed in batch]
        return Meaning(answer, tuple(receipts), Answered(Outcome.REJECTED, len(batch), message))
    receipts = [Receipt(batch[0].entry_id, State.REFUSED, message or f"rejected with code {reply.code}")]
    return Meaning(answer, tuple(receipts), Answered(Outcome.REJECTED, 1, message, file_at_fault=True))


def _carries(metadata: RequestMetadata, field: str) -> bool:
    return bool(getattr(metadata, field))
