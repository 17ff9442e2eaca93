from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.extract.fingerprint import Fingerprint
from syncd.extract.wire import (
    LENGTH,
    MESSAGE_LIMIT,
    Unreadable,
    decode_capture,
    decode_fingerprint,
    encode_capture,
    encode_fingerprint,
    encode_unreadable,
)
from syncd.model import Capture, Dropped, ImageType, Position, Unfit, UnfitCode

FINGERPRINT = Fingerprint("ab" * 32, "cd" * 16, 5_000_000_000, ImageType.JPEG, None)
CAPTURE = Capture(
    datetime.fromisoformat("2024-01-02 03:04:05"),
    "EXIF:DateTimeOriginal",
    -300,
    "EXIF:OffsetTimeOriginal",
    "Köln \U0001f4f7",
    "EXIF:Model",
    Position(-33.865, 151.21),
    "EXIF:GPSLatitude",
    (Dropped("taken_at", "EXIF:DateTime", "no"),),
)


def body(message: bytes) -> bytes:
    assert LENGTH.unpack(message[:4])[0] == len(message) - 4
    return message[4:]


@pytest.mark.parametrize(
    "found",
    [
        FINGERPRINT,
        Fingerprint("ab" * 32, "cd" * 16, 5_000_000_000, ImageType.JPEG, None, "ef" * 16),
        Fingerprint("00" * 32, "ff" * 16, 0, None, Unfit(UnfitCode.EMPTY, "the file has no bytes")),
    ],
)
def test_a_fingerprint_arrives_as_it_left(found: Fingerprint) -> None:
    assert decode_fingerprint(body(encode_fingerprint(found))) == found


@pytest.mark.parametrize("capture", [CAPTURE, Capture()])
def test_a_capture_arrives_as_it_left(capture: Capture) -> None:
    assert decode_capture(body(encode_capture(capture))) == capture


def test_an_error_of_the_disk_arrives_with_its_number() -> None:
    assert decode_fingerprint(body(encode_unreadable(OSError(5, "Input/output error")))) == Unreadable(
        5, "Input/output error"
    )
    assert decode_fingerprint(body(encode_unreadable(OSError("odd")))) == Unreadable(0, "odd")


def test_a_message_cannot_outgrow_its_bound() -> None:
    capture = Capture(dropped=tuple(Dropped("taken_at", "EXIF", "\u0439" * 5000) for _ in range(5000)))
    message = body(encode_capture(capture))
    assert len(message) <= MESSAGE_LIMIT
    assert len(decode_capture(message).dropped) == 50


def changed(message: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(body(message)), **fields}).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "ab"},
        {"digest": "AB" * 32},
        {"digest": None},
        {"picture_digest": "zz" * 16},
        {"size": -1},
        {"size": 1 << 64},
        {"size": 1.0},
        {"size": True},
        {"type": "heic"},
        {"type": ["jpg"]},
        {"unfit": ["odd", ""]},
        {"unfit": ["damaged"]},
        {"unfit": "damaged"},
        {"unfit": ["damaged", "x" * 5000]},
        {"checksum": "ef" * 32},
        {"checksum": "EF" * 16},
        {"checksum": 0},
        {"checksum": ""},
        {"more": 1},
        {"errno": 5},
    ],
)
def test_e1_a_fingerprint_that_is_none_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_fingerprint(changed(encode_fingerprint(FINGERPRINT), **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"taken_at": "2024-01-02"},
        {"taken_at": "2024-13-02T00:00:00"},
        {"taken_at": "2024-01-02T00:00:00Z"},
        {"taken_at": 5},
        {"offset_minutes": 100_000},
        {"offset_minutes": 1.5},
        {"camera_model": "x" * 201},
        {"camera_model": "\ud800"},
        {"camera_model": ["x"]},
        {"position": [91.0, 0.0]},
        {"position": [0.0, 0.0]},
        {"position": [1, 2]},
        {"position": [1.0]},
        {"position": [float("nan"), 1.0]},
        {"position": [float("inf"), 1.0]},
        {"position": {"latitude": 1.0}},
        {"dropped": None},
        {"dropped": [["a", "b"]]},
        {"dropped": [["a", "b", 3]]},
        {"dropped": [["a", "b", "c"]] * 51},
        {"more": 1},
    ],
)
def test_e1_a_capture_that_is_none_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_capture(changed(encode_capture(CAPTURE), **fields))


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b"null", b"[" * 200_000, b"9" * 200_000, b"\xff\xfe\xfd", b'{"size":1}']
)
def test_e1_what_is_no_message_is_refused(message: bytes) -> None:
    for decode in (decode_fingerprint, decode_capture):
        with pytest.raises(ValueError, match=r"."):
            decode(message)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=4))
def test_e1_any_value_of_any_field_is_refused_or_right(value: object) -> None:
    for name in json.loads(body(encode_capture(CAPTURE))):
        with suppress(ValueError):
            assert decode_capture(changed(encode_capture(CAPTURE), **{name: value})) != Capture()
