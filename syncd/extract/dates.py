"""Capture times and offsets as they are written in the wild, into values. Pure.

The wall clock is kept as the camera wrote it, in whole seconds: a fraction is dropped, nothing is rounded or converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_LONGEST: Final = 64
_FIRST_YEAR: Final = 1800
"""No camera is older; a smaller year is some program's zero, and strftime does not pad it."""
_LARGEST_OFFSET: Final = 14 * 60
"""Minutes. The farthest zones are UTC+14 and UTC-12."""

_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
_ZONE: Final = r"\s*(?P<zone>[Zz]|[+-]\s?\d{1,2}(?::?\d{2})?)?"
_SPELLED: Final = re.compile(
    r"(?P<year>\d{4})\s?[:\-/.]\s?(?P<month>\d{1,2})\s?[:\-/.]\s?(?P<day>\d{1,2})"
    r"(?:\s*[Tt:_\-]\s*|\s+)"
    r"(?P<hour>\d{1,2})\s?:\s?(?P<minute>\d{1,2})(?:\s?:\s?(?P<second>\d{1,2})(?:[.,]\d*)?)?" + _ZONE,
    re.ASCII,
)
_COMPACT: Final = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})[T ]?"
    r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})(?:[.,]\d*)?" + _ZONE,
    re.ASCII,
)
_OFFSET: Final = re.compile(r"(?P<sign>[+-])\s?(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A wall-clock time, naive, and the minutes east of UTC where the same text says them."""

    taken_at: datetime
    offset_minutes: int | None = None


def read_moment(text: str) -> Moment:
    """Read a date with a time: EXIF's colons, dashes, slashes, ISO 8601, with or without seconds, fraction and zone.

    Raises ValueError with the reason where there is none: blank, all zeros, no such day or hour, a date without a time.
    """
    text = text.split("\0", 1)[0].strip()
    if not text.strip(" :-/"):
        raise ValueError("blank: the camera did not know the time")
    if not text.strip(" 0:-/.TtZz+"):
        raise ValueError("all zeros: the clock was not set")
    found = (_SPELLED.fullmatch(text) or _COMPACT.fullmatch(text)) if len(text) <= _LONGEST else None
    if not found:
        raise ValueError(f"{_quote(text)} is no date with a time")
    year, month, day, hour, minute, second = (int(found[part] or 0) for part in _PARTS)
    try:
        taken_at = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 (the camera's wall clock has no zone)
    except ValueError as error:
        raise ValueError(f"{_quote(text)} does not exist: {error}") from None
    if taken_at.year < _FIRST_YEAR:
        raise ValueError(f"{_quote(text)} is older than photography")
    return Moment(taken_at, _offset_or_unknown(found["zone"] or ""))


def read_offset(text: str) -> int | None:
    """Read an offset from UTC ("+05:30", "-5:00", "Z") in minutes east; None where the field is blank, which is legal.

    Raises ValueError with the reason.
    """
    text = text.split("\0", 1)[0].strip()
    if not text.strip(" :+-"):
        return None
    if text in {"Z", "z"}:
        return 0
    found = _OFFSET.fullmatch(text)
    if not found:
        raise ValueError(f"{_quote(text)} is no offset from UTC")
    minutes = int(found["hours"]) * 60 + int(found["minutes"] or 0)
    if minutes > _LARGEST_OFFSET or int(found["minutes"] or 0) >= 60:
        raise ValueError(f"{_quote(text)} is no offset that exists")
    return -minutes if found["sign"] == "-" else minutes


def _offset_or_unknown(text: str) -> int | None:
    """Read an offset as `read_offset` does, and take a bad one for an unknown one: the time it belongs to is good."""
    try:
        return read_offset(text)
    except ValueError:
        return None


def _quote(text: str) -> str:
    """Make a short, printable form of a value for a reason."""
    shown = ascii(text[:_LONGEST])
    return shown if len(text) <= _LONGEST else shown + "..."
