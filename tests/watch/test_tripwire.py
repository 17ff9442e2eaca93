"""A write to the log of a ledger is heard once, and only by who asked for it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncd.watch.tripwire import Tripwire


class Heard:
    def __init__(self) -> None:
        self.times = threading.Semaphore(0)

    def hear(self) -> None:
        self.times.release()

    def comes(self) -> bool:
        return self.times.acquire(timeout=10)

    def more(self) -> bool:
        return self.times.acquire(blocking=False)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE facts (name)")
        yield connection


def other(tmp_path: Path, statement: str) -> None:
    """Do something as another command does: with a connection that is closed again."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as connection:
        connection.execute(statement).fetchall()


def test_each_setting_tells_of_the_next_write_and_of_no_other(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    heard = Heard()
    with Tripwire(tmp_path / "ledger.db-wal", heard.hear) as wire:
        other(tmp_path, "INSERT INTO facts VALUES (1)")
        for _ in range(3):
            assert not wire.is_set
            assert wire.set()
            assert wire.is_set
            other(tmp_path, "SELECT * FROM facts")
            assert wire.is_set, "reading is no news"
            other(tmp_path, "INSERT INTO facts VALUES (2)")
            assert heard.comes()
            other(tmp_path, "INSERT INTO facts VALUES (3)")
        assert not heard.more()


def test_setting_it_twice_tells_once(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    heard = Heard()
    with Tripwire(tmp_path / "ledger.db-wal", heard.hear) as wire:
        assert wire.set()
        assert wire.set()
        ledger.execute("INSERT INTO facts VALUES (1)")
        assert heard.comes()
        assert not wire.is_set
    assert not heard.more()


def test_a_file_that_is_not_there_cannot_be_waited_for_and_one_that_goes_is_told_of(tmp_path: Path) -> None:
    heard = Heard()
    file = tmp_path / "file"
    with Tripwire(file, heard.hear) as wire:
        assert not wire.set()
        assert not wire.is_set
        file.touch()
        assert wire.set()
        file.unlink()
        assert heard.comes()
        assert not wire.is_set


def test_where_the_system_has_no_more_instances_it_can_never_be_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Tripwire(tmp_path / "file", lambda: None, instance=lambda: -1) as wire:
        assert not wire.set()
        assert not wire.is_set


def descriptors() -> dict[int, str]:
    found = {}
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that this listing needs itself
            found[int(fd.name)] = str(fd.readlink())
    return found


def test_its_descriptors_go_to_no_child_and_are_closed_at_the_end(tmp_path: Path) -> None:
    before = descriptors()
    with Tripwire(tmp_path, lambda: None):
        made = descriptors().keys() - before.keys()
        assert len(made) == 2
        assert not any(os.get_inheritable(fd) for fd in made)
    assert descriptors() == before
