"""The few XMP properties that syncd wants, out of a packet (ISO 16684-1). Pure over bytes.

Packets in the wild are cut, padded and wrongly encoded: what was read before an error counts. Document types and
entities are refused (defusedxml), so that a packet cannot grow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.sax import SAXException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from syncd.extract.xmp import DATES, LATITUDE, LONGITUDE, MODEL

_WANTED: Final = frozenset({*DATES, MODEL, LATITUDE, LONGITUDE})
_PREFIXES: Final[Mapping[str, str]] = {
    "http://ns.adobe.com/exif/1.0": "exif",
    "http://ns.adobe.com/photoshop/1.0": "photoshop",
    "http://ns.adobe.com/xap/1.0": "xmp",
    "http://ns.adobe.com/tiff/1.0": "tiff",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns": "rdf",
}
_CONTAINERS: Final = frozenset({"rdf:Seq", "rdf:Bag", "rdf:Alt", "rdf:li"})
_LONGEST: Final = 1000
"""Characters of a value; no date, model or coordinate has more."""
_DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")


class _Properties(ContentHandler):
    """Collects the wanted properties that stand right below a top-level rdf:Description."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        self._above: list[str] = []
        self._property: int | None = None
        """The depth of the property that is being read."""
        self._simple = True
        self._text = ""

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 (named by xml.sax)
        for attribute, value in attrs.items():
            if attribute.startswith("xmlns:"):
                known = _PREFIXES.get(value.strip().rstrip("/#").lower())
                self._prefixes[attribute[6:]] = known or attribute[6:]
        name = self._standard(name)
        if self._property is not None:
            self._simple &= name in _CONTAINERS
        elif name == "rdf:Description":
            for attribute, value in attrs.items():
                self._add(self._standard(attribute), value)
        elif self._above and self._above[-1] == "rdf:Description":
            self._property, self._simple, self._text = len(self._above), True, ""
        self._above.append(name)

    def characters(self, content: str) -> None:
        if self._property is not None and len(self._text) <= _LONGEST:
            self._text += content

    def endElement(self, name: str) -> None:  # noqa: N802 (named by xml.sax)
        name = self._above.pop()
        if self._property is None:
            return
        if len(self._above) == self._property:
            if self._simple:
                self._add(name, self._text)
            self._property = None
        elif name == "rdf:li" and self._text.strip():
            # Of several values the first counts.
            self._add(self._above[self._property], self._text)

    def _add(self, name: str, value: str) -> None:
        value = value.strip()
        if name in _WANTED and value and len(value) <= _LONGEST:
            self.found.setdefault(name, value)

    def _standard(self, name: str) -> str:
        prefix, colon, local = name.partition(":")
        return f"{self._prefixes.get(prefix, prefix)}:{local}" if colon else name


def read_properties(packet: bytes) -> dict[str, str]:
    """Read the wanted properties of a packet, by their usual names ("exif:GPSLatitude"). Never raises for bad XML."""
    handler = _Properties()
    parser = make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(handler)
    try:
        parser.feed(_as_utf8(packet))
        parser.close()
    except (SAXException, DefusedXmlException):
        pass  # what was read before the error stays
    return handler.found


def _as_utf8(packet: bytes) -> bytes:
    """Bring a packet from its first "<" on into UTF-8, whatever its encoding; undecodable bytes become U+FFFD."""
    start = packet.find(b"<")
    if start < 0:
        return b""
    encoding, width = "utf-8", 1
    if packet[start + 1 : start + 2] == b"\0":
        width = 4 if packet[start + 1 : start + 4] == b"\0\0\0" else 2
        big = start >= width - 1 and not packet[start - width + 1 : start].strip(b"\0") and start > 0
        encoding = f"utf-{width * 8}-{'be' if big else 'le'}"
        start -= width - 1 if big else 0
    text = packet[start:].decode(encoding, "replace")
    return _DECLARATION.sub("", text).encode("utf-8", "replace")
