from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import ImageType
from syncd.sandbox.contract import Rejection, StoredImage
from syncd.sandbox.search import Query, answer, matches, read_query

ASKED = {"search_param": "a cat", "search_type": "BY_IMAGE"}
IMAGE = StoredImage(
    id="568102998803353601",
    name="cat.of-1.jpg",
    type=ImageType.JPEG,
    sha256="0" * 64,
    size=10,
    unique_id="default",
    datetime_taken="2024-02-29 10:00:00",
    camera_model="Canon EOS R5",
    latitude="52.52",
    longitude="13.405",
    tags=("home", "syncd-0011223344556677"),
    created_at=100.0,
)
BARE = StoredImage(
    "568102998803353603", "b.png", ImageType.PNG, "1" * 64, 5, "default", None, None, None, None, (), 90.0
)


def query(**more: object) -> Query:
    read = read_query(json.dumps({**ASKED, **more}).encode())
    assert isinstance(read, Query), read
    return read


def test_the_least_query() -> None:
    assert query() == Query(unique_id="default", top_k=10)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"search_type": "BY_IMAGE"},
        {"search_param": "", "search_type": "BY_IMAGE"},
        {"search_param": "a"},
        {"search_param": "a", "search_type": "BY_VIDEO"},
        {**ASKED, "unique_id": ""},
        {**ASKED, "unique_id": 5},
        {**ASKED, "top_k": 0},
        {**ASKED, "top_k": 1001},
        {**ASKED, "top_k": "5"},
        {**ASKED, "top_k": 5.0},
        {**ASKED, "top_k": True},
        {**ASKED, "filtering_level": "none"},
        {**ASKED, "tag": ""},
        {**ASKED, "tag": ["a"]},
        {**ASKED, "tags": ["a"]},
        {**ASKED, "camera_model": "Canon"},
        {**ASKED, "datetime_taken": "2024-02-30 10:00:00"},
        {**ASKED, "datetime_taken": 5},
        {**ASKED, "latitude": 1},
        {**ASKED, "latitude": 91, "longitude": 1},
        {**ASKED, "latitude": "1e1", "longitude": 1},
        {**ASKED, "latitude": True, "longitude": 1},
        {**ASKED, "latitude": None, "longitude": None},
    ],
)
def test_queries_outside_the_documentation_are_rejected(asked: dict[str, object]) -> None:
    assert isinstance(read_query(json.dumps(asked).encode()), Rejection)


@given(st.binary() | st.sampled_from([b"[" * 100_000, b"null", b"[]", b'{"a":NaN}', b"\xff"]))
def test_any_body_is_answered(body: bytes) -> None:
    assert isinstance(read_query(body), Rejection)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"unique_id": "Default"}, False),
        ({"tag": "syncd-0011223344556677"}, True),
        ({"tag": "syncd-001122334455667"}, False),
        ({"tag": "HOME"}, False),
        ({"tag": "api"}, True),
        ({"camera_tag": "canon eos r5"}, True),
        ({"camera_tag": "Canon"}, False),
        ({"datetime_taken": "2024-02-29 10:00:00"}, True),
        ({"datetime_taken": "2024-02-29 10:00:01"}, False),
        ({"latitude": 52.6, "longitude": "13.405"}, True),
        ({"latitude": 52.8, "longitude": 13.405}, False),
        ({"latitude": -52.52, "longitude": 13.405}, False),
    ],
)
def test_filters(filters: dict[str, object], found: bool) -> None:  # noqa: FBT001 -- a table's column
    assert matches(IMAGE, query(**filters)) is found


@pytest.mark.parametrize(
    "filters",
    [{"tag": "a"}, {"camera_tag": "a"}, {"datetime_taken": "0001-01-01 00:00:00"}, {"latitude": 0, "longitude": 0}],
)
def test_an_image_without_metadata_matches_no_filter(filters: dict[str, object]) -> None:
    assert matches(BARE, query()) is True
    assert matches(BARE, query(**filters)) is False


def test_the_shape_of_an_answer() -> None:
    data = answer([IMAGE, BARE], query(), 100.0, "http://127.0.0.1:1/")
    assert (data["current_page"], data["page_size"], data["total_count"]) == (1, 10, 2)
    rows = data["item"]
    assert isinstance(rows, list)
    assert rows[1] == {
        "id": 568102998803353601,
        "name": "cat.of-1",
        "img_url": "http://127.0.0.1:1/sandbox/images/568102998803353601",
        "datetime_taken": 1709200800000,
        "camera_model": "Canon EOS R5",
        "latitude": 52.52,
        "longitude": 13.405,
        "score": 1.0,
        "bucket": "sandbox",
        "blob": "images/568102998803353601.jpg",
    }
    assert rows[0]["datetime_taken"] is None


def test_top_k_cuts_and_the_newest_come_first() -> None:
    data = answer([IMAGE, BARE], query(top_k=1), 100.0, "")
    assert data["total_count"] == 2
    assert isinstance(data["item"], list)
    assert [row["id"] for row in data["item"]] == [568102998803353603]


def test_what_is_not_indexed_yet_is_not_found() -> None:
    assert answer([IMAGE], query(), 99.9, "")["item"] == []
