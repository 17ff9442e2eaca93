"""What metadata a request carries."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import Capture, Labels, Position, RequestMetadata
from syncd.upload.batches import OMITTABLE, decimal_degrees, group_key, marked, metadata_for

TAKEN = datetime(2024, 2, 29, 23, 30, 5)  # noqa: DTZ001 -- a camera's wall clock has no zone
LABELS = Labels("family", ("home", "trip"))
CAPTURE = Capture(taken_at=TAKEN, offset_minutes=120, camera_model="Canon EOS R5", position=Position(-12.5, 0.0))


def test_metadata_are_as_they_go_on_the_wire() -> None:
    assert metadata_for(CAPTURE, LABELS) == RequestMetadata(
        "family", "2024-02-29 23:30:05", "Canon EOS R5", "-12.5", "0", ("home", "trip")
    )


def test_what_the_file_does_not_say_is_left_out() -> None:
    assert metadata_for(Capture(), Labels("default", ())) == RequestMetadata("default")


@pytest.mark.parametrize(
    ("offset", "sent"),
    [
        (120, "2024-02-29 21:30:05"),
        (-90, "2024-03-01 01:00:05"),
        (0, "2024-02-29 23:30:05"),
        (None, "2024-02-29 23:30:05"),
    ],
)
def test_utc_is_computed_only_where_the_file_knows_its_offset(offset: int | None, sent: str) -> None:
    assert metadata_for(Capture(taken_at=TAKEN, offset_minutes=offset), LABELS, as_utc=True).datetime_taken == sent


@pytest.mark.parametrize(
    ("taken", "sent"),
    [(datetime(987, 1, 2), "0987-01-02 00:00:00"), (datetime(2024, 1, 2, 3, 4, 5, 999), "2024-01-02 03:04:05")],  # noqa: DTZ001 -- as above
)
def test_the_time_has_no_fraction_and_four_digits_of_year(taken: datetime, sent: str) -> None:
    assert metadata_for(Capture(taken_at=taken), LABELS).datetime_taken == sent


@pytest.mark.parametrize(
    ("omit", "gone"),
    [
        ({"datetime_taken"}, {"datetime_taken"}),
        ({"camera_model"}, {"camera_model"}),
        ({"latitude"}, {"latitude", "longitude"}),
        ({"longitude"}, {"latitude", "longitude"}),
        ({"tags"}, {"tags"}),
        (OMITTABLE, OMITTABLE),
    ],
)
def test_a_field_that_was_refused_is_left_out_and_a_position_goes_as_a_whole(omit: set[str], gone: set[str]) -> None:
    found = metadata_for(CAPTURE, LABELS, omit=frozenset(omit))
    fields = ("datetime_taken", "camera_model", "latitude", "longitude", "tags")
    assert {name for name in fields if not getattr(found, name)} == gone
    assert found.unique_id == "family", "a namespace is nothing that an upload can do without"


def test_the_marker_is_the_last_tag() -> None:
    assert marked(metadata_for(CAPTURE, LABELS), "syncd-1").tags == ("home", "trip", "syncd-1")


@pytest.mark.parametrize(
    ("degrees", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1e-9, "0"),
        (-1e-9, "0"),
        (1e-7, "0.0000001"),
        (5.0, "5"),
        (10.0, "10"),
        (-12.25, "-12.25"),
        (52.123456789, "52.12345679"),
        (-180.0, "-180"),
    ],
)
def test_degrees_are_plain_decimals(degrees: float, text: str) -> None:
    assert decimal_degrees(degrees) == text


@given(st.floats(-180, 180))
def test_degrees_never_have_an_exponent_and_keep_a_millimetre(degrees: float) -> None:
    text = decimal_degrees(degrees)
    assert "e" not in text.lower()
    assert abs(float(text) - degrees) <= 5.1e-9
    assert text != "-0"


def test_equal_keys_are_equal_metadata() -> None:
    same = Capture(taken_at=TAKEN, camera_model="Canon EOS R5", position=Position(-12.5, 1e-12), taken_from="XMP")
    others = [
        Capture(),
        Capture(taken_at=TAKEN),
        Capture(camera_model="Canon EOS R5"),
        Capture(taken_at=TAKEN, camera_model="\ud800"),
        Capture(position=Position(-12.5, 0.1)),
    ]
    assert group_key(same) == group_key(CAPTURE)
    assert len({group_key(each) for each in [same, *others]}) == 6


def test_keys_are_those_of_the_ledgers_that_are_there() -> None:
    # Written down once: with other keys a photo would not find its mates of before.
    assert group_key(CAPTURE) == "0fd7a1fff43e3a46"
    assert group_key(Capture()) == "35c91d743b7af77f"
