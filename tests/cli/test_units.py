"""The units: right for each installation, and never over what a person changed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.cli.units import (
    Condition,
    Service,
    Unit,
    condition_of,
    find_program,
    hidden_from_a_service,
    install,
    render,
    uninstall,
    unit_for,
    unit_word,
    what_is_hidden,
)
from syncd.errors import ConfigError, UsageError
from tests.fakes.program import Program

TEMPLATE = "[Service]\nExecStart=/usr/local/bin/syncd --config /etc/syncd/config.toml run\nLoadCredential=api-key:/x\n"


def made(folder: Path, *, user: bool = False, **env: str) -> Unit:
    return unit_for(user=user, config=None, env={"HOME": str(folder), **env}, system_folder=folder / "system")


def again(unit: Unit) -> Unit:
    """The unit as the next call finds it."""
    return replace(unit, condition=condition_of(unit.path, unit.text))


def test_the_unit_starts_the_present_installation_with_its_configuration(tmp_path: Path) -> None:
    unit = made(tmp_path)
    assert f"\nExecStart={find_program()} --config /etc/syncd/config.toml run\n" in unit.text
    assert "\nLoadCredential=api-key:/etc/syncd/api-key\n" in unit.text
    assert unit.path == tmp_path / "system" / "syncd.service"
    own = made(tmp_path, user=True)
    assert f"--config {tmp_path}/.config/syncd/config.toml run\n" in own.text
    assert own.path == tmp_path / ".config" / "systemd" / "user" / "syncd.service"
    assert "LoadCredential" not in own.text
    assert "XDG_STATE_HOME" not in own.text


def test_a_service_of_a_user_gets_the_place_of_the_ledger_that_the_user_has(tmp_path: Path) -> None:
    own = made(tmp_path, user=True, XDG_STATE_HOME="/state", XDG_CONFIG_HOME=str(tmp_path / "conf"))
    assert "\nEnvironment=XDG_STATE_HOME=/state\n" in own.text
    assert own.path == tmp_path / "conf" / "systemd" / "user" / "syncd.service"
    usual = made(tmp_path, user=True, XDG_STATE_HOME=str(tmp_path / ".local" / "state"))
    assert "Environment=" not in usual.text


def test_without_a_home_there_is_no_service_of_a_user() -> None:
    with pytest.raises(ConfigError, match=r"\$HOME is not set"):
        unit_for(user=True, config=None, env={})


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/syncd", "/usr/bin/syncd"),
        ("/home/a b/syncd", '"/home/a b/syncd"'),
        ('/q"\\x', '"/q\\"\\\\x"'),
        ("/100%/$HOME", '"/100%%/$$HOME"'),
    ],
)
def test_words_with_meaning_to_systemd_are_quoted(word: str, written: str) -> None:
    assert unit_word(word) == written


def test_a_path_that_would_begin_another_line_is_refused() -> None:
    with pytest.raises(UsageError):
        render(TEMPLATE, Path("/x\nExecStartPre=/evil"), Path("/c"), {})


@pytest.mark.parametrize("user", [False, True])
def test_what_is_installed_is_verified_by_systemd(tmp_path: Path, user: bool) -> None:  # noqa: FBT001 -- a table
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = made(tmp_path, user=user)
    install(unit, force=False)
    done = subprocess.run([analyze, "verify", str(unit.path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_installed_updated_and_taken_away(tmp_path: Path) -> None:
    unit = made(tmp_path)
    assert unit.condition is Condition.ABSENT
    assert install(unit, force=False) == [f"wrote {unit.path}, which starts {unit.program} with {unit.config}"]
    assert unit.path.stat().st_mode & 0o777 == 0o644
    assert install(again(unit), force=False) == [f"{unit.path} is up to date; nothing was changed"]
    newer = again(replace(unit, text=made(tmp_path).text.replace("Nice=10", "Nice=11")))
    assert newer.condition is Condition.OUTDATED
    assert install(newer, force=False)[0].startswith("replaced")
    assert uninstall(again(unit), force=True)[0].startswith("moved"), "the text of another version with a wrong sum"
    assert uninstall(again(unit), force=False) == [f"there is no {unit.path}; nothing was changed"]
    install(again(unit), force=False)
    assert uninstall(again(unit), force=False)[0].startswith("removed")
    assert not unit.path.exists()


def test_what_a_person_changed_or_wrote_is_never_lost(tmp_path: Path) -> None:
    unit = made(tmp_path)
    install(unit, force=False)
    changed = unit.path.read_text("utf-8") + "# mine\n"
    unit.path.write_text(changed, encoding="utf-8")
    for act in (install, uninstall):
        with pytest.raises(UsageError, match="changed by hand") as caught:
            act(again(unit), force=False)
        assert "edit syncd" in caught.value.hint
    assert unit.path.read_text("utf-8") == changed
    done = install(again(unit), force=True)
    kept = tmp_path / "system" / "syncd.service.before"
    assert done[0] == f"kept what was there as {kept}"
    assert kept.read_text("utf-8") == changed

    unit.path.unlink()
    unit.path.symlink_to("/dev/null")
    assert again(unit).condition is Condition.FOREIGN, "masked"
    with pytest.raises(UsageError, match="did not write"):
        install(again(unit), force=False)
    install(again(unit), force=True)
    assert (tmp_path / "system" / "syncd.service.before-2").is_symlink()


def test_an_enabled_unit_is_not_taken_away_from_under_systemd(tmp_path: Path) -> None:
    unit = made(tmp_path)
    install(unit, force=False)
    wants = unit.path.parent / "multi-user.target.wants"
    wants.mkdir()
    (wants / "syncd.service").symlink_to(unit.path)
    with pytest.raises(UsageError, match="still enabled") as caught:
        uninstall(again(unit), force=False)
    assert "disable --now syncd" in caught.value.hint
    assert unit.path.exists()


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "system"
    blocked.write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be"):
        install(made(tmp_path), force=False)


def test_a_program_that_the_user_syncd_cannot_reach_is_noticed(tmp_path: Path) -> None:
    assert "PrivateTmp" in (hidden_from_a_service(Path("/tmp/venv/bin/syncd")) or "")
    assert hidden_from_a_service(Path("/usr/bin/env")) is None
    python = tmp_path / "python3"
    python.symlink_to("/tmp/elsewhere/python3")
    assert what_is_hidden(Path("/usr/bin/env"), python) is not None, "the Python that a link leads to"
    assert what_is_hidden(Path("/usr/bin/env"), Path("/usr/bin/env")) is None


def test_the_commands_say_what_they_did_and_what_to_run_next(tmp_path: Path) -> None:
    with Program(tmp_path, "http://127.0.0.1:9/serve/api/v1") as program:
        program.env["XDG_CONFIG_HOME"] = str(tmp_path / "conf")
        path = tmp_path / "conf" / "systemd" / "user" / "syncd.service"
        done = program.call("service", "install", "--user")
        assert done.code == 0
        assert done.out.startswith(f"wrote {path}, which starts ")
        assert "systemctl --user daemon-reload && systemctl --user enable --now syncd" in done.out
        assert "loginctl enable-linger" in done.out
        shown = program.call("service", "show", "--user")
        assert shown.out == path.read_text("utf-8")
        assert shown.err == f"{path}: installed, up to date\n"
        found = program.call("service", "show", "--user", "--json").json
        assert (found["path"], found["condition"]) == (str(path), "installed, up to date")
        assert found["config"] == str(program.config)
        gone = program.call("service", "uninstall", "--user")
        assert gone.out.splitlines()[-1] == "next: systemctl --user daemon-reload"
        assert not path.exists()


@pytest.mark.parametrize("user", [False, True])
def test_the_unit_for_cards_starts_the_present_installation_too(tmp_path: Path, user: bool) -> None:  # noqa: FBT001
    unit = unit_for(
        user=user, config=None, env={"HOME": str(tmp_path)}, system_folder=tmp_path / "system", service=Service.CARDS
    )
    assert unit.path.name == "syncd-card@.service"
    (start,) = [line for line in unit.text.splitlines() if line.startswith("ExecStart=")]
    assert start.startswith(f"ExecStart={find_program()} --config ")
    assert " import --if-card --notify " in start
    assert start.endswith("--device /dev/%i" if user else "/run/syncd-card/%i")
    install(unit, force=False)
    assert uninstall(again(unit), force=False)[0].startswith("removed")
