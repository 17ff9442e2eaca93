"""What files say that the service does not take, so that `inspect` can still show it: Pillow reads TIFF and AVIF."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Final, SupportsFloat

from PIL import Image, UnidentifiedImageError

from syncd.extract import exif
from syncd.extract.exif import Exif
from syncd.extract.tags import capture_of
from syncd.model import Capture

_FORMATS: Final = ("TIFF", "AVIF")
_EXIF_DIRECTORY: Final = 0x8769
_GPS_DIRECTORY: Final = 0x8825


def read_foreign_capture(fd: int) -> Capture:
    """Let Pillow open a file of a format that is shown but never sent. Pixels are not decoded."""
    # A limit on pixels would only keep us from the metadata of large scans.
    Image.MAX_IMAGE_PIXELS = None
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        try:
            with Image.open(file, formats=_FORMATS) as image:
                found = image.getexif()
                packet = image.info.get("xmp") or found.get(700)
                return capture_of([_from_pillow(found)], [packet] if isinstance(packet, bytes) else [])
        except UnidentifiedImageError:
            return Capture()


def _from_pillow(found: Image.Exif) -> Exif:
    main = {**found, **found.get_ifd(_EXIF_DIRECTORY)}
    gps = found.get_ifd(_GPS_DIRECTORY)
    return Exif(
        texts={tag: _text(main[tag]) for tag in exif.TEXTS if isinstance(main.get(tag), str | bytes)},
        references={
            tag: _text(gps[tag])
            for tag in (exif.LATITUDE_REF, exif.LONGITUDE_REF)
            if isinstance(gps.get(tag), str | bytes)
        },
        coordinates={tag: _numbers(gps[tag]) for tag in (exif.LATITUDE, exif.LONGITUDE) if tag in gps},
    )


def _text(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text.split("\0", 1)[0]


def _numbers(value: object) -> tuple[float, ...]:
    parts = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)
    return tuple(float(part) if isinstance(part, SupportsFloat) else math.nan for part in parts)[:3]
