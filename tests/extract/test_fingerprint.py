from __future__ import annotations

import csv
import hashlib
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.extract.fingerprint import Fingerprint, read_fingerprint
from syncd.extract.tags import read_capture
from syncd.model import ImageType, Unfit, UnfitCode
from tests.extract import pictures

CONTENTS = {
    ImageType.JPEG: pictures.jpeg_with(pictures.exif_segment(pictures.exif([pictures.text(0x110, b"camera\0")]))),
    ImageType.PNG: pictures.png_with(pictures.chunk(b"eXIf", pictures.exif([pictures.text(0x110, b"camera\0")]))),
    ImageType.WEBP: pictures.webp(exif=pictures.exif([pictures.text(0x110, b"camera\0")])),
    ImageType.GIF: pictures.gif(),
    ImageType.BMP: pictures.bmp(),
}


def read(content: bytes, folder: Path) -> Fingerprint:
    with pictures.opened(content, folder) as fd:
        return read_fingerprint(fd)


@pytest.mark.parametrize("kind", list(ImageType))
def test_digest_type_and_size(kind: ImageType, tmp_path: Path) -> None:
    content = CONTENTS[kind]
    found = read(content, tmp_path)
    assert found.digest == hashlib.sha256(content).hexdigest()
    assert (found.type, found.size, found.unfit) == (kind, len(content), None)
    has_own = kind not in {ImageType.GIF, ImageType.BMP}
    assert (found.picture_digest != found.digest[:32]) == has_own


@pytest.mark.parametrize("kind", list(ImageType))
def test_without_the_walk_nothing_is_judged(kind: ImageType, tmp_path: Path) -> None:
    content = CONTENTS[kind][:200]
    with pictures.opened(content, tmp_path) as fd:
        found = read_fingerprint(fd, walk=False)
    assert found == Fingerprint(
        hashlib.sha256(content).hexdigest(), hashlib.sha256(content).hexdigest()[:32], 200, kind, None
    )


def test_the_offset_of_the_descriptor_is_not_trusted_nor_moved(tmp_path: Path) -> None:
    with pictures.opened(CONTENTS[ImageType.JPEG], tmp_path) as fd:
        os.lseek(fd, 100, os.SEEK_SET)
        assert read_fingerprint(fd).type is ImageType.JPEG
        assert os.lseek(fd, 0, os.SEEK_CUR) == 100


@pytest.mark.parametrize(
    ("content", "unfit"),
    [
        (b"", Unfit(UnfitCode.EMPTY, "the file has no bytes")),
        (bytes(4096), Unfit(UnfitCode.DAMAGED, "all 4,096 bytes are zeros")),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Unfit(UnfitCode.FORMAT, "HEIC")),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9, Unfit(UnfitCode.FORMAT, "PostScript (EPS)")),
        (b"just a text", Unfit(UnfitCode.FORMAT, "text")),
        (bytes(600) + b"\1", Unfit(UnfitCode.FORMAT, "no format that is known")),
    ],
)
def test_e4_what_is_no_picture_is_unfit(content: bytes, unfit: Unfit, tmp_path: Path) -> None:
    assert read(content, tmp_path).unfit == unfit


@pytest.mark.parametrize("kind", list(ImageType))
def test_e4_half_a_picture_is_damaged_and_its_metadata_still_found(kind: ImageType, tmp_path: Path) -> None:
    whole = CONTENTS[kind]
    half = read(whole[: len(whole) // 2], tmp_path)
    assert half.unfit
    assert half.unfit.code is UnfitCode.DAMAGED
    assert half.picture_digest == half.digest[:32]
    if kind in {ImageType.JPEG, ImageType.PNG}:
        assert read_capture(half.blocks).camera_model == "camera"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="not a regular file"):
            read_fingerprint(fd)
    finally:
        os.close(fd)


def test_real_files_are_judged_as_pillow_judges_them() -> None:
    corpus = pictures.corpus()
    taken = ("image/jpeg", "image/png", "image/apng", "image/gif", "image/bmp", "image/webp")
    cut = {"truncated_image.png", "truncated_jpeg.jpg", "truncated_end_chunk.png", "shortfile.bmp", "ultrahdr.jpg"}
    with (corpus / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = corpus / row["file"]
            fd = os.open(path, os.O_RDONLY)
            try:
                found = read_fingerprint(fd)
            finally:
                os.close(fd)
            assert found.digest == row["sha256"]
            assert (found.type is not None) == (row["mime"] in taken), path
            if found.type and row["pillow_load"] == "ok":
                assert found.unfit is None, path
            if path.name in cut:
                cut.remove(path.name)
                assert found.unfit, path
    assert not cut


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(list(ImageType)), seed=st.integers(0, 1 << 32), chunk=st.sampled_from([64, 999, 1 << 20]))
def test_e1_any_bytes_give_a_fingerprint_and_a_capture(kind: ImageType, seed: int, chunk: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    content = bytearray(CONTENTS[kind])
    for _ in range(chance.randrange(1, 20)):
        at = chance.randrange(min(len(content), chance.choice([64, 400, 1 << 20])))
        match chance.randrange(3):
            case 0:
                content[at] = chance.choice([0, 1, 0x7F, 0xFF, chance.randrange(256)])
            case 1:
                del content[at : at + chance.randrange(40)]
            case _:
                content[at:at] = chance.randbytes(chance.randrange(8))
        if not content:
            break
    with pictures.opened(bytes(content), tmp_path) as fd:
        found = read_fingerprint(fd, chunk=chunk)
        assert found == read_fingerprint(fd)
    assert found.digest == hashlib.sha256(content).hexdigest()
    assert len(found.picture_digest) == 32
    assert found.type or found.unfit
    read_capture(found.blocks)
