"""The first read of a file: its digests, its type, whether its structure is whole, and its blocks of metadata."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from syncd.extract.blocks import Block, Findings
from syncd.extract.bmp import walk_bmp
from syncd.extract.formats import HEAD, name_foreign, recognise
from syncd.extract.gif import walk_gif
from syncd.extract.jpeg import walk_jpeg
from syncd.extract.png import walk_png
from syncd.extract.stream import CHUNK, Stream
from syncd.extract.webp import walk_webp
from syncd.model import ImageType, Unfit, UnfitCode

_WALKS: Final[Mapping[ImageType, Callable[[Stream], Findings]]] = {
    ImageType.JPEG: walk_jpeg,
    ImageType.PNG: walk_png,
    ImageType.GIF: walk_gif,
    ImageType.BMP: walk_bmp,
    ImageType.WEBP: walk_webp,
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the bytes are, before anything in them is interpreted."""

    digest: str
    picture_digest: str
    size: int
    type: ImageType | None
    unfit: Unfit | None
    checksum: str | None = None
    """XXH3-128 of all bytes, of a large file: by it is checked what is sent."""
    blocks: tuple[Block, ...] = ()


def read_fingerprint(fd: int, *, walk: bool = True, chunk: int = CHUNK) -> Fingerprint:
    """Read an open regular file from its start, once, whatever its offset. Raises OSError where it cannot be read.

    With `walk` off nothing is followed: no verdict on the structure, no metadata, no picture digest of its own.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise OSError("not a regular file")
    stream = Stream(lambda memory, offset: os.preadv(fd, [memory], offset), found.st_size, chunk=chunk)
    head = stream.peek(HEAD)
    kind = recognise(head)
    findings = _WALKS[kind](stream) if kind and walk else Findings(picture_known=False)
    stream.drain()
    digest = stream.digest()
    return Fingerprint(
        digest=digest,
        picture_digest=stream.picture_digest() if findings.picture_known else digest[:32],
        size=stream.size,
        type=kind,
        unfit=_judge(stream, head, kind, findings.damage),
        checksum=stream.checksum(),
        blocks=tuple(findings.blocks),
    )


def _judge(stream: Stream, head: bytes, kind: ImageType | None, damage: str | None) -> Unfit | None:
    if not stream.size:
        return Unfit(UnfitCode.EMPTY, "the file has no bytes")
    if stream.zero_tail == stream.size:
        return Unfit(UnfitCode.DAMAGED, f"all {stream.size:,} bytes are zeros")
    if kind is None:
        return Unfit(UnfitCode.FORMAT, name_foreign(head))
    return Unfit(UnfitCode.DAMAGED, damage) if damage else None
