"""The command line: options stand before or behind the command, errors become text and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.cli.main import hoist, main


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


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
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
