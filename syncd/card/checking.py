"""`card --check`: a folder held against the list that an import (or another program) left beside it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol
from xml.etree.ElementTree import ParseError

import xxhash
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from syncd.card.manifest import FORMAT
from syncd.errors import UsageError
from syncd.printable import printable

_CHUNK: Final = 1 << 20
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class State(StrEnum):
    """What became of a listed file since."""

    SAME = "same"
    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    UNKNOWN = "not comparable"
    """The list holds no hash that syncd can compute."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a manifest: path relative to it, size (None: not said), and its hashes by name."""

    path: bytes
    size: int | None
    hashes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """A listed file as it is now."""

    path: bytes
    state: State
    reason: str = ""


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _LittleEndian:
    """XXH64 as the first hash lists wrote it: its bytes turned round."""

    def __init__(self) -> None:
        self._inner = xxhash.xxh64()

    def update(self, data: bytes, /) -> None:
        self._inner.update(data)

    def hexdigest(self) -> str:
        return self._inner.digest()[::-1].hex()


_HASHERS: Final[dict[str, Callable[[], _Hasher]]] = {
    "sha256": hashlib.sha256,
    "xxh128": xxhash.xxh3_128,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "xxh3": xxhash.xxh3_64,
    "xxhash64be": xxhash.xxh64,
    "xxh64": xxhash.xxh64,
    "xxhash64": _LittleEndian,
}
"""By the names that manifests use, the strongest first: one of them is compared."""


def read_manifest(path: Path) -> tuple[bytes, Iterator[Listed]]:
    """Give the folder that a manifest speaks of, and its lines. Raises UsageError where it is none."""
    try:
        with path.open("rb") as file:
            start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise UsageError(f"the manifest {path} cannot be read: {error.strerror}") from error
    folder = os.fsencode(path.absolute().parent)
    if start.startswith(b"<"):
        # An ASC MHL lies in a folder `ascmhl` in the one that it speaks of.
        above = os.path.dirname(folder) if os.path.basename(folder) == b"ascmhl" else folder  # noqa: PTH119, PTH120
        return above, _from_mhl(path)
    return folder, _from_json(path)


def check(folder: bytes, lines: Iterator[Listed], went: Callable[[int], None]) -> Iterator[Checked]:
    """Read every listed file again, and compare."""
    for line in lines:
        yield _check_one(folder, line, went)


def _check_one(folder: bytes, line: Listed, went: Callable[[int], None]) -> Checked:
    parts = line.path.split(b"/")
    if line.path.startswith(b"/") or b".." in parts or b"\0" in line.path:
        return Checked(line.path, State.UNREADABLE, "its path leads out of the folder")
    name = next((name for name in _HASHERS if name in line.hashes), None)
    if name is None:
        return Checked(line.path, State.UNKNOWN, "the list holds no hash that syncd computes")
    try:
        fd = os.open(folder + b"/" + line.path, _OPEN)
        try:
            difference = _difference(fd, line, name, went)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return Checked(line.path, State.MISSING, "it is not there")
    except OSError as error:
        return Checked(line.path, State.UNREADABLE, error.strerror or str(error))
    return Checked(line.path, State.CHANGED if difference else State.SAME, difference)


def _difference(fd: int, line: Listed, name: str, went: Callable[[int], None]) -> str:
    """Say how an open file differs from its line; "" where it does not."""
    seen = os.fstat(fd)
    if line.size is not None and seen.st_size != line.size:
        return f"it has {seen.st_size:,} bytes, it had {line.size:,}"
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    hasher = _HASHERS[name]()
    while piece := os.read(fd, _CHUNK):
        hasher.update(piece)
        went(len(piece))
    return "" if hasher.hexdigest() == line.hashes[name].lower() else f"its bytes are others ({name} differs)"


def _from_json(path: Path) -> Iterator[Listed]:
    try:
        found: Any = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ValueError("it is no manifest of syncd")  # noqa: TRY301  (one way out for all that is wrong)
        rows = [
            Listed(os.fsencode(row["path"]), int(row["size"]), {"sha256": str(row["sha256"])}) for row in found["files"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise _no_manifest(path, error) from error
    return iter(rows)


def _from_mhl(path: Path) -> Iterator[Listed]:
    """Read MHL v1.x and ASC MHL v2 alike: `hash` elements with a path, a size, and hashes named by their elements."""
    rows: list[Listed] = []
    known = False
    try:
        for _, element in iterparse(str(path), forbid_dtd=True):
            known = known or _plain(element.tag) == "hashlist"
            if _plain(element.tag) != "hash":
                continue
            row = _row(element)
            if row is not None:
                rows.append(row)
            element.clear()
    except (ParseError, DefusedXmlException, ValueError, OSError) as error:
        raise _no_manifest(path, error) from error
    if not known:
        raise _no_manifest(path, ValueError("it is no media hash list"))
    return iter(rows)


def _row(element: Any) -> Listed | None:
    name, size, hashes = None, None, {}
    for child in element:
        tag, text = _plain(child.tag), (child.text or "").strip()
        if tag in {"file", "path"}:
            name = child.text or ""
            size = int(child.get("size")) if child.get("size") else size
        elif tag == "size":
            size = int(text)
        elif tag in _HASHERS:
            hashes[tag] = text
    return Listed(os.fsencode(name), size, hashes) if name else None


def _plain(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _no_manifest(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read as a manifest: {printable(str(error), 200)}",
        hint="name the .json or .mhl file that an import wrote",
    )
