from __future__ import annotations

import io
import math
import struct
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from syncd.extract.exif import DATE_TIME, DATE_TIME_ORIGINAL, LATITUDE, LATITUDE_REF, LONGITUDE, MODEL, Exif, read_exif
from tests.extract import pictures
from tests.extract.pictures import exif, rationals, text

MODEL_ENTRY = text(MODEL, b"EOS R8\0")
WHEN = b"2024:01:02 03:04:05"


def read(block: bytes) -> Exif:
    found = read_exif(block)
    assert found is not None
    return found


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_three_directories(order: str) -> None:
    block = exif(
        [MODEL_ENTRY, text(DATE_TIME, WHEN + b"\0")],
        [text(DATE_TIME_ORIGINAL, WHEN + b"\0")],
        [text(LATITUDE_REF, b"N\0"), rationals(LATITUDE, (51, 1), (30, 1), (61, 2), order=order)],
        order=order,
    )
    found = read(block)
    assert found.texts == {MODEL: "EOS R8", DATE_TIME: WHEN.decode(), DATE_TIME_ORIGINAL: WHEN.decode()}
    assert found.references == {LATITUDE_REF: "N"}
    assert found.coordinates == {LATITUDE: (51.0, 30.0, 30.5)}


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (WHEN, WHEN.decode()),
        (WHEN + b"\0\0junk", WHEN.decode()),
        (b"", ""),
        (b"\0" * 20, ""),
        ("Kodak é".encode(), "Kodak é"),
        (b"Kodak \xe9", "Kodak ?"),
    ],
    ids=["no NUL", "junk behind the NUL", "no length", "NULs", "UTF-8", "Latin-1"],
)
def test_e3_texts_end_at_their_first_nul(value: bytes, seen: str) -> None:
    assert read(exif([text(MODEL, value)])).texts[MODEL] == seen


@pytest.mark.parametrize(("kind", "seen"), [(7, "EOS R8"), (1, "EOS R8"), (3, None), (5, None)])
def test_a_text_of_another_type(kind: int, seen: str | None) -> None:
    assert read(exif([(MODEL, kind, 6 if kind in {1, 7} else 1, b"EOS R8\0\0")])).texts.get(MODEL) == seen


@pytest.mark.parametrize(
    ("entry", "numbers"),
    [
        (rationals(LATITUDE, (0, 0), (0, 0), (0, 0)), (math.nan,) * 3),
        (rationals(LATITUDE, (51, 1), (30, 1), (0, 0)), (51.0, 30.0, math.nan)),
        (rationals(LATITUDE, (515, 10)), (51.5,)),
        (rationals(LATITUDE, *[(1, 1)] * 9), (1.0, 1.0, 1.0)),
        ((LATITUDE, 10, 1, struct.pack(">ii", -335, 10)), (-33.5,)),
        ((LATITUDE, 12, 1, struct.pack(">d", 51.5)), (51.5,)),
        ((LATITUDE, 3, 1, struct.pack(">H", 51)), (51.0,)),
        (text(LATITUDE, b"51.5\0"), (51.5,)),
        (text(LATITUDE, b"51 30 30.5 N\0"), (51.0, 30.0, 30.5)),
        (text(LATITUDE, b"9" * 400), (999999999.0,) * 3),
        ((LATITUDE, 7, 24, bytes(24)), ()),
        ((LATITUDE, 5, 0, b""), ()),
    ],
)
def test_e3_coordinates_in_the_wild(entry: pictures.Entry, numbers: tuple[float, ...]) -> None:
    assert read(exif(gps=[entry])).coordinates[LATITUDE] == pytest.approx(numbers, nan_ok=True)


@pytest.mark.parametrize("block", [b"", b"II*\0", b"\xff\xff\xff\xff\0\0\0\x08", b"MM\0*\0\0\0\x07", b"Exif\0\0II*\0"])
def test_without_a_header_there_is_nothing(block: bytes) -> None:
    assert read_exif(block) is None


def test_e2_a_huge_count_costs_nothing() -> None:
    block = exif([(0x010F, 12, 1 << 30, b"\0\0\0\x08"), MODEL_ENTRY])
    assert read(block).texts == {MODEL: "EOS R8"}


@pytest.mark.parametrize("target", [8, 9, 0xFFFFFFFF])
def test_e2_directories_that_point_at_themselves_or_nowhere(target: int) -> None:
    pointer = (0x8769, 4, 1, struct.pack(">I", target))
    gps = (0x8825, 4, 1, struct.pack(">I", target))
    assert read(exif([MODEL_ENTRY, pointer, gps])).texts == {MODEL: "EOS R8"}


def test_a_pointer_may_be_a_short() -> None:
    block = bytearray(exif([MODEL_ENTRY], [text(DATE_TIME_ORIGINAL, WHEN)]))
    at = block.index(b"\x87\x69\0\4")
    (start,) = struct.unpack_from(">I", block, at + 8)
    struct.pack_into(">HHIHH", block, at, 0x8769, 3, 1, start, 0)
    assert read(bytes(block)).texts[DATE_TIME_ORIGINAL] == WHEN.decode()


def test_a_date_in_the_wrong_directory_counts() -> None:
    assert read(exif([text(DATE_TIME_ORIGINAL, WHEN)])).texts[DATE_TIME_ORIGINAL] == WHEN.decode()


def test_an_entry_that_points_outside_is_skipped() -> None:
    beyond = (DATE_TIME, 2, 20, struct.pack(">I", 1 << 20))
    block = bytearray(exif([text(DATE_TIME, WHEN + b"\0"), MODEL_ENTRY]))
    block[10 + 8 : 10 + 12] = beyond[3]
    assert read(bytes(block)).texts == {MODEL: "EOS R8"}


def test_an_entry_whose_value_lies_in_its_own_directory_is_skipped() -> None:
    block = bytearray(exif([text(DATE_TIME, WHEN + b"\0"), MODEL_ENTRY]))
    block[10 + 8 : 10 + 12] = struct.pack(">I", 12)
    assert read(bytes(block)).texts == {MODEL: "EOS R8"}


def test_a_directory_that_does_not_fit_is_not_read() -> None:
    block = bytearray(exif([MODEL_ENTRY]))
    struct.pack_into(">H", block, 8, 9)
    assert read(bytes(block)).texts == {}


def test_a_bad_first_entry_ends_a_directory_and_an_empty_one_does_not() -> None:
    assert read(exif([(0x0100, 99, 1, b"\0\0\0\1"), MODEL_ENTRY])).texts == {}
    assert read(exif([(0, 0, 0, b""), MODEL_ENTRY])).texts == {MODEL: "EOS R8"}
    assert read(exif([(0x100, 3, 1, b"\0\1"), (0x101, 99, 1, b""), MODEL_ENTRY])).texts == {MODEL: "EOS R8"}


def test_too_many_bad_entries_end_a_directory() -> None:
    bad: list[pictures.Entry] = [(0x100, 3, 1, b"\0\1"), *[(0x101, 99, 1, b"")] * 11]
    assert read(exif([*bad, MODEL_ENTRY])).texts == {}
    assert read(exif([*bad[:-2], MODEL_ENTRY])).texts == {MODEL: "EOS R8"}


def test_it_agrees_with_pillow_on_what_pillow_writes() -> None:
    written = Image.Exif()
    written[MODEL] = "Pixel 8"
    written[DATE_TIME] = "2020:02:03 04:05:06"
    written.get_ifd(0x8769)[DATE_TIME_ORIGINAL] = "2019:02:03 04:05:06"
    written.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 54.5), 3: "E", 4: (151.0, 12.0, 36.0)})
    found = read(written.tobytes().removeprefix(b"Exif\0\0"))
    assert found.texts == {
        MODEL: "Pixel 8",
        DATE_TIME: "2020:02:03 04:05:06",
        DATE_TIME_ORIGINAL: "2019:02:03 04:05:06",
    }
    assert found.references == {1: "S", 3: "E"}
    assert found.coordinates == {LATITUDE: (33.0, 51.0, 54.5), LONGITUDE: (151.0, 12.0, 36.0)}


def test_it_agrees_with_pillow_on_real_files() -> None:
    compared = 0
    for path in sorted(pictures.corpus().rglob("*.jp*g")):
        content = path.read_bytes()
        start = content.find(b"Exif\0\0")
        if start < 0:
            continue
        block = content[start + 6 : start - 2 + int.from_bytes(content[start - 2 : start], "big")]
        found = read_exif(block)
        if found is None:
            continue
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            pillow = image.getexif()
            theirs = {**pillow, **pillow.get_ifd(0x8769)}
        for tag, value in found.texts.items():
            if isinstance(other := theirs.get(tag), str):
                assert other.split("\0")[0].encode("latin-1", "replace") == value.encode("latin-1", "replace"), path
                compared += 1
    assert compared > 100


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_e1_any_block_is_read_without_an_error(rest: bytes, header: bytes) -> None:
    assert read_exif(header + rest) is not None
