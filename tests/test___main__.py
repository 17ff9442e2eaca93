"""The start of the program as a process, interrupted by a real signal at a chosen import."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.program import SOURCE

INTERRUPTING = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
"""
"""As `sitecustomize`: Python imports it before anything of ours."""


def started(folder: Path, at: str, *arguments: str, ignored: bool = False) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(INTERRUPTING)
    env = {"PYTHONPATH": f"{folder}:{SOURCE}", "INTERRUPTED_AT": at, "HOME": str(folder)}
    command = [sys.executable, "-m", "syncd", *arguments]
    if ignored:
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("at", ["syncd.cli", "typer", "syncd.settings", "syncd.errors"])
def test_a_ctrl_c_while_it_starts_ends_it_without_a_word(tmp_path: Path, at: str) -> None:
    done = started(tmp_path, at, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("at", ["syncd.cli.table", "syncd.cli.commands.syncing", "syncd.cli.signals"])
def test_a_ctrl_c_while_a_command_starts_is_told_in_one_line(tmp_path: Path, at: str) -> None:
    done = started(tmp_path, at, "sync")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith("syncd: interrupted")
    assert done.stderr.count("\n") == 1


UNHEARD = """
import signal
from syncd import __main__
from syncd.cli import main
main.run = lambda: signal.raise_signal(signal.SIGINT)
__main__.start()
"""


def test_a_ctrl_c_that_nobody_catches_ends_it_without_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNHEARD], env={"PYTHONPATH": SOURCE}, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_where_ctrl_c_is_ignored_it_stays_ignored(tmp_path: Path) -> None:
    done = started(tmp_path, "typer", "--version", ignored=True)
    assert done.returncode == 0
    assert done.stdout.startswith("syncd ")
