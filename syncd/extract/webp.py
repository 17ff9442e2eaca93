"""Follows a WebP (RFC 9649) from chunk to chunk up to the length that its RIFF header promises.

Writing EXIF into a WebP changes the RIFF length and turns a simple file into an extended one. So the bytes of the
picture leave out the RIFF length, and the VP8X chunk of a still picture altogether: its size is that of the frame, and
its flags announce chunks that speak for themselves. An animation needs its canvas; only the flags are left out there.
"""

from __future__ import annotations

from typing import Final

from syncd.extract.blocks import STEP_LIMIT, ZEROS_THAT_TELL, BlockKind, Findings
from syncd.extract.stream import Stream

_IMAGES: Final = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_XMP: Final = frozenset({b"XMP ", b"XMP\0"})
_ANIMATED: Final = 0x02
_HEAD: Final = 8


class _Walk:
    """The state of one walk: how large the picture is, and where its last chunk ended."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.findings = Findings()
        self.pixels = 0
        self.lossless = False
        self.picture_end = 0

    def follow(self) -> Findings:
        """Go from chunk to chunk up to the promised length."""
        end = _HEAD + int.from_bytes(self.stream.peek(_HEAD)[4:], "little")
        self.stream.skip(12, picture=False)
        for _ in range(STEP_LIMIT):
            if end - self.stream.position < _HEAD:
                self._finish()
                return self.findings
            head = self.stream.peek(_HEAD)
            if len(head) < _HEAD or not self._chunk(head[:4], int.from_bytes(head[4:], "little")):
                self.findings.break_off_early(self.stream, f"the header promises {end:,} bytes")
                return self.findings
        self.findings.give_up()
        return self.findings

    def _chunk(self, kind: bytes, length: int) -> bool:
        """Consume one chunk and tell whether it was whole; the byte that pads an odd length may be missing."""
        if not kind.strip(b"\0"):
            return False
        padded = length + length % 2
        if kind in _XMP or kind == b"EXIF":
            self.stream.skip(_HEAD, picture=False)
            whole = self.findings.take(
                self.stream, BlockKind.XMP_PACKET if kind in _XMP else BlockKind.WEBP_EXIF, length
            )
            self.stream.skip(length % 2, picture=False)
            return whole
        start = self.stream.peek(_HEAD + 32)[_HEAD:]
        if kind == b"VP8X":
            return self._canvas(start, padded)
        if kind in _IMAGES:
            self._size(kind, start)
        if not self.stream.skip(_HEAD + length):
            return False
        self.stream.skip(length % 2)
        if kind in _IMAGES:
            self.picture_end = self.stream.position
        return True

    def _canvas(self, start: bytes, padded: int) -> bool:
        if not start or not start[0] & _ANIMATED:
            return self.stream.skip(_HEAD + padded, picture=False)
        width, height = int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
        self.pixels = width * height
        self.stream.skip(_HEAD + 1, picture=False)
        return self.stream.skip(padded - 1)

    def _size(self, kind: bytes, start: bytes) -> None:
        if kind == b"VP8 ":
            width = int.from_bytes(start[6:8], "little") & 0x3FFF
            height = int.from_bytes(start[8:10], "little") & 0x3FFF
            self.pixels = max(self.pixels, width * height)
        else:
            self.lossless = True
            if kind == b"VP8L":
                bits = int.from_bytes(start[1:5], "little")
                self.pixels = max(self.pixels, ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1))

    def _finish(self) -> None:
        """Judge the end: a preallocated copy has the promised length, and zeros where pixels should be.

        A large flat picture ends in zeros too. Measured with libwebp, they are less than one byte for a macroblock
        of 256 pixels; without loss no pixel costs less than a bit unless it costs nothing.
        """
        if not self.picture_end:
            self.findings.break_off("no picture data")
            return
        self.stream.drain()
        zeros = self.stream.zero_tail - (self.stream.size - self.picture_end)
        if zeros > ZEROS_THAT_TELL + self.pixels // (8 if self.lossless else 256):
            self.findings.break_off(f"the last {zeros:,} of {self.stream.size:,} bytes are zeros")


def walk_webp(stream: Stream) -> Findings:
    """Walk the chunks of a WebP file."""
    return _Walk(stream).follow()
