"""How an entry moves from one state to another: by compare-and-swap along lifecycle.MOVES, with a row of history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from syncd.errors import IllegalMoveError
from syncd.ledger.outcomes import Receipt
from syncd.ledger.plain import Connection, insert, text
from syncd.ledger.sightings import owe_orphaned_edits
from syncd.lifecycle import State, may_move
from syncd.printable import printable


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


def claim_one(connection: Connection, entry_id: int, metadata: str, reason: str, now: float) -> bool:
    """Move a READY entry to SENDING, with what will be sent with it (JSON); tell whether it was READY."""
    moved = {"entry_id": entry_id, "reason": reason, "now": now, "metadata": metadata}
    if connection.execute(_CLAIMED, moved).rowcount != 1:
        return False
    before_after = {"before": State.READY, "after": State.SENDING}
    connection.execute(_HISTORY, {"entry_id": entry_id, "at": now, "reason": reason, **before_after})
    return True


_HISTORY = insert("history", "entry_id", "at", "before", "after", "reason")
_MAY_BE_STORED = frozenset({State.SENDING, State.UNANSWERED})
_PHOTO_OF = text("SELECT photo_id FROM entries WHERE id = :entry_id")
_SWAP = text("""
    UPDATE entries SET state = :after, reason = :reason, due_at = :due_at, image_id = :image_id,
                       uploaded_at = :uploaded_at, split = coalesce(:split, split), omit = coalesce(:omit, omit)
    WHERE id = :entry_id AND state = :before
""")
_CLAIMED = text("""
    UPDATE entries SET state = 'sending', reason = :reason, due_at = :now, attempts = attempts + 1,
                       sent_metadata = :metadata
    WHERE id = :entry_id AND state = 'ready'
""")
