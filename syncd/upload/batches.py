"""Which due entries share a request, and what metadata it carries. Pure.

Metadata belongs to the request, not to the file (API.md), so only files with the same metadata may travel together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from syncd.model import Capture, Labels, RequestMetadata

OMITTABLE: Final = frozenset({"datetime_taken", "camera_model", "latitude", "longitude", "tags"})
"""Fields that an upload can do without: metadata never blocks an upload. A namespace is no such field."""


class Member(Protocol):
    """What the plan must know of an entry."""

    @property
    def entry_id(self) -> int:
        """The entry's number."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the file."""
        ...

    @property
    def split(self) -> int | None:
        """The most files a request with it may have, after one was rejected."""
        ...


M = TypeVar("M", bound=Member)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may hold: files, and bytes of files."""

    files: int
    bytes: int


def metadata_for(
    capture: Capture, labels: Labels, *, as_utc: bool = False, omit: frozenset[str] = frozenset()
) -> RequestMetadata:
    """Give the metadata of a request with such a photo, without the marker.

    The camera's wall clock goes out as the camera wrote it. With `as_utc` it is converted where the file knows its
    offset. Fields in `omit` are left out, latitude and longitude always together (API.md: both or neither).
    """
    wall = capture.taken_at
    if wall is not None and as_utc and capture.offset_minutes is not None:
        wall -= timedelta(minutes=capture.offset_minutes)
    position = None if omit & {"latitude", "longitude"} else capture.position
    return RequestMetadata(
        unique_id=labels.namespace,
        # API.md: yyyy-MM-dd HH:mm:ss, no zone, no fraction.
        datetime_taken=wall.isoformat(" ", "seconds") if wall and "datetime_taken" not in omit else None,
        camera_model=capture.camera_model if "camera_model" not in omit else None,
        latitude=decimal_degrees(position.latitude) if position else None,
        longitude=decimal_degrees(position.longitude) if position else None,
        tags=labels.tags if "tags" not in omit else (),
    )


def marked(metadata: RequestMetadata, marker: str) -> RequestMetadata:
    """Give the metadata with the marker as the last tag."""
    return replace(metadata, tags=(*metadata.tags, marker))


def group_key(capture: Capture) -> str:
    """Give what is equal where the capture's part of the metadata is equal, so that the ledger can find mates."""
    metadata = metadata_for(capture, Labels("", ()))
    parts = (metadata.datetime_taken, metadata.camera_model, metadata.latitude, metadata.longitude)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def decimal_degrees(value: float) -> str:
    """Write degrees as a plain decimal, never with an exponent: 8 places, about a millimetre."""
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def fill(head: M, mates: Sequence[M], limits: Limits) -> tuple[M, ...]:
    """Fill one request, starting with `head`: the mates have equal metadata and come in the order of preference."""
    most = max(1, min(limits.files, head.split or limits.files))
    batch = [head]
    room = limits.bytes - head.size
    for mate in mates:
        if len(batch) == most:
            break
        if mate.entry_id != head.entry_id and mate.split == head.split and mate.size <= room:
            batch.append(mate)
            room -= mate.size
    return tuple(batch)
