"""The connection to the ledger: how it is opened, read and written.

SQLite in WAL mode with synchronous=FULL, because a request must not leave before the intent to send it would survive
a power cut (sqlite.org/pragma.html#pragma_synchronous). One writer at a time, BEGIN IMMEDIATE: a deferred transaction
that reads and then writes can fail at once with SQLITE_BUSY_SNAPSHOT, whatever the busy timeout.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from syncd.errors import BusyError, LedgerDiskError, LedgerError
from syncd.ledger.plain import Connection, text
from syncd.printable import printable

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

_OF_THE_DISK = {
    sqlite3.SQLITE_FULL: "Free some space and start again; nothing was lost.",
    sqlite3.SQLITE_IOERR: "Its disk reports errors: look at the kernel's log. Nothing is uploaded meanwhile.",
    sqlite3.SQLITE_CANTOPEN: "Its folder must be writable for this user and have free space.",
}
"""What may pass without a person, by SQLite's primary result code (sqlite.org/rescode.html), and what to do."""
_UNFINISHED = "syncd was ended while it made it: the next `syncd sync` or `syncd run` puts that right."
_UNWRITABLE = "Make the folder and the file writable for this user; nothing is uploaded meanwhile."


class Store:
    """An open ledger file. `write` is for one thread at a time (it queues them); `read` is for any.

    With `query_only` the ledger is opened for reading alone: SQLite itself then refuses every change.
    Every database error leaves as LedgerError. `busy_seconds`: how long a writer waits for another process.
    """

    def __init__(self, path: Path, *, query_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self.undone = 0
        """How many transactions were rolled back: what was remembered of them must be forgotten."""
        self._query_only = query_only
        self._busy_seconds = busy_seconds
        self._writer_lock = threading.RLock()
        self._writer: Connection | None = None
        self._sharing = threading.local()
        self._idle: list[Connection] = []
        """Connections for reading that nobody uses. The last one that was given back has the warmest cache."""
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: durable when the block ends, rolled back when it raises."""
        with self._writer_lock, _translated(self.path):
            if self._writer is None:
                self._writer = self._connect()
            try:
                with _transaction(self._writer.driver, "BEGIN IMMEDIATE"):
                    yield self._writer
            except BaseException:
                self.undone += 1
                raise

    @contextmanager
    def changing_tables(self) -> Iterator[None]:
        """Have errors understood while a connection of its own changes the tables."""
        with self._writer_lock, _translated(self.path):
            yield

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the ledger. Keep it short: an open reader keeps the WAL from being checkpointed."""
        shared: Connection | None = getattr(self._sharing, "connection", None)
        if shared is not None:
            yield shared
            return
        with _translated(self.path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                with _transaction(connection.driver, "BEGIN"):
                    yield connection
            finally:
                # Given back first: so it is closed here or by `close`, whichever comes later.
                self._idle.append(connection)
                if self._closed:
                    self._close_idle()

    @contextmanager
    def view(self) -> Iterator[None]:
        """Have all that this thread reads within see the ledger at one moment, and cost one transaction."""
        with self.read() as connection:
            before, self._sharing.connection = getattr(self._sharing, "connection", None), connection
            try:
                yield
            finally:
                self._sharing.connection = before

    def _connect(self) -> Connection:
        return Connection(opened(self.path, query_only=self._query_only, busy_seconds=self._busy_seconds))

    def close(self) -> None:
        """Close every connection; one that is just being read from is closed by its reader."""
        with self._writer_lock:
            self._closed = True
            self._close_idle()
            if self._writer is not None:
                self._writer.driver.close()
                self._writer = None

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().driver.close()


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


@contextmanager
def _transaction(driver: sqlite3.Connection, begin: str) -> Iterator[None]:
    try:
        # Within: a signal is heard when the wait for another's transaction is over, and then this one has begun.
        driver.execute(begin).close()
        yield
        driver.commit()
    except BaseException:
        # A commit that failed may have left the transaction open. SQLite itself ended it where the disk failed.
        driver.rollback()
        raise


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what the database says into what a person can act on."""
    try:
        yield
    except sqlite3.OperationalError as error:
        said = f"the ledger {path} cannot be used: {printable(str(error), 200)}"
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            hint = "Another program holds a transaction open on it. End that program, then start again."
            raise BusyError(said, hint=hint) from error
        if code in _OF_THE_DISK:
            raise LedgerDiskError(said, hint=_OF_THE_DISK[code]) from error
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise LedgerError(said, hint=_UNFINISHED) from error
        raise LedgerError(said, hint=_UNWRITABLE if code == sqlite3.SQLITE_READONLY else "") from error
    except sqlite3.IntegrityError as error:
        said = printable(str(error), 200)
        raise LedgerError(
            f"the ledger {path} refused a change that contradicts what it knows: {said}",
            hint="Nothing was changed. Start again; if it happens again, it is a defect of syncd: please report it.",
        ) from error
    except sqlite3.ProgrammingError:
        raise  # a mistake of ours, and nothing about the ledger
    except sqlite3.DatabaseError as error:
        said = printable(str(error), 200)
        raise LedgerError(
            f"the ledger {path} is damaged: {said}",
            hint="Nothing was uploaded. `syncd ledger restore` puts a backup in its place, `syncd ledger import` an "
            "export. An empty ledger would upload, and bill, everything again.",
        ) from error
