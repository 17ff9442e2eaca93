r"""What reaches a terminal cannot act on it; what reaches JSON is the very path."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.printable import path_json, path_text, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("IMG_0001.JPG", "IMG_0001.JPG"),
        ("Zürich, 日本 🏖", "Zürich, 日本 🏖"),
        ("e\u0301", "e\u0301"),
        ("a\u00a0b", "a\u00a0b"),
        ("a\nb\tc\r", r"a\x0ab\x09c\x0d"),
        ("\x1b[31m\x07\x7f", r"\x1b[31m\x07\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202egpj", r"a\u202egpj"),
        ("a\u200b\ufeff\u00adb", r"a\u200b\ufeff\xadb"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udcff\udc80", r"\xff\x80"),
        ("\ud800", r"\ud800"),
        ("\ue000", r"\ue000"),
        ("\U000e0041", r"\U000e0041"),
        ("\U0010ffff", r"\U0010ffff"),
    ],
)
def test_n1_what_could_act_is_escaped_and_the_rest_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [("abc", None, "abc"), ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a\n", 3, r"a\…"), ("abc", 1, "…")],
)
def test_a_limit_counts_what_is_shown(text: str, limit: int | None, shown: str) -> None:
    assert printable(text, limit) == shown


@given(st.text(st.characters(), max_size=60), st.none() | st.integers(1, 50))
def test_n1_nothing_that_is_shown_can_act(text: str, limit: int | None) -> None:
    shown = printable(text, limit)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert limit is None or len(shown) <= limit
    shown.encode()
    assert printable(shown, limit) == shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"/p/a.jpg", "/p/a.jpg"),
        ("/p/Zürich.jpg".encode(), "/p/Zürich.jpg"),
        (b"/p/caf\xe9.jpg", r"/p/caf\xe9.jpg"),
        (b"/p/\xed\xa0\xbd.jpg", r"/p/\xed\xa0\xbd.jpg"),
        (b"/p/a\nb.jpg", r"/p/a\x0ab.jpg"),
    ],
)
def test_n1_a_path_as_text(path: bytes, text: str) -> None:
    assert path_text(path) == text


@given(st.binary(max_size=40).filter(lambda path: b"\0" not in path))
def test_n1_a_path_in_json_is_the_very_path(path: bytes) -> None:
    written = json.dumps(path_json(path), ensure_ascii=True)
    assert written.isascii()
    assert os.fsencode(json.loads(written)) == path
