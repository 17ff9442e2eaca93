"""The rules of POST /search as API.md documents them: which queries are accepted, what is found, how a hit looks.

Pure. The sandbox cannot look at pictures: it finds every image that the filters of the query allow, newest first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from syncd.sandbox.contract import DEFAULT_NAMESPACE, SERVER_TAG, Rejection, StoredImage, bad, is_degrees, wall_clock

NAMES: Final = frozenset(
    {"search_param", "search_type", "unique_id", "top_k", "filtering_level"}
    | {"tag", "camera_tag", "datetime_taken", "latitude", "longitude"}
)
TOP_LIMIT: Final = 1000
DEFAULT_TOP: Final = 10
NEAR_KM: Final = 20.0
EARTH_KM: Final = 6371.0


@dataclass(frozen=True, slots=True)
class Query:
    """An accepted search. None where a filter was left out."""

    unique_id: str = DEFAULT_NAMESPACE
    top_k: int = DEFAULT_TOP
    tag: str | None = None
    camera_tag: str | None = None
    taken_from: datetime | None = None
    near: tuple[float, float] | None = None


def read_query(body: bytes) -> Query | Rejection:
    """Judge the JSON body of a search."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return bad("The body is not JSON.")
    if not isinstance(asked, dict):
        return bad("The body is not a JSON object.")
    breach = check_query(asked)
    if breach is not None:
        return bad(breach)
    taken = asked.get("datetime_taken")
    latitude, longitude = asked.get("latitude"), asked.get("longitude")
    return Query(
        unique_id=asked.get("unique_id", DEFAULT_NAMESPACE),
        top_k=asked.get("top_k", DEFAULT_TOP),
        tag=asked.get("tag"),
        camera_tag=asked.get("camera_tag"),
        taken_from=None if taken is None else wall_clock(taken),
        near=None if latitude is None or longitude is None else (float(latitude), float(longitude)),
    )


def check_query(asked: Mapping[str, object]) -> str | None:
    """Say what is wrong with a query, or None."""
    if unknown := sorted(set(asked) - NAMES):
        return f"Unknown parameter {unknown[0]}."
    for name in ("search_param", "unique_id", "tag", "camera_tag"):
        value = asked.get(name, "-" if name != "search_param" else None)
        if not isinstance(value, str) or value == "":
            return f"{name} must be a text that is not empty."
    if asked.get("search_type") != "BY_IMAGE":
        return "search_type must be BY_IMAGE."
    top = asked.get("top_k", DEFAULT_TOP)
    if type(top) is not int or not 1 <= top <= TOP_LIMIT:
        return f"top_k must be a whole number from 1 to {TOP_LIMIT}."
    if asked.get("filtering_level", "low") not in {"low", "medium", "high"}:
        return "filtering_level must be low, medium or high."
    return check_time(asked) or check_position(asked)


def check_time(asked: Mapping[str, object]) -> str | None:
    """Say what is wrong with the capture time of a query, or None."""
    taken = asked.get("datetime_taken", "2000-01-01 00:00:00")
    fits = isinstance(taken, str) and wall_clock(taken) is not None
    return None if fits else "datetime_taken must have the form yyyy-MM-dd HH:mm:ss."


def check_position(asked: Mapping[str, object]) -> str | None:
    """Say what is wrong with the position of a query, or None. Numbers and plain decimal texts are both taken."""
    if ("latitude" in asked) != ("longitude" in asked):
        return "latitude and longitude must be given together."
    for name, limit in (("latitude", 90), ("longitude", 180)):
        value = asked.get(name, 0)
        if isinstance(value, str):
            fits = is_degrees(value, limit)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= limit
        if not fits:
            return f"{name} must be a decimal number between -{limit} and {limit}."
    return None


def matches(image: StoredImage, query: Query) -> bool:
    """Tell whether the filters of a query let an image through: the tag exactly, the camera without case."""
    if image.unique_id != query.unique_id:
        return False
    if query.tag is not None and query.tag not in {*image.tags, SERVER_TAG}:
        return False
    if query.camera_tag is not None and query.camera_tag.casefold() != (image.camera_model or "").casefold():
        return False
    if query.taken_from is not None:
        taken = None if image.datetime_taken is None else wall_clock(image.datetime_taken)
        if taken is None or taken < query.taken_from:
            return False
    return query.near is None or is_near(image, query.near)


def is_near(image: StoredImage, near: tuple[float, float]) -> bool:
    """Tell whether an image was taken within NEAR_KM of a position (great circle)."""
    if image.latitude is None or image.longitude is None:
        return False
    north, east = math.radians(float(image.latitude)), math.radians(float(image.longitude))
    other_north, other_east = math.radians(near[0]), math.radians(near[1])
    chord = (
        math.sin((north - other_north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin((east - other_east) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, chord))) <= NEAR_KM


def answer(images: Iterable[StoredImage], query: Query, indexed_before: float, page_url: str) -> dict[str, object]:
    """Make the `data` of a search: what was stored by `indexed_before` and matches, newest first."""
    found = [image for image in images if image.created_at <= indexed_before and matches(image, query)]
    found.sort(key=lambda image: int(image.id), reverse=True)
    rows = [row(image, page_url) for image in found[: query.top_k]]
    return {"current_page": 1, "page_size": query.top_k, "total_count": len(found), "item": rows}


def row(image: StoredImage, page_url: str) -> dict[str, object]:
    """One hit: the name without its extension, the capture time as if it were UTC, no tags and no hash."""
    taken = None if image.datetime_taken is None else wall_clock(image.datetime_taken)
    return {
        "id": int(image.id),
        "name": image.name.rpartition(".")[0],
        "img_url": f"{page_url}sandbox/images/{image.id}",
        "datetime_taken": None if taken is None else int(taken.replace(tzinfo=UTC).timestamp()) * 1000,
        "camera_model": image.camera_model,
        "latitude": None if image.latitude is None else float(image.latitude),
        "longitude": None if image.longitude is None else float(image.longitude),
        "score": 1.0,
        "bucket": "sandbox",
        "blob": f"images/{image.id}.{image.type}",
    }
