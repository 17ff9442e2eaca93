"""The connection to the ledger: what it says when another program is in the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from syncd.errors import BusyError, LedgerError
from syncd.ledger.migrate import open_ledger
from syncd.ledger.plain import text
from syncd.ledger.store import Store, connect, fact, set_fact


def test_w15_a_ledger_that_another_program_holds_is_not_now_and_no_broken_setup(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    with closing(connect(path, "rw")) as other, Store(path, busy_seconds=0.05) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError) as caught, store.write() as connection:
            set_fact(connection, "x", 1)
        assert caught.value.exit_code == 75, "the service manager tries again"
        other.execute("ROLLBACK")
        with store.write() as connection:
            set_fact(connection, "x", 1)


def test_d1_a_writer_that_reads_first_is_never_overtaken(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    with Store(path) as one, Store(path) as other:

        def write() -> None:
            with other.write() as connection:
                set_fact(connection, "other", fact(connection, "one"))

        overtaking = threading.Thread(target=write)
        with one.write() as connection:
            assert fact(connection, "one") is None
            overtaking.start()
            # Begun without the lock, the other would be through by now, and this write would fail at once.
            overtaking.join(0.5)
            set_fact(connection, "one", 1)
        overtaking.join()
        with one.read() as connection:
            assert (fact(connection, "one"), fact(connection, "other")) == (1, 1)


def test_a_reader_may_read_while_it_reads_and_connections_are_used_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    with Store(path) as store:
        with store.read() as outer, store.read() as inner:
            assert outer is not inner
            assert fact(inner, "made_at") == 0.0
        with store.read() as again:
            assert again in {outer, inner}


def test_a_commit_that_fails_leaves_nothing_behind_and_the_next_one_works(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()

    def orphan(store: Store) -> None:
        with store.write() as connection:
            # A foreign key that is looked at when the transaction ends: so it is the COMMIT that fails.
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            connection.execute(text("INSERT INTO folders (root_id, path, text) VALUES (99, x'61', 'a')"))

    with Store(path) as store:
        with pytest.raises(LedgerError, match="refused a change"):
            orphan(store)
        assert store.undone == 1
        with store.write() as connection:
            set_fact(connection, "x", 1)
            assert connection.execute(text("SELECT count(*) FROM folders")).scalar() == 0


def test_a_mistake_in_a_statement_is_not_said_to_be_damage(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    with Store(path) as store, pytest.raises(sqlite3.ProgrammingError), store.read() as connection:
        connection.execute(text("SELECT :missing"))


def test_an_interrupt_that_is_heard_once_the_wait_is_over_leaves_no_transaction_open(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        with closing(connect(path, "rw")) as other, Store(path) as store:
            other.execute("BEGIN IMMEDIATE")

            def interrupt_and_let_go() -> None:
                os.kill(os.getpid(), signal.SIGUSR1)
                other.execute("ROLLBACK")

            letting_go = threading.Timer(0.2, interrupt_and_let_go)
            letting_go.start()
            with pytest.raises(KeyboardInterrupt), store.write():
                pytest.fail("the interrupt came while it waited")
            letting_go.join()
            with store.write() as connection:
                set_fact(connection, "x", 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
