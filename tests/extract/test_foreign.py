from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from syncd.extract.foreign import read_foreign_capture
from syncd.model import Capture, Position
from tests.extract import pictures


def read(content: bytes, folder: Path) -> Capture:
    with pictures.opened(content, folder) as fd:
        return read_foreign_capture(fd)


@pytest.mark.parametrize(("kind", "mode"), [("TIFF", "RGB"), ("TIFF", "I;16"), ("AVIF", "RGB")])
def test_e5_what_is_not_taken_still_says_when_it_was_taken(kind: str, mode: str, tmp_path: Path) -> None:
    written = Image.Exif()
    written[0x110] = "Pixel 8"
    written.get_ifd(0x8769)[0x9003] = "2019:02:03 04:05:06"
    written.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 54.0), 3: "E", 4: (151.0, 12.0, 36.0)})
    content = pictures.saved(Image.new(mode, (16, 16)), kind, exif=written.tobytes())
    capture = read(content, tmp_path)
    assert capture.taken_at == datetime.fromisoformat("2019-02-03 04:05:06")
    assert capture.camera_model == "Pixel 8"
    assert capture.position == Position(-33.865, 151.21)


def test_e3_a_position_of_nothing_is_dropped(tmp_path: Path) -> None:
    written = Image.Exif()
    written.get_ifd(0x8825).update({1: "S", 2: 33.5, 3: "E"})
    capture = read(pictures.saved(Image.new("RGB", (8, 8)), "TIFF", exif=written.tobytes()), tmp_path)
    assert capture.position is None
    assert capture.dropped[0].reason == "there is no longitude"


def test_e2_other_formats_are_not_opened(tmp_path: Path) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    for content in (eps, pictures.jpeg(), b"", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"):
        assert read(content, tmp_path) == Capture()
