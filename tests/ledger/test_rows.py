"""Values survive the ledger as they were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.ledger.rows import capture_of, group_by_photo, metadata_json, nanoseconds, signed, unfit_of, unsigned, wall
from syncd.model import Capture, Dropped, Photo, PlacePath, Position, RequestMetadata, Unfit, UnfitCode
from tests.fakes.ledgers import Ledger, photo, sighting

FULL = Capture(
    taken_at=datetime(987, 6, 5, 4, 3, 2),  # noqa: DTZ001 -- a camera's wall clock has no zone
    taken_from="EXIF:DateTimeOriginal",
    offset_minutes=-570,
    offset_from="EXIF:OffsetTimeOriginal",
    camera_model="Kamera \ud83d, NIKON\x00\n",
    model_from="EXIF:Model",
    position=Position(-12.123456789012345, 179.99999999),
    position_from="XMP:exif",
    dropped=(Dropped("position", "EXIF:GPS", "0,0"), Dropped("taken_at", "EXIF:DateTime", 'the "month" is 13')),
)
EQUATOR = Capture(position=Position(0.0, -1e-7))


def kept(ledger: Ledger, seen: Photo) -> tuple[Capture, Unfit | None]:
    ledger.see(sighting(b"a.jpg", seen))
    (row,) = ledger.rows("SELECT * FROM photos")
    assert (row.digest, row.picture_digest, row.size, row.type) == (
        seen.digest, seen.picture_digest, seen.size, seen.type,
    )  # fmt: skip
    return capture_of(row), unfit_of(row)


@pytest.mark.parametrize("capture", [Capture(), EQUATOR, replace(FULL, camera_model="Canon EOS R5")])
def test_a_capture_comes_back_as_it_was(ledger: Ledger, capture: Capture) -> None:
    assert kept(ledger, photo(1, capture=capture)) == (capture, None)


@pytest.mark.parametrize("code", UnfitCode)
def test_why_a_photo_is_unfit_comes_back(ledger: Ledger, code: UnfitCode) -> None:
    unfit = Unfit(code, "" if code is UnfitCode.EMPTY else "no end of image")
    assert kept(ledger, photo(1, unfit=unfit, capture=EQUATOR)) == (EQUATOR, unfit)


@pytest.mark.parametrize(
    "text", [None, "2024-02-29 23:59:59", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-02-29 00:00:00"]
)
def test_a_wall_clock_is_read(text: str | None) -> None:
    found = wall(text)
    assert (found.isoformat(" ", "seconds") if found else None) == text


@given(st.integers(0, 2**64 - 1))
def test_inodes_and_devices_of_64_bits_fit(number: int) -> None:
    assert -(2**63) <= signed(number) < 2**63
    assert unsigned(signed(number)) == number


@given(st.integers(-(2**62), 2**63 + 2**62 - 1))
def test_times_before_1970_and_after_2262_fit(number: int) -> None:
    assert nanoseconds(signed(number)) == number


@pytest.mark.parametrize(
    ("metadata", "marker", "written"),
    [
        (RequestMetadata("n"), None, {"unique_id": "n", "tags": []}),
        (RequestMetadata("n", tags=("a", "syncd-1")), "syncd-1", {"unique_id": "n", "tags": ["a"]}),
        (RequestMetadata("n", tags=("a",)), "syncd-1", {"unique_id": "n", "tags": ["a"]}),
        (
            RequestMetadata("n", "2024-01-01 00:00:00", "Canon", "0", "-0.0000001", ("é",)),
            None,
            {
                "unique_id": "n",
                "datetime_taken": "2024-01-01 00:00:00",
                "camera_model": "Canon",
                "latitude": "0",
                "longitude": "-0.0000001",
                "tags": ["é"],
            },
        ),
    ],
)
def test_what_was_sent_is_written_without_the_marker(
    metadata: RequestMetadata, marker: str | None, written: dict[str, object]
) -> None:
    assert json.loads(metadata_json(metadata, marker)) == written


def test_places_are_collected_by_photo_in_their_order(ledger: Ledger) -> None:
    ledger.see(*(sighting(name, photo(1)) for name in (b"z.jpg", b"\xff.jpg", b"a.jpg")), sighting(b"b.jpg", photo(2)))
    rows: Sequence[object] = ledger.rows("""
        SELECT places.photo_id, roots.path AS root, folders.path AS folder, places.name
        FROM places JOIN folders ON folders.id = folder_id JOIN roots ON roots.id = root_id ORDER BY places.id
    """)
    found = group_by_photo(rows)
    assert found == {
        1: [PlacePath(b"/photos", b"", name) for name in (b"z.jpg", b"\xff.jpg", b"a.jpg")],
        2: [PlacePath(b"/photos", b"", b"b.jpg")],
    }
