"""Figures of the ledger for those who watch over it. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncd.ledger.plain import text
from syncd.ledger.store import Store

UNDER_WAY: Final = "under way"
"""Stands for the outcome of a request that has none yet."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the ledger counts beside the entries. Times in seconds since the epoch."""

    requests: Mapping[str, int]
    """Requests by outcome, since the ledger was made."""
    stored_bytes: int
    """Bytes of the photos that were stored."""
    oldest_owed_at: float | None
    """When the photo that waits the longest to be sent arrived."""
    last_request_at: float | None
    ledger_bytes: int
    wal_bytes: int


def gauges(store: Store) -> Gauges:
    """Read all of them in one view."""
    with store.read() as connection:
        rows = connection.execute(_REQUESTS).all()
        oldest = connection.execute(_OLDEST).scalar()
        last = connection.execute(_LAST).scalar()
    return Gauges(
        requests={row.outcome or UNDER_WAY: row.requests for row in rows},
        stored_bytes=sum(row.total or 0 for row in rows if row.outcome == "stored"),
        oldest_owed_at=oldest,
        last_request_at=last,
        ledger_bytes=_size(store, ""),
        wal_bytes=_size(store, "-wal"),
    )


def _size(store: Store, suffix: str) -> int:
    # Never opened: closing it here would give up SQLite's own locks on it (sqlite.org/howtocorrupt.html 2.2).
    try:
        return store.path.with_name(store.path.name + suffix).stat().st_size
    except OSError:
        return 0


_REQUESTS = text("SELECT outcome, count(*) AS requests, sum(bytes) AS total FROM requests GROUP BY outcome")
_OLDEST = text("""
    SELECT arrived_at FROM entries INDEXED BY ix_entries_waiting
    WHERE state = 'ready' AND withdrawn = 0 ORDER BY arrived_at LIMIT 1
""")
_LAST = text("SELECT sent_at FROM requests ORDER BY id DESC LIMIT 1")
