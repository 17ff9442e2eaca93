"""`sync`, as far as it goes without a service: what it refuses to begin with. (`run` needs a process: whole/.)"""

from __future__ import annotations

import pytest

from syncd.daemon.lock import InstanceLock
from tests.cli.conftest import KEY, Home
from tests.fakes.reader import photo_bytes


@pytest.mark.parametrize("command", [["sync"], ["sync", "--dry-run"]])
def test_without_a_folder_there_is_nothing_to_do(home: Home, command: list[str]) -> None:
    text = home.config.read_text(encoding="utf-8")
    home.config.write_text(text.partition("[[folder]]")[0], encoding="utf-8")
    told = home.call(*command)
    assert (told.code, told.out) == (78, "")
    assert "[[folder]]" in told.err


def test_without_a_key_nothing_begins_and_what_to_do_is_said(home: Home) -> None:
    home.key_file.unlink()
    told = home.call("sync")
    assert told.code == 78
    assert "key" in told.err
    assert list(home.state.iterdir()) == []


def test_a_wait_that_is_no_duration_is_a_wrong_command_line(home: Home) -> None:
    told = home.call("sync", "--wait", "soon")
    assert told.code == 2
    assert "--wait" in told.err


@pytest.mark.parametrize("command", [["sync"], ["sync", "--dry-run"]])
def test_b6_beside_another_it_ends_with_75(home: Home, command: list[str]) -> None:
    with InstanceLock(home.state / "ledger.db"):
        told = home.call(*command)
    assert told.code == 75
    assert "pid" in told.err


def test_a_dry_run_needs_no_key_and_tells_what_would_be_sent(home: Home) -> None:
    home.key_file.unlink()
    (home.library / "a.jpg").write_bytes(photo_bytes("no picture"))
    told = home.call("sync", "--dry-run", "--json")
    assert told.code == 3, "the sync that follows has no news of it"
    assert told.json["photos"] == 0, "it is no picture"
    assert home.call("sync", "--dry-run").code == 0
    assert home.call("status", "--json").json["entries"]["unfit"] == 1
    assert KEY not in told.out + told.err
