"""One process at a time, also where somebody deletes the lock; and who it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from syncd.daemon.lock import InstanceLock, holder_of
from syncd.errors import LedgerError, LockedError
from tests.fakes.ledgers import make_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    with make_ledger(tmp_path, photos=1) as made:
        return made.path


def test_b6_the_second_is_refused_at_once_and_told_who_works(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with InstanceLock(ledger):
        with pytest.raises(LockedError, match=f"pid {os.getpid()}") as refused:
            InstanceLock(ledger).acquire()
        assert "syncd status" in refused.value.hint
        assert holder_of(ledger) == f"pid {os.getpid()}"
    assert holder_of(ledger) is None
    InstanceLock(ledger).acquire()


def test_b6_where_the_lock_was_deleted_the_ledger_itself_is_locked(ledger: Path) -> None:
    with InstanceLock(ledger) as held:
        held.path.unlink()
        with pytest.raises(LockedError, match=f"its lock .* was deleted: pid {os.getpid()}"):
            InstanceLock(ledger).acquire()
        with pytest.raises(LockedError):
            InstanceLock(ledger).acquire()
    with InstanceLock(ledger):
        assert holder_of(ledger) == f"pid {os.getpid()}"


def test_b6_a_ledger_that_the_first_start_makes_is_covered_once_it_is_there(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path / "ledger.db")
    with lock, make_ledger(tmp_path) as made:
        lock.cover()
        lock.cover()
        lock.path.unlink()
        with pytest.raises(LockedError):
            InstanceLock(made.path).acquire()


def test_a_lock_on_the_ledger_keeps_no_reader_and_no_writer_out(ledger: Path) -> None:
    with InstanceLock(ledger):
        script = f"import sqlite3; c = sqlite3.connect({str(ledger)!r}); c.execute('DELETE FROM aside'); c.commit()"
        subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
        with closing(sqlite3.connect(ledger)) as connection:
            assert connection.execute("SELECT count(*) FROM entries").fetchone() == (1,)


def test_the_lock_is_never_unlinked_and_for_its_owner_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "deep" / "er" / "ledger.db"
    with InstanceLock(ledger) as lock:
        first = lock.path.stat()
        assert first.st_mode & 0o077 == 0
    assert lock.path.stat().st_ino == first.st_ino
    with InstanceLock(ledger):
        assert lock.path.read_text() == f"pid {os.getpid()}\n"


def test_a_child_does_not_inherit_the_lock(ledger: Path) -> None:
    with InstanceLock(ledger):
        command = [sys.executable, "-c", "print(flush=True); input()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    try:
        assert child.stdout is not None
        assert child.stdout.readline(), "it runs: until then it is this very program, with all that it holds"
        with InstanceLock(ledger):
            pass
    finally:
        child.communicate(b"\n", timeout=20)


def test_a_lock_that_cannot_be_made_says_so_and_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LedgerError, match="cannot be made") as refused:
        InstanceLock(tmp_path / "file" / "ledger.db").acquire()
    assert refused.value.hint
    (tmp_path / "ledger.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError):
        InstanceLock(tmp_path / "ledger.db").acquire()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("written", [b"", b"pid x\n", b"\xff\xfe", b"pid 99999999\n"])
def test_a_holder_that_cannot_be_told_is_unknown(tmp_path: Path, written: bytes) -> None:
    ledger = tmp_path / "ledger.db"
    with InstanceLock(ledger) as lock:
        lock.path.write_bytes(written)
        assert holder_of(ledger) in {"an unknown process", "pid 99999999"}


def test_nobody_holds_a_lock_that_was_never_made(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "ledger.db") is None
    assert not list(tmp_path.iterdir())
