"""What the worker is shown of formats that it does not know."""

from __future__ import annotations

from syncd.card.dating import heads
from syncd.cli.carding import WorkerDates
from syncd.extract.extractor import Extractor, Limits
from tests.extract.pictures import corpus


def test_a_jpeg_is_shown_as_it_is() -> None:
    head = b"\xff\xd8\xff\xe1\0\x20Exif\0\0II*\0rest"
    assert list(heads(head)) == [head]


def test_an_exif_block_within_is_shown_as_the_head_of_a_jpeg() -> None:
    head = b"\0\0\0\x18ftypheic" + b"x" * 50 + b"Exif\0\0MM\0*rest"
    assert list(heads(head)) == [head, b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0*rest\xff\xd9"]


def test_raw_files_that_are_nearly_tiff_are_shown_as_tiff() -> None:
    assert next(heads(b"IIRO\x08\0\0\0")) == b"II*\0\x08\0\0\0"
    assert next(heads(b"IIU\0\x08\0\0\0")) == b"II*\0\x08\0\0\0"


def test_only_a_few_blocks_are_tried_and_none_is_too_long() -> None:
    found = list(heads(b"\0" + (b"Exif\0\0II*\0" + b"x" * 70_000) * 9))
    assert len(found) == 4
    assert all(len(one) < 65_540 for one in found[1:])


def test_real_heic_files_are_dated() -> None:
    photos = sorted(corpus().rglob("*.HEIC"))
    assert photos
    with Extractor(Limits(20.0, 512_000_000)) as extractor:
        dates = WorkerDates(extractor)
        found = [dates.capture(path.read_bytes()[: 1 << 20]) for path in photos]
    assert all(capture.taken_at and capture.camera_model for capture in found)
