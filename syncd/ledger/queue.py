"""The ledger as the queue: what is due (`waiting`), the intent to send it, and what came of it."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from syncd.errors import IllegalMoveError, LedgerError
from syncd.ledger.guard import Mark, MarkFile
from syncd.ledger.moves import claim_one, move, settle_one
from syncd.ledger.outcomes import Answer, Kept, OutcomeFile, Receipt
from syncd.ledger.outlook import sent_since
from syncd.ledger.plain import Connection, insert, text
from syncd.ledger.rows import Off, metadata_json
from syncd.ledger.store import Store, fact, set_fact
from syncd.ledger.waiting import Waiting
from syncd.lifecycle import Outcome, State
from syncd.model import RequestMetadata
from syncd.printable import printable

__all__ = ["FARTHEST", "Answer", "Claim", "Queue", "Receipt", "Settlement"]

FARTHEST: Final = 24 * 3600.0
"""No try is put off for longer (seconds): an entry due later was written while the clock was wrong."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The intent to send a batch: what one request will carry."""

    marker: str
    marked: bool
    metadata: RequestMetadata
    files: tuple[tuple[int, str, int], ...]
    """For each file, in the order of the parts: entry, wire name, bytes."""
    off: Mapping[int, Off] = field(default_factory=dict)
    """For entries whose own time or place is another than what is sent: by how much."""
    leaves_at: float | None = None
    """When it will leave, in seconds since the epoch; None: at once."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of one request, for each of its entries."""

    request_id: int
    answer: Answer
    receipts: Sequence[Receipt]


@dataclass(slots=True)
class _Completing:
    """A request that waits for its note that it may become complete."""

    request_id: int
    now: float
    done: bool = False
    error: BaseException | None = None


class Queue(Waiting):
    """What is owed, asked and answered from the ledger. For the holder of the instance lock."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._mark_file = MarkFile(store.path)
        self._outcomes = OutcomeFile(store.path)
        self._completing: deque[_Completing] = deque()
        self._completing_turn = threading.Lock()
        with store.read() as connection:
            self._ledger_id = str(fact(connection, "ledger_id"))

    def replay(self, now: float) -> tuple[int, Path | None]:
        """Record what could not be recorded before, and take room for the next such answer. Before `recover`.

        Give how many entries, and where answers were put aside that belong to no request of this ledger.
        """
        kept = self._outcomes.kept()
        strange = None
        settled = 0
        if kept:
            with self._store.write() as connection:
                results = [self._replay(connection, one) for one in kept]
            settled = sum(count for count in results if count is not None)
            if None in results:
                strange = self._outcomes.put_aside(now)
            else:
                self._outcomes.clear()
        self._outcomes.make_room()
        return settled, strange

    def recover(self, now: float) -> tuple[int, int]:
        """Settle what a process that died left SENDING; give how many are unanswered, and how many ready again.

        A request whose last bytes were about to leave may have been stored; one before that cannot have been.
        """
        counts = [0, 0]
        with self._store.write() as connection:
            connection.execute(_NOT_FAR_AWAY, {"now": now, "latest": now + FARTHEST})
            for row in connection.execute(_LEFT_SENDING).all():
                maybe_stored = row.completing_at is not None
                outcome = Outcome.UNANSWERED if maybe_stored else Outcome.NOT_SENT
                to = State.UNANSWERED if maybe_stored else State.READY
                reason = "syncd ended before the answer came" if maybe_stored else "syncd ended before it was sent"
                for entry_id in connection.execute(_FILES_SENDING, {"request_id": row.id}).scalars():
                    counts[0 if maybe_stored else 1] += move(connection, entry_id, State.SENDING, to, reason, now)
                # Without its marker a request cannot be found, and a miss would mean nothing.
                lookup_at = now if maybe_stored and row.marked else None
                _answer(connection, row.id, Answer(outcome, message=reason, lookup_at=lookup_at), now)
        return counts[0], counts[1]

    def last_sent_at(self) -> float | None:
        """Tell when the last request left."""
        with self._store.read() as connection:
            found: float | None = connection.execute(_LAST_SENT_AT).scalar()
        return found

    def claim(self, claims: Sequence[Claim], now: float) -> list[int]:
        """Commit the intent: READY -> SENDING with the marker, for all requests at once. Give their numbers.

        Durable when this returns. Raises IllegalMoveError, and changes nothing, if one of the entries is not READY.
        """
        with self._store.write() as connection:
            numbers = [_claim(connection, claim, now) for claim in claims]
        self._mark_file.write(Mark(self._ledger_id, max(numbers)))
        return numbers

    def completing(self, request_id: int, now: float) -> None:
        """Commit that the last bytes are about to leave: from here on the request may be stored. From any thread.

        Those that come while another's is committed share the next transaction.
        """
        mine = _Completing(request_id, now)
        self._completing.append(mine)
        with self._completing_turn:
            if not mine.done:
                self._complete()
        if mine.error is not None:
            raise mine.error

    def _complete(self) -> None:
        waiting = [self._completing.popleft() for _ in range(len(self._completing))]
        try:
            with self._store.write() as connection:
                for each in waiting:
                    connection.execute(_COMPLETING, {"request_id": each.request_id, "now": each.now})
        except BaseException as error:  # noqa: BLE001  (raised by each whose note it was)
            for each in waiting:
                each.error = error
        for each in waiting:
            each.done = True

    def settle(self, settlements: Sequence[Settlement], gate: Mapping[str, Any], now: float) -> None:
        """Commit what came of requests, for all of their entries at once, and what it means for the gate.

        Raises LedgerError or IllegalMoveError, and changes nothing. Where the ledger cannot be written, the answer to a
        request that is settled alone is kept beside it until the next start.
        """
        try:
            with self._store.write() as connection:
                set_fact(connection, "gate", gate)
                for settlement in settlements:
                    _answer(connection, settlement.request_id, settlement.answer, now)
                    for receipt in settlement.receipts:
                        if not settle_one(connection, State.SENDING, receipt, now):
                            raise IllegalMoveError(f"entry {receipt.entry_id} is not being sent")
        except LedgerError as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError) or len(settlements) > 1:
                raise
            its = settlements[0]
            kept = Kept(self._ledger_id, its.request_id, its.answer, tuple(its.receipts), now)
            raise type(error)(f"{error.message}; {self._keep(kept)}", hint=error.hint) from error

    def _keep(self, kept: Kept) -> str:
        """Keep an answer beside the ledger; say where it is, or, as a last resort, what it was."""
        try:
            self._outcomes.keep(kept)
        except OSError as error:
            ids = ", ".join(f"entry {r.entry_id}: image {r.image_id}" for r in kept.receipts if r.image_id)
            said = f"the answer to request {kept.request_id} could not be kept either ({error.strerror})"
            return f"{said}. Write this down for `syncd resolve --stored`: {ids}" if ids else said
        return f"the answer to request {kept.request_id} is kept in {self._outcomes.path}, for the next start"

    def _replay(self, connection: Connection, kept: Kept) -> int | None:
        """Settle what was kept; give how many entries it settled, None where the ledger has no such request."""
        row = connection.execute(_REQUEST, {"request_id": kept.request_id}).first()
        if kept.ledger_id != self._ledger_id or row is None:
            return None
        if row.outcome is not None:
            return 0
        _answer(connection, kept.request_id, kept.answer, kept.at)
        settled = 0
        for receipt in kept.receipts:
            known = connection.execute(_HOLDER, {"image_id": receipt.image_id}).first()
            if known is not None:
                # A person gave the id to another photo meanwhile.
                receipt = Receipt(receipt.entry_id, State.UNANSWERED, f"image id {receipt.image_id} is another's")  # noqa: PLW2901
            settled += settle_one(connection, State.SENDING, receipt, kept.at)
        return settled

    def gate(self) -> Any:
        """Give the state of the gate before all that leaves, as `settle` and `set_gate` kept it; None at first."""
        with self._store.read() as connection:
            return fact(connection, "gate")

    def set_gate(self, gate: Mapping[str, Any]) -> None:
        """Keep the state of the gate."""
        with self._store.write() as connection:
            set_fact(connection, "gate", gate)

    def sent_since(self, since: float) -> int:
        """Count the files that were, or may have been, stored since a time: what a daily budget has paid for."""
        return sent_since(self._store, since)

    def defer(self, entry_id: int, due_at: float) -> None:
        """Have a READY entry wait, without a move: its file cannot be opened at the moment."""
        with self._store.write() as connection:
            connection.execute(
                text("UPDATE entries SET due_at = :due_at WHERE id = :entry_id AND state = 'ready'"),
                {"entry_id": entry_id, "due_at": due_at},
            )

    def hasten(self, now: float) -> None:
        """Make every READY entry due: what they waited for is over, or the clock that said so was set back."""
        with self._store.write() as connection:
            connection.execute(
                text("UPDATE entries SET due_at = :now WHERE state = 'ready' AND withdrawn = 0 AND due_at > :now"),
                {"now": now},
            )

    def held_ids(self, ids: Sequence[str]) -> frozenset[str]:
        """Give those of the image ids that an entry holds already."""
        with self._store.glance() as connection:
            holders = {each: connection.execute(_HOLDER, {"image_id": each}).scalar() for each in ids}
        return frozenset(each for each, holder in holders.items() if holder is not None)


def _claim(connection: Connection, claim: Claim, now: float) -> int:
    row = {
        "marker": claim.marker,
        "marked": claim.marked,
        "namespace": claim.metadata.unique_id,
        "sent_at": now if claim.leaves_at is None else claim.leaves_at,
        "files": len(claim.files),
        "bytes": sum(size for _, _, size in claim.files),
    }
    request_id = int(connection.execute(_NEW_REQUEST, row).lastrowid)
    reason = f"request {request_id}, marker {claim.marker}"
    for position, (entry_id, wire_name, _) in enumerate(claim.files):
        metadata = metadata_json(claim.metadata, claim.marker, claim.off.get(entry_id))
        if not claim_one(connection, entry_id, metadata, reason, now):
            raise IllegalMoveError(f"entry {entry_id} is not ready any more")
        sent_as = {"request_id": request_id, "entry_id": entry_id, "position": position, "wire_name": wire_name}
        connection.execute(_SENT, sent_as)
    return request_id


def _answer(connection: Connection, request_id: int, answer: Answer, now: float) -> None:
    connection.execute(
        _ANSWERED,
        {
            "request_id": request_id,
            "answered_at": now,
            "outcome": answer.outcome,
            "status": answer.status,
            "code": answer.code,
            "message": None if answer.message is None else printable(answer.message),
            "lookup_at": answer.lookup_at,
        },
    )


_NEW_REQUEST = insert("requests", "marker", "marked", "namespace", "sent_at", "files", "bytes")
_SENT = insert("sent", "request_id", "entry_id", "position", "wire_name")
_NOT_FAR_AWAY = text("""
    UPDATE entries SET due_at = :now WHERE state = 'ready' AND withdrawn = 0 AND due_at > :latest
""")
_LAST_SENT_AT = text("SELECT sent_at FROM requests ORDER BY id DESC LIMIT 1")
_LEFT_SENDING = text("""
    SELECT id, completing_at, marked FROM requests
    WHERE outcome IS NULL AND id IN (
        SELECT request_id FROM sent JOIN entries ON entries.id = sent.entry_id WHERE entries.state = 'sending')
    ORDER BY id
""")
_FILES_SENDING = text("""
    SELECT sent.entry_id FROM sent JOIN entries ON entries.id = sent.entry_id
    WHERE sent.request_id = :request_id AND entries.state = 'sending' ORDER BY sent.position
""")
_COMPLETING = text("UPDATE requests SET completing_at = :now WHERE id = :request_id")
_REQUEST = text("SELECT outcome FROM requests WHERE id = :request_id")
_HOLDER = text("SELECT id FROM entries WHERE image_id = :image_id")
_ANSWERED = text("""
    UPDATE requests SET answered_at = :answered_at, outcome = :outcome, status = :status, code = :code,
                        message = :message, lookup_at = :lookup_at
    WHERE id = :request_id
""")
