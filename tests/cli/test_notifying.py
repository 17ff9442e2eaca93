"""A message on the desktop: handed to a program as words that act on nothing, and never with the key."""

from __future__ import annotations

from pathlib import Path

from syncd.cli.notifying import notify

PROGRAM = """#!/bin/sh
{ printf '%s\\n' "$@"; env; } > "$(dirname "$0")/told"
"""


def told(folder: Path, summary: str, body: str, **env: str) -> str:
    program = folder / "notify-send"
    program.write_text(PROGRAM, encoding="ascii")
    program.chmod(0o700)
    path = {"PATH": f"{folder}:/usr/bin:/bin", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert notify(summary, body, urgent=True, env=path | env)
    return (folder / "told").read_text("utf-8")


def test_p3_names_are_no_options_no_markup_and_no_second_line(tmp_path: Path) -> None:
    said = told(tmp_path, "--icon=/etc/passwd", "<a href=x>\x1b[2J\nit & all</a>")
    assert "--\n--icon=/etc/passwd\n&lt;a href=x&gt;\\x1b[2J\\x0ait &amp; all&lt;/a&gt;\n" in said


def test_p2_the_program_gets_no_key(tmp_path: Path) -> None:
    said = told(tmp_path, "imported", "all of it", SYNCD_API_KEY="sk-mavi-sentinel", LANG="de_DE.UTF-8")
    assert "LANG=de_DE.UTF-8" in said
    assert "sentinel" not in said


def test_without_a_desktop_or_a_program_nobody_is_told(tmp_path: Path) -> None:
    assert not notify("a", "b", urgent=False, env={"PATH": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user/1"})
    told(tmp_path, "a", "b")
    assert not notify("a", "b", urgent=False, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
