from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.upload.envelope import exact_ids, glimpse, image_id, printable, read_envelope

ID = 568102998803353601


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("0401", "0401"), ("401", "0401"), (401, "0401"), (" 0401\n", "0401"), ("0000", "0000"), (0, "0000"),
        ("0", "0000"),
        ("9009", "9009"), (9009, "9009"), (10401, "10401"), (True, ""), (False, ""), (None, ""), (401.0, ""),
        ("4o1", ""),
        ("-401", ""), (-401, ""), ("", ""),
        ("\N{ARABIC-INDIC DIGIT FOUR}01", ""), ([401], ""), ("1" * 20, ""), (10**30, ""),
    ],
)  # fmt: skip
def test_a_code_is_read_whatever_its_dress(code: object, read: str) -> None:
    envelope = read_envelope(json.dumps({"code": code, "msg": "x"}).encode())
    assert envelope is not None
    assert envelope.code == read


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"0", b'"0000"', b"<html></html>", b"{", b'{"code":"0000"', b"{}", b'{"status":200}',
        b'{"code":"0000","code":"0401"}', b'{"code":"0000","data":[{"id":1,"id":2}]}', b'{"code":"0000","data":NaN}',
        b'{"code":"0000","data":-Infinity}', b'{"code":"0000"}{"code":"0401"}',
        b'{"code":"0000"}x', b"\xff\xfe\x00", b"\x00",
        b'{"code":' + b"1" * 5000 + b"}", b'{"code":"0000","data":' + b"[" * 200_000, b'{"code":\xff"0000"}',
    ],
)  # fmt: skip
def test_what_is_no_clean_envelope_is_none(body: bytes) -> None:
    assert read_envelope(body) is None


def test_no_body_is_no_envelope() -> None:
    assert read_envelope(None) is None


def test_a_message_is_found_under_both_names_and_bounded() -> None:
    spring = read_envelope(b'{"status":404,"message":"No static resource"}')
    assert spring is not None
    assert spring.message == "No static resource"
    long = read_envelope(json.dumps({"code": 1, "msg": "x" * 100_000}).encode())
    assert long is not None
    assert len(long.message) == 2000


def test_a_message_that_is_no_text_is_none() -> None:
    envelope = read_envelope(b'{"code":"0003","msg":{"a":1}}')
    assert envelope is not None
    assert envelope.message == ""


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (ID, str(ID)), (str(ID), str(ID)), (1, "1"), (2**63 - 1, str(2**63 - 1)), (2**63, None), (str(2**63),
        None), (0, None),
        ("0", None), (-ID, None), (f"-{ID}", None), (f"+{ID}", None), (f" {ID}", None), (f"0{ID}", None),
        (float(ID), None),
        (True, None), (None, None), ("", None), ("5e3", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None), ([ID], None), ({"id": ID}, None),
    ],
)  # fmt: skip
def test_b14_an_id_is_a_positive_64_bit_integer_as_text(found: object, text: str | None) -> None:
    assert image_id({"id": found}) == text


@pytest.mark.parametrize("entry", [ID, str(ID), None, [], [ID], {}, {"ID": ID}])
def test_b14_an_id_stands_in_an_object(entry: object) -> None:
    assert image_id(entry) is None


def test_b14_big_ids_stay_exact() -> None:
    envelope = read_envelope(b'{"code":"0000","data":[{"id":568102998803353601},{"id":"568102998803353603"}]}')
    assert envelope is not None
    assert exact_ids(envelope.data, 2) == ("568102998803353601", "568102998803353603")


@pytest.mark.parametrize(
    "data",
    [
        [], [{"id": 1}], [{"id": 1}, {"id": 2}, {"id": 3}], [{"id": 1}, {"id": 1}], [{"id": 1}, {"id": "1"}],
        [{"id": 1}, {}],
        [{"id": 1}, None], [1, 2], {"id": 1}, "12", None,
    ],
)  # fmt: skip
def test_b14_ids_are_all_there_and_distinct(data: object) -> None:
    assert exact_ids(data, 2) is None


def test_no_files_have_no_ids() -> None:
    assert exact_ids([], 0) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"), ("  spaces  ", "spaces"), ("Zürich 日本", "Zürich 日本"), ("a\nb", "a\\nb"), ("a\r\n", "a"),
        ("\x1b[31mred", "\\x1b[31mred"), ("a\u202eb", "a\\u202eb"), ("a\x85b", "a\\x85b"), ("a\x7fb", "a\\x7fb"),
        ("a\ud800b", "a\\ud800b"), ("a\x00b", "a\\x00b"), ("a\u2028b", "a\\u2028b"),
    ],
)  # fmt: skip
def test_p3_foreign_text_is_harmless(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(max_size=400), st.integers(10, 300))
def test_p3_any_text_becomes_printable_and_short(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


def test_a_page_is_shown_by_its_title() -> None:
    assert glimpse(b"<html><head><TITLE>\n Log   in </TITLE><body>x") == "Log in"
    assert glimpse(b"upstream\nfailed \xff") == "upstream failed \N{REPLACEMENT CHARACTER}"
    assert glimpse(None) == ""
