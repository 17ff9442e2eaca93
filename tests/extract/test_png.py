from __future__ import annotations

import pytest

from syncd.extract.blocks import BlockKind, Findings
from syncd.extract.png import walk_png
from tests.extract import pictures
from tests.extract.pictures import chunk

PLAIN = pictures.png()


def walked(content: bytes, size: int = 1 << 20) -> Findings:
    stream = pictures.stream_of(content, size)
    findings = walk_png(stream)
    stream.drain()
    return findings


def picture_digest(content: bytes) -> str:
    stream = pictures.stream_of(content)
    assert walk_png(stream).picture_known
    stream.drain()
    return stream.picture_digest()


@pytest.mark.parametrize("size", [1, 9, 4096])
def test_whole_pictures_are_fit(size: int) -> None:
    assert walked(PLAIN, size).damage is None


def test_e5_an_animation_is_fit() -> None:
    frames = [pictures.noise((30, 30)).rotate(turn) for turn in (0, 90, 180)]
    assert walked(pictures.saved(frames[0], "PNG", save_all=True, append_images=frames[1:])).damage is None


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_e4_a_cut_png_is_damaged(part: float) -> None:
    length = int(len(PLAIN) * part)
    damage = walked(PLAIN[:length]).damage
    assert damage is not None
    assert damage.endswith(f"the file was cut at {length:,} bytes")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_e4_a_png_with_a_tail_of_zeros_is_damaged(part: float) -> None:
    content = pictures.png((200, 200))
    length = int(len(content) * part)
    damage = walked(content[:length] + bytes(len(content) - length)).damage
    assert damage is not None
    assert f"of {len(content):,} bytes are zeros" in damage


def test_what_follows_the_end_is_tolerated() -> None:
    assert walked(PLAIN + b"trailer").damage is None


def test_an_end_without_pixels_is_damaged() -> None:
    assert walked(PLAIN[:33] + chunk(b"IEND", b"")).damage == "no picture data before IEND"


def test_a_picture_of_no_width_is_damaged() -> None:
    content = PLAIN[:16] + bytes(4) + PLAIN[20:]
    assert walked(content).damage == "the header gives a width or height of 0"


def test_a_length_that_cannot_be_is_damaged() -> None:
    damage = walked(PLAIN[:33] + b"\xff\xff\xff\xffIDAT").damage
    assert damage == "no IEND chunk, no valid chunk at byte 33"


def test_metadata_is_no_part_of_the_picture() -> None:
    edited = pictures.png_with(
        chunk(b"eXIf", pictures.exif([pictures.text(0x110, b"camera\0")])),
        chunk(b"tIME", b"\x07\xe8\1\1\1\1\1"),
        chunk(b"tEXt", b"Comment\0hello"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
        chunk(b"zTXt", b"Comment\0\0whatever"),
    )
    assert picture_digest(edited) == picture_digest(PLAIN)
    assert picture_digest(pictures.png_with(chunk(b"gAMA", b"\0\0\xb1\x8f"))) != picture_digest(PLAIN)


def test_e5_blocks_are_kept_before_and_behind_the_pixels() -> None:
    for late in (False, True):
        content = pictures.png_with(
            chunk(b"eXIf", b"one"),
            chunk(b"tEXt", b"Comment\0no"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0two"),
            late=late,
        )
        assert [(block.kind, block.payload) for block in walked(content).blocks] == [
            (BlockKind.PNG_EXIF, b"one"),
            (BlockKind.PNG_TEXT, b"iTXtXML:com.adobe.xmp\0two"),
        ]


def test_e2_a_huge_block_is_not_kept() -> None:
    findings = walked(pictures.png_with(chunk(b"eXIf", bytes(5 << 20))))
    assert findings.damage is None
    assert not findings.blocks


def test_e2_endless_chunks_are_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.extract.png.STEP_LIMIT", 50)
    findings = walked(pictures.png_with(*[chunk(b"teSt", b"")] * 100))
    assert findings.damage is None
    assert not findings.picture_known
