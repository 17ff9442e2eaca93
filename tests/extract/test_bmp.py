from __future__ import annotations

import struct

import pytest

from syncd.extract.bmp import walk_bmp
from tests.extract import pictures

PLAIN = pictures.bmp((63, 40))


def damage(content: bytes) -> str | None:
    return walk_bmp(pictures.stream_of(content)).damage


def core(width: int, height: int, depth: int, pixels: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, depth) + bytes(pixels)
    )


def test_whole_pictures_are_fit() -> None:
    assert damage(PLAIN) is None
    assert damage(core(10, 10, 24, 320)) is None


def test_the_size_field_is_not_trusted() -> None:
    assert damage(PLAIN[:2] + b"\xff\xff\xff\xff" + PLAIN[6:]) is None
    assert damage(PLAIN[:2] + b"\0\0\0\0" + PLAIN[6:]) is None


def test_the_padding_of_the_last_row_may_be_missing() -> None:
    assert damage(PLAIN[:-3]) is None
    assert damage(PLAIN[:-4]) is not None


def test_a_picture_upside_down_is_computed_alike() -> None:
    flipped = PLAIN[:22] + struct.pack("<i", -40) + PLAIN[26:]
    assert damage(flipped) is None
    assert damage(flipped[:-10]) is not None


@pytest.mark.parametrize("part", [0.05, 0.5, 0.99])
def test_e4_a_cut_bmp_is_damaged(part: float) -> None:
    length = int(len(PLAIN) * part)
    assert damage(PLAIN[:length]) == f"the picture needs {len(PLAIN) - 3:,} bytes: the file was cut at {length:,} bytes"


def test_e4_no_pixels_at_all_is_damaged() -> None:
    assert damage(PLAIN[:30]) == "the picture needs 7,731 bytes: the file was cut at 30 bytes"
    assert damage(core(10, 10, 24, 100)) == "the picture needs 344 bytes: the file was cut at 126 bytes"


@pytest.mark.parametrize("length", range(2, 18))
def test_e4_a_header_that_is_cut_is_damaged(length: int) -> None:
    assert damage(PLAIN[:length]) == f"the header is incomplete: the file was cut at {length} bytes"


def test_a_picture_of_no_width_is_damaged() -> None:
    assert damage(PLAIN[:18] + bytes(4) + PLAIN[22:]) == "the header gives a width or height of 0"


@pytest.mark.parametrize(("at", "value"), [(28, 33), (30, 1), (30, 4), (18, -5)], ids=["depth", "RLE", "JPEG", "width"])
def test_what_cannot_be_computed_is_fit(at: int, value: int) -> None:
    content = bytearray(PLAIN)
    struct.pack_into("<h" if at == 28 else "<i", content, at, value)
    assert damage(bytes(content)) is None
