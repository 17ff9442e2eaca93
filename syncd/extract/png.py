"""Follows a PNG (APNG is one) from chunk to chunk up to IEND. Checksums are left to those who decode."""

from __future__ import annotations

from typing import Final

from syncd.extract.blocks import STEP_LIMIT, BlockKind, Findings
from syncd.extract.stream import Stream

_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_METADATA: Final = _TEXTS | {b"eXIf", b"tIME"}
_LENGTH_LIMIT: Final = 0x7FFFFFFF
_NO_END: Final = "no IEND chunk"


def walk_png(stream: Stream) -> Findings:
    """Walk the chunks of a PNG file. What follows IEND is tolerated."""
    findings = Findings()
    stream.skip(8)
    pixels = False
    for _ in range(STEP_LIMIT):
        head = stream.peek(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8:
            findings.break_off_early(stream, _NO_END)
            return findings
        if not (kind.isalpha() and kind.isascii()) or length > _LENGTH_LIMIT:
            findings.break_off_early(stream, f"{_NO_END}, no valid chunk at byte {stream.position:,}", cut=False)
            return findings
        if kind == b"IHDR" and not _has_size(stream.peek(16)[8:]):
            findings.break_off("the header gives a width or height of 0")
            return findings
        if not _chunk(stream, findings, kind, length):
            findings.break_off_early(stream, f"the last chunk ({kind.decode('ascii')}) is not whole")
            return findings
        pixels |= kind == b"IDAT"
        if kind == b"IEND":
            if not pixels:
                findings.break_off("no picture data before IEND")
            return findings
    findings.give_up()
    return findings


def _has_size(sizes: bytes) -> bool:
    return any(sizes[:4]) and any(sizes[4:])


def _chunk(stream: Stream, findings: Findings, kind: bytes, length: int) -> bool:
    """Consume one chunk with its checksum and tell whether it was whole."""
    if kind not in _METADATA:
        return stream.skip(12 + length)
    stream.skip(8, picture=False)
    if kind == b"eXIf":
        whole = findings.take(stream, BlockKind.PNG_EXIF, length)
    elif kind in _TEXTS and _may_matter(stream.peek(24)):
        whole = findings.take(stream, BlockKind.PNG_TEXT, length, prefix=kind)
    else:
        whole = stream.skip(length, picture=False)
    return whole and stream.skip(4, picture=False)


def _may_matter(start: bytes) -> bool:
    """Tell whether a text chunk's keyword is one that holds XMP or EXIF."""
    return start.startswith((b"XML:com.adobe.xmp\0", b"Raw profile type "))
