"""The values that travel through syncd. All are frozen; nothing here does I/O.

Paths are bytes, because names of files are bytes on Linux. A path becomes text only where a person or JSON reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

EXTENSIONS = frozenset({"jpg", "jpeg", "jpe", "jfif", "mpo", "png", "gif", "bmp", "webp"})
"""Extensions (lower case) by which a file becomes a candidate. What a file is, its content decides."""


class ImageType(StrEnum):
    """The formats that the service takes, by content. The value is the extension on the wire."""

    JPEG = "jpg"
    PNG = "png"
    GIF = "gif"
    BMP = "bmp"
    WEBP = "webp"

    @property
    def mime(self) -> str:
        """The Content-Type of the part that carries such a file."""
        return "image/jpeg" if self is ImageType.JPEG else f"image/{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class PlacePath:
    """Where a photo lies: an absolute root, a folder below it (b"" for the root, no slash at the ends), a name."""

    root: bytes
    folder: bytes
    name: bytes

    @property
    def relative(self) -> bytes:
        """The path below the root."""
        return self.folder + b"/" + self.name if self.folder else self.name

    @property
    def path(self) -> bytes:
        """The absolute path."""
        return self.root.rstrip(b"/") + b"/" + self.relative


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a file (fstat) said. Two equal looks: nobody touched it in between. Times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Position:
    """Decimal degrees, WGS 84; finite, in range, and never exactly 0,0."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """A field of the metadata that was not believed: which, where it was found, and why."""

    field: str
    tag: str
    reason: str


@dataclass(frozen=True, slots=True)
class Capture:
    """What the bytes say of themselves, each value with the tag that it came from ("EXIF:DateTimeOriginal")."""

    taken_at: datetime | None = None
    """The camera's own wall clock, naive, whole seconds."""
    taken_from: str | None = None
    offset_minutes: int | None = None
    """Minutes east of UTC, where the file says so for that very time."""
    offset_from: str | None = None
    camera_model: str | None = None
    model_from: str | None = None
    position: Position | None = None
    position_from: str | None = None
    dropped: tuple[Dropped, ...] = ()


class UnfitCode(StrEnum):
    """Why a file cannot be sent as it is."""

    EMPTY = "empty"
    TOO_LARGE = "too large"
    DAMAGED = "damaged"
    FORMAT = "not a format the service takes"


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a file cannot be sent as it is, and what exactly was found."""

    code: UnfitCode
    detail: str

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else str(self.code)


@dataclass(frozen=True, slots=True)
class Photo:
    """One distinct run of bytes. `unfit` is what its content says; the size limit is a setting and judged elsewhere."""

    digest: str
    """SHA-256, 64 lower-case hex digits: the identity."""
    picture_digest: str
    """XXH3-128 of the bytes without metadata, 32 hex digits; the digest's first 32 where that has no meaning."""
    size: int
    type: ImageType | None
    capture: Capture
    unfit: Unfit | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """What the folder rules give to a place. `skipped` names the rule that keeps the place from being uploaded."""

    namespace: str
    tags: tuple[str, ...]
    skipped: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestMetadata:
    """The fields that one request carries for all of its files (API.md: metadata belongs to the request).

    None and () mean that the field is left out. Values are as they go on the wire.
    """

    unique_id: str
    datetime_taken: str | None = None
    camera_model: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    tags: tuple[str, ...] = ()
