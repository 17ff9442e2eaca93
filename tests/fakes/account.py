"""The account at the fault server: what is stored and billed, the rules of API.md, and the search over what is stored.

Written from API.md alone and independent of syncd.sandbox, so that the two are a check on each other.
"""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fakes.wire import Part, Request

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
FIELDS = {"unique_id", "datetime_taken", "camera_model", "latitude", "longitude", "tags"}
SIZE_LIMIT = 20_000_000


@dataclass(frozen=True, slots=True)
class Rejection:
    """An envelope that says why nothing was stored."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One image as the account holds it, and for which it was billed."""

    id: int
    sha256: str
    size: int
    file_name: str
    content_type: str
    fields: dict[str, list[str]]
    at: float
    request: int
    """Which upload request brought it, counted from 1 over what was stored."""

    @property
    def namespace(self) -> str:
        return self.fields.get("unique_id", ["default"])[0]

    @property
    def tags(self) -> list[str]:
        return self.fields.get("tags", [])


class Account:
    """What the service remembers. The attributes are switches that a test may set at any time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stored: list[StoredFile] = []
        self.violations: list[str] = []
        """Each breach of a documented rule that a request committed; a careful client leaves this empty."""
        self.key: str | None = None
        self.credits: int | None = None
        self.batch_cap: int | None = None
        self.bad: set[str] = set()
        """SHA-256 digests of files for which the whole request is rejected, naming nothing."""
        self.search_lag = 0.0
        self.search_misses = False
        self._requests = 0
        self._next_id = 568102998803353601

    def billed(self) -> Counter[str]:
        """How many times each content was paid for: SHA-256 -> count."""
        with self.lock:
            return Counter(image.sha256 for image in self.stored)

    def judge(self, request: Request) -> Rejection | None:
        """Say why the request is rejected as a whole, or None. Breaches of the form are noted in `violations`."""
        key = request.header("Authorization")
        if key is None or not key.startswith("sk-") or self.key not in {None, key}:
            return Rejection("0401", "Invalid API key.")
        breach = breach_of(request)
        if breach is not None:
            with self.lock:
                self.violations.append(breach)
            return Rejection("0003", breach)
        if self.batch_cap is not None and len(request.files) > self.batch_cap:
            return Rejection("0003", f"The number of files exceeds the limit. At most {self.batch_cap} files.")
        if any(part.sha256 in self.bad for part in request.files):
            return Rejection("0003", "Parameter error.")
        if self.credits is not None and self.credits < len(request.files):
            return Rejection("0402", "You don't have enough points.")
        return None

    def store(self, request: Request, at: float) -> list[int]:
        """Keep and bill every file of the request; the ids are in the order of the files."""
        with self.lock:
            self._requests += 1
            ids = []
            for part in request.files:
                # The step is uneven, so that no client can count on ids being dense.
                self._next_id += 4096 + len(self.stored) % 7
                ids.append(self._next_id)
                name, kind = part.file_name or "", part.content_type or ""
                image = StoredFile(
                    self._next_id, part.sha256, part.size, name, kind, request.fields, at, self._requests
                )
                self.stored.append(image)
            if self.credits is not None:
                self.credits -= len(ids)
            return ids

    def search(self, query: dict[str, object], now: float) -> list[dict[str, object]]:
        """The images that a search finds: indexed by now, in the namespace, with the tag."""
        if self.search_misses:
            return []
        with self.lock:
            found = [image for image in self.stored if image.at + self.search_lag <= now and matches(image, query)]
        top = query.get("top_k", 10)
        return [shown(image) for image in found][: top if isinstance(top, int) else 10]


def matches(image: StoredFile, query: dict[str, object]) -> bool:
    if image.namespace != query.get("unique_id", "default"):
        return False
    return "tag" not in query or query["tag"] in image.tags


def shown(image: StoredFile) -> dict[str, object]:
    taken = image.fields.get("datetime_taken")
    moment = datetime.strptime(taken[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if taken else None
    return {
        "id": image.id,
        "name": image.file_name.rpartition(".")[0],
        "img_url": f"https://images.invalid/{image.id}",
        "datetime_taken": int(moment.timestamp() * 1000) if moment else None,
        "camera_model": image.fields.get("camera_model", [None])[0],
        "latitude": image.fields.get("latitude", [None])[0],
        "longitude": image.fields.get("longitude", [None])[0],
        "score": 0.5,
        "bucket": "b",
        "blob": "o",
    }


def breach_of(request: Request) -> str | None:
    """The first documented rule of POST /upload_img that the request breaks."""
    if request.problem:
        return request.problem
    for part in request.parts:
        if (part.name == "files") != (part.file_name is not None):
            return f"the part {part.name} has file name {part.file_name}"
    if not request.files:
        return "files is empty"
    fields = request.fields
    if unknown := set(fields) - FIELDS:
        return f"unknown fields {sorted(unknown)}"
    if repeated := [name for name, values in fields.items() if name != "tags" and len(values) > 1]:
        return f"repeated fields {repeated}"
    return next((breach for part in request.files if (breach := breach_of_file(part))), None) or breach_of_fields(
        {name: values[0] for name, values in fields.items() if name != "tags"}, request.tags
    )


def breach_of_file(part: Part) -> str | None:
    name = part.file_name or ""
    if not name.lower().endswith(EXTENSIONS):
        return f"file name {name!r}"
    if not (part.content_type or "").startswith("image/"):
        return f"Content-Type {part.content_type!r} of {name!r}"
    if not 0 < part.size <= SIZE_LIMIT:
        return f"{name!r} has {part.size} bytes"
    return None


def breach_of_fields(fields: dict[str, str], tags: list[str]) -> str | None:
    fit = {
        "unique_id": fields.get("unique_id") != "",
        "datetime_taken": is_wall_clock(fields.get("datetime_taken", "2020-01-01 00:00:00")),
        "camera_model": 0 < len(fields.get("camera_model", "x")) <= 200,
        "latitude": is_decimal(fields.get("latitude", "0"), 90.0),
        "longitude": is_decimal(fields.get("longitude", "0"), 180.0)
        and ("latitude" in fields) == ("longitude" in fields),
        "tags": len(tags) <= 49 and "" not in tags,
    }
    return next((f"Parameter error: {name}: {fields.get(name, tags)!r}" for name in fit if not fit[name]), None)


def is_wall_clock(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", text):
        return False
    try:
        datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 -- a wall clock has no zone
    except ValueError:
        return False
    return True


def is_decimal(text: str, limit: float) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) is not None and math.fabs(float(text)) <= limit
