"""From the metadata blocks of a file to its capture: which tag is believed, in which order, and why others are not."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, assert_never

from syncd.extract import exif, xmp
from syncd.extract.blocks import BLOCK_LIMIT, Block, BlockKind
from syncd.extract.dates import read_moment, read_offset
from syncd.extract.exif import Exif, read_exif
from syncd.extract.position import from_exif, from_xmp
from syncd.model import Capture, Dropped, Position

MODEL_LIMIT: Final = 200
"""Characters of a camera model that the service takes (API.md)."""

_EXIF_DATES: Final = (
    ("EXIF:DateTimeOriginal", exif.DATE_TIME_ORIGINAL, "EXIF:OffsetTimeOriginal", exif.OFFSET_TIME_ORIGINAL),
    ("EXIF:DateTimeDigitized", exif.DATE_TIME_DIGITIZED, "EXIF:OffsetTimeDigitized", exif.OFFSET_TIME_DIGITIZED),
    ("EXIF:DateTime", exif.DATE_TIME, "EXIF:OffsetTime", exif.OFFSET_TIME),
)
# ExifTool takes up to four bytes of garbage before the identifier, and does not insist on its second NUL.
_APP1_EXIF: Final = re.compile(rb"(.{0,4})Exif\0.", re.DOTALL | re.IGNORECASE)
_APP1_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_SIGN: Final = re.compile(rb"<(?:exif:|\?xpacket|x:xmpmeta)")
_RAW_PROFILE: Final = re.compile(rb"\s*([a-zA-Z0-9]+)\s+\d+\s+([0-9a-fA-F\s]*)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(slots=True)
class _Sources:
    """The unpacked blocks: TIFF structures and XMP packets."""

    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Draft:
    """A capture in the making."""

    taken_at: datetime | None = None
    taken_from: str | None = None
    offset_minutes: int | None = None
    offset_from: str | None = None
    camera_model: str | None = None
    model_from: str | None = None
    position: Position | None = None
    position_from: str | None = None
    dropped: list[Dropped] = field(default_factory=list)

    def lacking(self) -> tuple[str, ...]:
        """Name the XMP properties that could fill what is still missing."""
        names: tuple[str, ...] = () if self.taken_at else xmp.DATES
        if not self.camera_model:
            names += (xmp.MODEL,)
        return names if self.position else (*names, xmp.LATITUDE)

    def drop(self, name: str, tag: str, reason: object) -> None:
        """Note that a field was not believed."""
        self.dropped.append(Dropped(name, tag, str(reason)))

    def finish(self) -> Capture:
        """Freeze the draft."""
        return Capture(
            taken_at=self.taken_at,
            taken_from=self.taken_from,
            offset_minutes=self.offset_minutes,
            offset_from=self.offset_from,
            camera_model=self.camera_model,
            model_from=self.model_from,
            position=self.position,
            position_from=self.position_from,
            dropped=tuple(self.dropped),
        )


def read_capture(blocks: Iterable[Block]) -> Capture:
    """Read what the blocks say of the photo: EXIF first, XMP for what EXIF lacks."""
    sources = _unpack(blocks)
    found = [read_exif(block) for block in sources.exif]
    capture = capture_of([each for each in found if each], sources.xmp)
    if None not in found:
        return capture
    return replace(capture, dropped=(Dropped("all", "EXIF", "the EXIF block has no valid header"), *capture.dropped))


def capture_of(found: Iterable[Exif], packets: Iterable[bytes]) -> Capture:
    """Choose among the values of EXIF, and fill from XMP packets what they lack."""
    draft = _Draft()
    for values in found:
        _fill_from_exif(draft, values)
    for packet in packets:
        if xmp.mentions(packet, draft.lacking()):
            from syncd.extract.packet import read_properties  # noqa: PLC0415  (an XML parser, for those who need it)

            _fill_from_xmp(draft, read_properties(packet))
    return draft.finish()


def _fill_from_exif(draft: _Draft, found: Exif) -> None:
    for tag, number, offset_tag, offset_number in _EXIF_DATES:
        if draft.taken_at is None and number in found.texts:
            _take_date(draft, tag, found.texts[number])
            if draft.taken_at and draft.offset_minutes is None and offset_number in found.texts:
                _take_offset(draft, offset_tag, found.texts[offset_number])
    if exif.MODEL in found.texts:
        _take_model(draft, "EXIF:Model", found.texts[exif.MODEL])
    if found.coordinates:
        _take_position(
            draft,
            "EXIF:GPSLatitude",
            lambda: from_exif(
                found.coordinates.get(exif.LATITUDE, ()),
                found.references.get(exif.LATITUDE_REF, ""),
                found.coordinates.get(exif.LONGITUDE, ()),
                found.references.get(exif.LONGITUDE_REF, ""),
            ),
        )


def _fill_from_xmp(draft: _Draft, found: dict[str, str]) -> None:
    for name in xmp.DATES:
        if draft.taken_at is None and name in found:
            _take_date(draft, f"XMP-{name}", found[name])
    if xmp.MODEL in found:
        _take_model(draft, f"XMP-{xmp.MODEL}", found[xmp.MODEL])
    if xmp.LATITUDE in found or xmp.LONGITUDE in found:
        _take_position(
            draft,
            f"XMP-{xmp.LATITUDE}",
            lambda: from_xmp(found.get(xmp.LATITUDE, ""), found.get(xmp.LONGITUDE, "")),
        )


def _take_date(draft: _Draft, tag: str, text: str) -> None:
    try:
        moment = read_moment(text)
    except ValueError as error:
        draft.drop("taken_at", tag, error)
        return
    draft.taken_at, draft.taken_from = moment.taken_at, tag
    if moment.offset_minutes is not None:
        draft.offset_minutes, draft.offset_from = moment.offset_minutes, tag


def _take_offset(draft: _Draft, tag: str, text: str) -> None:
    try:
        draft.offset_minutes = read_offset(text)
    except ValueError as error:
        draft.drop("offset", tag, error)
    if draft.offset_minutes is not None:
        draft.offset_from = tag


def _take_model(draft: _Draft, tag: str, text: str) -> None:
    model = _CONTROL.sub(" ", text).strip()
    if draft.camera_model or not model:
        return
    if len(model) > MODEL_LIMIT:
        draft.drop("camera_model", tag, f"cut: it has {len(model)} characters, the service takes {MODEL_LIMIT}")
    draft.camera_model, draft.model_from = model[:MODEL_LIMIT].rstrip(), tag


def _take_position(draft: _Draft, tag: str, read: Callable[[], Position]) -> None:
    if draft.position:
        return
    try:
        draft.position = read()
    except ValueError as error:
        draft.drop("position", tag, error)
        return
    draft.position_from = tag


def _unpack(blocks: Iterable[Block]) -> _Sources:
    sources = _Sources()
    for block in blocks:
        match block.kind:
            case BlockKind.JPEG_APP1:
                _unpack_app1(block.payload, sources)
            case BlockKind.PNG_EXIF | BlockKind.WEBP_EXIF:
                sources.exif.append(block.payload.removeprefix(b"Exif\0\0"))
            case BlockKind.PNG_TEXT:
                _unpack_text(block.payload, sources)
            case BlockKind.XMP_PACKET:
                sources.xmp.append(block.payload)
            case _:  # pragma: no cover
                assert_never(block.kind)
    return sources


def _unpack_app1(payload: bytes, sources: _Sources) -> None:
    if header := _APP1_EXIF.match(payload):
        sources.exif.append(payload[header.end() :])
    elif payload.startswith(_APP1_XMP) or _XMP_SIGN.search(payload, 0, 512):
        sources.xmp.append(payload.removeprefix(_APP1_XMP))


def _unpack_text(payload: bytes, sources: _Sources) -> None:
    """Unpack a PNG text chunk that holds XMP (XMP specification part 3) or one of ImageMagick's raw profiles."""
    kind, (keyword, _, rest) = payload[:4], payload[4:].partition(b"\0")
    if kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        text = _inflate(rest) if compressed else rest
    else:
        text = _inflate(rest[1:]) if kind == b"zTXt" else rest
    if keyword == b"XML:com.adobe.xmp":
        sources.xmp.append(text)
    elif keyword in {b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp"}:
        profile = _RAW_PROFILE.match(text)
        digits = re.sub(rb"\s", b"", profile[2]) if profile else b""
        raw = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
        if keyword.endswith(b"xmp"):
            sources.xmp.append(raw)
        elif raw:
            _unpack_app1(raw, sources)


def _inflate(packed: bytes) -> bytes:
    """Decompress up to the size of a believable block; what was read before an error counts."""
    inflater = zlib.decompressobj()
    try:
        return inflater.decompress(packed, BLOCK_LIMIT)
    except zlib.error:
        return b""
