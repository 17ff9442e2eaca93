"""What kind of file it is, by its first bytes alone: an allow-list of five formats, and names for their look-alikes."""

from __future__ import annotations

from syncd.model import ImageType

HEAD = 64
"""How many of a file's first bytes `recognise` and `name_foreign` want to see."""

_BITMAP_HEADERS = range(12, 1025)

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"II*\0\x10\0\0\0CR", "Canon raw (CR2)"),
    (b"II*\0", "TIFF or a raw format built on it"),
    (b"MM\0*", "TIFF or a raw format built on it"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"IIU\0", "Panasonic raw (RW2)"),
    (b"IIRO", "Olympus raw (ORF)"),
    (b"IIRS", "Olympus raw (ORF)"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw (RAF)"),
    (b"\0MRM", "Minolta raw (MRW)"),
    (b"FOVb", "Sigma raw (X3F)"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"%PDF", "PDF"),
    (b"\0\0\x01\0", "icon (ICO)"),
    (b"\x8aMNG", "MNG"),
    (b"SIMPLE  =", "FITS"),
    (b"\x1aE\xdf\xa3", "video (Matroska or WebM)"),
    (b"OggS", "Ogg"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"Rar!", "RAR archive"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "HTML page"),
    (b"<!doctype", "HTML page"),
    (b"<html", "HTML page"),
    (b"<HTML", "HTML page"),
)
_BRANDS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"avif", b"avis"), "AVIF"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    ((b"crx ",), "Canon raw (CR3)"),
    ((b"qt  ",), "video (QuickTime)"),
)


def recognise(head: bytes) -> ImageType | None:
    """Name the format of a file that begins with `head`, where it is one that the service takes.

    APNG is PNG, and MPO is JPEG, to every reader that knows only the older format.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return ImageType.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageType.PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ImageType.WEBP
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ImageType.GIF
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return ImageType.BMP
    return None


def name_foreign(head: bytes) -> str:
    """Say what a file is that the service does not take, as far as its first bytes tell."""
    if head[4:8] == b"ftyp":
        brands = head[8:]
        for known, name in _BRANDS:
            if brands[:4] in known:
                return name
        return "video (MP4)"
    for start, name in _FOREIGN:
        if head.startswith(start):
            return name
    if head.startswith(b"RIFF"):
        return "video (AVI)" if head[8:12] == b"AVI " else "RIFF, but not WebP"
    if head.isascii() and all(byte >= 0x20 or byte in b"\t\n\r" for byte in head):
        return "text"
    return "no format that is known"
