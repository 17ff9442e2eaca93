"""The connection to the ledger: how it is opened, read and written.

SQLite in WAL mode with synchronous=FULL, because a request must not leave before the intent to send it would survive
a power cut (sqlite.org/pragma.html#pragma_synchronous). One writer at a time, BEGIN IMMEDIATE: a deferred transaction
that reads and then writes can fail at once with SQLITE_BUSY_SNAPSHOT, whatever the busy timeout.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from syncd.ledger.plain import Connection, text
from syncd.ledger.transactions import Readers, Reading, Writer, explain

BUSY_SECONDS = 30.0
"""How long a writer waits for another process's transaction."""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-8192",
    "PRAGMA wal_autocheckpoint=1000",
)


class Store:
    """An open ledger file. `write` is for one thread at a time (it queues them); `read` is for any.

    With `query_only` the ledger is opened for reading alone: SQLite itself then refuses every change.
    Every database error leaves as LedgerError. `busy_seconds`: how long a writer waits for another process.
    """

    def __init__(self, path: Path, *, query_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self._query_only = query_only
        self._busy_seconds = busy_seconds
        self._writer = Writer(path, self._connect)
        self._readers = Readers(path, self._connect)

    @property
    def undone(self) -> int:
        """How many transactions were rolled back: what was remembered of them must be forgotten."""
        return self._writer.undone

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self) -> AbstractContextManager[Connection]:
        """One transaction: durable when the block ends, rolled back when it raises."""
        return self._writer

    def let_go(self) -> None:
        """Have nobody wait for a transaction of this thread that an interrupt (KeyboardInterrupt) left half done."""
        self._writer.let_go()

    @contextmanager
    def changing_tables(self) -> Iterator[None]:
        """Have errors understood while a connection of its own changes the tables."""
        with self._writer.lock:
            try:
                yield
            except sqlite3.Error as error:
                explain(error, self.path)
                raise

    def read(self) -> AbstractContextManager[Connection]:
        """One consistent view of the ledger. Keep it short: an open reader keeps the WAL from being checkpointed."""
        return Reading(self._readers, begin=True)

    def glance(self) -> AbstractContextManager[Connection]:
        """Do the same for one question: a statement alone is consistent without a transaction around it."""
        return Reading(self._readers, begin=False)

    @contextmanager
    def view(self) -> Iterator[None]:
        """Have all that this thread reads within see the ledger at one moment, and cost one transaction."""
        with self.read() as connection:
            sharing = self._readers.sharing
            before, sharing.connection = getattr(sharing, "connection", None), connection
            try:
                yield
            finally:
                sharing.connection = before

    def _connect(self) -> Connection:
        return Connection(opened(self.path, query_only=self._query_only, busy_seconds=self._busy_seconds))

    def close(self) -> None:
        """Close every connection; one that is just being read from is closed by its reader."""
        self._readers.close()
        self._writer.close()


def fact(connection: Connection, name: str) -> Any:
    """Read a fact (a JSON value); None where there is none."""
    value = connection.execute(_FACT, {"name": name}).scalar()
    return None if value is None else json.loads(value)


def set_fact(connection: Connection, name: str, value: Any) -> None:
    """Write a fact (a JSON value); None removes it."""
    if value is None:
        connection.execute(_NO_FACT, {"name": name})
        return
    connection.execute(_SET_FACT, {"name": name, "value": json.dumps(value)})


_FACT = text("SELECT value FROM facts WHERE name = :name")
_NO_FACT = text("DELETE FROM facts WHERE name = :name")
_SET_FACT = text("""
    INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
""")


def connect(path: Path, mode: str, *, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a ledger file that exists, whatever its name is made of; `mode` is SQLite's: "ro" or "rw"."""
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}{'&immutable=1' if _lies_still(path) else ''}"
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, check_same_thread=False)


def _lies_still(path: Path) -> bool:
    """Tell whether a ledger lies on a disk that nobody can write to: WAL cannot be read there in any other way."""
    beside = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY) and not any(part.exists() for part in beside)


def opened(path: Path, *, query_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a ledger file that exists, as the store uses it."""
    driver = connect(path, "ro" if query_only else "rw", busy_seconds=busy_seconds)
    try:
        # The driver's own BEGIN is not one we can choose, and is left out before DDL: so it gets none.
        driver.isolation_level = None
        for pragma in _PRAGMAS if not query_only else (*_PRAGMAS[2:-1], "PRAGMA query_only=ON"):
            driver.execute(pragma).close()
    except BaseException:
        driver.close()
        raise
    return driver
