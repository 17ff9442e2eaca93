"""Answers and messages: plain numbers for people, JSON that any program can read."""

from __future__ import annotations

import json

import pytest

from syncd.cli import output
from syncd.errors import ConfigError


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45, "45 s"), (120, "2 min"), (8220, "2 h 17 min"), (3 * 86400 + 3600, "3 days 1 h")],
)
def test_durations_are_told_as_a_person_would(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (3_140_000_000, "3.1 GB")])
def test_sizes_are_decimal(count: int, text: str) -> None:
    assert output.size(count) == text


def test_amounts_agree_with_their_noun() -> None:
    assert output.amount(1, "photo") == "1 photo"
    assert output.amount(2385, "photo") == "2,385 photos"


def test_an_array_is_json_whatever_its_length(capsys: pytest.CaptureFixture[str]) -> None:
    for values in ([], [{"path": "a\udcff\x1b"}], [1, 2, 3]):
        output.answer_json_array(iter(values))
        told = capsys.readouterr().out
        assert told.isascii()
        assert json.loads(told) == values


def test_a_complaint_has_every_problem_and_what_to_do_and_acts_on_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.complain(ConfigError("two things\x1b[2J", problems=["one", "two\n"], hint="do this"))
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert [line.strip() for line in told.splitlines()] == [
        "syncd: two things\\x1b[2J",
        "one",
        "two\\x0a",
        "-> do this",
    ]
