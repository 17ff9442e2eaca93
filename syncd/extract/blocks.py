"""What a walk over a picture's structure brings home: the blocks that hold metadata, and what is broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from syncd.extract.stream import Stream

BLOCK_LIMIT = 4 << 20
"""A larger block is no metadata of a camera (an APP1 segment has 64 KB) and is not looked at."""
TOTAL_LIMIT = 16 << 20
COUNT_LIMIT = 500
STEP_LIMIT = 2_000_000
"""After so many parts a structure is walked no further: only a file made for the purpose has more."""
ZEROS_THAT_TELL = 512
"""A file that was preallocated and not filled ends in at least one sector of zeros."""


class BlockKind(Enum):
    """Where a block of metadata lay, which decides how it is packed."""

    JPEG_APP1 = auto()
    PNG_EXIF = auto()
    PNG_TEXT = auto()
    """The data of a tEXt, zTXt or iTXt chunk, preceded by the four letters of its type."""
    WEBP_EXIF = auto()
    XMP_PACKET = auto()
    """XMP as it stands (WebP, GIF)."""


@dataclass(frozen=True, slots=True)
class Block:
    """The bytes of one block of metadata, still packed as its container packs it."""

    kind: BlockKind
    payload: bytes


@dataclass(slots=True)
class Findings:
    """What a walk has found so far."""

    blocks: list[Block] = field(default_factory=list)
    damage: str | None = None
    picture_known: bool = True
    """False where the structure could not be followed to its end, so that "without metadata" has no meaning."""
    _kept: int = 0

    def keep(self, kind: BlockKind, payload: bytes) -> None:
        """Keep a block, as long as they all stay within bounds."""
        if len(self.blocks) < COUNT_LIMIT and self._kept + len(payload) <= TOTAL_LIMIT:
            self.blocks.append(Block(kind, payload))
            self._kept += len(payload)

    def take(self, stream: Stream, kind: BlockKind, length: int, *, prefix: bytes = b"") -> bool:
        """Consume a block of metadata, keep it where its size is believable, and tell whether all of it was there."""
        if length > BLOCK_LIMIT:
            return stream.skip(length, picture=False)
        payload = stream.take(length, picture=False)
        self.keep(kind, prefix + payload)
        return len(payload) == length

    def give_up(self) -> None:
        """Stop following the structure, without a verdict on the picture."""
        self.picture_known = False

    def break_off(self, damage: str) -> None:
        """Call the picture damaged."""
        self.damage = damage
        self.picture_known = False

    def break_off_early(self, stream: Stream, missing: str, *, cut: bool = True) -> None:
        """Call the picture incomplete: `missing` says what should have come.

        A tail of zeros tells of a preallocated copy; else, with `cut`, the bytes simply ended.
        """
        stream.drain()
        if stream.zero_tail >= ZEROS_THAT_TELL:
            self.break_off(f"{missing}: the last {stream.zero_tail:,} of {stream.size:,} bytes are zeros")
        elif cut:
            self.break_off(f"{missing}: the file was cut at {stream.size:,} bytes")
        else:
            self.break_off(missing)
