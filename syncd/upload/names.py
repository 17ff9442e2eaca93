"""The names that a request carries: what a file is called on the wire, and the marker of the request. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from syncd.model import ImageType

STEM_LENGTH: Final = 60
_DIGEST_DIGITS: Final = 12
_MARKER_BYTES: Final = 8


def wire_name(name: bytes, digest: str, type: ImageType) -> str:  # noqa: A002 - the word of the model
    """Name a file for the request: its stem in ASCII, `-`, 12 digits of its digest, extension by content.

    Only letters, digits, `_` and `-` stay, so that no name can break a header, and no server can cut it at a dot.
    Two files of one request differ in their digests, hence in their names.
    """
    stem = name[: name.rindex(b".")] if b"." in name[1:] else name
    plain = unicodedata.normalize("NFKD", stem.decode("utf-8", "replace")).encode("ascii", "ignore").decode("ascii")
    safe = re.sub(r"[^A-Za-z0-9-]+", "_", plain).strip("_-")[:STEM_LENGTH].rstrip("_-")
    return f"{safe or 'photo'}-{digest[:_DIGEST_DIGITS]}.{type.value}"


def new_marker(random_bytes: bytes) -> str:
    """Make the marker of a request from at least 8 random bytes: `syncd-` and 16 hex digits."""
    if len(random_bytes) < _MARKER_BYTES:
        raise ValueError(f"a marker is made of {_MARKER_BYTES} random bytes, not {len(random_bytes)}")
    return "syncd-" + random_bytes[:_MARKER_BYTES].hex()
