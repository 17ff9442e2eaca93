"""What metadata a request carries. Pure.

Metadata belongs to the request, not to the file (API.md), so only files with the same metadata may travel together, or
with metadata that are near enough: see `packing`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from syncd.model import Capture, Labels, Position, RequestMetadata

OMITTABLE: Final = frozenset({"datetime_taken", "camera_model", "latitude", "longitude", "tags"})
"""Fields that an upload can do without: metadata never blocks an upload. A namespace is no such field."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a photo would send if it travelled alone, apart from the marker."""

    rest: RequestMetadata
    """All but time and position: only files with the same share a request, whatever the tolerance."""
    taken_at: datetime | None
    position: Position | None


def wish(capture: Capture, labels: Labels, *, as_utc: bool = False, omit: frozenset[str] = frozenset()) -> Wish:
    """Give what a photo would send alone.

    The camera's wall clock goes out as the camera wrote it. With `as_utc` it is converted where the file knows its
    offset. Fields in `omit` are left out, latitude and longitude always together (API.md: both or neither).
    """
    wall = capture.taken_at
    if wall is not None and as_utc and capture.offset_minutes is not None:
        wall -= timedelta(minutes=capture.offset_minutes)
    rest = RequestMetadata(
        unique_id=labels.namespace,
        camera_model=capture.camera_model if "camera_model" not in omit else None,
        tags=labels.tags if "tags" not in omit else (),
    )
    position = None if omit & {"latitude", "longitude"} else capture.position
    return Wish(rest, None if "datetime_taken" in omit else wall, position)


def worded(rest: RequestMetadata, taken_at: datetime | None, position: Position | None) -> RequestMetadata:
    """Give the metadata of a request with a time and a position, in the words of API.md, without the marker."""
    return RequestMetadata(
        unique_id=rest.unique_id,
        camera_model=rest.camera_model,
        tags=rest.tags,
        datetime_taken=_in_words(taken_at),
        latitude=decimal_degrees(position.latitude) if position else None,
        longitude=decimal_degrees(position.longitude) if position else None,
    )


def _in_words(taken_at: datetime | None) -> str | None:
    # API.md: yyyy-MM-dd HH:mm:ss, no zone, no fraction.
    return taken_at.isoformat(" ", "seconds") if taken_at is not None else None


def metadata_for(
    capture: Capture, labels: Labels, *, as_utc: bool = False, omit: frozenset[str] = frozenset()
) -> RequestMetadata:
    """Give the metadata of a request with such a photo alone, without the marker."""
    own = wish(capture, labels, as_utc=as_utc, omit=omit)
    return worded(own.rest, own.taken_at, own.position)


def marked(metadata: RequestMetadata, marker: str) -> RequestMetadata:
    """Give the metadata with the marker as the last tag."""
    return replace(metadata, tags=(*metadata.tags, marker))


def group_key(capture: Capture) -> str:
    """Give what is equal where the capture's part of the metadata is equal, so that the ledger can find mates."""
    position = capture.position
    latitude, longitude = (
        (decimal_degrees(position.latitude), decimal_degrees(position.longitude)) if position else (None, None)
    )
    parts = (_in_words(capture.taken_at), capture.camera_model, latitude, longitude)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def decimal_degrees(value: float) -> str:
    """Write degrees as a plain decimal, never with an exponent: 8 places, about a millimetre."""
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
