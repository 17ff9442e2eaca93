"""Unanswered requests that wait to be looked up, and what the look-ups found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.ledger.moves import settle_one
from syncd.ledger.outcomes import Receipt
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store
from syncd.lifecycle import State


@dataclass(frozen=True, slots=True)
class Pending:
    """An unanswered request: what to search for, and which entries are missed (number, wire name)."""

    request_id: int
    marker: str
    namespace: str
    sent_at: float
    lookups: int
    missing: tuple[tuple[int, str], ...]


class Lookups:
    """The look-ups that the ledger owes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due(self, now: float) -> Pending | None:
        """Give the unanswered request whose look-up has been due the longest."""
        with self._store.read() as connection:
            row = connection.execute(_DUE, {"now": now}).first()
            if row is None:
                return None
            missing = connection.execute(_MISSING, {"request_id": row.id}).all()
        pairs = tuple((m.entry_id, m.wire_name) for m in missing)
        return Pending(row.id, row.marker, row.namespace, row.sent_at, row.lookups, pairs)

    def next_due(self) -> float | None:
        """Tell when the next look-up is due; None when none is outstanding."""
        with self._store.read() as connection:
            found: float | None = connection.execute(_NEXT).scalar()
        return found

    def done(self, pending: Pending, adopted: Mapping[int, str], next_at: float | None, now: float) -> None:
        """Record a look-up: adopted image ids by entry, and when to look again for the rest (None: no more)."""
        with self._store.write() as connection:
            for entry_id, image_id in adopted.items():
                reason = f"found by its marker {pending.marker}"
                settle_one(connection, State.UNANSWERED, Receipt(entry_id, State.UPLOADED, reason, image_id), now)
            connection.execute(_LOOKED_UP, {"at": next_at, "request_id": pending.request_id})

    def postpone(self, pending: Pending, until: float) -> None:
        """Look again later, without counting: the search itself could not be answered."""
        with self._store.write() as connection:
            connection.execute(
                text("UPDATE requests SET lookup_at = :until WHERE id = :request_id"),
                {"until": until, "request_id": pending.request_id},
            )

    def resend(self, pending: Pending, now: float) -> int:
        """Make the missed entries READY again, because a person chose so once every look-up has missed."""
        reason = 'every look-up missed, and the configuration says unanswered = "resend"'
        with self._store.write() as connection:
            return sum(
                settle_one(connection, State.UNANSWERED, Receipt(entry_id, State.READY, reason), now)
                for entry_id, _ in pending.missing
            )


def forget_if_settled(connection: Connection, entry_id: int) -> None:
    """Owe no more look-ups for requests of which nothing is unanswered any more."""
    connection.execute(_SETTLED, {"entry_id": entry_id})


_DUE = text("""
    SELECT id, marker, namespace, sent_at, lookups FROM requests
    WHERE lookup_at IS NOT NULL AND lookup_at <= :now ORDER BY lookup_at, id LIMIT 1
""")
_NEXT = text("SELECT min(lookup_at) FROM requests WHERE lookup_at IS NOT NULL")
_MISSING = text("""
    SELECT sent.entry_id, sent.wire_name FROM sent JOIN entries ON entries.id = sent.entry_id
    WHERE sent.request_id = :request_id AND entries.state = 'unanswered'
      AND NOT EXISTS (SELECT 1 FROM sent AS later WHERE later.entry_id = sent.entry_id
                      AND later.request_id > sent.request_id)
    ORDER BY sent.position
""")
_LOOKED_UP = text("""
    UPDATE requests SET lookups = lookups + 1, lookup_at = CASE WHEN EXISTS (
        SELECT 1 FROM sent JOIN entries ON entries.id = sent.entry_id
        WHERE sent.request_id = requests.id AND entries.state = 'unanswered') THEN :at END
    WHERE id = :request_id
""")
_SETTLED = text("""
    UPDATE requests SET lookup_at = NULL
    WHERE lookup_at IS NOT NULL AND id IN (SELECT request_id FROM sent WHERE entry_id = :entry_id)
      AND NOT EXISTS (SELECT 1 FROM sent JOIN entries ON entries.id = sent.entry_id
                      WHERE sent.request_id = requests.id AND entries.state = 'unanswered')
""")
