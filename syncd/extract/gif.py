"""Follows a GIF (89a) from block to block up to its trailer.

A GIF whose only fault is a missing trailer is fit: many writers leave it out, and every decoder shows the picture. The
bytes must then end right behind a whole image. A cut between two frames of an animation can therefore not be told.
"""

from __future__ import annotations

from typing import Final

from syncd.extract.blocks import BLOCK_LIMIT, STEP_LIMIT, BlockKind, Findings
from syncd.extract.stream import Stream

_EXTENSION: Final = 0x21
_IMAGE: Final = 0x2C
_TRAILER: Final = 0x3B
_XMP: Final = b"\x0bXMP DataXMP"
_WINDOW: Final = 1 << 16
_PADDING_THAT_TELLS: Final = 16
_TABLE: Final = 0x80


class _Walk:
    """The state of one walk: how many images were whole, and how many more parts it may look at."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.findings = Findings(picture_known=False)
        self.images = 0
        self.padding = 0
        self.budget = STEP_LIMIT

    def follow(self) -> Findings:
        """Go from block to block until the trailer, or to where there is none."""
        flags = self.stream.peek(13)[10:11]
        if not flags or not self.stream.skip(13 + _table(flags[0])):
            self.findings.break_off_early(self.stream, "no picture data")
            return self.findings
        while self.budget > 0:
            self.budget -= 1
            introducer = self.stream.peek(1)
            if not introducer or introducer[0] not in {0, _EXTENSION, _IMAGE}:
                self._end(introducer)
                return self.findings
            if not self._block(introducer[0]):
                self.findings.break_off_early(self.stream, "an image or extension is not whole")
                return self.findings
        return self.findings

    def _end(self, introducer: bytes) -> None:
        if not self.images:
            self.findings.break_off_early(self.stream, "no picture data", cut=not introducer)
        elif introducer == bytes([_TRAILER]):
            self.stream.skip(1)
        elif self.padding >= _PADDING_THAT_TELLS and not introducer:
            self.findings.break_off_early(self.stream, "no trailer")

    def _block(self, introducer: int) -> bool:
        if introducer == 0:
            return self._step_over_padding()
        self.padding = 0
        if introducer == _EXTENSION:
            is_xmp = self.stream.peek(14)[2:] == _XMP
            return self.stream.skip(2) and self._sub_blocks(keep=is_xmp)
        descriptor = self.stream.peek(10)
        if len(descriptor) < 10 or not self.stream.skip(11 + _table(descriptor[9])):
            return False
        whole = self._sub_blocks(keep=False)
        self.images += whole
        return whole

    def _step_over_padding(self) -> bool:
        """Step over zeros between blocks, as decoders do. A preallocated copy has nothing else up to its end."""
        window = self.stream.peek(_WINDOW)
        zeros = len(window) - len(window.lstrip(b"\0"))
        self.padding += zeros
        return self.stream.skip(zeros)

    def _sub_blocks(self, *, keep: bool) -> bool:
        """Consume a run of sub-blocks up to the empty one that ends it, and tell whether that one came."""
        kept = bytearray()
        while window := self.stream.peek(_WINDOW):
            at = 0
            while at < len(window) and window[at] and self.budget > 0:
                at += 1 + window[at]
                self.budget -= 1
            ended = at < len(window) and not window[at]
            if keep and len(kept) < BLOCK_LIMIT:
                kept += window[:at]
            if not self.stream.skip(at + ended):
                return False
            if ended or self.budget <= 0:
                if kept:
                    self.findings.keep(BlockKind.XMP_PACKET, bytes(kept[len(_XMP) :]))
                return True
        return False


def _table(flags: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << (flags & 7) + 1 if flags & _TABLE else 0


def walk_gif(stream: Stream) -> Findings:
    """Walk the blocks of a GIF file."""
    return _Walk(stream).follow()
