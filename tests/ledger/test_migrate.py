"""Opening the ledger: what is made, what is brought up to date, what is refused before anything is written."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from syncd.errors import LedgerError
from syncd.ledger.alembic_runner import tables, upgrading
from syncd.ledger.guard import MarkFile, integrity
from syncd.ledger.migrate import (
    REVISION,
    TABLES,
    backup,
    open_for_reading,
    open_for_single_moves,
    open_ledger,
    revision,
)
from syncd.ledger.plain import text
from syncd.ledger.store import Store, connect, set_fact
from syncd.lifecycle import State
from tests.fakes.ledgers import START, Ledger, make_ledger
from tests.watch import namespace

CHECKOUT = Path(__file__).parents[2]


def stamp(path: Path, number: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (number,))


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm")}


def test_the_first_start_makes_a_marked_ledger_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.db"
    with open_ledger(path, now=START) as store, store.read() as connection:
        assert revision(connection) == REVISION
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    mark = MarkFile(path).read()
    assert mark is not None
    assert mark.requests == 0
    open_ledger(path, now=START + 1).close()
    assert MarkFile(path).read() == mark


def test_d5_a_newer_schema_is_refused_by_everyone_and_nothing_is_written(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=2) as ledger:
        path = ledger.path
    stamp(path, "9999")
    before = everything(tmp_path)
    for opens in (partial(open_ledger, now=START), open_for_reading, open_for_single_moves):
        with pytest.raises(LedgerError, match="newer version of syncd \\(schema 9999") as raised:
            opens(path)
        assert "Install that version again" in raised.value.hint
    assert everything(tmp_path) == before


def test_an_older_schema_is_left_to_the_holder_of_the_lock(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=2) as ledger:
        path = ledger.path
    stamp(path, "0000")
    for opens in (open_for_reading, open_for_single_moves):
        with pytest.raises(LedgerError, match="earlier version"):
            opens(path)


def test_b7_nobody_reads_in_a_ledger_that_is_not_the_one_used_last(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=2) as ledger:
        path = ledger.path
        shutil.copy(path, tmp_path / "older.db")
        ledger.upload(1)
    mark = MarkFile(path).read()
    assert mark is not None
    for name, words in (("older.db", "is older than the one used last"), (None, "is gone, or empty")):
        path.write_bytes(b"" if name is None else (tmp_path / name).read_bytes())
        MarkFile(path).write(replace(mark, requests=1))
        for opens in (open_for_reading, open_for_single_moves):
            with pytest.raises(LedgerError, match=words) as refused:
                opens(path)
            assert "syncd ledger restore" in refused.value.hint


def test_the_tables_of_a_new_ledger_are_those_that_the_migrations_make(tmp_path: Path) -> None:
    assert TABLES.read_text(encoding="utf-8") == tables(), "python -m syncd.ledger.alembic_runner > tables.sql"
    new, migrated = tmp_path / "new.db", tmp_path / "migrated.db"
    open_ledger(new, now=START).close()
    migrated.touch()
    with upgrading(migrated):
        pass
    assert what_was_made(new) == what_was_made(migrated)


def what_was_made(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").fetchall()
        return [*made, *connection.execute("SELECT version_num FROM alembic_version")]


def test_there_is_nothing_to_read_before_the_first_sync(tmp_path: Path) -> None:
    for opens in (open_for_reading, open_for_single_moves):
        with pytest.raises(LedgerError, match="no ledger at"):
            opens(tmp_path / "ledger.db")
    assert not list(tmp_path.iterdir())


MIGRATION = """
import os, signal
from pathlib import Path
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from syncd.ledger.alembic_runner import transaction
with transaction(Path(sys.argv[1])) as connection:
    change = Operations(MigrationContext.configure(connection, opts={"transactional_ddl": True}))
    with change.batch_alter_table("history", recreate="always") as history:
        history.add_column(sa.Column("another", sa.Text()))
    connection.execute(sa.text("UPDATE history SET another = 'x'"))
    connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_b16_a_migration_that_is_killed_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    """The first migration, at each of its steps: whole/crash_loop.py."""
    with make_ledger(tmp_path, photos=50) as ledger:
        path = ledger.path
        wanted = ledger.rows("SELECT * FROM history")
    script = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n{MIGRATION}"
    died = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True, cwd=CHECKOUT)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with Ledger(open_ledger(path, now=START)) as opened:
        assert opened.rows("SELECT * FROM history") == wanted
        assert not opened.rows("SELECT name FROM sqlite_master WHERE name LIKE '_alembic%'")
        assert opened.rows("SELECT version_num FROM alembic_version") == [(REVISION,)]


READ_ONLY = """
import subprocess
from pathlib import Path
from syncd.errors import LedgerError
from syncd.ledger.migrate import open_for_reading, open_ledger
home = Path(sys.argv[1])
subprocess.run(["mount", "--bind", home, home], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", home], check=True)
for name in ("ledger.db", "new.db"):
    try:
        open_ledger(home / name, now=0.0)
    except LedgerError as error:
        print(error.exit_code, error.message.replace(sys.argv[1], ""), "|", error.hint)
with open_for_reading(home / "ledger.db") as store, store.read() as connection:
    print(connection.execute("SELECT count(*) FROM photos").scalar())
"""


WRITABLE = "Make the folder and the file writable for this user; nothing is uploaded meanwhile."
MADE = "Its folder must exist, be writable for this user and have free space; nothing was lost."


def test_d4_on_a_read_only_disk_nothing_starts_and_everything_can_be_read(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=2):
        pass
    assert namespace.run(READ_ONLY, str(tmp_path)).splitlines() == [
        f"78 the ledger /ledger.db cannot be used: attempt to write a readonly database | {WRITABLE}",
        f"78 the ledger /new.db cannot be made: Read-only file system | {MADE}",
        "2",
    ]


OTHERS = """
from pathlib import Path
from syncd.errors import LedgerError
from syncd.ledger.migrate import open_ledger
try:
    open_ledger(Path(sys.argv[1]), now=0.0)
except LedgerError as error:
    print(error.exit_code, error.message, "|", error.hint)
"""


def test_d4_a_ledger_of_another_user_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path("/tmp") / f"syncd-of-another-{os.getpid()}"  # where any user may pass
    folder.mkdir(mode=0o755)
    try:
        with make_ledger(folder, photos=1) as ledger:
            path = ledger.path
        said = namespace.run_as_nobody(OTHERS, str(path))
        assert said.startswith("78 the mark ")
        assert said.rstrip().endswith("Run syncd as the user to whom the ledger belongs.")
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


def test_d1_writers_of_two_processes_wait_for_each_other_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=START).close()
    script = f"""
import sys; sys.path.insert(0, {str(CHECKOUT)!r})
from pathlib import Path
from syncd.ledger.store import Store, fact, set_fact
with Store(Path(sys.argv[1])) as store:
    for _ in range(100):
        with store.write() as connection:
            set_fact(connection, "count", (fact(connection, "count") or 0) + 1)
"""
    others = [subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=CHECKOUT) for _ in range(2)]
    assert [other.wait(50) for other in others] == [0, 0]
    with Ledger(open_ledger(path, now=START)) as ledger:
        assert ledger.rows("SELECT value FROM facts WHERE name = 'count'") == [("200",)]


def test_d1_a_write_lock_of_another_process_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=START).close()
    with closing(connect(path, "rw")) as other, Store(path, busy_seconds=20) as store:
        other.execute("BEGIN IMMEDIATE")
        begun = threading.Event()

        def write() -> None:
            begun.set()
            with store.write() as connection:
                set_fact(connection, "mine", 1)

        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(10)
        other.execute("INSERT INTO facts VALUES ('theirs', '1')")
        other.execute("COMMIT")
        writer.join(20)
        assert not writer.is_alive()
        with store.read() as connection:
            rows = connection.execute(text("SELECT name FROM facts WHERE name IN ('mine', 'theirs') ORDER BY name"))
            assert rows.scalars() == ["mine", "theirs"]


def test_d3_a_reader_that_stays_makes_the_log_grow_only_while_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=START).close()
    log = path.with_name("ledger.db-wal")

    def write(store: Store) -> int:
        for number in range(60):
            with store.write() as connection:
                set_fact(connection, f"fact {number}", os.urandom(50_000).hex())
        return log.stat().st_size

    with Store(path) as store:
        usual = write(store)
        assert write(store) <= usual + 1_000_000, "it is used again from its beginning"
        with closing(connect(path, "ro")) as reader:
            with store.write() as connection:
                set_fact(connection, "in the log", 1)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM facts").fetchall()
            write(store)
            grown = write(store)
            assert grown > usual + 4_000_000
            reader.execute("COMMIT")
        write(store)
        assert write(store) <= grown + 1_000_000
    assert not log.exists() or log.stat().st_size == 0, "the last one to close it empties it"


def test_a_backup_is_whole_private_and_replaces_in_one_step(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=5) as ledger:
        ledger.upload(1)
        target = tmp_path / "backup.db"
        target.write_bytes(b"an older backup")
        backup(ledger.path, target)
        assert target.stat().st_mode & 0o777 == 0o600
        assert integrity(target, thorough=True) == []
        assert [path.name for path in tmp_path.glob("backup*")] == ["backup.db"], "looking at it leaves nothing beside"
    with Ledger(open_ledger(target, now=START)) as copy:
        assert list(copy.states().values()).count(State.UPLOADED) == 1
    with pytest.raises(LedgerError, match="could not be copied"):
        backup(ledger.path, tmp_path / "not there" / "backup.db")
    assert not list(tmp_path.glob("*.partial"))


def test_b16_a_first_start_that_died_before_the_wal_is_undone(tmp_path: Path) -> None:
    with make_ledger(tmp_path) as made:
        path = made.path
    with closing(connect(path, "rw")) as dying:
        dying.isolation_level = None
        for pragma in ("journal_mode = DELETE", "cache_size = 1", "cache_spill = 1"):
            dying.execute(f"PRAGMA {pragma}")
        dying.execute("BEGIN")
        dying.execute("CREATE TABLE half AS WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n LIMIT 999)"
                      " SELECT x, randomblob(500) AS blob FROM n")  # fmt: skip
        left = tmp_path / "two"
        left.mkdir()
        for name in (path.name, f"{path.name}-journal"):
            shutil.copy(path.with_name(name), left)
    dead = left / path.name
    with pytest.raises(LedgerError) as caught, open_for_reading(dead):
        pass
    assert "puts that right" in caught.value.hint
    with open_ledger(dead, now=START) as store, store.read() as connection:
        assert revision(connection) == REVISION
        assert connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'half'")).scalar() == 0
