"""The values that travel: paths as bytes, types by their wire names, reasons as sentences."""

from __future__ import annotations

import dataclasses

import pytest

from syncd import model
from syncd.model import EXTENSIONS, ImageType, PlacePath, Unfit, UnfitCode


@pytest.mark.parametrize(
    ("place", "relative", "path"),
    [
        (PlacePath(b"/p", b"", b"a.jpg"), b"a.jpg", b"/p/a.jpg"),
        (PlacePath(b"/p", b"x/y", b"a.jpg"), b"x/y/a.jpg", b"/p/x/y/a.jpg"),
        (PlacePath(b"/", b"", b"a.jpg"), b"a.jpg", b"/a.jpg"),
        (PlacePath(b"/", b"x", b"a.jpg"), b"x/a.jpg", b"/x/a.jpg"),
        (PlacePath(b"/p\xff", b"\n", b"\xfe.jpg"), b"\n/\xfe.jpg", b"/p\xff/\n/\xfe.jpg"),
    ],
)
def test_a_place_knows_its_paths(place: PlacePath, relative: bytes, path: bytes) -> None:
    assert (place.relative, place.path) == (relative, path)


@pytest.mark.parametrize(
    ("kind", "mime"),
    [
        (ImageType.JPEG, "image/jpeg"),
        (ImageType.PNG, "image/png"),
        (ImageType.GIF, "image/gif"),
        (ImageType.BMP, "image/bmp"),
        (ImageType.WEBP, "image/webp"),
    ],
)
def test_a_type_has_its_extension_and_its_media_type(kind: ImageType, mime: str) -> None:
    assert kind.mime == mime
    assert kind.value in EXTENSIONS


def test_candidates_are_the_formats_of_the_service_and_no_others() -> None:
    assert frozenset({"jpg", "jpeg", "jpe", "jfif", "mpo", "png", "gif", "bmp", "webp"}) == EXTENSIONS


def test_a_reason_is_a_sentence() -> None:
    assert str(Unfit(UnfitCode.DAMAGED, "no end of image")) == "damaged: no end of image"
    assert str(Unfit(UnfitCode.EMPTY, "")) == "empty"


def test_every_value_is_frozen() -> None:
    place = PlacePath(b"/p", b"", b"a.jpg")
    with pytest.raises(dataclasses.FrozenInstanceError):
        place.name = b"b.jpg"  # type: ignore[misc]  # that it cannot be set is what is shown
    assert all("__slots__" in vars(value) for value in vars(model).values() if dataclasses.is_dataclass(value))
