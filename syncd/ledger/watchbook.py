"""How the daemon watches each root, and what went wrong with that: kept in the ledger, so that `status` can say it."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store
from syncd.printable import printable


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """What is known of the watching of one root of the configuration. Times in seconds since the epoch."""

    root: bytes
    how: str | None
    """ "events", or why it is polled; None: no daemon watches it. After a daemon was killed it is what was last so."""
    trouble: str | None
    """What is wrong now."""
    last_trouble: str | None
    last_trouble_at: float | None
    missed: int
    """Files that only a rescan found, although events were on: ever."""


class WatchBook:
    """Written by the daemon alone."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[bytes, tuple[str, str | None]] = {}

    def note(self, root: bytes, how: str, trouble: str | None, now: float) -> None:
        """Note how a root is watched, and what is wrong with that. Writes only where it is not as before."""
        if self._told.get(root) == (how, trouble):
            return
        said = None if trouble is None else printable(trouble)
        with self._store.write() as connection:
            connection.execute(_NOTE, {"root": root, "how": printable(how), "trouble": said, "now": now})
        self._told[root] = (how, trouble)

    def missed(self, root: bytes, files: int) -> None:
        """Count files that only a rescan found."""
        with self._store.write() as connection:
            connection.execute(_MISSED, {"root": root, "files": files})

    def ended(self) -> None:
        """Note that nobody watches any more."""
        self._told.clear()
        with self._store.write() as connection:
            connection.execute(text("UPDATE roots SET watch = NULL, trouble = NULL WHERE watch IS NOT NULL"))


def records(connection: Connection) -> tuple[WatchRecord, ...]:
    """Give the record of each root of the configuration, by path."""
    return tuple(WatchRecord(*row) for row in connection.execute(_RECORDS))


_NOTE = text("""
    UPDATE roots SET watch = :how, trouble = :trouble, last_trouble = coalesce(:trouble, last_trouble),
                     last_trouble_at = CASE WHEN :trouble IS NULL THEN last_trouble_at ELSE :now END
    WHERE path = :root
""")
_MISSED = text("UPDATE roots SET missed = missed + :files WHERE path = :root")
_RECORDS = text("""
    SELECT path, watch, trouble, last_trouble, last_trouble_at, missed FROM roots WHERE NOT dropped ORDER BY path
""")
