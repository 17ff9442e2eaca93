"""What an answer of the service means for the files that were sent: API.md's table in code. Pure.

A rejection counts only where API.md documents it. What is neither that nor a success with exactly as many ids as files
may have been stored, unless the request was never complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import Final

from syncd.upload.envelope import SUCCESS, Envelope, exact_ids, glimpse, image_id, printable, read_envelope
from syncd.upload.wording import is_about_the_files, named_field, too_many

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


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer with what can be read of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    envelope: Envelope | None

    @property
    def code(self) -> str:
        return self.envelope.code if self.envelope else ""

    @property
    def words(self) -> str:
        return self.envelope.message if self.envelope else ""

    @property
    def message(self) -> str:
        """One line for a person, in the service's words where it has some."""
        if self.words.strip():
            return printable(self.words)
        if self.body is None:
            return f"HTTP {self.status}, and the rest of the answer was cut or cannot be read"
        seen = "" if self.envelope else glimpse(self.body)
        return f"HTTP {self.status}: {seen}" if seen else f"HTTP {self.status} without a message"

    @property
    def succeeds(self) -> bool:
        return (
            200 <= self.status < 300 and self.code == SUCCESS and self.envelope is not None and not self.envelope.denied
        )

    @property
    def claims(self) -> bool:
        """Whether it says, in whatever way, that something was stored."""
        return self.code == SUCCESS or (self.envelope is not None and self.envelope.gives_ids)

    @property
    def redirects(self) -> bool:
        return 300 <= self.status < 400

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


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
    answer = _Answer(status, headers, body, read_envelope(body))
    rejection = None if answer.claims and not answer.redirects else _rejection(answer, files, now)
    if rejection is not None:
        return rejection
    if not answer.claims:
        if not complete:
            return NotSent(f"answered before the request was complete: {answer.message}", status, answer.code)
        return Unanswered(_doubt(answer), answer.message, status, answer.code)
    if not answer.succeeds or not complete:
        return Unanswered(Doubt.CONTRADICTION, answer.message, status, answer.code)
    ids = exact_ids(answer.envelope.data if answer.envelope else None, files)
    return Unanswered(Doubt.IDS, answer.message, status, answer.code) if ids is None else Stored(ids)


def read_search(
    status: int, headers: Mapping[str, str], body: bytes | None, now: float = 0.0
) -> tuple[Hit, ...] | SearchFailed:
    """Read the answer of the search. Entries without a proper id or name prove nothing and are left out."""
    answer = _Answer(status, headers, body, read_envelope(body))
    if answer.succeeds and answer.envelope is not None:
        data = answer.envelope.data
        found = data.get("item") if isinstance(data, dict) else data
        if found is None:
            return ()
        if isinstance(found, list):
            return tuple(hit for hit in map(_hit, found) if hit is not None)
    rejection = _rejection(answer, 1, now)
    if isinstance(rejection, Paused):
        return SearchFailed(rejection.message, paused=rejection.reason)
    if isinstance(rejection, RateLimited):
        return SearchFailed(rejection.message, limited=True, retry_after=rejection.retry_after)
    return SearchFailed(answer.message)


def retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3): seconds from `now`, 0 to 6 hours; None where it says nothing.

    Of several values the longest counts. What is neither whole seconds nor a date is nothing.
    """
    text = (value or "").strip()
    parts = [part.strip() for part in text.split(",")]
    if all(part.isascii() and part.isdigit() for part in parts):
        return max(min(float(part), RETRY_AFTER_CAP) for part in parts)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  (half of what this module takes to import)

    try:
        date = parsedate_to_datetime(text)
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(moment - now, 0.0), RETRY_AFTER_CAP)


def _rejection(answer: _Answer, files: int, now: float) -> Paused | RateLimited | TooMany | BadRequest | None:
    """Find the documented rejection in an answer; None where there is none.

    What is decided at the door (key, account, credits, pace) is believed beside any status. A verdict on the files is
    not, beside a 5xx: processing had begun, and broke.
    """
    status = answer.status
    if answer.redirects:
        target = printable(answer.header("location") or "nowhere", limit=120)
        message = f"HTTP {status} leads to {target}; redirects are not followed"
        return Paused(PauseReason.ELSEWHERE, answer.code, message, status)
    reason = _pause(answer)
    if reason is not None:
        return Paused(reason, answer.code, answer.message, status)
    wait = retry_after(answer.header("retry-after"), now)
    if _is_too_fast(answer) or (status == _TOO_LARGE and wait is not None):
        return RateLimited(wait, answer.message, status, answer.code)
    return _verdict(answer, files) if status < _BROKEN else None


def _pause(answer: _Answer) -> PauseReason | None:
    """Find why the queue must pause. The service's own word is more exact than the status around it."""
    if answer.code in _CODES:
        return _CODES[answer.code]
    words = answer.words.lower()
    if "enough points" in words:
        return PauseReason.NO_CREDITS
    if "no static resource" in words:
        return PauseReason.GONE
    return None if _is_too_fast(answer) else _STATUSES.get(answer.status)


def _is_too_fast(answer: _Answer) -> bool:
    if answer.status == _TOO_FAST or answer.code == _RATE_CODE:
        return True
    words = answer.words
    return "exceeded the limit" in words.lower() and not is_about_the_files(words, rejecting=_is_rejecting(answer))


def _is_rejecting(answer: _Answer) -> bool:
    return answer.status in _REJECTING or answer.code == _BAD_PARAMETER


def _verdict(answer: _Answer, files: int) -> TooMany | BadRequest | None:
    """Find what the service has against these very files."""
    cap = too_many(answer.words, files)
    if cap or (cap is not None and _is_rejecting(answer)):
        return TooMany(cap or None, answer.message, answer.status, answer.code)
    field = named_field(answer.words)
    if _is_rejecting(answer) or (answer.code == _AMBIGUOUS and field is not None):
        return BadRequest(answer.code or str(answer.status), answer.message, field, answer.status)
    return None


def _doubt(answer: _Answer) -> Doubt:
    if answer.status >= _BROKEN:
        return Doubt.SERVER_ERROR
    return Doubt.NO_ANSWER if answer.body is None else Doubt.NONSENSE


def _hit(entry: object) -> Hit | None:
    found = image_id(entry)
    name = entry.get("name") if isinstance(entry, dict) else None
    return Hit(found, name) if found is not None and isinstance(name, str) and name else None
