"""The command line: options stand before or behind the command, errors become text and an exit code."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.cli.main import application, command_in, hoist, main, run
from syncd.cli.table import COMMANDS, GROUPS
from syncd.ledger.migrate import open_ledger


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (["status", "--config", "c.toml"], ["--config", "c.toml", "status"]),
        (["--config", "c.toml", "status"], ["--config", "c.toml", "status"]),
        (["status", "--config=c.toml", "--json"], ["--config=c.toml", "status", "--json"]),
        (["sync", "--wait", "5s", "--log-level", "debug"], ["--log-level", "debug", "sync", "--wait", "5s"]),
        (["why", "--", "--config"], ["why", "--", "--config"]),
        (["status", "--config"], ["--config", "status"]),
        ([], []),
    ],
)
def test_options_of_syncd_are_understood_anywhere(given: list[str], understood: list[str]) -> None:
    assert hoist(given) == understood


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--config", "status", "sync", "--wait", "5s"], "sync"),
        (["--config=c.toml", "status"], "status"),
        (["--version", "status"], None),
        (["--config"], None),
        ([], None),
    ],
)
def test_the_command_is_found_behind_the_options_of_syncd(words: list[str], found: str | None) -> None:
    assert command_in(words) == found


def test_only_the_command_that_is_asked_for_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert [command.name for command in application("sync").registered_commands] == ["sync"]
    assert [group.name for group in application("ledger").registered_groups] == ["ledger"]
    assert [command.name for command in application("nonsense").registered_commands] == list(COMMANDS)
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in (*COMMANDS, *GROUPS))
    assert main(["sync", "--help"]) == 0
    assert "Usage: syncd sync" in capsys.readouterr().out
    assert main(["synk"]) == 2
    assert "sync" in capsys.readouterr().err, "what was meant is among all"


UNNEEDED = (
    "sqlalchemy",
    "alembic",
    "pydantic",
    "requests",
    "urllib3",
    "pathspec",
    "watchdog",
    "rich",
    "PIL",
    "asyncio",
)
LOADED = """
import sys
from syncd.cli.main import main
ended = main(sys.argv[2:])
sys.exit(ended or ", ".join(set(sys.argv[1].split()) & set(sys.modules)) or 0)
"""


def test_a_sync_that_finds_nothing_new_imports_nothing_that_is_slow(tmp_path: Path) -> None:
    photos, ledger = tmp_path / "photos", tmp_path / "ledger.db"
    photos.mkdir()
    open_ledger(ledger, now=0.0).close()
    key, config = tmp_path / "key", tmp_path / "config.toml"
    key.write_text("sk-mavi-test\n")
    key.chmod(0o600)
    config.write_text(
        f'[api]\nkey_file = "{key}"\n[ledger]\nurl = "sqlite:///{ledger}"\n[[folder]]\npath = "{photos}"\n'
    )
    command = [sys.executable, "-c", LOADED, " ".join(UNNEEDED), "--config", str(config), "sync"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("syncd ")


def test_at_the_end_nobody_looks_for_garbage(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        with pytest.raises(SystemExit) as ended:
            run(["--version"])
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("syncd ")


def test_a_missing_configuration_is_said_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "no.toml"), "status"]) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert "no.toml" in told.err
    assert "->" in told.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["sync", "--nonsense"], ["--log-level", "loud", "status"]])
def test_a_wrong_command_line_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_init_writes_a_file_that_loads_and_is_never_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "deep" / "config.toml"
    photos = tmp_path / "photos"
    photos.mkdir()
    assert main(["init", str(photos), "--config", str(target)]) == 0
    written = target.read_text(encoding="utf-8")
    assert "daily_uploads = 1000" in written
    assert str(photos) in written
    assert main(["init", str(photos), "--config", str(target)]) == 2
    assert target.read_text(encoding="utf-8") == written
    assert main(["init", str(tmp_path), "--force", "--config", str(target)]) == 0
    assert target.read_text(encoding="utf-8") != written
    capsys.readouterr()


def test_check_names_every_problem_and_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[upload]\npace = "quick"\nin_fligth = 2\n[[folder]]\npath = "relative"\n', encoding="utf-8")
    assert main(["check", "--config", str(config)]) == 78
    told = capsys.readouterr().out
    assert "pace" in told
    assert "in_flight" in told
    assert "relative" in told
