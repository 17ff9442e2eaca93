"""What a ledger that was put back from a backup does not know: which photos were uploaded since.

Until a person, or a newer export, says more, a photo that may be among them is unanswered: never sent by itself. Those
are the photos that were owed in the backup, and those that turn up now with files older than the putting back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from syncd.ledger.plain import Connection, text
from syncd.ledger.store import fact, set_fact
from syncd.model import Look

REASON = "the ledger was put back and does not know the last uploads: it may be stored"
FACT = "doubt"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Since when (seconds since the epoch), how many requests the ledger knows, how many were made (None: unknown)."""

    since: float
    known: int
    made: int | None


def doubt(connection: Connection) -> Doubt | None:
    """Give the doubt about a ledger; None where there is none."""
    value = fact(connection, FACT)
    return None if value is None else Doubt(**value)


def begin_doubt(connection: Connection, about: Doubt) -> None:
    """Doubt everything that is owed, and what the next whole scan of each root finds."""
    set_fact(connection, FACT, asdict(about))
    values = {"reason": REASON, "now": about.since}
    connection.execute(_HISTORY_OF_READY, values)
    connection.execute(_SWAP_READY, values)
    connection.execute(text("UPDATE roots SET first_scan_at = NULL"))


def is_doubtful(about: Doubt | None, look: Look, now: float, *, first_scan: bool) -> bool:
    """Tell whether a photo that turns up may be stored: its file was, or may have been, there before.

    A copy keeps an old mtime and has a new ctime; what was there has an old ctime, also where a camera's clock set the
    mtime to a time to come, which says nothing.
    """
    if about is None:
        return False
    modified, changed = look.mtime_ns / 1e9, look.ctime_ns / 1e9
    return first_scan or min(modified, changed) < about.since or modified > now


def doubt_entry(connection: Connection, entry_id: int, now: float) -> None:
    """Make a READY entry unanswered."""
    values = {"entry_id": entry_id, "reason": REASON, "now": now}
    if connection.execute(_SWAP, values).rowcount == 1:
        connection.execute(_HISTORY, values)


_SWAP = text("""
    UPDATE entries SET state = 'unanswered', reason = :reason, due_at = :now WHERE id = :entry_id AND state = 'ready'
""")
_HISTORY = text("""
    INSERT INTO history (entry_id, at, "before", "after", reason)
    VALUES (:entry_id, :now, 'ready', 'unanswered', :reason)
""")
_SWAP_READY = text("UPDATE entries SET state = 'unanswered', reason = :reason, due_at = :now WHERE state = 'ready'")
_HISTORY_OF_READY = text("""
    INSERT INTO history (entry_id, at, "before", "after", reason)
    SELECT id, :now, 'ready', 'unanswered', :reason FROM entries WHERE state = 'ready' ORDER BY id
""")
