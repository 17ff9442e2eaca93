"""Reading values out of TOML: each wrong value is told, with its place."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncd import toml

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path("/etc/x.toml")


class Colour(StrEnum):
    """Something to choose from."""

    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("1.5s", 1.5),
        ("0.1s", 0.1),
        ("90m", 5400.0),
        ("1.5h", 5400.0),
        ("2d", 172800.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert toml.duration(0, 10**6)(text) == seconds


NO_DURATIONS: tuple[object, ...] = (
    *("10", "10 s", "10S", "s", "-1s", "+1s", "1e3s", "1.s", ".5s", "1,5s", "10sec", "1h30m", "", " 1s", "1s\n", "٣s"),
    *(10, 1.5, True, [], {}, "9" * 5000 + "s"),
)


@pytest.mark.parametrize("value", NO_DURATIONS)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(toml.ValueProblemError, match=r"is no duration; write a number and its unit"):
        toml.duration(0, 10**6)(value)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.1, "100ms"), (1, "1s"), (60, "1m"), (90, "90s"), (3600, "1h"), (172800, "2d")]
)
def test_a_duration_is_written_as_it_would_be_read(seconds: float, text: str) -> None:
    assert toml.duration_text(seconds) == f'"{text}"'


@pytest.mark.parametrize(
    ("value", "size"),
    [(1, 1), (64_000_000, 64_000_000), ("64MB", 64_000_000), ("1KB", 1000), ("1.5GB", 1_500_000_000), ("12B", 12)],
)
def test_sizes(value: object, size: int) -> None:
    assert toml.size(0, 10**12)(value) == size


@pytest.mark.parametrize("value", ["64", "64MiB", "64M", "64 MB", "64mb", "-1MB", "", True, 1.5, None, [1]])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(toml.ValueProblemError, match="is no size; write bytes"):
        toml.size(0, 10**12)(value)


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (toml.text, 3, "must be a text in quotes, not 3"),
        (toml.text, ["a"], "must be a text in quotes, not a list"),
        (toml.text, "a\0b", "NUL"),
        (toml.flag, 1, "must be true or false, without quotes, not 1"),
        (toml.flag, "true", 'must be true or false, without quotes, not "true"'),
        (toml.count(1, 16), True, "must be a whole number without quotes, not true"),
        (toml.count(1, 16), 2.0, "must be a whole number without quotes, not 2.0"),
        (toml.count(1, 16), "2", 'must be a whole number without quotes, not "2"'),
        (toml.count(1, 16), 0, "0 is out of range; it can be from 1 to 16"),
        (toml.count(1, 16), 17, "17 is out of range"),
        (toml.size(1, 10), 11, "11 is out of range; it can be from 1 to 10"),
        (toml.size(1, 10), "1KB", "1000 is out of range; it can be from 1 to 10"),
        (toml.duration(1, 3600), "2h", '"2h" is out of range; it can be from "1s" to "1h"'),
        (toml.distance(0, 20_000), "21km", '"21000m" is out of range; it can be from "0m" to "20000m"'),
        (toml.distance(0, 20_000), "100", '"100" is no distance; write a number and its unit in quotes, like "100m"'),
        (toml.distance(0, 20_000), 100, "100 is no distance"),
        (toml.duration(1, 3600), "0.5s", '"500ms" is out of range'),
        (toml.choice(Colour), "read", '"read" is no choice here; write "red" or "blue"'),
        (toml.choice(Colour), "RED", '"RED" is no choice here'),
        (toml.choice(Colour), 1, "1 is no choice here"),
        (toml.each(toml.text), "home", 'must be a list in brackets, like ["one", "two"], not "home"'),
    ],
)
def test_a_wrong_value_says_what_would_be_right(read: Callable[[object], object], value: object, words: str) -> None:
    with pytest.raises(toml.ValueProblemError, match=re.escape(words)):
        read(value)


def test_a_number_too_long_to_write_is_told_all_the_same() -> None:
    with pytest.raises(toml.ValueProblemError, match="a huge number is out of range; it can be from 1 to 16"):
        toml.count(1, 16)(16**5000)
    with pytest.raises(toml.ValueProblemError, match="must be a text in quotes, not a huge number"):
        toml.text(16**5000)


def test_every_wrong_value_of_a_list_is_told() -> None:
    with pytest.raises(toml.ValueProblemError) as caught:
        toml.each(toml.text)(["a", 1, "b", True])
    assert [below for below, _ in caught.value.problems] == [(1,), (3,)]


def test_problems_come_in_the_order_of_lines_and_name_their_keys() -> None:
    document = toml.Document("[b]\nx = 1\n[[c]]\n[[c]]\ny = [1,\n2]\n", FILE)
    document.problems.add(("c", 1, "y", 1), "second")
    document.problems.add(("b", "x"), "first")
    document.problems.add(("c", 1), "of the table")
    document.problems.add(("gone", "x"), "of no line")
    document.problems.add(("b", "x"), "first")
    assert document.problems.sentences == (
        "/etc/x.toml: [gone] x: of no line",
        "/etc/x.toml:2: [b] x: first",
        "/etc/x.toml:4: [[c]] 2: of the table",
        "/etc/x.toml:6: [[c]] 2, y, value 2: second",
    )


def test_a_problem_never_shows_what_looks_like_a_key() -> None:
    problems = toml.Problems(FILE)
    problems.add(("api", "x"), '"sk-mavi-0123abc-DEF_4" is wrong')
    problems.add(("sk-mai-0123abc",), "is wrong")
    assert problems.sentences == (
        '/etc/x.toml: [api] x: "sk-..." is wrong',
        "/etc/x.toml: sk-... is wrong",
    )


def test_control_characters_of_the_file_never_reach_a_message() -> None:
    document = toml.Document('["a\\u001b[31m"]\nx = 1', Path("/etc/\x1b[2J.toml"))
    document.note_unknown(lambda _: None)
    assert "\x1b" not in document.problems.sentences[0]


def unknown(text: str) -> tuple[str, ...]:
    document = toml.Document(text, FILE)
    document.section("upload").get("pace", toml.text, "")
    document.section("watch").get("settle", toml.text, "")
    for table in document.sections("rule"):
        table.get("match", toml.text, "")
    document.note_unknown(lambda key: "explained" if key == "special" else None)
    return document.problems.sentences


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[upload]\npaec = 1", "2: [upload] paec: there is no such key; did you mean pace?"),
        ("[upload]\nsettle = 1", "2: [upload] settle: there is no such key; it belongs below [watch]"),
        ("[upload]\nqqqqq = 1", "2: [upload] qqqqq: there is no such key; there are pace"),
        ("[upload]\nspecial = 1", "2: [upload] special: explained"),
        ("[uplaod]\npace = 1", "1: uplaod: there is no such section; did you mean upload?"),
        ("[qqqqq]\n", "1: qqqqq: there is no such section; there are upload, watch, rule"),
        ("pace = '1/s'", "1: pace: there is no such section; it belongs below [upload]"),
        ("upload = 3", "1: upload: must be a section [upload]"),
        ("[[upload]]", "1: upload: must be [upload] with single brackets, once"),
        ("[rule]\nmatch = 'x'", "1: rule: must be [[rule]] with double brackets: there can be several"),
        ("rule = 3", "1: rule: must be [[rule]] with double brackets"),
        ("rule = [{match = 'x'}, 3]", "1: rule: must be [[rule]] with double brackets"),
        (
            "[[rule]]\nmatch = 'x'\n[[rule]]\nmach = 'y'",
            "4: [[rule]] 2, mach: there is no such key; did you mean match?",
        ),
        ("match = 'x'\n[[rule]]", "1: match: there is no such section; it belongs below [[rule]]"),
        ("upload.x.y = 1", "1: [upload] x: there is no such key"),
    ],
)
def test_unknown_keys_and_sections(text: str, said: str) -> None:
    assert [sentence for sentence in unknown(text) if said in sentence]


def test_what_is_known_is_no_problem() -> None:
    assert unknown("upload.pace = '1/s'\nrule = [{match = 'x'}]\nwatch = {settle = '1s'}") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = hello", "/etc/x.toml:2: column 5: Invalid value. This is not TOML (texts stand in quotes"),
        ("a = 1\n[b\nc = 2", "/etc/x.toml:2: column 3: "),
        ("a = 1\na = 2\n", "/etc/x.toml:2: "),
        ("a = 'x", "/etc/x.toml:1: "),
        ("[a]\n[a]", "/etc/x.toml:2: column "),
        ("a = " + "[" * 5000, "is nested too deeply"),
    ],
)
def test_what_is_not_toml_has_a_line_and_a_column(text: str, said: str) -> None:
    document = toml.Document(text, FILE)
    assert document.broken
    (sentence,) = document.problems.sentences
    assert said in sentence


def test_a_number_that_python_refuses_to_read_is_a_problem_like_any_other() -> None:
    assert toml.Document("a = " + "9" * 5000, FILE).broken
