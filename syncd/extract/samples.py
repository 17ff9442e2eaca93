"""Writes small photos of our own making, with the metadata one asks for: for the demo and for the tests.

The only place where piexif is used. It writes well; for reading untrusted files it is not fit (FAULTS.md, section 3).
"""

from __future__ import annotations

import colorsys
import io
import random
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import piexif
from PIL import Image, ImageDraw

from syncd.model import ImageType, Position

_PILLOW_NAMES: Final = {
    ImageType.JPEG: "JPEG",
    ImageType.PNG: "PNG",
    ImageType.GIF: "GIF",
    ImageType.BMP: "BMP",
    ImageType.WEBP: "WEBP",
}
_WITHOUT_EXIF: Final = frozenset({ImageType.GIF, ImageType.BMP})
_SECOND_PARTS: Final = 10_000
"""Arc seconds are written in parts of this: three millimetres."""


def write_sample(  # noqa: PLR0913 (each is a property of the photo, all but the path by name)
    path: Path,
    *,
    taken_at: datetime | None = None,
    camera_model: str | None = None,
    position: Position | None = None,
    offset: str | None = None,
    size: tuple[int, int] = (64, 48),
    seed: int = 0,
    type: ImageType = ImageType.JPEG,  # noqa: A002 (the word of the model)
) -> None:
    """Write one photo. Equal arguments give equal bytes, different seeds different pictures.

    Raises ValueError where a GIF or BMP is to hold metadata: these formats have no place for EXIF.
    """
    exif = _exif(taken_at, camera_model, position, offset)
    if exif and type in _WITHOUT_EXIF:
        raise ValueError(f"a {type.name} file holds no EXIF")
    packed = io.BytesIO()
    options: dict[str, Any] = {"exif": piexif.dump(exif)} if exif else {}
    _picture(size, seed).save(packed, _PILLOW_NAMES[type], **options)
    path.write_bytes(packed.getvalue())


def write_sample_library(folder: Path) -> list[Path]:
    """Write what a newcomer's folder may look like, with the things that go wrong in it, and return all files.

    Two cameras, a burst within one second, a trip with positions, a copy, a drawing, a screenshot without EXIF, a photo
    that was cut while it was copied, and a HEIC, which the service does not take.
    """
    canon, pixel = "Canon EOS R8", "Pixel 8"
    photos: list[tuple[str, str | None, str | None, Position | None]] = [
        ("2024/IMG_0001.JPG", "2024-05-04T09:30:12", canon, None),
        ("2024/IMG_0002.JPG", "2024-05-04T09:41:55", canon, None),
        ("2024/IMG_0003.JPG", "2024-05-04T09:41:55", canon, None),
        ("2024/IMG_0004.JPG", "2024-05-04T09:41:55", canon, None),
        ("Trips/Lisbon/PXL_0001.jpg", "2024-06-21T18:02:07", pixel, Position(38.7139, -9.1334)),
        ("Trips/Lisbon/PXL_0002.jpg", "2024-06-21T18:40:31", pixel, Position(38.6916, -9.2160)),
        ("Trips/Lisbon/PXL_0003.jpg", "2024-06-22T11:05:49", pixel, Position(38.6979, -9.4215)),
        ("Drawings/garden.png", "2023-12-24T16:00:00", None, None),
        ("Screenshots/Screenshot_1.png", None, None, None),
    ]
    written: list[Path] = []
    for seed, (name, taken, model, position) in enumerate(photos):
        write_sample(
            _ready(folder, name, written),
            taken_at=datetime.fromisoformat(taken) if taken else None,
            camera_model=model,
            position=position,
            size=(320, 240),
            seed=seed,
            type=ImageType.PNG if name.endswith(".png") else ImageType.JPEG,
        )
    copy = _ready(folder, "2024/IMG_0001 (copy).JPG", written)
    copy.write_bytes(written[0].read_bytes())
    cut = _ready(folder, "2024/IMG_0005.JPG", written)
    write_sample(cut, camera_model=canon, size=(320, 240), seed=len(photos))
    cut.write_bytes(cut.read_bytes()[:3000])
    heic = _ready(folder, "2024/IMG_0006.HEIC", written)
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x10free" + b"no photo")
    return written


def _ready(folder: Path, name: str, written: list[Path]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    written.append(path)
    return path


def _picture(size: tuple[int, int], seed: int) -> Image.Image:
    """Draw a sun over hills, in colours of its own for each seed."""
    chance = random.Random(seed)  # noqa: S311 (a picture, no secret)
    width, height = size
    hue = chance.random()
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    for y in range(height):
        draw.line([(0, y), (width, y)], fill=_colour(hue, 0.5, 1 - 0.6 * y / height))
    x, y = chance.randrange(width), chance.randrange(max(1, height // 2))
    draw.ellipse([x - width // 10, y - width // 10, x + width // 10, y + width // 10], fill=_colour(hue + 0.4, 0.6, 1))
    for step in range(3):
        left, right = (chance.uniform(0.4, 0.9) * height for _ in range(2))
        hill = [(0.0, left), (width, right), (width, height), (0, height)]
        draw.polygon(hill, fill=_colour(hue + 0.2, 0.7, 0.6 - 0.15 * step))
    return image


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _exif(
    taken_at: datetime | None, camera_model: str | None, position: Position | None, offset: str | None
) -> dict[str, dict[int, object]]:
    main: dict[int, object] = {}
    inner: dict[int, object] = {}
    if camera_model is not None:
        main[piexif.ImageIFD.Model] = camera_model.encode()
    if taken_at is not None:
        inner[piexif.ExifIFD.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}".encode()
    if offset is not None:
        inner[piexif.ExifIFD.OffsetTimeOriginal] = offset.encode()
    directories = {"0th": main, "Exif": inner, "GPS": _gps(position) if position else {}}
    return {name: tags for name, tags in directories.items() if tags}


def _gps(position: Position) -> dict[int, object]:
    return {
        piexif.GPSIFD.GPSLatitudeRef: b"S" if position.latitude < 0 else b"N",
        piexif.GPSIFD.GPSLatitude: _degrees(position.latitude),
        piexif.GPSIFD.GPSLongitudeRef: b"W" if position.longitude < 0 else b"E",
        piexif.GPSIFD.GPSLongitude: _degrees(position.longitude),
    }


def _degrees(value: float) -> tuple[tuple[int, int], ...]:
    parts = round(abs(value) * 3600 * _SECOND_PARTS)
    minutes, seconds = divmod(parts, 60 * _SECOND_PARTS)
    return (minutes // 60, 1), (minutes % 60, 1), (seconds, _SECOND_PARTS)
