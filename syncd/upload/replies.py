"""What an answer of the service means for the files that were sent: API.md's table in code. Pure.

A rejection counts only where API.md documents it. What is neither that nor a success with exactly as many ids as files
may have been stored, unless the request was never complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from syncd.upload.envelope import SUCCESS, Envelope, exact_ids, glimpse, image_id, printable, read_envelope

RETRY_AFTER_CAP: Final = 6 * 3600.0


class PauseReason(StrEnum):
    """Why nothing can be sent at all until something outside changes."""

    BAD_KEY = "bad key"
    DISABLED = "account disabled"
    NO_CREDITS = "no credits"
    GONE = "endpoint gone"
    ELSEWHERE = "redirected / not the service"


class Doubt(StrEnum):
    """Why it is unknown whether the files were stored."""

    NO_ANSWER = "no answer"
    SERVER_ERROR = "server error"
    NONSENSE = "not an answer of the service"
    IDS = "the ids do not fit the files"
    CONTRADICTION = "the answer contradicts itself"


@dataclass(frozen=True, slots=True)
class Stored:
    """Every file was stored. The ids are in the order of the files, as text."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotSent:
    """No complete request ever left: safe to send again."""

    cause: str
    status: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """File `index` no longer has the bytes of its digest; the request was given up before it was complete."""

    index: int
    detail: str


@dataclass(frozen=True, slots=True)
class TooMany:
    """Not stored: more files than one request may have. `cap` where the message says how many it may."""

    cap: int | None
    message: str
    status: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """Not stored: the service rejects a file or a value. `field` is the metadata field that the message names."""

    code: str
    """Of the envelope, else the HTTP status: "413" is a file that is too large."""
    message: str
    field: str | None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Not stored: too fast. `retry_after` in seconds, where the service says how long."""

    retry_after: float | None
    message: str
    status: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """Not stored, and nothing else would be."""

    reason: PauseReason
    code: str
    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """May have been stored: never sent again by itself."""

    cause: Doubt
    message: str
    status: int | None = None
    code: str = ""


Reply = Stored | NotSent | Changed | TooMany | BadRequest | RateLimited | Paused | Unanswered


@dataclass(frozen=True, slots=True)
class Hit:
    """An image that the search found. `name` mostly lacks its extension."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class SearchFailed:
    """The search said nothing about the image. `paused` and `limited` hold for uploads too."""

    message: str
    paused: PauseReason | None = None
    limited: bool = False
    retry_after: float | None = None


_CODES: Final[Mapping[str, PauseReason]] = {
    "0401": PauseReason.BAD_KEY,
    "9009": PauseReason.BAD_KEY,
    "0403": PauseReason.DISABLED,
    "0402": PauseReason.NO_CREDITS,
}
_STATUSES: Final[Mapping[int, PauseReason]] = {
    401: PauseReason.BAD_KEY,
    402: PauseReason.NO_CREDITS,
    403: PauseReason.DISABLED,
    404: PauseReason.GONE,
    405: PauseReason.ELSEWHERE,
    411: PauseReason.ELSEWHERE,
}
_RATE_CODE: Final = "0429"
_BAD_PARAMETER: Final = "0003"
_AMBIGUOUS: Final = "0001"
_REJECTING: Final = frozenset({400, 413, 415, 422})
_TOO_LARGE: Final = 413
_TOO_FAST: Final = 429
_BROKEN: Final = 500

_FIELDS: Final = {
    "datetime_taken": re.compile(r"datetime[_ ]?taken", re.IGNORECASE),
    "camera_model": re.compile(r"camera[_ ]?model", re.IGNORECASE),
    "latitude": re.compile(r"latitude", re.IGNORECASE),
    "longitude": re.compile(r"longitude", re.IGNORECASE),
    "tags": re.compile(r"\btags?\b", re.IGNORECASE),
    "unique_id": re.compile(r"unique[_ ]?id", re.IGNORECASE),
}
_LIMIT = re.compile(r"at most|max|up to|no more than|limit|exceed|too many|more than|only", re.IGNORECASE)
_FILES = re.compile(r"\b(?:files|images|photos|pictures|file count|image count)\b", re.IGNORECASE)
_REQUESTS = re.compile(r"\brequests?\b|\brate\b|\bfrequen", re.IGNORECASE)
_SIZE = re.compile(
    r"\bsizes?\b|\d\s*(?:[kmg]i?b|[kmg]|bytes|px|pixels)\b|pixel|resolution|dimension|width|height|\blength\b|character",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.,-])\d{1,6}(?![\w-]|[.,]\d)")
_CAP = re.compile(
    r"(?:at most|max\w*|up to|no more than|more than|limit|cap|only|exceed\w*)\W+(?:\w+\W+){0,4}?(\d{1,6})\b",
    re.IGNORECASE,
)


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    files: int,
    complete: bool,  # noqa: FBT001 - the sixth thing to know, and no option
    now: float = 0.0,
) -> Reply:
    """Say what an answer to the upload of `files` files means.

    `body` is None where it was cut or cannot be read. `complete` says whether every byte of the request was handed to
    the network: if not, nothing can have been stored, unless the service claims so. `now` (Unix) is for Retry-After.
    """
    envelope = read_envelope(body)
    code = envelope.code if envelope else ""
    claims = envelope is not None and (code == SUCCESS or envelope.gives_ids)
    message = _message(status, envelope, body)
    if not claims or _is_redirect(status):
        rejection = _rejection(status, headers, envelope, files, now)
        if rejection is not None:
            return rejection
    if envelope is None or not claims:
        if not complete:
            return NotSent(f"answered before the request was complete: {message}", status, code)
        return Unanswered(_doubt(status), message, status, code)
    if not _is_success(status) or code != SUCCESS or envelope.denied or not complete:
        return Unanswered(Doubt.CONTRADICTION, message, status, code)
    ids = exact_ids(envelope.data, files)
    return Unanswered(Doubt.IDS, message, status, code) if ids is None else Stored(ids)


def read_search(
    status: int, headers: Mapping[str, str], body: bytes | None, now: float = 0.0
) -> tuple[Hit, ...] | SearchFailed:
    """Read the answer of the search. Entries without a proper id or name prove nothing and are left out."""
    envelope = read_envelope(body)
    if envelope is not None and envelope.code == SUCCESS and _is_success(status) and not envelope.denied:
        data = envelope.data
        found = data.get("item") if isinstance(data, dict) else data
        if found is None:
            return ()
        if isinstance(found, list):
            return tuple(hit for hit in map(_hit, found) if hit is not None)
    reply = _rejection(status, headers, envelope, files=1, now=now)
    message = _message(status, envelope, body)
    if isinstance(reply, Paused):
        return SearchFailed(reply.message, paused=reply.reason)
    if isinstance(reply, RateLimited):
        return SearchFailed(reply.message, limited=True, retry_after=reply.retry_after)
    return SearchFailed(message)


def retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3): seconds from `now`, 0 to 6 hours; None where it says nothing.

    Of several values the longest counts. What is neither whole seconds nor a date is nothing.
    """
    text = (value or "").strip()
    parts = [part.strip() for part in text.split(",")]
    if all(part.isascii() and part.isdigit() for part in parts):
        return max(min(float(part), RETRY_AFTER_CAP) for part in parts)
    try:
        date = parsedate_to_datetime(text)
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(moment - now, 0.0), RETRY_AFTER_CAP)


def _rejection(
    status: int, headers: Mapping[str, str], envelope: Envelope | None, files: int, now: float
) -> Paused | RateLimited | TooMany | BadRequest | None:
    """Find the documented rejection in an answer; None where there is none.

    What is decided at the door (key, account, credits, pace) is believed beside any status, 5xx too.
    """
    code = envelope.code if envelope else ""
    message = _message(status, envelope, None)
    if _is_redirect(status):
        target = printable(_header(headers, "location") or "nowhere", limit=120)
        return Paused(
            PauseReason.ELSEWHERE, code, f"HTTP {status} leads to {target}; redirects are not followed", status
        )
    reason = _pause(status, envelope)
    if reason is not None:
        return Paused(reason, code, message, status)
    wait = retry_after(_header(headers, "retry-after"), now)
    words = envelope.message if envelope else ""
    fast = "exceeded the limit" in words.lower() and not _is_about_the_files(words)
    if status == _TOO_FAST or code == _RATE_CODE or fast or (status == _TOO_LARGE and wait is not None):
        return RateLimited(wait, message, status, code)
    if status < _BROKEN:
        return _verdict(status, code, words, files, message)
    return None


def _verdict(status: int, code: str, words: str, files: int, message: str) -> TooMany | BadRequest | None:
    """Find what the service has against these very files."""
    rejecting = status in _REJECTING or code == _BAD_PARAMETER
    cap = _too_many(words, files)
    if cap or (rejecting and cap is not None):
        return TooMany(cap or None, message, status, code)
    field = _field(words)
    names_a_field = code == _AMBIGUOUS and field is not None
    return BadRequest(code or str(status), message, field, status) if rejecting or names_a_field else None


def _pause(status: int, envelope: Envelope | None) -> PauseReason | None:
    """Find why the queue must pause. The service's own word is more exact than the status around it."""
    if envelope is not None:
        if envelope.code in _CODES:
            return _CODES[envelope.code]
        words = envelope.message.lower()
        if "enough points" in words:
            return PauseReason.NO_CREDITS
        if "no static resource" in words:
            return PauseReason.GONE
        if envelope.code == _RATE_CODE or "exceeded the limit" in words:
            return None
    return _STATUSES.get(status)


def _too_many(words: str, files: int) -> int | None:
    """Read a message about the number of files: the cap, or 0 if it names none; None if it is about something else."""
    if files <= 1 or not (_FILES.search(words) and _LIMIT.search(words)) or _SIZE.search(words) or _field(words):
        return None
    named = [int(number) for number in _CAP.findall(words)]
    others = [int(number) for number in _NUMBER.findall(words)]
    for numbers in (named, others):
        fitting = {number for number in numbers if 0 < number < files}
        if len(fitting) == 1:
            return fitting.pop()
    return 0


def _is_about_the_files(words: str) -> bool:
    """Tell a limit on what was sent ("number of files exceeded the limit") from the limit on requests."""
    if _REQUESTS.search(words):
        return False
    return bool(_FILES.search(words) or _SIZE.search(words) or _field(words))


def _field(words: str) -> str | None:
    """Name the metadata field that a message speaks of: the first one in it."""
    found = {match.start(): field for field, pattern in _FIELDS.items() if (match := pattern.search(words))}
    return found[min(found)] if found else None


def _hit(entry: object) -> Hit | None:
    found = image_id(entry)
    name = entry.get("name") if isinstance(entry, dict) else None
    return Hit(found, name) if found is not None and isinstance(name, str) and name else None


def _message(status: int, envelope: Envelope | None, body: bytes | None) -> str:
    """Say in one line what was answered, in the service's words where it has some."""
    if envelope is not None and envelope.message.strip():
        return printable(envelope.message)
    words = glimpse(body) if envelope is None else ""
    return f"HTTP {status}: {words}" if words else f"HTTP {status} without a message"


def _doubt(status: int) -> Doubt:
    return Doubt.SERVER_ERROR if status >= _BROKEN else Doubt.NONSENSE


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _is_redirect(status: int) -> bool:
    return 300 <= status < 400


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)
