"""A bounded reader of the dozen EXIF tags that syncd wants, from a block that begins with a TIFF header.

It judges broken directories as ExifTool does, because that is what people compare with: a directory that does not fit
into the block is not read at all, an entry that points outside is skipped, too many bad entries end a directory.
Pillow's reader takes ten times as long, because it looks at every tag.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

MODEL: Final = 0x0110
DATE_TIME: Final = 0x0132
DATE_TIME_ORIGINAL: Final = 0x9003
DATE_TIME_DIGITIZED: Final = 0x9004
OFFSET_TIME: Final = 0x9010
OFFSET_TIME_ORIGINAL: Final = 0x9011
OFFSET_TIME_DIGITIZED: Final = 0x9012
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE = 1, 2, 3, 4
_EXIF_DIRECTORY: Final = 0x8769
_GPS_DIRECTORY: Final = 0x8825

TEXTS: Final = frozenset(
    {
        MODEL,
        DATE_TIME,
        DATE_TIME_ORIGINAL,
        DATE_TIME_DIGITIZED,
        OFFSET_TIME,
        OFFSET_TIME_ORIGINAL,
        OFFSET_TIME_DIGITIZED,
    }
)
_MAIN: Final = TEXTS | {_EXIF_DIRECTORY, _GPS_DIRECTORY}
_GPS: Final = frozenset({LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE})

_SIZES: Final = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
"""Bytes of one value, by the format code of TIFF 6.0; 13 is an offset of a directory."""
_BYTES, _ASCII, _UNDEFINED = 1, 2, 7
_RATIONALS: Final = frozenset({5, 10})
_NUMBERS: Final[Mapping[int, str]] = {
    1: "B", 3: "H", 4: "I", 5: "I", 6: "b", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d", 13: "I"
}  # fmt: skip
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(?:\.\d{0,20})?", re.ASCII)
_MOST_COMPLAINTS: Final = 10
_HEADER: Final = 8
"""Bytes of the TIFF header."""


@dataclass(frozen=True, slots=True)
class Exif:
    """The tags found, by number. Texts end at their first NUL; a rational that divides by zero is not a number."""

    texts: Mapping[int, str] = field(default_factory=dict)
    references: Mapping[int, str] = field(default_factory=dict)
    coordinates: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Value:
    format: int
    raw: bytes


def read_exif(block: bytes) -> Exif | None:
    """Read IFD0, the Exif directory and the GPS directory. None where the block has no valid TIFF header."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < _HEADER:
        return None
    (start,) = struct.unpack_from(order + "I", block, 4)
    if start < _HEADER:
        return None
    main = dict(_directory(block, order, start, _MAIN))
    if pointer := _pointer(main.get(_EXIF_DIRECTORY), order):
        main.update(_directory(block, order, pointer, TEXTS | {_GPS_DIRECTORY}))
    gps: dict[int, _Value] = {}
    if pointer := _pointer(main.get(_GPS_DIRECTORY), order):
        gps.update(_directory(block, order, pointer, _GPS))
    return Exif(
        texts={tag: text for tag in TEXTS & main.keys() if (text := _text(main[tag])) is not None},
        references={tag: text for tag in (LATITUDE_REF, LONGITUDE_REF) if (text := _text(gps.get(tag))) is not None},
        coordinates={tag: _numbers(gps[tag], order) for tag in (LATITUDE, LONGITUDE) if tag in gps},
    )


def _directory(block: bytes, order: str, start: int, wanted: frozenset[int]) -> Iterator[tuple[int, _Value]]:
    """Yield the wanted entries of a directory, under ExifTool's rules (Exif.pm, ProcessExif)."""
    if start + 2 > len(block):
        return
    (count,) = struct.unpack_from(order + "H", block, start)
    end = start + 2 + 12 * count
    if end > len(block) or len(block) - end in {1, 3}:
        return
    complaints = 0
    entries = struct.iter_unpack(order + "HHI4s", memoryview(block)[start + 2 : end])
    for index, (tag, kind, number, inside) in enumerate(entries):
        if complaints > _MOST_COMPLAINTS:
            return
        if not 0 < kind < len(_SIZES):
            if index == 0 and (tag or kind or number):
                return
            complaints += bool(kind)
            continue
        raw = _raw(block, inside, number * _SIZES[kind], range(start, end), order)
        if raw is None:
            complaints += 1
        elif tag in wanted:
            yield tag, _Value(kind, raw)


def _raw(block: bytes, inside: bytes, size: int, directory: range, order: str) -> bytes | None:
    """Find the bytes of a value, inside its entry or elsewhere; not in the header, nor in the directory itself."""
    if size <= len(inside):
        return inside[:size]
    offset = int.from_bytes(inside, "little" if order == "<" else "big")
    overlaps = offset < directory.stop and offset + size > directory.start
    if offset < _HEADER or overlaps or offset + size > len(block):
        return None
    return block[offset : offset + size]


def _pointer(value: _Value | None, order: str) -> int | None:
    """Take the offset out of a pointer to a directory; some writers use a short for it."""
    if value is None:
        return None
    numbers = _numbers(value, order)
    return int(numbers[0]) if numbers and math.isfinite(numbers[0]) and numbers[0] > 0 else None


def _text(value: _Value | None) -> str | None:
    if value is None or value.format not in {_BYTES, _ASCII, _UNDEFINED}:
        return None
    return value.raw.split(b"\0", 1)[0].decode("utf-8", "replace").replace("\ufffd", "?")


def _numbers(value: _Value, order: str) -> tuple[float, ...]:
    """Take the first three numbers of a value, whatever its format; also those of a text ("51.5")."""
    if value.format == _ASCII:
        return tuple(float(found) for found in _NUMBER.findall(_text(value) or "")[:3])
    letter = _NUMBERS.get(value.format)
    if letter is None:
        return ()
    rational = value.format in _RATIONALS
    count = min(len(value.raw) // _SIZES[value.format], 3)
    numbers = struct.unpack_from(f"{order}{count * 2 if rational else count}{letter}", value.raw)
    if not rational:
        return tuple(map(float, numbers))
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / below if below else math.nan for above, below in pairs)
