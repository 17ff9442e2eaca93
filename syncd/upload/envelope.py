"""The JSON envelope of the service, `{"code", "msg", "data", ...}`: read strictly, shown safely. Pure.

What is no clean envelope (cut, duplicate keys, NaN, not an object) is none at all: nothing is guessed from parts of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, NoReturn

SUCCESS: Final = "0000"
MESSAGE_LENGTH: Final = 300
_MAX_ID: Final = 2**63
_CODE = re.compile(r"[0-9]{1,9}")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_GLIMPSE: Final = 4096
_WORDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Envelope:
    """One answer of the service in its own form."""

    code: str
    """At least four digits ("0401" for 401, "401" and " 0401 " alike); "" where there is none."""
    message: str
    """As it came, its first 2000 characters, not escaped. Show it through `printable`."""
    data: object
    denied: bool
    """`success` is false or `failed` is true."""

    @property
    def gives_ids(self) -> bool:
        """Tell whether `data` holds at least one id: something was stored, whatever the code says."""
        return isinstance(self.data, list) and any(image_id(entry) is not None for entry in self.data)


def read_envelope(body: bytes | None) -> Envelope | None:
    """Read a body; None where it is no envelope."""
    if body is None:
        return None
    try:
        parsed: object = json.loads(body, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or not parsed.keys() & {"code", "msg", "message"}:
        return None
    message = parsed.get("msg", parsed.get("message"))
    return Envelope(
        code=_code(parsed.get("code")),
        message=message[:_WORDS] if isinstance(message, str) else "",
        data=parsed.get("data"),
        denied=parsed.get("success") is False or parsed.get("failed") is True,
    )


def exact_ids(data: object, files: int) -> tuple[str, ...] | None:
    """Read the ids of an upload: exactly one for each file, all of them distinct; else None."""
    if not isinstance(data, list) or len(data) != files or not files:
        return None
    ids = [image_id(entry) for entry in data]
    texts = tuple(each for each in ids if each is not None)
    return texts if len(texts) == files == len(set(texts)) else None


def image_id(entry: object) -> str | None:
    """Read the id of one entry of `data` as text: a 64-bit integer above 0, or its digits. Never through a float."""
    found = entry.get("id") if isinstance(entry, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found) if 0 < found < _MAX_ID else None
    if isinstance(found, str) and _ID.fullmatch(found):
        return found if int(found) < _MAX_ID else None
    return None


def printable(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Bound a foreign text and make it harmless on a screen: controls, bidi marks, surrogates, newlines as escapes."""
    shown: list[str] = []
    length = 0
    for character in text.strip():
        safe = character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        if length + len(safe) > limit - 1:
            shown.append("…")
            break
        shown.append(safe)
        length += len(safe)
    return "".join(shown)


def glimpse(body: bytes | None) -> str:
    """Show a little of a body that is no envelope: the title of a page, or its first words."""
    text = (body or b"")[:_GLIMPSE].decode("utf-8", "replace")
    title = _TITLE.search(text)
    return printable(" ".join((title.group(1) if title else text).split()), limit=100)


def _code(code: object) -> str:
    if isinstance(code, bool):
        return ""
    text = str(code).strip() if isinstance(code, (int, str)) else ""
    return str(int(text)).zfill(4) if text.isascii() and _CODE.fullmatch(text) else ""


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key is repeated")
    return read


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
