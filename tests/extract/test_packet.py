from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.extract.packet import read_properties
from syncd.extract.xmp import mentions
from tests.extract.pictures import xmp

CREATED = "<xmp:CreateDate>2020-01-02T03:04:05</xmp:CreateDate>"
SEEN = {"xmp:CreateDate": "2020-01-02T03:04:05"}


@pytest.mark.parametrize(
    "packet",
    [
        xmp(CREATED),
        xmp(attributes='xmp:CreateDate="2020-01-02T03:04:05"'),
        xmp(
            "<xmp:CreateDate><rdf:Seq><rdf:li>2020-01-02T03:04:05</rdf:li><rdf:li>2021</rdf:li></rdf:Seq></xmp:CreateDate>"
        ),
        xmp("<xmp:CreateDate>\n  2020-01-02T03:04:05\n</xmp:CreateDate>"),
        b"garbage\0" + xmp(CREATED) + b"\0\0\0",
        xmp(CREATED).replace(b'end="w"?>', b""),
        xmp(CREATED)[:-45],
        xmp(CREATED, "<dc:title>no such namespace, and no end"),
        xmp(CREATED).replace(b"xap/1.0/", b"XAP/1.0"),
        xmp(CREATED).replace(b"xmp:", b"xap:").replace(b"xmlns:xmp", b"xmlns:xap"),
        xmp(CREATED).replace(b"xmlns:xmp", b"xmlns:other"),
        xmp(CREATED, "<tiff:Make>K\xf6ln</tiff:Make>".encode("latin-1").decode("latin-1")),
        xmp(CREATED).decode().encode("utf-16"),
        xmp(CREATED).decode().encode("utf-16-le"),
        xmp(CREATED).decode().encode("utf-16-be"),
        xmp(CREATED).decode().encode("utf-32-le"),
        xmp(CREATED).decode().encode("utf-32-be"),
        b'<?xml version="1.0" encoding="UTF-16"?>' + xmp(CREATED)[53:],
    ],
    ids=[
        "element",
        "attribute",
        "list",
        "white space",
        "garbage around",
        "no end of the packet",
        "cut",
        "not well-formed later",
        "odd address",
        "other prefix",
        "prefix without address",
        "other properties",
        "UTF-16 with mark",
        "UTF-16 LE",
        "UTF-16 BE",
        "UTF-32 LE",
        "UTF-32 BE",
        "wrong declaration",
    ],
)
def test_shapes_in_the_wild(packet: bytes) -> None:
    assert read_properties(packet) == SEEN
    assert mentions(packet, ("xmp:CreateDate",))


def test_bytes_that_are_no_utf8_do_not_hide_the_rest() -> None:
    packet = xmp("<tiff:Model>K\u00f6ln</tiff:Model>", CREATED).replace("\u00f6".encode(), b"\xf6")
    assert read_properties(packet) == {"tiff:Model": "K\ufffdln", **SEEN}


def test_what_stands_inside_another_property_does_not_count() -> None:
    history = (
        '<xmp:History><rdf:Seq><rdf:li rdf:parseType="Resource">'
        "<xmp:CreateDate>1999-01-01T00:00:00</xmp:CreateDate></rdf:li></rdf:Seq></xmp:History>"
    )
    nested = (
        "<xmp:Pantry><rdf:Bag><rdf:li>"
        '<rdf:Description xmp:CreateDate="1999-01-01T00:00:00"/></rdf:li></rdf:Bag></xmp:Pantry>'
    )
    structure = "<xmp:ModifyDate><rdf:Description><xmp:x>1999-01-01T00:00:00</xmp:x></rdf:Description></xmp:ModifyDate>"
    assert read_properties(xmp(history, nested, structure, CREATED)) == SEEN
    assert read_properties(xmp(history, nested, structure)) == {}


def test_all_properties() -> None:
    packet = xmp(
        "<tiff:Model>Pixel 8</tiff:Model>",
        attributes='exif:GPSLatitude="51,30.5N" exif:GPSLongitude="0,7.2W" photoshop:DateCreated="2020-01-02T03:04:05"',
    )
    assert read_properties(packet) == {
        "tiff:Model": "Pixel 8",
        "exif:GPSLatitude": "51,30.5N",
        "exif:GPSLongitude": "0,7.2W",
        "photoshop:DateCreated": "2020-01-02T03:04:05",
    }


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">',
    ],
)
def test_e2_document_types_and_entities_are_refused(prolog: str) -> None:
    packet = f'{prolog}<rdf:RDF><rdf:Description xmp:CreateDate="&a;">{CREATED}</rdf:Description></rdf:RDF>'
    assert read_properties(packet.encode()) == {}


def test_e2_a_long_value_is_not_kept() -> None:
    assert read_properties(xmp(f"<tiff:Model>{'x' * 100_000}</tiff:Model>", CREATED)) == SEEN


def test_e2_deep_nesting_is_harmless() -> None:
    assert read_properties(b"<rdf:RDF>" + b"<a>" * 50_000) == {}


@pytest.mark.parametrize("packet", [b"", b"no angle bracket", b"<", b"<\0", b"\0<\0", b"<a", b"<?xml", b"\xff\xfe"])
def test_what_is_no_packet_has_no_properties(packet: bytes) -> None:
    assert read_properties(packet) == {}


def test_a_packet_that_lacks_the_names_need_not_be_parsed() -> None:
    assert not mentions(xmp(CREATED), ("exif:GPSLatitude", "tiff:Model"))
    assert not mentions(xmp(CREATED), ())


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 600))
def test_e1_any_bytes_are_read_without_an_error(noise: bytes, at: int) -> None:
    packet = xmp(CREATED)
    read_properties(noise)
    read_properties(packet[:at] + noise + packet[at:])
