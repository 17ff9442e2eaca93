"""What the words of a rejection speak of: a cap on files, a metadata field, a limit on requests. Pure.

The service gives one code for many things (API.md: 0003, 0001), so its words have to be read. What they do not plainly
say is not guessed.
"""

from __future__ import annotations

import re
from typing import Final

_FIELDS: Final = {
    "datetime_taken": re.compile(r"datetime[_ ]?taken", re.IGNORECASE),
    "camera_model": re.compile(r"camera[_ ]?model", re.IGNORECASE),
    "latitude": re.compile(r"latitude", re.IGNORECASE),
    "longitude": re.compile(r"longitude", re.IGNORECASE),
    "tags": re.compile(r"\btags?\b", re.IGNORECASE),
    "unique_id": re.compile(r"unique[_ ]?id", re.IGNORECASE),
}
_FILES = re.compile(r"\b(?:files|images|photos|pictures)\b|\d\s*(?:file|image|photo|picture)\b", re.IGNORECASE)
_FILE = re.compile(r"\b(?:file|image|photo|picture)\b", re.IGNORECASE)
_REQUESTS = re.compile(r"\brequests?\b|\brate\b|\bfrequen", re.IGNORECASE)
_KIND = re.compile(
    r"\bsizes?\b|\d\s*(?:[kmg]i?b|[kmg]|bytes|px|pixels)\b|pixel|resolution|dimension|width|height|\blength\b|character"
    r"|\btypes?\b|format|extension|suffix",
    re.IGNORECASE,
)
_COUNT = re.compile(r"too many|\bnumber\b|\bcount\b|quantity|\bhow many\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,-])\d{1,6}(?![\w-]|[.,]\d)")
_CAP = re.compile(
    r"(?:at most|max\w*|up to|more than|limit\w*|\bcap|exceed\w*)\W+(?:\w+\W+){0,4}?(\d{1,6})\b(?![.,]\d)",
    re.IGNORECASE,
)


def too_many(words: str, files: int) -> int | None:
    """Read a message about the number of files: the cap, or 0 if it names none; None if it is about something else.

    A cap is below what was sent. One that is not plainly named is not guessed: a wrong one would cost requests.
    """
    if files <= 1 or not _FILES.search(words) or _KIND.search(words) or named_field(words):
        return None
    named = {int(number) for number in _CAP.findall(words)}
    counted = _COUNT.search(words) is not None
    others = {int(number) for number in _NUMBER.findall(words)} if counted else set()
    for numbers in (named, others):
        fitting = [number for number in numbers if 0 < number < files]
        if len(fitting) == 1:
            return fitting[0]
    return 0 if counted else None


def is_about_the_files(words: str, *, rejecting: bool) -> bool:
    """Tell a limit on what was sent ("number of files exceeded the limit") from the limit on requests."""
    if _KIND.search(words) or named_field(words):
        return True
    if _REQUESTS.search(words):
        return bool(_FILES.search(words) and (_COUNT.search(words) or _CAP.search(words)))
    return bool(_FILES.search(words) or (rejecting and _FILE.search(words)))


def named_field(words: str) -> str | None:
    """Name the metadata field that a message speaks of: the first one in it."""
    found = {match.start(): field for field, pattern in _FIELDS.items() if (match := pattern.search(words))}
    return found[min(found)] if found else None
