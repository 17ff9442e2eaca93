"""What the worker is shown of a photo so that it finds its date, also where it does not know the format. Pure.

HEIC, CR3 and RAF hold an EXIF block like any JPEG, somewhere before the picture: it is cut out and shown as the head of
a JPEG. ORF and RW2 are TIFF but for their first bytes. All parsing is left to the worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_EXIF: Final = re.compile(rb"(?:Exif\0\0|CMT1)(?=II\*\0|MM\0\*)")
"""The sign before a TIFF header: of EXIF in JPEG and HEIC; of the box of Canon's CR3 that holds the main directory."""
_NEARLY_TIFF: Final = (b"IIRO", b"IIRS", b"IIU\0")
_TIFF: Final = b"II*\0"
_LONGEST: Final = 65_525
"""Bytes of a TIFF structure that one APP1 segment holds."""
_ATTEMPTS: Final = 3


def heads(head: bytes) -> Iterator[bytes]:
    """Give the first bytes of a file, and after them what else might show its date."""
    if head.startswith(_NEARLY_TIFF):
        yield _TIFF + head[4:]
    else:
        yield head
    if head.startswith(b"\xff\xd8"):
        return
    for found in list(_EXIF.finditer(head))[:_ATTEMPTS]:
        yield _as_jpeg(head[found.end() : found.end() + _LONGEST])


def _as_jpeg(tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + b"\xff\xd9"
