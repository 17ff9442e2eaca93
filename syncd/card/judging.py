"""What is said of a file whose bytes are known: where its copies are, and what became of it at the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from syncd.card.layout import CardFile
from syncd.card.report import Finding, Sending, Standing
from syncd.card.whereabouts import Recorder, Whereabouts, image_ids
from syncd.ledger.imports import Copy, Fingerprints, Imports, Known
from syncd.ledger.reports import WITHDRAWN
from syncd.lifecycle import State
from syncd.model import Look
from syncd.printable import path_text

Candidate = Callable[[bytes], bool]
"""Whether a file at a path is one that syncd uploads, by the watched folders and their patterns."""


class NoRecord(Recorder):
    """For commands that only read: what was found out about copies is not kept."""

    def refreshed(self, copy: Copy, look: Look) -> None:
        """Keep nothing."""

    def found(self, path: bytes, look: Look) -> None:
        """Keep nothing."""


class LedgerRecord(Recorder):
    """Enters what was found out about the copies of one file."""

    def __init__(self, imports: Imports, number: int, prints: Fingerprints, now: Callable[[], float]) -> None:
        self._imports = imports
        self._number = number
        self._prints = prints
        self._now = now

    def refreshed(self, copy: Copy, look: Look) -> None:
        """Keep how the copy looks now."""
        self._imports.verified({copy.number: look}, self._now())

    def found(self, path: bytes, look: Look) -> None:
        """Enter another file as a verified copy."""
        self._imports.adopt(self._number, path, self._prints, look, self._now())


def judged(
    file: CardFile,
    prints: Fingerprints,
    known: Known,
    standing: Standing,
    copies: Sequence[bytes],
    candidate: Candidate,
) -> Finding:
    """Put together what is said of a file that was read."""
    sending, reason = _sending(known, copies, candidate)
    return Finding(
        file=file,
        standing=standing,
        prints=prints,
        copies=tuple(copies),
        sending=sending,
        image_ids=image_ids(known.uploads),
        sending_reason=reason,
    )


def why_lost(where: Whereabouts) -> str:
    """Say where the copies were that are not there any more."""
    paths = [path_text(path) for _, path in where.lost]
    return f"its verified copy {paths[0]} was moved, deleted or changed since, or its disk is away" if paths else ""


def _sending(known: Known, copies: Sequence[bytes], candidate: Candidate) -> tuple[Sending, str]:
    if image_ids(known.uploads):
        return Sending.UPLOADED, ""
    seen = {place.path for place in known.places}
    unseen = any(candidate(path) and path not in seen for path in copies)
    for upload in known.uploads:
        reason = f"{upload.state}: {upload.reason}" if upload.reason else upload.state
        if upload.state in {State.REFUSED, State.UNANSWERED}:
            return Sending.HELD, reason
        if upload.state == State.UNFIT or (upload.state == WITHDRAWN and not unseen):
            return Sending.NOT_SENT, reason
        if upload.state != WITHDRAWN:
            return Sending.OWED, reason
    return (Sending.OWED, "no sync has seen it yet") if unseen else (Sending.NOT_SENT, "")
