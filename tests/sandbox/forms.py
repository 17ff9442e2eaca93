"""Builds pictures and multipart bodies byte by byte, so that a test can also build wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BOUNDARY = "b0undary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
STARTS = {
    "jpg": b"\xff\xd8\xff\xe0",
    "png": b"\x89PNG\r\n\x1a\n",
    "gif": b"GIF89a",
    "bmp": b"BM",
    "webp": b"RIFF\x10\x00\x00\x00WEBP",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of a request."""

    name: str = "photo.jpg"
    content: bytes = STARTS["jpg"] + b"the rest"
    content_type: str = "image/jpeg"


def picture(seed: str = "", kind: str = "jpg") -> bytes:
    """Bytes that begin like a picture, different for each seed."""
    return STARTS[kind] + b"\x00" * 8 + seed.encode()


def part(headers: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"


def field(name: str, value: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value.encode())


def file(sent: Sent) -> bytes:
    return part(
        f'Content-Disposition: form-data; name="files"; filename="{sent.name}"\r\nContent-Type: {sent.content_type}',
        sent.content,
    )


def body(fields: Sequence[tuple[str, str]] = (), files: Sequence[Sent] = (Sent(),)) -> bytes:
    parts = [field(name, value) for name, value in fields] + [file(sent) for sent in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
