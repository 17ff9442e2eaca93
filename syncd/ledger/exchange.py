"""The ledger as lines that people and programs can read, and back: what is known of each photo, one JSON object a line.

The first line says of which ledger, and how much. What an export knows to be uploaded, or maybe uploaded, a ledger
adopts, so that a lost one does not mean paying twice. Places are for the reader: the next scan sees the files itself.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from syncd.errors import LedgerError
from syncd.ledger.adoption import Adopted, Adoption
from syncd.ledger.doubt import Doubt, doubt
from syncd.ledger.guard import requests_made
from syncd.ledger.plain import Connection, text
from syncd.ledger.rows import capture_of, unfit_of
from syncd.ledger.store import Store, fact
from syncd.lifecycle import State
from syncd.model import ImageType
from syncd.printable import path_json

VERSION: Final = 1
_SLICE: Final = 1000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_IMAGE_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
_ENTRY_FIELDS: Final[dict[str, tuple[type, ...]]] = {
    "key": (str,),
    "group_key": (str,),
    "order_at": (int, float),
    "namespace": (str, type(None)),
    "reason": (str, type(None)),
    "sent": (dict, type(None)),
    "requests": (list, type(None)),
}
_REQUEST_FIELDS: Final = {"marker": str, "marked": int, "namespace": str, "sent_at": float, "name": str}
PHOTO_FIELDS: Final = (
    *("picture_digest", "size", "type", "taken_at", "taken_from", "offset_minutes", "offset_from", "camera_model"),
    *("model_from", "latitude", "longitude", "position_from", "dropped", "unfit_code", "unfit_detail"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of an export."""

    ledger_id: str
    requests: int
    photos: int
    exported_at: str
    account: dict[str, Any] | None
    doubt: Doubt | None
    """Where the ledger that was exported did not know all itself."""


def export(store: Store, now: float) -> Iterator[dict[str, Any]]:
    """Give the header, then each photo, all of one moment; streamed."""
    with store.read() as connection:
        about = doubt(connection)
        yield {
            "syncd_export": VERSION,
            "ledger": fact(connection, "ledger_id"),
            "requests": requests_made(connection),
            "photos": connection.execute(text("SELECT count(*) FROM photos")).scalar_one(),
            "exported_at": _moment(now),
            "account": fact(connection, "account"),
            **({"doubt": asdict(about)} if about is not None else {}),
        }
        last = 0
        while photos := connection.execute(_PHOTOS, {"after": last, "slice": _SLICE}).all():
            reach = {"first": photos[0].id, "last": photos[-1].id}
            last = photos[-1].id
            paths, entries, requests = (_grouped(connection, query, reach) for query in (_PATHS, _ENTRIES, _REQUESTS))
            for photo in photos:
                yield _photo(photo, paths.get(photo.id, []), entries.get(photo.id, []), requests)


def read_header(source: Path) -> Header:
    """Read an export's first line, and check every other. Raises LedgerError, which names the line that is wrong."""
    header: Header | None = None
    count = 0
    for number, line in _lines(source):
        if header is None:
            header = _header(line, source)
            continue
        problem = _problem(line)
        if problem is not None:
            raise LedgerError(f"line {number} of {source} is no photo of an export: {problem}")
        count += 1
    if header is None:
        raise LedgerError(f"{source} is empty: it is no export")
    if count != header.photos:
        raise LedgerError(
            f"{source} is not whole: it has {count} photos, and should have {header.photos}",
            hint="Nothing was changed. Take another export.",
        )
    return header


def adopt(store: Store, source: Path, now: float) -> Adopted:
    """Add what an export knows to a ledger, which then never owes what is uploaded already. See Adoption.

    Raises LedgerError, and changes nothing, where the export is not whole.
    """
    header = read_header(source)
    requests = header.requests if header.doubt is None else None
    adoption = Adoption(header.ledger_id, requests, header.exported_at)
    lines = itertools.islice(_lines(source), 1, None)
    while some := [line for _, line in itertools.islice(lines, _SLICE)]:
        with store.write() as connection:
            for photo in some:
                adoption.photo(connection, photo, now)
    with store.write() as connection:
        return adoption.end(connection, now)


def _photo(photo: Any, paths: list[Any], entries: list[Any], requests: dict[int, list[Any]]) -> dict[str, Any]:
    known = {name: getattr(photo, name) for name in PHOTO_FIELDS if getattr(photo, name) is not None}
    return {
        "sha256": photo.digest,
        "paths": [path_json(_path(row)) for row in paths],
        "entries": [_entry(entry, requests.get(entry.id, [])) for entry in entries],
        "seen_at": _moment(photo.seen_at),
        **({"edit_of": photo.edited} if photo.edited is not None else {}),
        **known,
    }


def _entry(entry: Any, requests: list[Any]) -> dict[str, Any]:
    sent = json.loads(entry.sent_metadata) if entry.sent_metadata else None
    told = {
        "state": entry.state,
        "image_id": entry.image_id,
        "namespace": sent["unique_id"] if sent else entry.namespace or None,
        "uploaded_at": None if entry.uploaded_at is None else _moment(entry.uploaded_at),
        "reason": entry.reason,
        "sent": sent,
        "key": entry.namespace,
        "order_at": entry.order_at,
        "group_key": entry.group_key,
        "requests": [
            {
                "marker": r.marker,
                "marked": r.marked,
                "namespace": r.namespace,
                "sent_at": r.sent_at,
                "name": r.wire_name,
            }
            for r in requests
        ],
    }
    return {name: value for name, value in told.items() if value not in (None, [])}


def _path(row: Any) -> bytes:
    parts = [row.root.rstrip(b"/"), row.folder, row.name] if row.folder else [row.root.rstrip(b"/"), row.name]
    return b"/".join(parts)


def _grouped(connection: Connection, query: Any, reach: dict[str, int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query, reach):
        found.setdefault(row.of, []).append(row)
    return found


def _lines(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with source.open("rb") as file:
            for number, line in enumerate(file, 1):
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise LedgerError(f"line {number} of {source} is no JSON object")
                yield number, value
    except OSError as error:
        raise LedgerError(f"{source} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LedgerError(f"{source} is no export: {error}", hint="`syncd ledger export` writes one.") from error


def _header(line: dict[str, Any], source: Path) -> Header:
    if line.get("syncd_export") != VERSION:
        raise LedgerError(f"{source} is no export that this version of syncd can read")
    try:
        header = Header(
            ledger_id=str(line["ledger"]),
            requests=int(line["requests"]),
            photos=int(line["photos"]),
            exported_at=line["exported_at"],
            account=line["account"],
            doubt=Doubt(**line["doubt"]) if "doubt" in line else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the first line of {source} is damaged: {error}") from error
    if not re.fullmatch(r"[0-9a-f]{16}", header.ledger_id) or not isinstance(header.exported_at, str):
        raise LedgerError(f"the first line of {source} is damaged")
    return header


def _problem(line: dict[str, Any]) -> str | None:
    """Say what is wrong with a photo; None: nothing that the ledger would not take."""
    digests = [line.get("sha256"), *([line["edit_of"]] if "edit_of" in line else [])]
    if not all(isinstance(digest, str) and _SHA256.fullmatch(digest) for digest in digests):
        return "sha256 is no SHA-256"
    if not isinstance(line.get("size"), int) or not isinstance(line.get("picture_digest"), str):
        return "size or picture_digest is missing"
    try:
        row: Any = SimpleNamespace(**{**dict.fromkeys(PHOTO_FIELDS), **line})
        ImageType(row.type) if row.type is not None else None
        capture_of(row), unfit_of(row)
    except (TypeError, ValueError) as error:
        return str(error)
    entries = line.get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return "entries is no list of objects"
    return next((problem for entry in entries if (problem := _problem_of_entry(entry))), None)


def _problem_of_entry(entry: dict[str, Any]) -> str | None:
    state, image_id = entry.get("state"), entry.get("image_id")
    if state not in set(State):
        return f"the state {state!r} is none"
    if (state == State.UPLOADED) != (isinstance(image_id, str) and bool(_IMAGE_ID.fullmatch(image_id))):
        return f"image_id {image_id!r} does not fit the state {state}"
    for name, kinds in _ENTRY_FIELDS.items():
        if not isinstance(entry.get(name), kinds):
            return f"{name} is {entry.get(name)!r}"
    for request in entry.get("requests") or []:
        if not isinstance(request, dict) or {name: type(value) for name, value in request.items()} != _REQUEST_FIELDS:
            return f"the request {request!r} is none"
    return _problem_of_upload(entry)


def _problem_of_upload(entry: dict[str, Any]) -> str | None:
    sent = entry.get("sent")
    if sent is not None and not (isinstance(sent.get("unique_id"), str) and isinstance(sent.get("tags"), list)):
        return f"sent is {sent!r}"
    if "uploaded_at" in entry:
        try:
            datetime.fromisoformat(entry["uploaded_at"])
        except (TypeError, ValueError):
            return f"uploaded_at is {entry['uploaded_at']!r}"
    return None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_PHOTOS = text("""
    SELECT photos.*, originals.digest AS edited
    FROM photos LEFT JOIN photos AS originals ON originals.id = photos.edit_of
    WHERE photos.id > :after ORDER BY photos.id LIMIT :slice
""")
_PATHS = text("""
    SELECT places.photo_id AS "of", roots.path AS root, folders.path AS folder, places.name
    FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE places.photo_id BETWEEN :first AND :last AND places.gone_at IS NULL ORDER BY places.id
""")
_ENTRIES = text("""
    SELECT photo_id AS "of", entries.* FROM entries WHERE photo_id BETWEEN :first AND :last ORDER BY id
""")
_REQUESTS = text("""
    SELECT sent.entry_id AS "of", requests.*, sent.wire_name
    FROM entries JOIN sent ON sent.entry_id = entries.id JOIN requests ON requests.id = sent.request_id
    WHERE entries.photo_id BETWEEN :first AND :last AND entries.state IN ('unanswered', 'sending')
      AND (requests.outcome IS NULL OR requests.outcome = 'unanswered') ORDER BY requests.id
""")
