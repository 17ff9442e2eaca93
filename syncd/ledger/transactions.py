"""Transactions: one writer, any number of readers, and what is said where the database fails.

They are classes with `__enter__` and `__exit__`: a photo takes twenty of them, and a generator costs twice as much.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from syncd.errors import BusyError, LedgerDiskError, LedgerError
from syncd.ledger.plain import Connection
from syncd.printable import printable

_OF_THE_DISK = {
    sqlite3.SQLITE_FULL: "Free some space and start again; nothing was lost.",
    sqlite3.SQLITE_IOERR: "Its disk reports errors: look at the kernel's log. Nothing is uploaded meanwhile.",
    sqlite3.SQLITE_CANTOPEN: "Its folder must be writable for this user and have free space.",
}
"""What may pass without a person, by SQLite's primary result code (sqlite.org/rescode.html), and what to do."""
_UNFINISHED = "syncd was ended while it made it: the next `syncd sync` or `syncd run` puts that right."
_UNWRITABLE = "Make the folder and the file writable for this user; nothing is uploaded meanwhile."


class Writer:
    """The one connection that writes. As a context: a transaction, durable when it ends, rolled back when it raises."""

    def __init__(self, path: Path, connect: Callable[[], Connection]) -> None:
        self.undone = 0
        """How many transactions were rolled back."""
        self.lock = threading.RLock()
        """Held by the thread that writes."""
        self._path = path
        self._connect = connect
        self._connection: Connection | None = None

    def __enter__(self) -> Connection:
        self.lock.acquire()
        try:
            if self._connection is None:
                self._connection = self._connect()
            # Within: a signal is heard when the wait for another's transaction is over, and then this one has begun.
            self._connection.driver.execute("BEGIN IMMEDIATE").close()
        except BaseException as error:
            self._undo(error)
            raise
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            self._undo(error)
            return
        try:
            assert self._connection is not None  # noqa: S101 - it began
            self._connection.driver.commit()
        except BaseException as failed:
            self._undo(failed)
            raise
        self.lock.release()

    def let_go(self) -> None:
        """Undo and release what an interrupt has kept this thread from releasing: one that came between two steps.

        For a thread that is not writing. What another one writes stays as it is.
        """
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self._connection is not None and self._connection.driver.in_transaction:
                self._connection.driver.rollback()
                self.undone += 1
        finally:
            with suppress(RuntimeError):
                while True:  # it can be held more than once
                    self.lock.release()

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            if self._connection is not None:
                self._connection.driver.close()
                self._connection = None

    def _undo(self, error: BaseException) -> None:
        try:
            self.undone += 1
            why = error if self._connection is None else _roll_back(self._connection, error)
        finally:
            self.lock.release()
        explain(why, self._path)


class Readers:
    """The connections that read, given out and taken back. What one thread reads in a view is of one moment."""

    def __init__(self, path: Path, connect: Callable[[], Connection]) -> None:
        self.path = path
        self.sharing = threading.local()
        """Its `connection`, if any: that of the view that the thread has open."""
        self._connect = connect
        self._idle: list[Connection] = []
        """The last one that was given back has the warmest cache."""
        self._closed = False

    def take(self) -> Connection:
        """Give out a connection that nobody uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def give_back(self, connection: Connection) -> None:
        """Take a connection back."""
        # First of all: so it is closed here or by `close`, whichever comes later.
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def close(self) -> None:
        """Close every connection; one that is just being read from is closed when it is given back."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().driver.close()


class Reading:
    """The view of one reader: that of its thread, or one of its own; without `begin` it is no transaction."""

    __slots__ = ("_begin", "_own", "_readers")

    def __init__(self, readers: Readers, *, begin: bool) -> None:
        self._readers = readers
        self._begin = begin
        self._own: Connection | None = None

    def __enter__(self) -> Connection:
        shared: Connection | None = getattr(self._readers.sharing, "connection", None)
        if shared is not None:
            return shared
        try:
            own = self._own = self._readers.take()
            if self._begin:
                own.driver.execute("BEGIN").close()
        except BaseException as error:
            self._undo(error)
            raise
        return own

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._own is None:
            return
        if error is not None:
            self._undo(error)
            return
        try:
            if self._begin:
                self._own.driver.commit()
        except BaseException as failed:
            self._undo(failed)
            raise
        self._readers.give_back(self._own)

    def _undo(self, error: BaseException) -> None:
        why = error
        if self._own is not None:
            try:
                why = _roll_back(self._own, error)
            finally:
                self._readers.give_back(self._own)
        explain(why, self._readers.path)


def _roll_back(connection: Connection, error: BaseException) -> BaseException:
    """Roll back; give the error that counts, which may come of that."""
    try:
        # A commit that failed may have left the transaction open. SQLite itself ended it where the disk failed.
        connection.driver.rollback()
    except sqlite3.Error as worse:
        return worse
    return error


def explain(error: BaseException, path: Path) -> None:
    """Raise what a person can act on, where the database said something; leave everything else as it is."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return  # the latter is a mistake of ours, and nothing about the ledger
    told = printable(str(error), 200)
    if isinstance(error, sqlite3.OperationalError):
        said = f"the ledger {path} cannot be used: {told}"
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            hint = "Another program holds a transaction open on it. End that program, then start again."
            raise BusyError(said, hint=hint) from error
        if code in _OF_THE_DISK:
            raise LedgerDiskError(said, hint=_OF_THE_DISK[code]) from error
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise LedgerError(said, hint=_UNFINISHED) from error
        raise LedgerError(said, hint=_UNWRITABLE if code == sqlite3.SQLITE_READONLY else "") from error
    if isinstance(error, sqlite3.IntegrityError):
        raise LedgerError(
            f"the ledger {path} refused a change that contradicts what it knows: {told}",
            hint="Nothing was changed. Start again; if it happens again, it is a defect of syncd: please report it.",
        ) from error
    raise LedgerError(
        f"the ledger {path} is damaged: {told}",
        hint="Nothing was uploaded. `syncd ledger restore` puts a backup in its place, `syncd ledger import` an "
        "export. An empty ledger would upload, and bill, everything again.",
    ) from error
