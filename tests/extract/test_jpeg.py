from __future__ import annotations

import pytest

from syncd.extract.blocks import BlockKind, Findings
from syncd.extract.jpeg import walk_jpeg
from tests.extract import pictures

PLAIN = pictures.jpeg()
PROGRESSIVE = pictures.jpeg(progressive=True)


def walked(content: bytes, chunk: int = 1 << 20) -> Findings:
    stream = pictures.stream_of(content, chunk)
    findings = walk_jpeg(stream)
    stream.drain()
    return findings


def picture_digest(content: bytes) -> str:
    stream = pictures.stream_of(content)
    assert walk_jpeg(stream).picture_known
    stream.drain()
    return stream.picture_digest()


@pytest.mark.parametrize("chunk", [1, 7, 4096])
@pytest.mark.parametrize("content", [PLAIN, PROGRESSIVE, pictures.saved(pictures.noise((40, 40), "CMYK"), "JPEG")])
def test_e5_whole_pictures_are_fit(content: bytes, chunk: int) -> None:
    assert walked(content, chunk).damage is None


@pytest.mark.parametrize(
    "trailer",
    [
        b"\0",
        b"\0" * 5000,
        b"\xff\xd9",
        PLAIN,
        b"\0\0\0\x18ftypmp42" + b"\0" * 3000 + b"moov",
        b"Image_UTC_Data1416847283000" + b"SEFHk\0\0\0" + b"SEFT",
    ],
    ids=["byte", "zeros", "end again", "second image (MPO)", "motion photo", "Samsung"],
)
def test_e5_what_follows_the_picture_is_tolerated(trailer: bytes) -> None:
    findings = walked(PLAIN + trailer)
    assert findings.damage is None
    assert findings.picture_known


@pytest.mark.parametrize("content", [PLAIN, PROGRESSIVE])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_e4_a_cut_jpeg_is_damaged(content: bytes, part: float) -> None:
    length = int(len(content) * part)
    damage = walked(content[:length]).damage
    assert damage is not None
    assert damage.endswith(f"the file was cut at {length:,} bytes")


def test_e4_a_jpeg_without_its_last_two_bytes_is_damaged() -> None:
    assert walked(PLAIN[:-2]).damage == f"no end-of-image marker: the file was cut at {len(PLAIN) - 2:,} bytes"


def test_e4_a_jpeg_with_a_tail_of_zeros_is_damaged() -> None:
    content = pictures.jpeg((200, 200))
    half = len(content) // 2
    damage = walked(content[:half] + bytes(len(content) - half)).damage
    assert damage is not None
    assert damage.startswith("no end-of-image marker: the last ")
    assert damage.endswith(f" of {len(content):,} bytes are zeros")


def test_e4_the_end_of_a_thumbnail_does_not_count() -> None:
    thumbnail = pictures.segment(0xE1, b"Exif\0\0" + pictures.exif() + PLAIN)
    whole = pictures.jpeg_with(thumbnail)
    assert walked(whole).damage is None
    assert walked(whole[: len(whole) - 100]).damage is not None


def test_metadata_is_no_part_of_the_picture() -> None:
    edited = pictures.jpeg_with(
        pictures.exif_segment(pictures.exif([pictures.text(0x110, b"camera\0")])),
        pictures.segment(0xED, b"Photoshop 3.0\0keywords"),
        pictures.segment(0xFE, b"a comment"),
    )
    assert picture_digest(edited) == picture_digest(PLAIN)
    assert picture_digest(PROGRESSIVE) != picture_digest(PLAIN)
    assert picture_digest(pictures.jpeg((64, 40))) != picture_digest(PLAIN)


def test_only_the_metadata_of_the_first_image_is_left_out() -> None:
    second = pictures.jpeg_with(pictures.segment(0xFE, b"of the second image"))
    assert picture_digest(PLAIN + second) != picture_digest(PLAIN + PLAIN)


def test_blocks_before_the_pixels_are_kept_wherever_they_stand() -> None:
    at = PLAIN.index(b"\xff\xdb")
    content = PLAIN[:at] + pictures.exif_segment(b"late") + PLAIN[at:]
    (block,) = walked(content).blocks
    assert (block.kind, block.payload) == (BlockKind.JPEG_APP1, b"Exif\0\0late")


def test_fill_and_garbage_between_segments_are_stepped_over() -> None:
    content = PLAIN[:2] + b"\xff\xff\xff" + pictures.exif_segment(b"x") + b"\0garbage\xff\0" + PLAIN[2:]
    findings = walked(content)
    assert findings.damage is None
    assert len(findings.blocks) == 1


@pytest.mark.parametrize("noise", [b"\xff\x9c\x12", b"\xff\xf5\xff", b"\xff\xe0\xff\xff", b"\xff\xd8", b"\xff\xc4\0\1"])
def test_corrupt_scan_data_with_an_end_is_fit(noise: bytes) -> None:
    for content in (PLAIN, PROGRESSIVE):
        middle = len(content) // 2 + 300
        findings = walked(content[:middle] + noise + content[middle:])
        assert findings.damage is None


@pytest.mark.parametrize("chunk", [1, 7, 100, 1 << 20])
def test_e5_in_the_one_scan_of_a_sequential_picture_only_the_end_counts(chunk: int) -> None:
    cut = PLAIN[:-2] + b"\xff\xe0\0\x04no segment"
    assert walked(cut, chunk).damage == f"no end-of-image marker: the file was cut at {len(cut):,} bytes"
    whole = walked(cut + b"\xff\xd9", chunk)
    assert (whole.damage, whole.picture_known) == (None, True)


def test_scans_of_single_components_are_followed_one_by_one() -> None:
    """With a scan for each component metadata may stand between them, and is no part of the picture."""
    frame = pictures.segment(0xC0, b"\x08\0\x08\0\x08\x02" + b"\1\x11\0\2\x11\0")
    scans = [pictures.segment(0xDA, b"\1" + component + b"\0\0\x3f\0") + b"pixels" for component in (b"\1", b"\2")]
    comment = pictures.segment(0xFE, b"between")
    plain, edited = (b"\xff\xd8" + frame + more.join(scans) + b"\xff\xd9" for more in (b"", comment))
    assert picture_digest(edited) == picture_digest(plain)
    assert walked(plain[:-2]).damage is not None


def test_an_end_that_noise_swallowed_still_counts() -> None:
    middle = len(PROGRESSIVE) - 500
    rest = PROGRESSIVE[middle:]
    content = PROGRESSIVE[:middle] + b"\xff\xc4" + (len(rest) + 2).to_bytes(2, "big") + rest
    findings = walked(content)
    assert findings.damage is None
    assert not findings.picture_known


@pytest.mark.parametrize(
    ("content", "damage"),
    [
        (b"\xff\xd8\xff\xd9", "the image ends at byte 2, before any picture data"),
        (b"\xff\xd8\xff" + b"\xda\0\x02\xff\xd9", "no frame header: nothing says how large the picture is"),
        (b"\xff\xd8\xff", "no picture data: the file was cut at 3 bytes"),
        (b"\xff\xd8\xff\xe0" + bytes(600), "no picture data: the last 600 of 604 bytes are zeros"),
    ],
)
def test_e4_without_a_picture_it_is_damaged(content: bytes, damage: str) -> None:
    assert walked(content).damage == damage


def test_e2_blocks_stay_within_bounds() -> None:
    large = walked(pictures.jpeg_with(*[pictures.segment(0xE1, bytes(65_000))] * 400))
    assert large.damage is None
    assert sum(len(block.payload) for block in large.blocks) <= 16 << 20
    many = walked(pictures.jpeg_with(*[pictures.segment(0xE1, b"Exif\0\0")] * 100_000))
    assert many.damage is None
    assert len(many.blocks) <= 500
