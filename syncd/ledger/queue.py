"""The ledger as the queue: what is due, the intent to send it, and what came of it.

Every change of state is a compare-and-swap along lifecycle.MOVES, with a row of history that says why.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from syncd.errors import IllegalMoveError, LedgerError
from syncd.ledger.guard import Mark, MarkFile
from syncd.ledger.outcomes import Answer, Kept, OutcomeFile, Receipt
from syncd.ledger.outlook import sent_since
from syncd.ledger.plain import Connection, insert, text
from syncd.ledger.rows import Off, Owed, capture_of, group_by_photo, metadata_json
from syncd.ledger.sightings import owe_orphaned_edits
from syncd.ledger.store import Store, fact, set_fact
from syncd.lifecycle import Outcome, State, may_move
from syncd.model import ImageType, PlacePath, RequestMetadata
from syncd.printable import printable

__all__ = ["FARTHEST", "Answer", "Claim", "Queue", "Receipt", "Settlement", "move", "settle_one"]

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


class Queue:
    """What is owed, asked and answered from the ledger. For the holder of the instance lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
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

    def view(self) -> AbstractContextManager[None]:
        """Have all that this thread asks within be answered from one view of the ledger."""
        return self._store.view()

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

    def head(self, order: str, now: float, *, oldest: bool = False, limit: int = 1) -> list[int]:
        """Give the entries that come first: arrivals newest first, then the backlog by `order` ("newest", "oldest").

        With `oldest` the longest waiting come first, whatever their lane, so that nothing waits for ever.
        """
        with self._store.read() as connection:
            if oldest:
                return list(connection.execute(_WAITING, {"now": now, "limit": limit}).scalars())
            found = list(connection.execute(_ARRIVALS, {"now": now, "limit": limit}).scalars())
            if len(found) < limit:
                backlog = _BACKLOG_OLDEST if order == "oldest" else _BACKLOG_NEWEST
                found += connection.execute(backlog, {"now": now, "limit": limit - len(found)}).scalars()
            return found

    def small_ones(self, order: str, now: float, *, size: int, limit: int) -> list[int]:
        """Give entries of at most so many bytes among the few thousand that come first, in their order."""
        backlog = _SMALL_OLDEST if order == "oldest" else _SMALL_NEWEST
        values = {"now": now, "size": size, "limit": limit}
        with self._store.read() as connection:
            found = list(connection.execute(_SMALL_ARRIVALS, values).scalars())
            return (found + list(connection.execute(backlog, values).scalars()))[:limit]

    def has_arrived_since(self, at: float, now: float) -> bool:
        """Tell whether a photo that is due arrived (lane 1) after a moment."""
        with self._store.read() as connection:
            return connection.execute(_ARRIVED_SINCE, {"at": at, "now": now}).first() is not None

    def mates(self, entry_id: int, now: float, *, limit: int) -> list[Owed]:
        """Give an entry and the due ones whose capture gives the same metadata, the entry itself first.

        Nothing where the entry itself is not due (any more).
        """
        with self._store.read() as connection:
            head = connection.execute(_HEAD, {"entry_id": entry_id, "now": now}).first()
            if head is None:
                return []
            rows = [head]
            if head.has_mates and limit > 1:
                rows += connection.execute(_MATES, {**_alike(head), "now": now, "limit": limit - 1}).all()
            by_photo = _places_of(connection, [row.photo_id for row in rows])
            return [_owed(row, by_photo.get(row.photo_id, [])) for row in rows]

    def largest_mates(self, entry_id: int, now: float, *, most: int, among: int) -> int:
        """Sum the bytes of the largest, at most so many, of an entry and its mates."""
        with self._store.read() as connection:
            head = connection.execute(_HEAD, {"entry_id": entry_id, "now": now}).first()
            if head is None:
                return 0
            values = {**_alike(head), "now": now, "limit": among}
            sizes = [head.size, *connection.execute(_SIZES, values).scalars()]
        return sum(sorted(sizes, reverse=True)[:most])

    def neighbours(self, head: Owed, now: float, *, within: float, limit: int) -> list[Owed]:
        """Give due entries with the same camera that are near an entry in capture time, the latest first.

        From so many seconds (`within`) before it to the end of the chain after it: as long as the next one is never
        farther than that from the one before. At most `limit`.
        """
        with self._store.read() as connection:
            row = connection.execute(_HEAD, {"entry_id": head.entry_id, "now": now}).first()
            if row is None:
                return []
            values = {**_alike(row), "now": now, "camera": row.camera_model, "limit": limit}
            before = {**values, "from": row.order_at - within, "to": row.order_at}
            later = _chain(connection, values, row.order_at, within)
            rows = [*reversed(later), *connection.execute(_EARLIER, before)]
            by_photo = _places_of(connection, [one.photo_id for one in rows])
            return [_owed(one, by_photo.get(one.photo_id, [])) for one in rows]

    def next_due(self) -> float | None:
        """Tell when the next entry is due (it may be in the past); None when nothing is owed."""
        with self._store.read() as connection:
            found: float | None = connection.execute(_NEXT_DUE).scalar()
        return found

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
        with self._store.read() as connection:
            holders = {each: connection.execute(_HOLDER, {"image_id": each}).scalar() for each in ids}
        return frozenset(each for each, holder in holders.items() if holder is not None)


def move(connection: Connection, entry_id: int, before: State, after: State, reason: str, now: float) -> bool:
    """Move an entry by compare-and-swap; tell whether it was in the state `before`.

    Raises IllegalMoveError for a move that lifecycle.MOVES does not have.
    """
    return settle_one(connection, before, Receipt(entry_id, after, reason, due_at=now), now)


def settle_one(connection: Connection, before: State, receipt: Receipt, now: float) -> bool:
    """Move one entry as its receipt says; tell whether it was in the state `before`."""
    if not may_move(before, receipt.to):
        raise IllegalMoveError(f"entry {receipt.entry_id} must not go from {before} to {receipt.to}")
    reason = printable(receipt.reason)
    values: Mapping[str, Any] = {
        "entry_id": receipt.entry_id,
        "before": before,
        "after": receipt.to,
        "reason": reason,
        "due_at": now if receipt.due_at is None else receipt.due_at,
        "image_id": receipt.image_id,
        "uploaded_at": now if receipt.to is State.UPLOADED else None,
        "split": receipt.split,
        "omit": json.dumps(sorted(receipt.omit)) if receipt.omit else None,
    }
    if connection.execute(_SWAP, values).rowcount != 1:
        return False
    connection.execute(
        _HISTORY,
        {"entry_id": receipt.entry_id, "at": now, "before": before, "after": receipt.to, "reason": reason},
    )
    if before in _MAY_BE_STORED and receipt.to is not State.UPLOADED:
        photo_id = connection.execute(_PHOTO_OF, {"entry_id": receipt.entry_id}).scalar_one()
        owe_orphaned_edits(connection, photo_id, now)
    return True


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
        moved = {"entry_id": entry_id, "reason": reason, "now": now, "metadata": metadata}
        if connection.execute(_CLAIMED, moved).rowcount != 1:
            raise IllegalMoveError(f"entry {entry_id} is not ready any more")
        before_after = {"before": State.READY, "after": State.SENDING}
        connection.execute(_HISTORY, {"entry_id": entry_id, "at": now, "reason": reason, **before_after})
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


def _places_of(connection: Connection, photos: Sequence[int]) -> dict[int, list[PlacePath]]:
    if len(photos) == 1:
        return group_by_photo(connection.execute(_PLACES_OF_ONE, {"photo_id": photos[0]}).all())
    return group_by_photo(connection.execute(_PLACES_OF, {"photos": json.dumps(photos)}).all())


def _chain(connection: Connection, values: Mapping[str, Any], start: float, within: float) -> list[Any]:
    """Give the entries after a moment, as long as none is farther than `within` from the one before."""
    span = 8 * within
    while True:
        rows = connection.execute(_LATER, {**values, "from": start, "to": start + span}).all()
        chain: list[Any] = []
        reached = start
        for row in rows:
            if row.order_at - reached > within:
                return chain
            reached = row.order_at
            chain.append(row)
        if reached < start + span - within or len(rows) == values["limit"] or not within:
            return chain
        span *= 4


def _alike(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("group_key", "namespace", "split", "omit", "entry_id")}


def _owed(row: Any, places: Sequence[Any]) -> Owed:
    return Owed(
        entry_id=row.entry_id,
        photo_id=row.photo_id,
        namespace=row.namespace,
        digest=row.digest,
        size=row.size,
        type=ImageType(row.type),
        capture=capture_of(row),
        places=tuple(places),
        attempts=row.attempts,
        split=row.split,
        omit=frozenset(json.loads(row.omit)) if row.omit else frozenset(),
        group_key=row.group_key,
        arrived_at=row.arrived_at,
        order_at=row.order_at,
    )


_NEW_REQUEST = insert("requests", "marker", "marked", "namespace", "sent_at", "files", "bytes")
_SENT = insert("sent", "request_id", "entry_id", "position", "wire_name")
_HISTORY = insert("history", "entry_id", "at", "before", "after", "reason")
_MAY_BE_STORED = frozenset({State.SENDING, State.UNANSWERED})
_PHOTO_OF = text("SELECT photo_id FROM entries WHERE id = :entry_id")
_NOT_FAR_AWAY = text("""
    UPDATE entries SET due_at = :now WHERE state = 'ready' AND withdrawn = 0 AND due_at > :latest
""")
# Each names its index: without statistics SQLite takes a general one, and sorts the whole library at each turn.
_ARRIVALS = text("""
    SELECT id FROM entries INDEXED BY ix_entries_arrivals
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 1 AND due_at <= :now
    ORDER BY arrived_at DESC, id DESC LIMIT :limit
""")
_ARRIVED_SINCE = text("""
    SELECT 1 FROM entries INDEXED BY ix_entries_arrivals
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 1 AND arrived_at > :at AND due_at <= :now LIMIT 1
""")
_BACKLOG_NEWEST = text("""
    SELECT id FROM entries INDEXED BY ix_entries_backlog
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
    ORDER BY order_at DESC, id DESC LIMIT :limit
""")
_BACKLOG_OLDEST = text("""
    SELECT id FROM entries INDEXED BY ix_entries_backlog
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
    ORDER BY order_at, id LIMIT :limit
""")
_SMALL_ARRIVALS = text("""
    SELECT id FROM (
        SELECT id, size FROM entries INDEXED BY ix_entries_arrivals
        WHERE state = 'ready' AND withdrawn = 0 AND lane = 1 AND due_at <= :now
        ORDER BY arrived_at DESC, id DESC LIMIT 2000)
    WHERE size <= :size LIMIT :limit
""")
_SMALL_NEWEST = text("""
    SELECT id FROM (
        SELECT id, size FROM entries INDEXED BY ix_entries_backlog
        WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
        ORDER BY order_at DESC, id DESC LIMIT 2000)
    WHERE size <= :size LIMIT :limit
""")
_SMALL_OLDEST = text("""
    SELECT id FROM (
        SELECT id, size FROM entries INDEXED BY ix_entries_backlog
        WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
        ORDER BY order_at, id LIMIT 2000)
    WHERE size <= :size LIMIT :limit
""")
_WAITING = text("""
    SELECT id FROM entries INDEXED BY ix_entries_waiting
    WHERE state = 'ready' AND withdrawn = 0 AND due_at <= :now
    ORDER BY arrived_at, id LIMIT :limit
""")
_LAST_SENT_AT = text("SELECT sent_at FROM requests ORDER BY id DESC LIMIT 1")
_NEXT_DUE = text("""
    SELECT due_at FROM entries INDEXED BY ix_entries_due
    WHERE state = 'ready' AND withdrawn = 0 ORDER BY due_at LIMIT 1
""")
_OWED_COLUMNS = """
    SELECT entries.id AS entry_id, entries.photo_id, entries.namespace, entries.attempts, entries.split, entries.omit,
           entries.group_key, entries.arrived_at, entries.order_at, photos.*
"""
_HAS_MATES = """
    EXISTS (
        SELECT 1 FROM entries AS mate INDEXED BY ix_entries_group
        WHERE mate.state = 'ready' AND mate.withdrawn = 0 AND mate.due_at <= :now
          AND mate.group_key = entries.group_key AND mate.namespace = entries.namespace
          AND mate.split IS entries.split AND mate.omit IS entries.omit AND mate.id <> entries.id) AS has_mates
"""
_HEAD = text(f"""
    {_OWED_COLUMNS}, {_HAS_MATES}
    FROM entries JOIN photos ON photos.id = entries.photo_id
    WHERE entries.id = :entry_id AND state = 'ready' AND withdrawn = 0 AND due_at <= :now
""")
_MATES = text(f"""
    {_OWED_COLUMNS}
    FROM entries INDEXED BY ix_entries_group CROSS JOIN photos ON photos.id = entries.photo_id
    WHERE state = 'ready' AND withdrawn = 0 AND due_at <= :now AND group_key = :group_key AND namespace = :namespace
      AND split IS :split AND omit IS :omit AND entries.id <> :entry_id
    ORDER BY order_at DESC, entries.id DESC LIMIT :limit
""")
_SIZES = text("""
    SELECT size FROM entries INDEXED BY ix_entries_group
    WHERE state = 'ready' AND withdrawn = 0 AND due_at <= :now AND group_key = :group_key AND namespace = :namespace
      AND split IS :split AND omit IS :omit AND id <> :entry_id
    ORDER BY order_at DESC, id DESC LIMIT :limit
""")
_NEAR = f"""
    {_OWED_COLUMNS}
    FROM entries INDEXED BY ix_entries_backlog CROSS JOIN photos ON photos.id = entries.photo_id
    WHERE state = 'ready' AND withdrawn = 0 AND lane IN (1, 2) AND due_at <= :now AND namespace = :namespace
      AND split IS :split AND omit IS :omit AND entries.id <> :entry_id
      AND photos.camera_model IS :camera AND photos.taken_at IS NOT NULL
"""
_EARLIER = text(f"{_NEAR} AND order_at >= :from AND order_at <= :to ORDER BY order_at DESC, entries.id LIMIT :limit")
_LATER = text(f"{_NEAR} AND order_at > :from AND order_at <= :to ORDER BY order_at, entries.id LIMIT :limit")
_PLACES = """
    SELECT places.photo_id, roots.path AS root, folders.path AS folder, places.name
    FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE places.photo_id {which} AND places.gone_at IS NULL AND NOT roots.dropped
    ORDER BY places.seen_at, places.id
"""
_PLACES_OF_ONE = text(_PLACES.format(which="= :photo_id"))
_PLACES_OF = text(_PLACES.format(which="IN (SELECT value FROM json_each(:photos))"))
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
_CLAIMED = text("""
    UPDATE entries SET state = 'sending', reason = :reason, due_at = :now, attempts = attempts + 1,
                       sent_metadata = :metadata
    WHERE id = :entry_id AND state = 'ready'
""")
_REQUEST = text("SELECT outcome FROM requests WHERE id = :request_id")
_HOLDER = text("SELECT id FROM entries WHERE image_id = :image_id")
_ANSWERED = text("""
    UPDATE requests SET answered_at = :answered_at, outcome = :outcome, status = :status, code = :code,
                        message = :message, lookup_at = :lookup_at
    WHERE id = :request_id
""")
_SWAP = text("""
    UPDATE entries SET state = :after, reason = :reason, due_at = :due_at, image_id = :image_id,
                       uploaded_at = :uploaded_at, split = coalesce(:split, split), omit = coalesce(:omit, omit)
    WHERE id = :entry_id AND state = :before
""")
