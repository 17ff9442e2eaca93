"""The messages between the extractor and its worker: JSON with its length in front, bounded, each field checked.

For each file the worker sends two messages: the fingerprint, and the capture. So the limit on time can hold for parsing
alone, and a file whose parsing dies has been read once all the same.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from syncd.extract.fingerprint import Fingerprint
from syncd.model import Capture, Dropped, ImageType, Position, Unfit, UnfitCode

LENGTH: Final = struct.Struct("!I")
MESSAGE_LIMIT: Final = 256 * 1024
_TEXT_LIMIT: Final = 300
_DROPPED_LIMIT: Final = 50
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)


class Task(Enum):
    """What the worker is asked to do with a descriptor: one byte beside it."""

    EXTRACT = b"E"
    """Hash, judge the structure, parse the metadata."""
    HASH = b"H"
    """Hash only, for a file on whose structure a worker died. The capture is empty."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file could not be read; `errno` is 0 where the system gave none."""

    errno: int
    message: str


def encode(fields: Mapping[str, object]) -> bytes:
    """Frame one message."""
    body = _ENCODER.encode(fields).encode("ascii")
    return LENGTH.pack(len(body)) + body


def encode_fingerprint(found: Fingerprint) -> bytes:
    """Frame the first message; the blocks stay in the worker."""
    return encode(
        {
            "digest": found.digest,
            "picture_digest": found.picture_digest,
            "size": found.size,
            "type": found.type,
            "unfit": found.unfit and [found.unfit.code, found.unfit.detail],
            "checksum": found.checksum,
        }
    )


def encode_unreadable(error: OSError) -> bytes:
    """Frame the message that takes the place of both."""
    return encode({"errno": error.errno or 0, "message": (error.strerror or str(error))[:_TEXT_LIMIT]})


def encode_capture(capture: Capture) -> bytes:
    """Frame the second message. Long texts are cut, so that a message cannot outgrow its bound."""
    place = capture.position
    return encode(
        {
            "taken_at": capture.taken_at and capture.taken_at.isoformat(),
            "taken_from": capture.taken_from,
            "offset_minutes": capture.offset_minutes,
            "offset_from": capture.offset_from,
            "camera_model": capture.camera_model,
            "model_from": capture.model_from,
            "position": place and [place.latitude, place.longitude],
            "position_from": capture.position_from,
            "dropped": [
                [dropped.field, dropped.tag, dropped.reason[:_TEXT_LIMIT]]
                for dropped in capture.dropped[:_DROPPED_LIMIT]
            ],
        }
    )


def decode_fingerprint(body: bytes) -> Fingerprint | Unreadable:
    """Check the first message. Raises ValueError where it is not exactly what a worker may say."""
    fields = _Fields(body)
    if "errno" in fields.values:
        fields.has_only("errno", "message")
        return Unreadable(fields.integer("errno", 0, 1 << 16), fields.text("message"))
    fields.has_only("digest", "picture_digest", "size", "type", "unfit", "checksum")
    kind = fields.optional("type")
    unfit = fields.texts("unfit", 2)
    return Fingerprint(
        digest=fields.hexadecimal("digest", 64),
        picture_digest=fields.hexadecimal("picture_digest", 32),
        size=fields.integer("size", 0, 1 << 63),
        type=None if kind is None else ImageType(kind),
        unfit=Unfit(UnfitCode(unfit[0]), unfit[1]) if unfit else None,
        checksum=None if fields.values["checksum"] is None else fields.hexadecimal("checksum", 32),
    )


def decode_capture(body: bytes) -> Capture:
    """Check the second message. Raises ValueError where it is not exactly what a worker may say."""
    fields = _Fields(body)
    fields.has_only(*Capture.__slots__)
    entries = fields.values["dropped"]
    if not isinstance(entries, list) or len(entries) > _DROPPED_LIMIT:
        raise ValueError("dropped")
    offset = fields.values["offset_minutes"]
    return Capture(
        taken_at=fields.moment("taken_at"),
        taken_from=fields.optional("taken_from"),
        offset_minutes=None if offset is None else fields.integer("offset_minutes", -1440, 1440),
        offset_from=fields.optional("offset_from"),
        camera_model=fields.optional("camera_model", 200),
        model_from=fields.optional("model_from"),
        position=fields.position("position"),
        position_from=fields.optional("position_from"),
        dropped=tuple(Dropped(*_strings(entry, 3, "dropped")) for entry in entries),
    )


class _Fields:
    """The fields of one message, each taken out under its rule, or ValueError with its name."""

    def __init__(self, body: bytes) -> None:
        try:
            values = _DECODER.decode(body.decode("ascii"))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not isinstance(values, dict):
            raise ValueError("not an object")  # noqa: TRY004 (one kind of error for a bad message)
        self.values: dict[str, object] = values

    def has_only(self, *names: str) -> None:
        if self.values.keys() != set(names):
            raise ValueError("other fields than agreed")

    def integer(self, name: str, least: int, most: int) -> int:
        value = self.values[name]
        if type(value) is not int or not least <= value <= most:
            raise ValueError(name)
        return value

    def text(self, name: str, limit: int = _TEXT_LIMIT) -> str:
        return _string(self.values[name], name, limit)

    def optional(self, name: str, limit: int = _TEXT_LIMIT) -> str | None:
        value = self.values[name]
        return None if value is None else _string(value, name, limit)

    def hexadecimal(self, name: str, digits: int) -> str:
        value = self.values[name]
        if not isinstance(value, str) or len(value) != digits or value.strip("0123456789abcdef"):
            raise ValueError(name)
        return value

    def texts(self, name: str, count: int) -> list[str] | None:
        return None if self.values[name] is None else _strings(self.values[name], count, name)

    def moment(self, name: str) -> datetime | None:
        value = self.optional(name)
        if value is not None and not _MOMENT.fullmatch(value):
            raise ValueError(name)
        return None if value is None else datetime.fromisoformat(value)

    def position(self, name: str) -> Position | None:
        value = self.values[name]
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(type(part) is float for part in value):
            raise ValueError(name)
        latitude, longitude = value
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180) or latitude == longitude == 0:
            raise ValueError(name)
        return Position(latitude, longitude)


def _string(value: object, name: str, limit: int = _TEXT_LIMIT) -> str:
    if not isinstance(value, str) or len(value) > limit or not (value.isascii() or _SURROGATE.search(value) is None):
        raise ValueError(name)
    return value


def _strings(value: object, count: int, name: str) -> list[str]:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(name)
    return [_string(part, name) for part in value]


def _no_constant(name: str) -> object:
    raise ValueError(name)


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
