from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import ImageType
from syncd.sandbox.contract import (
    SIZE_LIMIT,
    Accepted,
    Code,
    FilePart,
    Rejection,
    check_key,
    check_upload,
    failure_envelope,
    image_type,
    next_id,
    success_envelope,
    wall_clock,
)
from tests.fakes.account import breach_of_fields
from tests.sandbox.forms import STARTS

JPEG = FilePart("a.jpg", "image/jpeg", 1000, STARTS["jpg"])
NOW = 1_780_000_000.0


def judge(*fields: tuple[str, str], files: tuple[FilePart, ...] = (JPEG,), cap: int = 10) -> Accepted | Rejection:
    return check_upload(fields, files, cap)


def message(verdict: Accepted | Rejection) -> str:
    assert isinstance(verdict, Rejection), verdict
    assert verdict.code is Code.BAD_PARAMETER
    return verdict.message


def test_a_full_request_is_accepted_as_it_was_sent() -> None:
    verdict = judge(
        ("unique_id", "Family"),
        ("datetime_taken", "2024-02-29 23:59:59"),
        ("camera_model", "Canon EOS R5"),
        ("latitude", "-33.8568"),
        ("longitude", "151.2153"),
        ("tags", "home"),
        ("tags", "syncd-0011223344556677"),
    )
    assert verdict == Accepted(
        (ImageType.JPEG,),
        "Family",
        "2024-02-29 23:59:59",
        "Canon EOS R5",
        "-33.8568",
        "151.2153",
        ("home", "syncd-0011223344556677"),
    )


def test_no_fields_are_needed() -> None:
    assert judge() == Accepted((ImageType.JPEG,))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "b.Png", "c.gif", "d.BMP", "e.webp"])
def test_the_documented_extensions_in_any_case(name: str) -> None:
    assert isinstance(judge(files=(FilePart(name, "image/x", 9, STARTS["jpg"]),)), Accepted)


@pytest.mark.parametrize("name", ["", "a", "a.heic", "a.jpg.txt", "jpg", "a.jpe", "a.tiff", "a.jpg "])
def test_other_extensions_are_rejected(name: str) -> None:
    assert "file name" in message(judge(files=(FilePart(name, "image/jpeg", 9, STARTS["jpg"]),)))


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "text/html", "x-image/png"])
def test_the_type_of_a_part_must_be_an_image(content_type: str) -> None:
    assert "Content-Type" in message(judge(files=(FilePart("a.jpg", content_type, 9, STARTS["jpg"]),)))


def test_the_size_limit_is_twenty_million_bytes() -> None:
    assert isinstance(judge(files=(FilePart("a.jpg", "image/jpeg", SIZE_LIMIT, STARTS["jpg"]),)), Accepted)
    assert "20 MB" in message(judge(files=(FilePart("a.jpg", "image/jpeg", SIZE_LIMIT + 1, STARTS["jpg"]),)))


@pytest.mark.parametrize("start", [b"", b"hello", b"<svg", b"\x00" * 16, b"II*\x00", b"RIFF1234WAVE", b"\xff\xd8"])
def test_what_is_no_picture_is_rejected(start: bytes) -> None:
    assert "not a picture" in message(judge(files=(FilePart("a.jpg", "image/jpeg", len(start), start),)))


@pytest.mark.parametrize(("kind", "start"), STARTS.items())
def test_the_five_formats_are_told_by_their_first_bytes(kind: str, start: bytes) -> None:
    assert image_type(start + b"...") is ImageType(kind)


def test_one_bad_file_rejects_all() -> None:
    bad = FilePart("bad.jpg", "image/jpeg", 5, b"hello")
    assert "bad.jpg" in message(judge(files=(JPEG, bad, JPEG)))


def test_the_message_for_too_many_files_names_the_exact_cap() -> None:
    assert isinstance(judge(files=(JPEG,) * 7, cap=7), Accepted)
    assert "at most 7 files" in message(judge(files=(JPEG,) * 8, cap=7))
    assert "at least one" in message(judge(files=()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unique_id", ""),
        ("datetime_taken", ""),
        ("datetime_taken", "2024-02-30 10:00:00"),
        ("datetime_taken", "2024:02:20 10:00:00"),
        ("datetime_taken", "2024-02-20T10:00:00"),
        ("datetime_taken", "2024-02-20 10:00:00Z"),
        ("datetime_taken", "2024-02-20 10:00:00.5"),
        ("datetime_taken", "2024-02-20 10:00"),
        ("datetime_taken", "2024-2-20 10:00:00"),
        ("datetime_taken", "2024-02-20 24:00:00"),
        ("datetime_taken", "2024-02-20 10:00:60"),
        ("datetime_taken", "0000-02-20 10:00:00"),
        ("datetime_taken", "٢٠٢٤-02-20 10:00:00"),
        ("datetime_taken", "2024-02-20 10:00:00\n"),
        ("camera_model", ""),
        ("camera_model", "x" * 201),
        ("tags[0]", "home"),
        ("tag", "home"),
        ("camera_tag", "Canon"),
        ("tags", ""),
        ("tags", "a,,b"),
    ],
)
def test_bad_values_are_rejected_and_named(name: str, value: str) -> None:
    assert name in message(judge((name, value)))


def test_a_model_may_have_two_hundred_characters() -> None:
    assert isinstance(judge(("camera_model", "é" * 200)), Accepted)


@pytest.mark.parametrize("value", ["0", "-0", "90", "-90.0", "12.5", "0.000000000000001", "5.0"])
def test_plain_decimals_are_positions(value: str) -> None:
    assert isinstance(judge(("latitude", value), ("longitude", value)), Accepted)


@pytest.mark.parametrize(
    "value", ["", "1e-5", "+1", "1.", ".5", "1,5", " 1", "1 ", "nan", "inf", "90.1", "0x1", "N12", "\u0661", "1\n"]
)
def test_other_spellings_are_not(value: str) -> None:
    assert "latitude" in message(judge(("latitude", value), ("longitude", "1")))


def test_longitude_has_its_own_range() -> None:
    assert isinstance(judge(("latitude", "1"), ("longitude", "-180")), Accepted)
    assert "longitude" in message(judge(("latitude", "1"), ("longitude", "180.01")))


@pytest.mark.parametrize("name", ["latitude", "longitude"])
def test_half_a_position_is_rejected(name: str) -> None:
    assert "together" in message(judge((name, "1")))


def test_only_tags_may_be_repeated() -> None:
    assert "more than once" in message(judge(("unique_id", "a"), ("unique_id", "a")))


def test_forty_nine_tags_and_the_servers_own_are_the_limit() -> None:
    assert isinstance(judge(*[("tags", f"t{n}") for n in range(49)]), Accepted)
    assert "50 tags" in message(judge(*[("tags", f"t{n}") for n in range(50)]))


def test_a_comma_splits_a_tag() -> None:
    verdict = judge(("tags", "rome, italy"))
    assert isinstance(verdict, Accepted)
    assert verdict.tags == ("rome", "italy")


@pytest.mark.parametrize("header", ["sk-mavi-1", "sk-x"])
def test_any_key_of_the_right_shape_is_taken_while_none_is_set(header: str) -> None:
    assert check_key(header, None) is None


@pytest.mark.parametrize(
    "header", [None, "", "Bearer sk-mavi-1", "bearer sk-mavi-1", "mavi-1", "sk-", "sk-a b", "sk-é"]
)
def test_other_keys_are_refused(header: str | None) -> None:
    rejection = check_key(header, None)
    assert rejection is not None
    assert rejection.code is Code.BAD_KEY
    assert "sk-mavi" not in rejection.message, "a key must not come back"


def test_only_the_key_that_is_set() -> None:
    assert check_key("sk-right", "sk-right") is None
    assert check_key("sk-wrong", "sk-right") is not None
    assert check_key("Bearer sk-right", "sk-right") is not None


def test_ids_are_shaped_like_the_documented_ones() -> None:
    assert next_id(0, NOW) >> 22 == int(NOW * 1000) - 1_609_459_200_000


@given(st.lists(st.floats(0, 3.5e9), min_size=2, max_size=30))
def test_ids_rise_whatever_the_clock_does_and_no_float_holds_them(clocks: list[float]) -> None:
    ids = [0]
    for now in clocks:
        ids.append(next_id(ids[-1], now))
    assert all(before < after for before, after in pairwise(ids))
    assert all(2**53 < number < 2**63 for number in ids[1:])
    assert all(int(float(number)) != number for number in ids[1:])


def test_envelopes() -> None:
    assert success_envelope([{"id": 1}]) == {
        "code": "0000",
        "msg": "success",
        "data": [{"id": 1}],
        "success": True,
        "failed": False,
    }
    failure = failure_envelope(Rejection(Code.NO_CREDITS, "You don't have enough points."))
    assert (failure["code"], failure["success"], failure["failed"]) == ("0402", False, True)


def test_every_code_has_a_status() -> None:
    assert {code: code.status for code in Code} == {
        "0000": 200,
        "0003": 400,
        "0401": 401,
        "0402": 402,
        "0429": 429,
        "0500": 500,
    }


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "unique_id": st.sampled_from(["", "default", "Family"]),
        "datetime_taken": st.sampled_from(["2024-02-29 10:00:00", "2023-02-29 10:00:00", "", "2024-01-01 25:00:00"])
        | st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S")),
        "camera_model": st.text("aé<", max_size=205),
        "latitude": st.floats(-95, 95).map(str) | st.sampled_from(["91", "-0", "1."]),
        "longitude": st.floats(-185, 185).map(str) | st.sampled_from(["180", "-180.0"]),
    },
)


@given(VALUES, st.lists(st.sampled_from(["a", "b b", ""]), max_size=52))
def test_two_independent_readings_of_the_documentation_agree(values: dict[str, str], tags: list[str]) -> None:
    """The fault server of the tests was written from API.md on its own."""
    verdict = judge(*values.items(), *[("tags", tag) for tag in tags])
    other = breach_of_fields(values, tags)
    assert isinstance(verdict, Rejection) == (other is not None), (verdict, other)


@given(st.text())
def test_a_wall_clock_is_read_or_not_and_never_fails(text: str) -> None:
    moment = wall_clock(text)
    assert moment is None or (moment.tzinfo is None and not math.isnan(moment.second))
