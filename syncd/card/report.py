"""What is said of each file of a card, the counts, and the verdict. Pure, but for the lock that joins two threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.card.layout import CardFile
from syncd.ledger.imports import Fingerprints


class Standing(StrEnum):
    """Where a file of the card stands. The values are what `--json` says."""

    COPIED = "copied"
    """Copied by this import, read back, the same."""
    KNOWN = "known"
    """A verified copy was there before."""
    NEW = "new"
    """Never imported."""
    LOST = "copy lost"
    """It was imported, and the copy was moved, deleted or changed since."""
    UNREADABLE = "unreadable"
    """The card does not give it."""
    NOT_COPIED = "not copied"
    """It could be read, but no verified copy came of it."""
    NOT_READ = "not read"
    """The import ended before its turn."""

    @property
    def is_safe(self) -> bool:
        """Whether verified copies of it are where they are to be."""
        return self in {Standing.COPIED, Standing.KNOWN}


class Sending(StrEnum):
    """What became of a file at the service."""

    UPLOADED = "uploaded"
    OWED = "not uploaded yet"
    HELD = "waits for a person"
    """Refused, or unanswered: it may be stored, and nobody knows."""
    NOT_SENT = "not to be sent"
    """Not a format the service takes, or kept back by your rules, or copied with --no-upload."""


_NOT_UPLOADED = frozenset({Sending.OWED, Sending.HELD})


@dataclass(frozen=True, slots=True)
class Finding:
    """All that is said of one file of the card."""

    file: CardFile
    standing: Standing
    reason: str = ""
    """Why it is not safe; for a safe one anything worth a word."""
    prints: Fingerprints | None = None
    copies: tuple[bytes, ...] = ()
    """Paths of its verified copies."""
    sending: Sending = Sending.NOT_SENT
    image_ids: tuple[str, ...] = ()
    sending_reason: str = ""


@dataclass(slots=True)
class Report:
    """Collects what is found. `each` is told of every finding as it comes (for the manifest).

    With `wants_uploads` the verdict asks for an image id of every photo that is to be sent, too.

    Of files that are safe only counts are kept, so that memory does not grow with the card.
    """

    wants_uploads: bool = False
    each: Callable[[Finding], None] = lambda _: None
    counts: Counter[Standing] = field(default_factory=Counter)
    sendings: Counter[Sending] = field(default_factory=Counter)
    size: int = 0
    """Bytes of all files of the card that were found."""
    system: int = 0
    unsafe: list[Finding] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)
    """How copies were read back: the values of medium.Way."""
    stopped: str = ""
    """Why it ended before its end; "" where it did not."""
    interrupted: bool = False
    below: tuple[bytes, ...] = (b"/",)
    """The destinations, each with a slash at its end."""
    elsewhere: int = 0
    """Safe files whose copies lie in none of the destinations."""
    changed: bool = False
    """Whether files came or went on the card meanwhile."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, finding: Finding) -> None:
        """Take one finding."""
        with self._lock:
            self.counts[finding.standing] += 1
            self.size += finding.file.size
            if finding.standing.is_safe:
                self.sendings[finding.sending] += 1
                self.elsewhere += not any(path.startswith(self.below) for path in finding.copies)
            if not finding.standing.is_safe or (self.wants_uploads and finding.sending in _NOT_UPLOADED):
                self.unsafe.append(finding)
            self.each(finding)

    @property
    def files(self) -> int:
        """How many files there are on the card."""
        return self.counts.total()

    @property
    def safe_files(self) -> int:
        """How many of them have verified copies where they are to be."""
        return sum(count for standing, count in self.counts.items() if standing.is_safe)

    @property
    def is_safe(self) -> bool:
        """Whether the card may be formatted: every file has what was asked for, and every file was looked at."""
        return not (self.unsafe or self.stopped or self.interrupted or self.changed)

    @property
    def exit_code(self) -> int:
        """The exit code, by the README's table."""
        if self.is_safe:
            return 0
        only_waiting = all(one.standing.is_safe and one.sending is Sending.OWED for one in self.unsafe)
        return 75 if self.interrupted or (only_waiting and not self.stopped and not self.changed) else 3
