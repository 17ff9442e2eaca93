from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.extract.position import from_exif, from_xmp
from syncd.model import Position

NAN = math.nan


@pytest.mark.parametrize(
    ("latitude", "north", "longitude", "east", "position"),
    [
        ((51, 30, 30), "N", (0, 7, 12), "W", Position(51.50833333, -0.12)),
        ((33, 51, 54), "S", (151, 12, 36), "E", Position(-33.865, 151.21)),
        ((51.5,), "N", (7.25,), "E", Position(51.5, 7.25)),
        ((51, 30.5), "N", (7, 15), "E", Position(51.50833333, 7.25)),
        ((51, 30, 30), "n", (7, 15, 0), "East", Position(51.50833333, 7.25)),
        ((51, 30, 30), " N\0", (7, 15, 0), "E ", Position(51.50833333, 7.25)),
        ((-33.5,), "S", (-70.5,), "W", Position(-33.5, -70.5)),
        ((0, 0, 0), "N", (9, 27, 0), "E", Position(0.0, 9.45)),
        ((51, 28, 38), "N", (0, 0, 0), "W", Position(51.47722222, 0.0)),
        ((90,), "S", (180,), "W", Position(-90.0, -180.0)),
        ((51, 30, 30, NAN), "N", (7, 15, 0), "E", Position(51.50833333, 7.25)),
    ],
)
def test_e3_positions_in_the_wild(
    latitude: tuple[float, ...], north: str, longitude: tuple[float, ...], east: str, position: Position
) -> None:
    found = from_exif(latitude, north, longitude, east)
    assert found == position
    assert math.copysign(1, found.longitude) == 1 or found.longitude < 0


@pytest.mark.parametrize(
    ("latitude", "north", "longitude", "east", "reason"),
    [
        ((0, 0, 0), "N", (0, 0, 0), "E", "exactly 0,0"),
        ((0, 0, 0.000001), "N", (0, 0, 0), "E", "exactly 0,0"),
        ((NAN, NAN, NAN), "N", (7, 0, 0), "E", "latitude divides by zero"),
        ((51, 30, 0), "N", (7, 15, NAN), "E", "longitude divides by zero"),
        ((math.inf,), "N", (7, 0, 0), "E", "latitude divides by zero"),
        ((51, 30, 0), "", (7, 15, 0), "E", "whether the latitude is N or S"),
        ((51, 30, 0), "N", (7, 15, 0), "", "whether the longitude is E or W"),
        ((51, 30, 0), "E", (7, 15, 0), "N", "whether the latitude is N or S"),
        ((), "N", (7, 15, 0), "E", "no latitude"),
        ((51, 30, 0), "N", (), "E", "no longitude"),
        ((90.1,), "N", (7,), "E", "latitude is beyond 90"),
        ((51,), "N", (180, 1), "E", "longitude is beyond 180"),
        ((4294967295,), "N", (7,), "E", "latitude is beyond 90"),
        ((-51, 30), "N", (7,), "E", "contradicts"),
        ((51, -30), "N", (7,), "E", "contradicts"),
    ],
)
def test_e3_what_is_no_position_is_dropped_with_the_reason(
    latitude: tuple[float, ...], north: str, longitude: tuple[float, ...], east: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        from_exif(latitude, north, longitude, east)


@pytest.mark.parametrize(
    ("latitude", "longitude", "position"),
    [
        ("51,30.5N", "0,7.2W", Position(51.50833333, -0.12)),
        ("51,30,30N", "0,7,12W", Position(51.50833333, -0.12)),
        ("33,51.9S", "151,12.6E", Position(-33.865, 151.21)),
        ("51.5N", "7.25 E", Position(51.5, 7.25)),
        (" 51,30.5n ", "7, 15.0, e", Position(51.50833333, 7.25)),
    ],
)
def test_xmp_coordinates(latitude: str, longitude: str, position: Position) -> None:
    assert from_xmp(latitude, longitude) == position


@pytest.mark.parametrize(
    "latitude", ["", "51,30.5", "-33.8", "N", "51;30N", "51,30,30,30N", "nanN", "1e5N", "9" * 5000]
)
def test_e3_what_is_no_coordinate_is_refused(latitude: str) -> None:
    with pytest.raises(ValueError, match="is no coordinate with its direction"):
        from_xmp(latitude, "7,0E")


@settings(deadline=None)
@given(
    st.lists(st.floats(), max_size=4), st.text(max_size=2), st.lists(st.floats(), max_size=4), st.sampled_from("EWew")
)
def test_a_position_is_always_finite_and_in_range(
    latitude: list[float], north: str, longitude: list[float], east: str
) -> None:
    try:
        found = from_exif(latitude, north or "N", longitude, east)
    except ValueError:
        return
    assert -90 <= found.latitude <= 90
    assert -180 <= found.longitude <= 180
    assert (found.latitude, found.longitude) != (0, 0)
