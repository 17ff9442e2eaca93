"""Words of the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.cli.words import absolute, seconds_of
from syncd.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("90s", 90), ("1.5h", 5400), ("250ms", 0.25), ("30", 30), ("0", 0), ("1d", 86400)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text, "--wait") == seconds


@pytest.mark.parametrize("text", ["", "m", "-5s", "5 m", "5y", "nan", "1e3", "9" * 30])
def test_what_is_no_duration_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="--wait"):
        seconds_of(text, "--wait")


def test_paths_become_absolute_with_their_links_unresolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert absolute("link/../a.jpg") == os.fsencode(tmp_path / "a.jpg")
    assert absolute("b\udcff.jpg") == os.fsencode(tmp_path) + b"/b\xff.jpg"
    assert absolute("/x/./y") == b"/x/y"
