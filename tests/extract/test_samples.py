from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from syncd.extract.fingerprint import Fingerprint, read_fingerprint
from syncd.extract.samples import write_sample, write_sample_library
from syncd.extract.tags import read_capture
from syncd.model import ImageType, Position, UnfitCode


def fingerprint(path: Path) -> Fingerprint:
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_fingerprint(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("kind", [ImageType.JPEG, ImageType.PNG, ImageType.WEBP])
@pytest.mark.parametrize(
    "position", [Position(-33.865, 151.21), Position(38.7139, -9.1334), Position(0.0, -0.00000833), None]
)
def test_what_is_written_is_read_back(kind: ImageType, position: Position | None, tmp_path: Path) -> None:
    path = tmp_path / "sample"
    taken_at = datetime.fromisoformat("2024-05-04 09:30:12")
    write_sample(path, taken_at=taken_at, camera_model="Köln 3000", position=position, offset="+02:00", type=kind)
    found = fingerprint(path)
    assert (found.type, found.unfit) == (kind, None)
    capture = read_capture(found.blocks)
    assert (capture.taken_at, capture.offset_minutes) == (taken_at, 120)
    assert capture.camera_model == "Köln 3000"
    assert capture.position == position
    assert not capture.dropped


@pytest.mark.parametrize("kind", list(ImageType))
def test_equal_arguments_give_equal_bytes_and_seeds_differ(kind: ImageType, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, [1, 1, 2], strict=True):
        write_sample(path, seed=seed, type=kind)
    contents = [path.read_bytes() for path in paths]
    assert contents[0] == contents[1] != contents[2]
    assert fingerprint(paths[2]).unfit is None


def test_a_gif_takes_no_metadata(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="GIF file holds no EXIF"):
        write_sample(tmp_path / "x.gif", camera_model="E-P3", type=ImageType.GIF)


def test_the_library_holds_what_a_newcomer_has(tmp_path: Path) -> None:
    paths = write_sample_library(tmp_path)
    assert sorted(paths) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    found = {path: fingerprint(path) for path in paths}
    captures = [read_capture(each.blocks) for each in found.values()]
    times = [capture.taken_at for capture in captures if capture.taken_at]
    assert len(paths) == 12
    assert len({each.digest for each in found.values()}) == 11
    assert len({capture.camera_model for capture in captures} - {None}) == 2
    assert max(times.count(moment) for moment in times) == 3
    assert sum(capture.position is not None for capture in captures) == 3
    assert {each.unfit.code for each in found.values() if each.unfit} == {UnfitCode.DAMAGED, UnfitCode.FORMAT}
    assert {each.type for each in found.values()} == {ImageType.JPEG, ImageType.PNG, None}
