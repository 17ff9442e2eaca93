"""Between the rows of the ledger and the values of the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncd.ledger.plain import Row
from syncd.model import Capture, Dropped, ImageType, Photo, PlacePath, Position, RequestMetadata, Unfit, UnfitCode

_TWO_64 = 1 << 64


@dataclass(frozen=True, slots=True)
class Owed:
    """An entry that may be sent, with all that the plan needs to know of it."""

    entry_id: int
    photo_id: int
    namespace: str
    """The key of copies = "per-namespace"; "" otherwise."""
    digest: str
    size: int
    type: ImageType
    capture: Capture
    places: tuple[PlacePath, ...]
    """Present and wanted when last judged, first seen first."""
    attempts: int
    split: int | None
    """The most files that a request with it may have, after one was rejected."""
    omit: frozenset[str]
    """Metadata fields that the service refused for it."""
    group_key: str
    arrived_at: float
    """Seconds since the epoch."""
    order_at: float
    """Capture time as if it were UTC, else mtime; seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Off:
    """By how much what was sent differs from what the photo says of itself, within the tolerance of the settings."""

    seconds: float
    """More than none: a later time was sent."""
    metres: float


PHOTO_COLUMNS: Final = (
    *("digest", "picture_digest", "size", "type", "taken_at", "taken_from", "offset_minutes", "offset_from"),
    *("camera_model", "model_from", "latitude", "longitude", "position_from", "dropped", "unfit_code", "unfit_detail"),
    "seen_at",
)
"""The columns of `photos` that say what a photo is."""


def photo_row(photo: Photo, seen_at: float) -> dict[str, object]:
    """Give a photo as a row of `photos`."""
    capture = photo.capture
    dropped = [[d.field, d.tag, d.reason] for d in capture.dropped]
    return {
        "digest": photo.digest,
        "picture_digest": photo.picture_digest,
        "size": photo.size,
        "type": photo.type,
        "taken_at": capture.taken_at.isoformat(" ", "seconds") if capture.taken_at else None,
        "taken_from": capture.taken_from,
        "offset_minutes": capture.offset_minutes,
        "offset_from": capture.offset_from,
        "camera_model": capture.camera_model,
        "model_from": capture.model_from,
        "latitude": capture.position.latitude if capture.position else None,
        "longitude": capture.position.longitude if capture.position else None,
        "position_from": capture.position_from,
        "dropped": json.dumps(dropped) if dropped else None,
        "unfit_code": photo.unfit.code if photo.unfit else None,
        "unfit_detail": photo.unfit.detail if photo.unfit else None,
        "seen_at": seen_at,
    }


def capture_of(row: Row) -> Capture:
    """Read the capture from a row that has the columns of `photos`."""
    dropped = tuple(Dropped(*fields) for fields in json.loads(row.dropped)) if row.dropped else ()
    return Capture(
        taken_at=wall(row.taken_at),
        taken_from=row.taken_from,
        offset_minutes=row.offset_minutes,
        offset_from=row.offset_from,
        camera_model=row.camera_model,
        model_from=row.model_from,
        position=None if row.latitude is None else Position(row.latitude, row.longitude),
        position_from=row.position_from,
        dropped=dropped,
    )


def unfit_of(row: Row) -> Unfit | None:
    """Read why the bytes are unfit from a row that has the columns of `photos`."""
    return Unfit(UnfitCode(row.unfit_code), row.unfit_detail or "") if row.unfit_code else None


def wall(text: str | None) -> datetime | None:
    """Read a wall clock."""
    return datetime.fromisoformat(text) if text else None


def signed(number: int) -> int:
    """Fold a number of 64 bits into SQLite's signed INTEGER: inodes are unsigned, and times go beyond the year 2262."""
    return (number + (_TWO_64 >> 1)) % _TWO_64 - (_TWO_64 >> 1)


def unsigned(number: int) -> int:
    """Give an inode or a device as it was before `signed`."""
    return number % _TWO_64


def nanoseconds(number: int) -> int:
    """Give a time in nanoseconds as it was before `signed`: what would be before 1823 is after 2262."""
    return number + _TWO_64 if number < -(_TWO_64 >> 2) else number


def metadata_json(metadata: RequestMetadata, marker: str | None, off: Off | None = None) -> str:
    """Write what was sent with an entry; the marker is kept apart from the tags."""
    fields: dict[str, object] = {
        "unique_id": metadata.unique_id,
        "datetime_taken": metadata.datetime_taken,
        "camera_model": metadata.camera_model,
        "latitude": metadata.latitude,
        "longitude": metadata.longitude,
        "tags": [t for t in metadata.tags if t != marker],
    }
    if off is not None:
        fields |= {"off_seconds": off.seconds, "off_metres": round(off.metres, 1)}
    return json.dumps({k: v for k, v in fields.items() if v is not None})


def group_by_photo(rows: Sequence[Row]) -> dict[int, list[PlacePath]]:
    """Collect places by their photo, in the order of the rows (photo_id, root, folder, name)."""
    found: dict[int, list[PlacePath]] = {}
    for row in rows:
        found.setdefault(row.photo_id, []).append(PlacePath(row.root, row.folder, row.name))
    return found
