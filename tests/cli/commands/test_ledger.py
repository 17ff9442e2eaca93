"""`ledger`: a backup is a whole ledger, a check tells whether it is one, an account is asked about once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.daemon.lock import InstanceLock
from syncd.ledger.migrate import open_for_reading
from syncd.ledger.reports import status
from tests.cli.conftest import KEY, Home
from tests.fakes.ledgers import photo, sighting


@pytest.fixture
def filled(home: Home) -> Home:
    with home.ledger() as ledger:
        ledger.see(*(sighting(b"%d.jpg" % n, photo(n), root=home.root) for n in (1, 2, 3)))
        ledger.upload(1)
    return home


def test_a_backup_is_a_whole_ledger_also_beside_a_daemon(filled: Home, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    with InstanceLock(filled.state / "ledger.db"):
        assert filled.call("ledger", "backup", str(target)).code == 0
        assert filled.call("ledger", "backup", str(target)).code == 0, "it is replaced in one step"
    assert target.stat().st_mode & 0o077 == 0
    with open_for_reading(target) as store:
        assert status(store).places == 3
    assert not target.with_name("backup.db.partial").exists()
    failed = filled.call("ledger", "backup", str(tmp_path / "no" / "such" / "folder.db"))
    assert failed.code == 78
    assert "->" in failed.err


def test_a_check_tells_a_whole_ledger_from_a_damaged_one(filled: Home) -> None:
    assert filled.call("ledger", "check").code == 0
    path = filled.state / "ledger.db"
    content = path.read_bytes()
    path.write_bytes(content[:8192] + os.urandom(len(content) - 8192))
    told = filled.call("ledger", "check")
    assert told.code == 78
    assert "damaged" in told.err


@pytest.mark.parametrize("command", [[], ["--same", "--new"]])
def test_an_account_is_the_same_or_a_new_one(filled: Home, command: list[str]) -> None:
    told = filled.call("ledger", "account", *command)
    assert told.code == 2
    assert "--same or --new" in told.err


def test_p2_the_same_account_is_taken_without_showing_the_key(filled: Home) -> None:
    told = filled.call("ledger", "account", "--same")
    assert told.code == 0
    assert KEY not in told.out + told.err
    assert all(KEY.encode() not in path.read_bytes() for path in filled.state.iterdir())


def test_a_new_account_keeps_the_old_ledger_and_says_where(filled: Home) -> None:
    told = filled.call("ledger", "account", "--new")
    assert told.code == 0
    kept = [path for path in filled.state.iterdir() if "account-until" in path.name and path.suffix != ".mark"]
    assert any(str(path) in told.out for path in kept)
    assert not (filled.state / "ledger.db").exists()
