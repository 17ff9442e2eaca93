"""The rules of the service's uploads as API.md documents them: what is accepted, what is answered, which ids are given.

Pure. Strict where the documentation is: what the sandbox takes, the documented service takes. What the search finds is
in `search`; what is stored where, in `store`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from syncd.model import ImageType

SIZE_LIMIT: Final = 20_000_000
"""Bytes a file. API.md: 20 MB, and nobody knows whether that is MB or MiB, so the smaller."""
EXTENSIONS: Final = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
DEFAULT_NAMESPACE: Final = "default"
MODEL_LIMIT: Final = 200
TAG_LIMIT: Final = 50
SERVER_TAG: Final = "api"
"""The tag that the server adds by itself. It is counted against TAG_LIMIT here, because it may be counted there."""
START_BYTES: Final = 16
"""How many of a file's first bytes `image_type` wants to see."""

FIELDS: Final = frozenset({"unique_id", "datetime_taken", "camera_model", "latitude", "longitude", "tags"})
ID_EPOCH_MS: Final = 1_609_459_200_000
"""2021-01-01 UTC, the origin of the ids' time (API.md: seen in four documented examples)."""
EXACT_IN_A_FLOAT: Final = 2**53


class Code(StrEnum):
    """The codes of the envelope that the sandbox gives."""

    SUCCESS = "0000"
    BAD_PARAMETER = "0003"
    BAD_KEY = "0401"
    NO_CREDITS = "0402"
    RATE = "0429"
    FAILED = "0500"

    @property
    def status(self) -> int:
        """The HTTP status that says the same, for clients that should see statuses instead of HTTP 200."""
        return {
            Code.SUCCESS: 200,
            Code.BAD_PARAMETER: 400,
            Code.BAD_KEY: 401,
            Code.NO_CREDITS: 402,
            Code.RATE: 429,
            Code.FAILED: 500,
        }[self]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why nothing was stored. The message goes into the envelope."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """A `files` part as it arrived: its name and type by its headers, its size, and its first START_BYTES bytes."""

    name: str
    content_type: str
    size: int
    start: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an accepted request says: the type of each file by its content, and its fields as sent.

    None and () stand for fields that were left out.
    """

    types: tuple[ImageType, ...] = ()
    unique_id: str = DEFAULT_NAMESPACE
    datetime_taken: str | None = None
    camera_model: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image as the account holds it."""

    id: str
    """The image id: decimal digits."""
    name: str
    """The file name of the request."""
    type: ImageType
    sha256: str
    size: int
    unique_id: str
    datetime_taken: str | None
    camera_model: str | None
    latitude: str | None
    longitude: str | None
    tags: tuple[str, ...]
    """As sent. The search also knows the server's own tag."""
    created_at: float
    """Seconds since 1970."""


def check_key(header: str | None, key: str | None) -> Rejection | None:
    """Judge the Authorization header: the raw key, without `Bearer`. `key` None means: any key that begins with sk-."""
    if header is None or header == "":
        return Rejection(Code.BAD_KEY, "The Authorization header is missing.")
    if header.lower().startswith("bearer"):
        return Rejection(Code.BAD_KEY, "The Authorization header holds the key itself, without Bearer.")
    fits = header == key if key is not None else re.fullmatch(r"sk-[!-~]+", header) is not None
    return None if fits else Rejection(Code.BAD_KEY, "The API key is not valid.")


def check_upload(fields: Sequence[tuple[str, str]], files: Sequence[FilePart], batch_cap: int) -> Accepted | Rejection:
    """Judge a whole upload request: all or nothing, the first breach is named."""
    breach = check_files(files, batch_cap) or check_shape(fields)
    if breach is not None:
        return bad(breach)
    single = {name: value for name, value in fields if name != "tags"}
    # A comma inside a tag may split it at the service (API.md: seen, not documented), so it does here.
    tags = tuple(part.strip() for name, value in fields if name == "tags" for part in value.split(","))
    breach = check_values(single) or check_tags(tags)
    if breach is not None:
        return bad(breach)
    return Accepted(
        types=tuple(kind for file in files if (kind := image_type(file.start)) is not None),
        unique_id=single.get("unique_id", DEFAULT_NAMESPACE),
        datetime_taken=single.get("datetime_taken"),
        camera_model=single.get("camera_model"),
        latitude=single.get("latitude"),
        longitude=single.get("longitude"),
        tags=tags,
    )


def bad(message: str) -> Rejection:
    """Make the rejection of a bad parameter."""
    return Rejection(Code.BAD_PARAMETER, message)


def check_files(files: Sequence[FilePart], batch_cap: int) -> str | None:
    """Say what is wrong with the files of a request, or None."""
    if not files:
        return "files is required: at least one file."
    if len(files) > batch_cap:
        return f"Too many files: at most {batch_cap} files are allowed in one request."
    return next((breach for file in files if (breach := check_file(file)) is not None), None)


def check_file(file: FilePart) -> str | None:
    """Say what is wrong with one file, or None."""
    if not file.name.lower().endswith(EXTENSIONS):
        return f"The file name {file.name} must end in one of {', '.join(EXTENSIONS)}."
    if not file.content_type.lower().startswith("image/"):
        return f"The Content-Type of {file.name} must start with image/."
    if file.size > SIZE_LIMIT:
        return f"The file {file.name} exceeds 20 MB."
    if image_type(file.start) is None:
        return f"The file {file.name} is not a picture that can be read."
    return None


def image_type(start: bytes) -> ImageType | None:
    """Tell which of the five formats some bytes begin like."""
    if start.startswith(b"\xff\xd8\xff"):
        return ImageType.JPEG
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageType.PNG
    if start.startswith((b"GIF87a", b"GIF89a")):
        return ImageType.GIF
    if start.startswith(b"BM"):
        return ImageType.BMP
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ImageType.WEBP
    return None


def check_shape(fields: Sequence[tuple[str, str]]) -> str | None:
    """Say which field is unknown or repeated, or None. Only `tags` may be repeated."""
    names = [name for name, _ in fields]
    for name in names:
        if name not in FIELDS:
            return f"Unknown parameter {name}."
        if name != "tags" and names.count(name) > 1:
            return f"The parameter {name} is given more than once."
    return None


def check_values(single: Mapping[str, str]) -> str | None:
    """Say which of the fields that occur once has a bad value, or None."""
    if single.get("unique_id") == "":
        return "unique_id must not be empty."
    taken = single.get("datetime_taken")
    if taken is not None and wall_clock(taken) is None:
        return "datetime_taken must have the form yyyy-MM-dd HH:mm:ss."
    if not 1 <= len(single.get("camera_model", "-")) <= MODEL_LIMIT:
        return f"camera_model must have 1 to {MODEL_LIMIT} characters."
    if ("latitude" in single) != ("longitude" in single):
        return "latitude and longitude must be given together."
    for name, limit in (("latitude", 90), ("longitude", 180)):
        if name in single and not is_degrees(single[name], limit):
            return f"{name} must be a decimal number between -{limit} and {limit}."
    return None


def check_tags(tags: Sequence[str]) -> str | None:
    """Say what is wrong with the tags, or None. The server's own tag counts."""
    if len(tags) + 1 > TAG_LIMIT:
        return f"tags: at most {TAG_LIMIT} tags are allowed, {SERVER_TAG} included."
    return "tags: a tag must not be empty." if "" in tags else None


def wall_clock(text: str) -> datetime | None:
    """Read `yyyy-MM-dd HH:mm:ss`, exactly that and a date that exists; else None."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_degrees(text: str, limit: int) -> bool:
    """Tell whether a text is a plain decimal (no exponent, no sign but a minus) within -limit and limit."""
    return re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{1,40})?", text) is not None and abs(float(text)) <= limit


def next_id(last: int, now: float) -> int:
    """Give the id after `last` at `now` (seconds since 1970): shaped like the service's, and always above 2**53.

    Ids are odd and rise by two within a millisecond, so that a client that lets them pass through a float is found out.
    """
    of_the_clock = (int(now * 1000) - ID_EPOCH_MS << 22) + 1
    return max(of_the_clock, last + 2, EXACT_IN_A_FLOAT + 1)


def success_envelope(data: object) -> dict[str, object]:
    """Make the envelope of a success."""
    return {"code": Code.SUCCESS, "msg": "success", "data": data, "success": True, "failed": False}


def failure_envelope(rejection: Rejection) -> dict[str, object]:
    """Make the envelope of a rejection."""
    return {"code": rejection.code, "msg": rejection.message, "data": None, "success": False, "failed": True}
