"""Photos and names made wrong on purpose: each case is a function of a seed and a number, and nothing else."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from tests.extract.pictures import (
    bmp,
    chunk,
    exif,
    exif_segment,
    gif,
    jpeg,
    jpeg_with,
    noise,
    png_with,
    rationals,
    saved,
    segment,
    text,
    webp,
    xmp,
    xmp_segment,
)

PAYLOADS: Final = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\x1b[31m\x1b]0;owned\x07",
    "\x9b31m\x90q\x9c",
    "=cmd|' -C calc'!A0",
    "+1+1",
    "@SUM(1)",
    "-2+3",
    "\ta\r\nX-Injected: 1\r\n\r\n",
    "\u202egpj.exe\u2066\u200b\ufeff",
    "a\0b",
    "{{7*7}}${7*7}%s%n",
    "a,b;c|d",
    "\u2028line\u2029",
    "syncd-0123456789abcdef",
    "x" * 400,
)
"""What acts on a page, a terminal, a spreadsheet, a header, a line or a template, if somebody lets it."""
INTERESTING: Final = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
_SMALL: Final = (16, 12)

Operation = Callable[[random.Random, bytearray], None]


def _block(order: str, model: bytes = b"Canon EOS R5") -> bytes:
    degrees = ((47, 1), (30, 1), (1234, 100))
    return exif(
        [text(0x0110, model), text(0x0132, b"2024:05:06 07:08:09\0")],
        [text(0x9003, b"2024:05:06 07:08:09\0"), text(0x9011, b"+02:00\0"), text(0x9004, b"2023:01:01 00:00:00\0")],
        [
            text(1, b"N\0"), rationals(2, *degrees, order=order),
            text(3, b"W\0"), rationals(4, *degrees, order=order),
        ],
        order,
    )  # fmt: skip


def _packet() -> bytes:
    return xmp(
        "<exif:DateTimeOriginal>2024-05-06T07:08:09+02:00</exif:DateTimeOriginal>",
        "<photoshop:DateCreated>2024-05-06</photoshop:DateCreated>",
        "<tiff:Model>Pixel 8</tiff:Model>",
        attributes='exif:GPSLatitude="47,30.5N" exif:GPSLongitude="8,30.25E" xmp:CreateDate="2024-05-06T07:08:09"',
    )


@cache
def bases() -> Mapping[str, bytes]:
    """Sound files of every container, with metadata in every place where a reader looks for it."""
    small = jpeg(_SMALL)
    raw = _block(">")
    profile = b"\nexif\n%8d\n" % (len(raw) + 6) + (b"Exif\0\0" + raw).hex().encode() + b"\n"
    image = noise(_SMALL)
    xmp_in_gif = b"!\xff\x0bXMP DataXMP" + _packet() + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    plain_gif = gif(_SMALL)
    deep = b"<x>" * 9000 + _packet() + b"</x>" * 9000
    bomb = b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(20_000_000), 9)
    return {
        "jpeg deep": jpeg_with(xmp_segment(deep[:65_000]), picture=small),
        "png bomb": png_with(chunk(*bomb)),
        "jpeg": jpeg_with(exif_segment(raw), picture=small),
        "jpeg little": jpeg_with(exif_segment(_block("<")), xmp_segment(_packet()), picture=small),
        "jpeg xmp": jpeg_with(segment(0xE0, b"JFIF\0" + bytes(9)), xmp_segment(_packet()), picture=small),
        "jpeg large": jpeg_with(exif_segment(raw), picture=jpeg((64, 48), progressive=True)),
        "png": png_with(chunk(b"eXIf", raw), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _packet())),
        "png late": png_with(chunk(b"tEXt", b"Raw profile type exif\0" + profile), late=True),
        "webp": webp(_SMALL, exif=b"Exif\0\0" + raw, xmp=_packet()),
        "webp moving": saved(image, "WEBP", save_all=True, append_images=[image.rotate(90)], exif=raw),
        "gif": plain_gif[:-1] + xmp_in_gif + plain_gif[-1:],
        "gif moving": gif(_SMALL, frames=3),
        "bmp": bmp(_SMALL),
        "tiff": saved(image, "TIFF", exif=raw),
    }  # fmt: skip


def photo(seed: int, number: int) -> tuple[str, bytes]:
    """Give case `number` of a seed: from which base it comes, and its bytes."""
    rng = random.Random(f"photo {seed} {number}")
    name = rng.choice(list(bases()))
    content = bytearray(bases()[name])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 12))):
        rng.choice(_OPERATIONS)(rng, content)
    return name, bytes(content)


def name(seed: int, number: int) -> bytes:
    """Give a name of a file: any bytes but the slash and NUL, 1 to 255 of them."""
    rng = random.Random(f"name {seed} {number}")
    parts = [rng.choice(_NAME_PARTS)(rng) for _ in range(rng.randint(1, 4))]
    found = b"".join(parts).replace(b"/", b"_").replace(b"\0", b"_")
    return found[: rng.choice((255, 40, 251))] + rng.choice((b".jpg", b".JPEG", b"", b".")) or b"_"


def _place(rng: random.Random, content: bytearray) -> int:
    """Choose where to strike: mostly in the first kilobyte, where containers keep what is said about the picture."""
    return rng.randrange(min(len(content), rng.choice((64, 1024, 1 << 30))) or 1)


def _flip(rng: random.Random, content: bytearray) -> None:
    if content:
        content[_place(rng, content)] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, content: bytearray) -> None:
    form = rng.choice(("B", ">H", "<H", ">I", "<I"))
    value = rng.choice(INTERESTING) & (256 ** struct.calcsize(form) - 1)
    at = _place(rng, content)
    content[at : at + struct.calcsize(form)] = struct.pack(form, value)


def _cut(rng: random.Random, content: bytearray) -> None:
    del content[_place(rng, content) :]


def _remove(rng: random.Random, content: bytearray) -> None:
    at = _place(rng, content)
    del content[at : at + rng.choice((1, 2, 4, 12, 200))]


def _repeat(rng: random.Random, content: bytearray) -> None:
    at = _place(rng, content)
    content[at:at] = content[at : at + rng.choice((1, 4, 12, 300))] * rng.choice((1, 2, 50))


def _insert(rng: random.Random, content: bytearray) -> None:
    at = _place(rng, content)
    content[at:at] = rng.randbytes(rng.choice((1, 2, 4, 100)))


def _zeros(rng: random.Random, content: bytearray) -> None:
    at = _place(rng, content)
    content[at:] = bytes(len(content) - at)


def _speak(rng: random.Random, content: bytearray) -> None:
    """Put a hostile text where a sound one stood, as long as it or longer."""
    payload = rng.choice(PAYLOADS).encode(rng.choice(("utf-8", "utf-16-le", "utf-16-be")), "surrogatepass")
    for known in rng.sample((b"Canon EOS R5", b"Pixel 8", b"2024", b"07:08:09", b"+02:00", b"47,30.5N", b"rdf:"), 3):
        at = content.find(known)
        if at >= 0:
            content[at : at + (len(known) if rng.random() < 0.5 else len(payload))] = payload
            return


def _splice(rng: random.Random, content: bytearray) -> None:
    other = rng.choice(list(bases().values()))
    at = rng.randrange(len(other))
    content[_place(rng, content) :] = other[at:]


_OPERATIONS: Final[tuple[Operation, ...]] = (
    *(_flip, _flip, _overwrite, _overwrite, _overwrite, _speak, _speak),
    *(_cut, _remove, _repeat, _insert, _zeros, _splice),
)
_NAME_PARTS: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    lambda rng: rng.randbytes(rng.randint(1, 40)),
    lambda rng: rng.choice(PAYLOADS).encode("utf-8", "surrogatepass"),
    lambda rng: "".join(chr(rng.choice((rng.randrange(0x300), rng.randrange(0x110000)))) for _ in range(8)).encode(
        "utf-8", "surrogatepass"
    ),
    lambda rng: rng.choice((b"IMG_0001", b"-rf", b"--config", b"..", b" ", b"%00", b"con", b"~", b"$(id)", b"{trip}")),
)
