"""Follows a JPEG from marker to marker (ITU-T T.81, annex B) up to the end of its first image. No pixel is decoded.

Trailing data is tolerated: the further images of an MPO, the video of a motion photo, Samsung's trailer, padding.
Where scan data is corrupt but goes on, the picture counts as whole as long as an end-of-image marker follows: decoders
show such pictures. The one scan of a sequential picture, as cameras make it, is the last of it: there only the end is
looked for, because to look at each byte for a marker takes half as long as the SHA-256.
"""

from __future__ import annotations

import re
from typing import Final

from syncd.extract.blocks import STEP_LIMIT, BlockKind, Findings
from syncd.extract.stream import Stream

# A marker that means something: not a stuffed zero (FF 00), fill (FF FF), TEM (FF 01) or a restart (FF D0 to FF D7).
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
_START: Final = 0xD8
_END: Final = 0xD9
_END_OF_IMAGE: Final = b"\xff\xd9"
_SCAN: Final = 0xDA
_APP1: Final = 0xE1
_METADATA: Final = frozenset({*range(0xE0, 0xF0), 0xFE})
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_WITH_LENGTH: Final = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0)}) | _METADATA
_NO_END: Final = "no end-of-image marker"


class _Walk:
    """The state of one walk: what has been seen of the image so far."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.findings = Findings()
        self.frame = False
        self.scan = False
        self.components = b""
        """How many a sequential frame has, in one byte."""
        self.last_scan = False
        """The scan that has begun holds the whole picture."""
        self.end_inside = False
        """An end marker lay inside what was taken for a segment between scans."""

    def follow(self) -> Findings:
        """Go from marker to marker until the image ends or the bytes do."""
        self.stream.skip(2)
        for _ in range(STEP_LIMIT):
            marker = self.stream.search(_MARKER, 2)
            if marker is None:
                if self.end_inside:
                    self.findings.give_up()
                else:
                    self.findings.break_off_early(self.stream, _NO_END if self.scan else "no picture data")
                return self.findings
            if marker[1] == _END:
                self._end()
                return self.findings
            self._segment(marker[1])
            if self.last_scan:
                if not self.stream.drain_past(_END_OF_IMAGE):
                    self.findings.break_off_early(self.stream, _NO_END)
                return self.findings
        self.findings.give_up()
        return self.findings

    def _end(self) -> None:
        position = self.stream.position
        self.stream.skip(2)
        if not self.scan:
            self.findings.break_off(f"the image ends at byte {position:,}, before any picture data")
        elif not self.frame:
            self.findings.break_off("no frame header: nothing says how large the picture is")

    def _segment(self, code: int) -> None:
        length = int.from_bytes(self.stream.peek(4)[2:], "big")
        if code not in _WITH_LENGTH or length < 2:
            self.stream.skip(2)
            if code != _START:
                self.findings.give_up()
            return
        whole = self.stream.peek(2 + length)
        if self.scan and len(whole) < 2 + length:
            # Noise in the scan data that looks like a marker: there is no such segment.
            self.stream.skip(2)
            self.findings.give_up()
            return
        self.frame |= code in _FRAMES
        if code in _FRAMES:
            self.components = whole[9:10] if code in _SEQUENTIAL else b""
        if self.scan and _END_OF_IMAGE in whole[4:]:
            self.end_inside = True
        if code == _APP1 and not self.scan:
            self.findings.keep(BlockKind.JPEG_APP1, whole[4:])
        self.last_scan = code == _SCAN and whole[4:5] == self.components != b""
        self.scan |= code == _SCAN
        self.stream.skip(2 + length, picture=code not in _METADATA)


def walk_jpeg(stream: Stream) -> Findings:
    """Walk the first image of a JPEG file."""
    return _Walk(stream).follow()
