from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.extract.blocks import Block, BlockKind
from syncd.extract.exif import DATE_TIME, DATE_TIME_DIGITIZED, DATE_TIME_ORIGINAL, MODEL
from syncd.extract.fingerprint import read_fingerprint
from syncd.extract.tags import read_capture
from syncd.model import Capture, Dropped, Position
from tests.extract import pictures
from tests.extract.pictures import Entry, exif, rationals, text, xmp

FIRST, SECOND, THIRD = "2001:01:01 01:01:01", "2002:02:02 02:02:02", "2003:03:03 03:03:03"
NORTH, EAST = text(1, b"N\0"), text(3, b"E\0")
LATITUDE, LONGITUDE = rationals(2, (51, 1), (30, 1), (0, 1)), rationals(4, (7, 1), (15, 1), (0, 1))


def when(tag: int, value: str) -> Entry:
    return text(tag, value.encode() + b"\0")


def from_exif(
    ifd0: Sequence[Entry] = (), inner: Sequence[Entry] = (), gps: Sequence[Entry] = (), packet: bytes = b""
) -> Capture:
    blocks = [Block(BlockKind.JPEG_APP1, b"Exif\0\0" + exif(ifd0, inner, gps))]
    if packet:
        blocks.append(Block(BlockKind.XMP_PACKET, packet))
    return read_capture(blocks)


def from_xmp(*properties: str, attributes: str = "") -> Capture:
    return read_capture([Block(BlockKind.XMP_PACKET, xmp(*properties, attributes=attributes))])


@pytest.mark.parametrize(
    ("original", "digitized", "modified", "taken_at", "taken_from"),
    [
        (FIRST, SECOND, THIRD, datetime.fromisoformat("2001-01-01 01:01:01"), "EXIF:DateTimeOriginal"),
        ("0000:00:00 00:00:00", SECOND, THIRD, datetime.fromisoformat("2002-02-02 02:02:02"), "EXIF:DateTimeDigitized"),
        (
            "    :  :     :  :  ",
            "2019:01:01 24:04:20",
            THIRD,
            datetime.fromisoformat("2003-03-03 03:03:03"),
            "EXIF:DateTime",
        ),
        ("2019:10:17", "2019:02:30 00:00:00", "2019:13:01 00:00:00", None, None),
    ],
)
def test_e3_exif_dates_are_believed_in_order(
    original: str, digitized: str, modified: str, taken_at: datetime | None, taken_from: str | None
) -> None:
    capture = from_exif(
        [when(DATE_TIME, modified)], [when(DATE_TIME_ORIGINAL, original), when(DATE_TIME_DIGITIZED, digitized)]
    )
    assert (capture.taken_at, capture.taken_from) == (taken_at, taken_from)
    tried = ["EXIF:DateTimeOriginal", "EXIF:DateTimeDigitized", "EXIF:DateTime"]
    refused = tried[: tried.index(taken_from)] if taken_from else tried
    assert [(dropped.field, dropped.tag) for dropped in capture.dropped] == [("taken_at", tag) for tag in refused]


XMP_DATES = [
    "exif:DateTimeOriginal",
    "photoshop:DateCreated",
    "exif:DateTimeDigitized",
    "xmp:CreateDate",
    "tiff:DateTime",
    "xmp:ModifyDate",
]


@pytest.mark.parametrize("present", range(len(XMP_DATES)))
def test_e5_xmp_dates_are_believed_in_order(present: int) -> None:
    good = [f"<{name}>20{present:02}-01-01T00:00:00+02:00</{name}>" for name in XMP_DATES[present:]]
    bad = [f"<{name}>2020-01-01</{name}>" for name in XMP_DATES[:present]]
    capture = from_xmp(*reversed(good), *bad)
    assert capture.taken_at == datetime.fromisoformat(f"20{present:02}-01-01")
    assert capture.taken_from == capture.offset_from == f"XMP-{XMP_DATES[present]}"
    assert capture.offset_minutes == 120
    assert len(capture.dropped) == present


def test_any_date_of_exif_comes_before_xmp() -> None:
    packet = xmp(f"<{XMP_DATES[0]}>2020-01-01T00:00:00</{XMP_DATES[0]}>")
    assert from_exif([when(DATE_TIME, THIRD)], packet=packet).taken_from == "EXIF:DateTime"
    assert from_exif([when(DATE_TIME, "0000:00:00 00:00:00")], packet=packet).taken_from == f"XMP-{XMP_DATES[0]}"


@pytest.mark.parametrize(
    ("date_tag", "offset_tag", "offset", "minutes", "offset_from"),
    [
        (DATE_TIME_ORIGINAL, 0x9011, "-5:00", -300, "EXIF:OffsetTimeOriginal"),
        (DATE_TIME_DIGITIZED, 0x9012, "+05:30", 330, "EXIF:OffsetTimeDigitized"),
        (DATE_TIME, 0x9010, "+02:00", 120, "EXIF:OffsetTime"),
        (DATE_TIME_ORIGINAL, 0x9010, "+02:00", None, None),
        (DATE_TIME_ORIGINAL, 0x9012, "+02:00", None, None),
        (DATE_TIME, 0x9011, "+02:00", None, None),
        (DATE_TIME_ORIGINAL, 0x9011, "   :  ", None, None),
        (DATE_TIME_ORIGINAL, 0x9011, "+25:00", None, None),
    ],
)
def test_e3_only_the_offset_of_the_same_tag_counts(
    date_tag: int, offset_tag: int, offset: str, minutes: int | None, offset_from: str | None
) -> None:
    capture = from_exif(inner=[when(date_tag, FIRST), when(offset_tag, offset)])
    assert capture.taken_at == datetime.fromisoformat("2001-01-01 01:01:01")
    assert (capture.offset_minutes, capture.offset_from) == (minutes, offset_from)
    assert [dropped.field for dropped in capture.dropped] == (["offset"] if offset == "+25:00" else [])


def test_an_offset_inside_the_date_counts() -> None:
    capture = from_exif(inner=[when(DATE_TIME_ORIGINAL, "2019-10-17T16:55:20-07:00"), when(0x9011, "+01:00")])
    assert (capture.taken_at, capture.offset_minutes) == (datetime.fromisoformat("2019-10-17 16:55:20"), -420)
    assert capture.offset_from == "EXIF:DateTimeOriginal"


@pytest.mark.parametrize(
    ("value", "model"),
    [
        (b"Canon EOS R8\0", "Canon EOS R8"),
        (b"FinePix E500   \0", "FinePix E500"),
        (b"  E-P3 \0\0\0junk", "E-P3"),
        (b"ION230\0more", "ION230"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"a\r\nb\x1b[31mc", "a b [31mc"),
        ("\u0085X\u2028Y\u009b".encode(), "X Y"),
        ("Köln".encode(), "Köln"),
        (b"x" * 300, "x" * 200),
        (b"y" * 199 + b" z", "y" * 199),
        (b"", None),
        (b"\0\0\0\0\0", None),
        (b"   ", None),
    ],
)
def test_e3_models(value: bytes, model: str | None) -> None:
    capture = from_exif([text(MODEL, value)])
    assert capture.camera_model == model
    assert capture.model_from == (model and "EXIF:Model")
    assert [dropped.field for dropped in capture.dropped] == (["camera_model"] if len(value) > 200 else [])


def test_xmp_fills_in_the_model() -> None:
    packet = xmp("<tiff:Model>Pixel 8</tiff:Model>")
    assert from_exif(packet=packet).camera_model == "Pixel 8"
    assert from_exif([text(MODEL, b" \0")], packet=packet).model_from == "XMP-tiff:Model"
    assert from_exif([text(MODEL, b"E-P3")], packet=packet).camera_model == "E-P3"


ZERO = (0, 0)


@pytest.mark.parametrize(
    ("gps", "reason"),
    [
        ([LATITUDE, EAST, LONGITUDE], "nothing says whether the latitude is N or S"),
        ([NORTH, LATITUDE, LONGITUDE], "nothing says whether the longitude is E or W"),
        ([NORTH, LATITUDE, EAST], "there is no longitude"),
        ([NORTH, EAST, LONGITUDE], "there is no latitude"),
        ([NORTH, rationals(2, ZERO, ZERO, ZERO), EAST, LONGITUDE], "the latitude divides by zero"),
        ([NORTH, rationals(2, (51, 1), (30, 1), ZERO), EAST, LONGITUDE], "the latitude divides by zero"),
        ([NORTH, rationals(2, (0, 1)), EAST, rationals(4, (0, 1))], "exactly 0,0: the receiver had no fix"),
        ([NORTH, rationals(2, (91, 1)), EAST, LONGITUDE], "the latitude is beyond 90 degrees"),
    ],
)
def test_e3_bad_positions_are_dropped_with_a_reason(gps: list[Entry], reason: str) -> None:
    capture = from_exif(gps=gps)
    assert capture.position is None
    assert capture.dropped == (Dropped("position", "EXIF:GPSLatitude", reason),)


def test_e3_one_component_and_one_zero_axis_are_positions() -> None:
    capture = from_exif(gps=[NORTH, rationals(2, (0, 1)), EAST, rationals(4, (945, 100))])
    assert capture.position == Position(0.0, 9.45)
    assert capture.position_from == "EXIF:GPSLatitude"
    assert not capture.dropped


def test_xmp_fills_in_the_position() -> None:
    packet = xmp(attributes='exif:GPSLatitude="51,30.5N" exif:GPSLongitude="7,15,0E"')
    assert from_exif(packet=packet).position == Position(51.50833333, 7.25)
    capture = from_exif(gps=[LATITUDE, LONGITUDE], packet=packet)
    assert capture.position_from == "XMP-exif:GPSLatitude"
    assert [dropped.tag for dropped in capture.dropped] == ["EXIF:GPSLatitude"]
    assert from_xmp(attributes='exif:GPSLatitude="51,30.5N"').dropped[0].field == "position"


def test_a_directory_without_coordinates_is_no_position_and_no_fault() -> None:
    assert from_exif(gps=[NORTH, EAST]) == Capture()


@pytest.mark.parametrize(
    "payload",
    [
        b"Exif\0\0",
        b"Exif\0\xff",
        b"EXIF\0\0",
        b"\0\0Exif\0\0",
        b"abcdExif\0\0",
    ],
)
def test_exif_identifiers_in_the_wild(payload: bytes) -> None:
    block = Block(BlockKind.JPEG_APP1, payload + exif([text(MODEL, b"E-P3")]))
    assert read_capture([block]).camera_model == "E-P3"


def test_a_block_without_a_header_is_dropped_and_the_next_one_read() -> None:
    bad = Block(BlockKind.JPEG_APP1, b"Exif\0\0\xff\xff\xff\xff\0\0\0\x08")
    good = Block(BlockKind.JPEG_APP1, b"Exif\0\0" + exif([text(MODEL, b"E-P3")]))
    capture = read_capture([bad, good])
    assert capture.camera_model == "E-P3"
    assert capture.dropped == (Dropped("all", "EXIF", "the EXIF block has no valid header"),)


@pytest.mark.parametrize("start", [b"http://ns.adobe.com/xap/1.0/\0", b"", b"odd header \0"])
def test_xmp_in_a_jpeg(start: bytes) -> None:
    assert read_capture([Block(BlockKind.JPEG_APP1, start + xmp("<tiff:Model>E-P3</tiff:Model>"))]).camera_model


def test_other_segments_hold_nothing() -> None:
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 40 + b"<tiff:Model>E-P3</tiff:Model>"
    assert read_capture([Block(BlockKind.JPEG_APP1, extended)]) == Capture()


def hexadecimal(name: bytes, raw: bytes) -> bytes:
    lines = b"\n".join(raw.hex().encode()[at : at + 72] for at in range(0, len(raw) * 2, 72))
    return b"\n" + name + b"\n%8d\n" % len(raw) + lines + b"\n"


EXIF = exif([text(MODEL, b"E-P3")])
PACKET = xmp("<tiff:Model>E-P3</tiff:Model>")


@pytest.mark.parametrize(
    "chunk",
    [
        b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + PACKET,
        b"iTXtXML:com.adobe.xmp\0\0\0en\0title\0" + PACKET,
        b"iTXtXML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKET),
        b"tEXtXML:com.adobe.xmp\0" + PACKET,
        b"zTXtRaw profile type exif\0\0" + zlib.compress(hexadecimal(b"exif", b"Exif\0\0" + EXIF)),
        b"zTXtRaw profile type APP1\0\0" + zlib.compress(hexadecimal(b"generic", b"Exif\0\0" + EXIF)),
        b"tEXtRaw profile type exif\0" + hexadecimal(b"exif", b"Exif\0\0" + EXIF),
        b"zTXtRaw profile type xmp\0\0" + zlib.compress(hexadecimal(b"xmp", PACKET)),
        b"zTXtRaw profile type APP1\0\0"
        + zlib.compress(hexadecimal(b"generic", b"http://ns.adobe.com/xap/1.0/\0" + PACKET)),
    ],
)
def test_e5_texts_of_a_png(chunk: bytes) -> None:
    assert read_capture([Block(BlockKind.PNG_TEXT, chunk)]).camera_model == "E-P3"


@pytest.mark.parametrize(
    "chunk",
    [
        b"iTXt",
        b"iTXtXML:com.adobe.xmp\0\1\0\0\0no zlib",
        b"zTXtRaw profile type exif\0\0" + zlib.compress(b"no profile"),
        b"zTXtRaw profile type exif\0\0" + zlib.compress(b"\nexif\n 2\n\n"),
        b"zTXtRaw profile type exif\0\0" + zlib.compress(b"\nexif\n 2\n4\n"),
        b"tEXtRaw profile type exif\0\nexif\n 2\nzz\n",
    ],
)
def test_e1_texts_that_are_none(chunk: bytes) -> None:
    assert read_capture([Block(BlockKind.PNG_TEXT, chunk)]) == Capture()


def test_e2_a_compressed_bomb_is_bounded() -> None:
    bomb = zlib.compress(bytes(200 << 20), 9)
    assert read_capture([Block(BlockKind.PNG_TEXT, b"zTXtXML:com.adobe.xmp\0\0" + bomb)]) == Capture()


@pytest.mark.parametrize("kind", [BlockKind.PNG_EXIF, BlockKind.WEBP_EXIF])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_e5_exif_of_png_and_webp(kind: BlockKind, prefix: bytes) -> None:
    assert read_capture([Block(kind, prefix + EXIF)]).camera_model == "E-P3"


def capture_of(path: Path) -> Capture:
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_capture(read_fingerprint(fd).blocks)
    finally:
        os.close(fd)


def test_it_agrees_with_exiftool_on_real_files() -> None:
    corpus = pictures.corpus()
    wrong = []
    values = 0
    taken = ("image/jpeg", "image/png", "image/apng", "image/gif", "image/bmp", "image/webp")
    with (corpus / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["mime"] not in taken:
                continue
            capture = capture_of(corpus / row["file"])
            place = capture.position
            seen = {
                "datetime": f"{capture.taken_at:%Y-%m-%d %H:%M:%S}" if capture.taken_at else "",
                "model": capture.camera_model or "",
                "lat": f"{place.latitude:.6f}" if place else "",
                "lon": f"{place.longitude:.6f}" if place else "",
            }
            for name, value in seen.items():
                expected = row[name]
                if name in {"lat", "lon"} and expected:
                    expected = f"{float(expected):.6f}"
                values += 1
                if value != expected:
                    wrong.append((row["file"], name, row[name], value))
    assert values > 800
    assert len(wrong) <= values * 0.01, wrong
    assert not wrong


@settings(max_examples=150, deadline=None)
@given(
    at=st.integers(0, 700),
    noise=st.binary(max_size=12),
    kind=st.sampled_from(list(BlockKind)),
    source=st.sampled_from(["exif", "xmp", "text"]),
)
def test_e1_any_block_gives_a_capture(at: int, noise: bytes, kind: BlockKind, source: str) -> None:
    block = {
        "exif": b"Exif\0\0"
        + exif([text(MODEL, b"E-P3 and more")], [when(DATE_TIME_ORIGINAL, FIRST)], [NORTH, LATITUDE, EAST, LONGITUDE]),
        "xmp": PACKET,
        "text": b"iTXtXML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKET),
    }[source]
    capture = read_capture([Block(kind, block[:at] + noise + block[at + len(noise) :])])
    assert capture.camera_model is None or 0 < len(capture.camera_model) <= 200
    if capture.position:
        assert -90 <= capture.position.latitude <= 90
        assert -180 <= capture.position.longitude <= 180
