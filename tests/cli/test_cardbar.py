"""How far an import is: lines where there is no terminal, bars where there is one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from syncd.card.destination import Destination
from syncd.card.layout import CardFile
from syncd.card.report import Finding, Standing
from syncd.cli.cardbar import BarPace, PlainPace
from syncd.ledger.imports import Kind

BAD = Finding(CardFile(b"DCIM", b"a\x1b.jpg", 7, 0), Standing.UNREADABLE, "read error")


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    pace = PlainPace()
    pace.begins(2, 3_000_000, ())
    pace.read(1000)
    pace.problem(BAD)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["2 files, 3.0 MB", "unreadable DCIM/a\\x1b.jpg: read error"]


def test_a_line_of_progress_comes_after_a_while_with_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("syncd.cli.cardbar.time.monotonic", lambda: now[0])
    pace = PlainPace()
    pace.begins(1, 100_000_000, ())
    capsys.readouterr()
    for _ in range(4):
        now[0] += 5
        pace.read(10_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["30.0 MB of 100.0 MB read, 2.0 MB/s, 35 s left"]


def test_quiet_says_only_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    pace = PlainPace(quiet=True)
    pace.begins(2, 3, ())
    pace.problem(BAD)
    assert capsys.readouterr().err.count("\n") == 1


def test_bars_are_drawn_for_the_card_and_each_destination_and_again_for_the_next_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pace = BarPace()
    with closing(Destination(bytes(tmp_path), Kind.COPY, "t")) as one, pace.drawing():
        for _ in range(2):
            pace.begins(2, 100, [one])
            pace.read(60)
            pace.passed(CardFile(b"", b"a", 40, 0))
            pace.verified(one, 50)
            pace.spared(one, 50)
            pace.problem(BAD)
    pace.read(1)
    pace.problem(BAD)
    assert "\x1b.jpg" not in capsys.readouterr().err
