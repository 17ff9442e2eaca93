"""Positions as EXIF and XMP write them, into decimal degrees or a reason. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from syncd.model import Position

_DIGITS: Final = 8
"""Decimals that are kept: a millimetre."""
_XMP: Final = re.compile(
    r"(?P<numbers>\d{1,9}(?:\.\d{0,20})?(?:\s*,\s*\d{1,9}(?:\.\d{0,20})?){0,2})\s*,?\s*(?P<letter>[NSEWnsew])", re.ASCII
)
_LATITUDE: Final = ("latitude", "N", "S", 90.0)
_LONGITUDE: Final = ("longitude", "E", "W", 180.0)


def from_exif(latitude: Sequence[float], latitude_ref: str, longitude: Sequence[float], longitude_ref: str) -> Position:
    """Join degrees, minutes and seconds (one to three components) with their references.

    Raises ValueError with the reason. A missing reference is never assumed, and 0,0 is what a receiver without a fix
    writes; zero on one axis is a real place.
    """
    north = _degrees(latitude, latitude_ref, _LATITUDE)
    east = _degrees(longitude, longitude_ref, _LONGITUDE)
    if north == 0 and east == 0:
        raise ValueError("exactly 0,0: the receiver had no fix")
    return Position(north, east)


def from_xmp(latitude: str, longitude: str) -> Position:
    """Read XMP's "51,30.5N" and "51,30,30N" (XMP specification part 2, GPSCoordinate).

    Raises ValueError with the reason.
    """
    return from_exif(*_split(latitude, "latitude"), *_split(longitude, "longitude"))


def _split(text: str, name: str) -> tuple[list[float], str]:
    found = _XMP.fullmatch(text.strip())
    if not found:
        raise ValueError(f"the {name} {text[:40]!a} is no coordinate with its direction")
    return [float(number) for number in found["numbers"].split(",")], found["letter"]


def _degrees(components: Sequence[float], reference: str, axis: tuple[str, str, str, float]) -> float:
    name, positive, negative, limit = axis
    if not components:
        raise ValueError(f"there is no {name}")
    if not all(math.isfinite(component) for component in components[:3]):
        raise ValueError(f"the {name} divides by zero")
    letter = reference.strip()[:1].upper()
    if letter not in {positive, negative}:
        raise ValueError(f"nothing says whether the {name} is {positive} or {negative}")
    first = components[0]
    if any(component < 0 for component in components[1:3]) or (first < 0 and letter == positive):
        raise ValueError(f"the {name} contradicts its reference {letter}")
    degrees = abs(first) + sum(part / 60.0**power for power, part in enumerate(components[1:3], start=1))
    if not degrees <= limit:
        raise ValueError(f"the {name} is beyond {limit:.0f} degrees")
    rounded = round(degrees, _DIGITS)
    return -rounded if letter == negative and rounded else rounded
