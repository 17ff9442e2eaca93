"""How names of files and foreign texts become something that is safe to show. Pure.

The ledger keeps what arrived; this is for the border where a person, a terminal or a log reads it.
"""

from __future__ import annotations

import os
import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, limit: int | None = None) -> str:
    r"""Give the text with everything that could act on a terminal or break a line as \xNN or \uNNNN.

    Controls (C0, C1, DEL), format characters (bidirectional overrides, zero width), lone surrogates, private and
    unassigned code points are escaped. `limit` cuts the result to that many characters, with an ellipsis.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escape(c) if unicodedata.category(c) in _UNSAFE_CATEGORIES else c for c in text)
    if limit is not None and len(text) > limit:
        return text[: limit - 1] + "…"
    return text


def path_text(path: bytes) -> str:
    r"""Give a path as text to show: UTF-8 where it is, every other byte as \xNN."""
    return printable(os.fsdecode(path))


def path_json(path: bytes) -> str:
    r"""Give a path as a string for JSON: bytes that are not UTF-8 become surrogate escapes (\udcNN)."""
    return os.fsdecode(path)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as os.fsdecode carries it
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
