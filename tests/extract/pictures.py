"""Small pictures of every format, and EXIF blocks of every shape, made in memory."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from syncd.extract.stream import Stream

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus"

Entry = tuple[int, int, int, bytes]
"""Tag, format, count, value."""


def corpus() -> Path:
    if not (CORPUS / "manifest.tsv").exists():
        pytest.skip("the corpus does not lie beside the checkout (../shared/corpus)")
    return CORPUS


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A picture that does not compress, so that its files are mostly pixels."""
    width, height = size
    return Image.frombytes(mode, size, random.Random(7).randbytes(width * height * len(mode)))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    packed = io.BytesIO()
    image.save(packed, kind, **options)
    return packed.getvalue()


def jpeg(size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    return saved(noise(size), "JPEG", **options)


def png(size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    return saved(noise(size), "PNG", **options)


def webp(size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    return saved(noise(size), "WEBP", **options)


def gif(size: tuple[int, int] = (64, 48), frames: int = 1) -> bytes:
    first, *others = (noise(size).rotate(90 * turn).quantize(64) for turn in range(frames))
    return saved(first, "GIF", save_all=True, append_images=others, optimize=False)


def bmp(size: tuple[int, int] = (64, 48)) -> bytes:
    return saved(noise(size), "BMP")


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg_with(*segments: bytes, picture: bytes | None = None) -> bytes:
    """A JPEG with segments right behind its SOI."""
    picture = picture or jpeg()
    return picture[:2] + b"".join(segments) + picture[2:]


def exif_segment(block: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + block)


def xmp_segment(packet: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_with(*chunks: bytes, late: bool = False) -> bytes:
    """A PNG with chunks behind its header, or late: behind its pixels."""
    picture = png()
    at = picture.index(b"IEND") - 4 if late else 33
    return picture[:at] + b"".join(chunks) + picture[at:]


def text(tag: int, value: bytes) -> Entry:
    return (tag, 2, len(value), value)


def rationals(tag: int, *pairs: tuple[int, int], order: str = ">") -> Entry:
    return (tag, 5, len(pairs), b"".join(struct.pack(order + "II", *pair) for pair in pairs))


def exif(ifd0: Sequence[Entry] = (), inner: Sequence[Entry] = (), gps: Sequence[Entry] = (), order: str = ">") -> bytes:
    """A block with a TIFF header and up to three directories, every value behind its directory."""
    header = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    pointers = [(0x8769, inner), (0x8825, gps)]
    entries = [*ifd0, *((tag, 4, 1, b"\0\0\0\0") for tag, directory in pointers if directory)]
    body = directory(entries, 8, order)
    for tag, wanted in pointers:
        if wanted:
            start = 8 + len(body)
            at = 2 + 12 * [entry[0] for entry in entries].index(tag) + 8
            body = body[:at] + struct.pack(order + "I", start) + body[at + 4 :] + directory(wanted, start, order)
    return header + body


def directory(entries: Sequence[Entry], start: int, order: str = ">") -> bytes:
    head = struct.pack(order + "H", len(entries))
    values = b""
    after = start + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        inside = value.ljust(4, b"\0")
        if len(value) > 4:
            inside = struct.pack(order + "I", after + len(values))
            values += value + b"\0" * (len(value) % 2)
        head += struct.pack(order + "HHI", tag, kind, count) + inside
    return head + b"\0\0\0\0" + values


def xmp(*properties: str, attributes: str = "") -> bytes:
    """A packet with one description: `properties` are elements."""
    namespaces = " ".join(
        f'xmlns:{prefix}="{uri}"'
        for prefix, uri in {
            "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
            "exif": "http://ns.adobe.com/exif/1.0/",
            "xmp": "http://ns.adobe.com/xap/1.0/",
            "tiff": "http://ns.adobe.com/tiff/1.0/",
            "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        }.items()
    )
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {namespaces}><rdf:Description rdf:about="" {attributes}>{"".join(properties)}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def stream_of(content: bytes, chunk: int = 1 << 20) -> Stream:
    return Stream(reading(content), len(content), chunk=chunk)


def reading(content: bytes) -> Callable[[memoryview, int], int]:
    """Read from a file that has such bytes, as os.preadv does."""

    def read(memory: memoryview, offset: int) -> int:
        found = content[offset : offset + len(memory)]
        memory[: len(found)] = found
        return len(found)

    return read


@contextmanager
def opened(content: bytes, folder: Path, name: str = "file") -> Iterator[int]:
    path = folder / name
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
