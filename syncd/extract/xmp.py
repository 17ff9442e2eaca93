"""The XMP properties that syncd wants, by their names, and whether a packet may hold one of them. Pure over bytes.

Apart from what reads a packet (`packet`): most files have none that is needed, and an XML parser takes long to import.
"""

from __future__ import annotations

from typing import Final

DATES: Final = (
    "exif:DateTimeOriginal",
    "photoshop:DateCreated",
    "exif:DateTimeDigitized",
    "xmp:CreateDate",
    "tiff:DateTime",
    "xmp:ModifyDate",
)
"""Where a packet says when the photo was taken, in the order of belief (corpus README, as ExifTool names them)."""
MODEL: Final = "tiff:Model"
LATITUDE: Final = "exif:GPSLatitude"
LONGITUDE: Final = "exif:GPSLongitude"


def mentions(packet: bytes, names: tuple[str, ...]) -> bool:
    """Tell cheaply whether a packet may hold one of these properties, in whatever encoding. Parsing costs far more."""
    squeezed = packet.replace(b"\0", b"") if b"\0" in packet else packet
    return any(name.partition(":")[2].encode("ascii") in squeezed for name in names)
