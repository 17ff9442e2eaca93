from __future__ import annotations

import pytest

from syncd.extract.formats import name_foreign, recognise
from syncd.model import ImageType
from tests.extract import pictures


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (pictures.jpeg(), ImageType.JPEG),
        (pictures.png(), ImageType.PNG),
        (pictures.webp(), ImageType.WEBP),
        (pictures.gif(), ImageType.GIF),
        (b"GIF87a" + bytes(60), ImageType.GIF),
        (pictures.bmp(), ImageType.BMP),
    ],
)
def test_the_five_formats_are_told_by_content(content: bytes, kind: ImageType) -> None:
    assert recognise(content[:64]) is kind


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "Canon raw (CR3)"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0", "video (QuickTime)"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video (MP4)"),
        (b"II*\0\x10\0\0\0CR\x02\0", "Canon raw (CR2)"),
        (b"II*\0\x08\0\0\0", "TIFF or a raw format built on it"),
        (b"MM\0*\0\0\0\x08", "TIFF or a raw format built on it"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript (EPS)"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"RIFF\0\0\0\0AVI LIST", "video (AVI)"),
        (b"RIFF\0\0\0\0WAVEfmt ", "RIFF, but not WebP"),
        (b"BMW photos of last summer", "text"),
        (b"hello\nworld", "text"),
        (b"\x01\x02\x03\x04", "no format that is known"),
        (b"\xff\xd8", "no format that is known"),
        (b"GIF88a", "text"),
        (b"BM" + bytes(62), "no format that is known"),
    ],
)
def test_e2_what_is_none_of_the_five_is_named(head: bytes, name: str) -> None:
    assert recognise(head) is None
    assert name_foreign(head) == name
