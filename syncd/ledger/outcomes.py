"""Where an answer is kept that the ledger has no room for: beside it (`NAME.outcomes`), until the next start.

The photos are stored and paid for; what is left to lose are their image ids. So room for them is taken beforehand, and
an answer that cannot be committed is written there. The next start records it before anything else.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from syncd.errors import ledger_error
from syncd.lifecycle import Outcome, State

ROOM: Final = 262_144
"""Bytes, written as zeros when the file is made: a thousand photos."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one request meant for one entry: the state that it goes to, and what goes with it."""

    entry_id: int
    to: State
    reason: str
    image_id: str | None = None
    due_at: float | None = None
    split: int | None = None
    omit: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a whole request, as the ledger keeps it."""

    outcome: Outcome
    status: int | None = None
    code: str | None = None
    message: str | None = None
    lookup_at: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was kept: of which ledger, to which request, what it meant, and when it came."""

    ledger_id: str
    request_id: int
    answer: Answer
    receipts: tuple[Receipt, ...]
    at: float

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        answer = Answer(**{**value["answer"], "outcome": Outcome(value["answer"]["outcome"])})
        receipts = tuple(_receipt(receipt) for receipt in value["receipts"])
        return cls(value["ledger_id"], value["request_id"], answer, receipts, value["at"])

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        receipts = [
            {**asdict(receipt), "omit": None if receipt.omit is None else sorted(receipt.omit)}
            for receipt in self.receipts
        ]
        return {**asdict(self), "receipts": receipts}


class OutcomeFile:
    """The file beside a ledger. Each line has a checksum, so that half a line is none."""

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(ledger.name + ".outcomes")

    def make_room(self) -> None:
        """Take the room, where it is not taken yet. Raises LedgerError: then there is too little for any work."""
        try:
            fd = self._open()
            try:
                size = os.fstat(fd).st_size
                if size < ROOM:
                    # Zeros and no fallocate: some file systems need more room to fill what was only promised.
                    _write(fd, bytes(ROOM - size), size)
                    os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise ledger_error(
                error,
                f"{self.path} cannot be written: {error.strerror}",
                hint="Check free space and permissions there; nothing is uploaded meanwhile.",
            ) from error

    def keep(self, kept: Kept) -> None:
        """Write an answer, durable when this returns. Raises OSError."""
        text = json.dumps(kept.to_json()).encode("ascii")
        line = b"%08x %b\n" % (zlib.crc32(text), text)
        fd = self._open()
        try:
            _write(fd, line, sum(len(before) + 1 for before in _lines(_read(fd))))
            os.fsync(fd)
        finally:
            os.close(fd)

    def kept(self) -> list[Kept]:
        """Give what was kept, in its order. Raises LedgerError where the file cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ledger_error(error, f"{self.path} cannot be read: {error.strerror}") from error
        return [Kept.from_json(json.loads(line.partition(b" ")[2])) for line in _lines(content)]

    def clear(self) -> None:
        """Forget what was kept; its room stays taken."""
        fd = self._open()
        try:
            _write(fd, bytes(os.fstat(fd).st_size), 0)
            os.fsync(fd)
        finally:
            os.close(fd)

    def put_aside(self, at: float) -> Path:
        """Rename the file, because what it says is of no use to this ledger; give its new name."""
        aside = self.path.with_name(f"{self.path.name}-{at:.0f}")
        self.path.replace(aside)
        return aside

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lines(content: bytes) -> Sequence[bytes]:
    """Give the whole lines at the beginning."""
    found = []
    for line in content.split(b"\n"):
        head, _, text = line.partition(b" ")
        if head != b"%08x" % zlib.crc32(text) or not text:
            break
        found.append(line)
    return found


def _read(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _write(fd: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(fd, content, offset)
        content, offset = content[written:], offset + written


def _receipt(value: dict[str, Any]) -> Receipt:
    omit = value["omit"]
    return Receipt(**{**value, "to": State(value["to"]), "omit": None if omit is None else frozenset(omit)})
