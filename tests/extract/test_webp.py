from __future__ import annotations

import io

import pytest
from PIL import Image

from syncd.extract.blocks import BlockKind, Findings
from syncd.extract.webp import walk_webp
from tests.extract import pictures

PLAIN = pictures.webp((200, 150))
LOSSLESS = pictures.webp((100, 100), lossless=True)
ALPHA = pictures.saved(pictures.noise((60, 60), "RGBA"), "WEBP")
ANIMATED = pictures.saved(
    pictures.noise((60, 60)), "WEBP", save_all=True, append_images=[pictures.noise((60, 60)).rotate(90)]
)
ALL = [PLAIN, LOSSLESS, ALPHA, ANIMATED]


def walked(content: bytes, chunk: int = 1 << 20) -> Findings:
    stream = pictures.stream_of(content, chunk)
    findings = walk_webp(stream)
    stream.drain()
    return findings


def picture_digest(content: bytes) -> str:
    stream = pictures.stream_of(content)
    assert walk_webp(stream).picture_known
    stream.drain()
    return stream.picture_digest()


def rewritten(content: bytes, **metadata: bytes) -> bytes:
    """Add metadata without touching the pixels, as exiftool and libwebp's mux do."""
    chunks = []
    at = 12
    while at < len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        chunks.append((content[at : at + 4], content[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        alpha = image.has_transparency_data
    flags = chunks.pop(0)[1][0] if chunks[0][0] == b"VP8X" else 0x10 * alpha
    flags |= 0x08 * ("exif" in metadata) | 0x04 * ("xmp" in metadata)
    size3 = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks.insert(0, (b"VP8X", bytes([flags, 0, 0, 0]) + size3))
    names = {"exif": b"EXIF", "xmp": b"XMP "}
    chunks += [(names[name], payload) for name, payload in metadata.items()]
    body = b"".join(
        kind + len(payload).to_bytes(4, "little") + payload + b"\0" * (len(payload) % 2) for kind, payload in chunks
    )
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


@pytest.mark.parametrize("chunk", [1, 9, 4096])
@pytest.mark.parametrize("content", ALL, ids=["lossy", "lossless", "alpha", "animated"])
def test_e5_whole_pictures_are_fit(content: bytes, chunk: int) -> None:
    assert walked(content, chunk).damage is None


@pytest.mark.parametrize("content", ALL, ids=["lossy", "lossless", "alpha", "animated"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.97])
def test_e4_a_cut_webp_is_damaged(content: bytes, part: float) -> None:
    length = int(len(content) * part)
    damage = walked(content[:length]).damage
    assert damage is not None
    assert damage.endswith(f"the file was cut at {length:,} bytes")


@pytest.mark.parametrize("content", ALL, ids=["lossy", "lossless", "alpha", "animated"])
def test_e4_a_webp_whose_second_half_is_zeros_is_damaged(content: bytes) -> None:
    half = len(content) // 2
    damage = walked(content[:half] + bytes(len(content) - half)).damage
    assert damage is not None
    assert "bytes are zeros" in damage


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (10, 60, 200)])
@pytest.mark.parametrize("options", [{"quality": 100}, {"quality": 1}, {"lossless": True}])
def test_a_flat_picture_that_really_ends_in_zeros_is_fit(colour: tuple[int, int, int], options: dict[str, int]) -> None:
    flat = Image.new("RGB", (1200, 900), colour)
    assert walked(pictures.saved(flat, "WEBP", method=0, **options)).damage is None


@pytest.mark.parametrize("content", ALL, ids=["lossy", "lossless", "alpha", "animated"])
def test_adding_metadata_does_not_change_the_picture(content: bytes) -> None:
    edited = rewritten(content, exif=pictures.exif([pictures.text(0x110, b"camera\0")]), xmp=pictures.xmp())
    with Image.open(io.BytesIO(edited)) as image:
        assert image.getexif()[0x110] == "camera"
    assert picture_digest(edited) == picture_digest(content)
    assert [block.kind for block in walked(edited).blocks] == [BlockKind.WEBP_EXIF, BlockKind.XMP_PACKET]


def test_different_pictures_differ() -> None:
    assert len({picture_digest(content) for content in ALL}) == len(ALL)


def test_trailing_data_is_tolerated() -> None:
    assert walked(PLAIN + b"trailer").damage is None


def test_a_missing_padding_byte_is_tolerated() -> None:
    odd = next(content for width in range(20, 60) if (content := pictures.webp((width, 20), lossless=True))[16] % 2)
    assert walked(odd[:-1]).damage is None


def test_no_picture_is_damaged() -> None:
    assert walked(b"RIFF\4\0\0\0WEBP").damage == "no picture data"
