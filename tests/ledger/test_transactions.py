"""Transactions: what becomes of connections, and of what is half done."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.errors import LedgerError
from syncd.ledger.migrate import open_ledger
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store, fact, opened, set_fact
from syncd.ledger.transactions import Readers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    return path


def test_a_connection_that_is_given_back_while_the_ledger_is_closed_is_closed_too(path: Path) -> None:
    readers = Readers(path, lambda: Connection(opened(path)))

    class Meanwhile(list[Connection]):
        def append(self, connection: Connection) -> None:
            readers.close()
            super().append(connection)

    connection = readers.take()
    readers._idle = Meanwhile()
    readers.give_back(connection)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.driver.execute("SELECT 1")


def test_a_connection_that_is_given_back_is_used_again(path: Path) -> None:
    with Store(path) as store:
        with store.read() as first, pytest.raises(LedgerError), store.glance() as other:
            other.execute(text("SELECT 1 FROM nowhere"))
        assert other is not first
        with store.read() as again:
            assert again in (first, other)


def test_what_raises_is_rolled_back_and_the_next_transaction_begins_anew(path: Path) -> None:
    with Store(path) as store:
        with pytest.raises(ZeroDivisionError), store.write() as connection:  # noqa: PT012  (what is done before counts)
            set_fact(connection, "half", 1)
            raise ZeroDivisionError
        assert store.undone == 1
        with store.write() as connection:
            assert fact(connection, "half") is None
            set_fact(connection, "whole", 1)
        assert store.undone == 1
        with store.glance() as connection:
            assert fact(connection, "whole") == 1


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
def test_what_an_interrupt_left_half_done_keeps_nobody_waiting(path: Path, *, begun: bool) -> None:
    """A second Ctrl-C can be heard between any two steps: here after the lock was taken, or as the block ends."""
    with Store(path) as store, ThreadPoolExecutor(1) as other:
        if begun:
            set_fact(store.write().__enter__(), "half", 1)
        else:
            store._writer.lock.acquire()
        assert not other.submit(store._writer.lock.acquire, blocking=False).result(timeout=10)
        store.let_go()

        def write() -> None:
            with store.write() as connection:
                assert fact(connection, "half") is None
                set_fact(connection, "whole", 1)

        other.submit(write).result(timeout=10)
        store.let_go()


def test_letting_go_leaves_what_another_thread_writes(path: Path) -> None:
    with Store(path) as store, ThreadPoolExecutor(1) as other:
        with store.write() as connection:
            set_fact(connection, "whole", 1)
            other.submit(store.let_go).result(timeout=10)
        with store.glance() as connection:
            assert fact(connection, "whole") == 1


def test_what_the_database_says_within_is_understood_in_every_kind_of_transaction(path: Path) -> None:
    with Store(path) as store:
        for transaction in (store.write, store.read, store.glance):
            with (
                pytest.raises(LedgerError, match="cannot be used: no such table") as caught,
                transaction() as connection,
            ):
                connection.execute(text("SELECT 1 FROM nowhere"))
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        with store.write() as connection:
            set_fact(connection, "after", 1)


def test_a_view_is_of_one_moment_for_the_thread_that_has_it(path: Path) -> None:
    with Store(path) as store, Store(path) as other:
        with store.view():
            with store.glance() as connection:
                assert fact(connection, "x") is None
            with other.write() as connection:
                set_fact(connection, "x", 1)
            with store.glance() as connection:
                assert fact(connection, "x") is None, "a glance within a view sees what the view sees"
        with store.glance() as connection:
            assert fact(connection, "x") == 1
