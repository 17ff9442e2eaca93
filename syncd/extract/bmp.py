"""Tells whether the pixels that a BMP's header announces can all be in the file. Its size field is not trusted.

What cannot be computed (run lengths, embedded JPEG or PNG, unknown depths, odd headers) counts as fit. A preallocated
copy that ends in zeros cannot be told from a picture that is black there.
"""

from __future__ import annotations

import struct
from typing import Final

from syncd.extract.blocks import Findings
from syncd.extract.stream import Stream

_LEAST: Final = 18
"""Bytes up to the length of the second header."""
_CORE: Final = 12
_INFO: Final = 40
_OS2_SHORT: Final = 16
_UNPACKED: Final = frozenset({0, 3, 6})
"""BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS."""
_DEPTHS: Final = frozenset({1, 2, 4, 8, 16, 24, 32, 64})


def walk_bmp(stream: Stream) -> Findings:
    """Compare a BMP's header with the length of the file."""
    findings = Findings(picture_known=False)
    head = stream.peek(54)
    stream.drain()
    if len(head) < _LEAST:
        findings.break_off_early(stream, "the header is incomplete")
        return findings
    offset, header = struct.unpack_from("<II", head, 10)
    needed = _pixel_bytes(head, header)
    if needed == 0:
        findings.break_off("the header gives a width or height of 0")
    elif needed is None and stream.size <= 14 + header:
        findings.break_off_early(stream, "no picture data")
    elif needed is not None:
        start = max(offset, 14 + header)
        if start + needed > stream.size:
            findings.break_off_early(stream, f"the picture needs {start + needed:,} bytes")
    return findings


def _pixel_bytes(head: bytes, header: int) -> int | None:
    """Bytes of the pixels without the padding of the last row; None where that cannot be computed."""
    width: int
    height: int
    depth: int
    compression = 0
    if header == _CORE and len(head) >= 14 + _CORE:
        width, height, _planes, depth = struct.unpack_from("<HHHH", head, 18)
    elif header >= _OS2_SHORT and len(head) >= 14 + _OS2_SHORT:
        width, height, _planes, depth = struct.unpack_from("<iiHH", head, 18)
        if header >= _INFO and len(head) >= 14 + _INFO:
            (compression,) = struct.unpack_from("<I", head, 30)
    else:
        return None
    if depth not in _DEPTHS or compression not in _UNPACKED or width < 0:
        return None
    if not (width and height):
        return 0
    row = (width * depth + 7) // 8
    padded = (row + 3) // 4 * 4
    return padded * (abs(height) - 1) + row
