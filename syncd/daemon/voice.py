"""What the daemon tells while it works: one word for each thing that happens to a photo, a root or the queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Said(StrEnum):
    """What happened. The values are the event names of the log."""

    RECORDED = "recorded"
    KNOWN = "known already"
    EDIT = "metadata-only edit"
    GONE = "gone"
    UPLOADED = "uploaded"
    FOUND = "found by look-up"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    UNFIT = "unfit"
    CHANGED = "changed while it was sent"
    UNREADABLE = "unreadable"
    UNSETTLED = "unsettled"
    ABSENT = "root absent"
    RETURNED = "root back"
    HELD = "folder held"
    SCANNED = "scanned"
    NOT_SENT = "not sent"
    THROTTLED = "throttled"
    REJECTED = "rejected"
    PAUSED = "paused"
    RESUMED = "resumed"
    BUDGET = "budget spent"
    WATCH = "watch"
    READY = "ready"
    RELOADING = "reloading"
    ENDING = "ending"
    AWAKE = "awake"
    NETWORK = "network"
    METRICS = "metrics"
    HOOK = "hook"

    @property
    def needs_a_person(self) -> bool:
        """Tell whether someone has to look at it."""
        return self in _FOR_A_PERSON


_FOR_A_PERSON = frozenset(
    {Said.REFUSED, Said.UNANSWERED, Said.UNFIT, Said.UNREADABLE, Said.ABSENT, Said.HELD, Said.PAUSED, Said.WATCH}
)


class Voice(Protocol):
    """Hears of everything, in the order in which it happened; called from several threads."""

    def say(self, said: Said, path: bytes | None, detail: str) -> None:
        """Hear that something happened, to which file or folder (None: to the queue), and what to know of it."""
        ...
