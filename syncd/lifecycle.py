"""The life of an entry: its states, the only moves between them, and when a failed one is due again. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

BACKOFF_BASE: Final = 1.0
BACKOFF_CAP: Final = 15 * 60.0


class State(StrEnum):
    """What is true of an entry. The values are what the ledger stores and what `status --json` shows."""

    READY = "ready"
    """Owed; may be sent once `due_at` has come."""
    SENDING = "sending"
    """In a request whose outcome is not recorded."""
    UPLOADED = "uploaded"
    """The service gave an image id."""
    UNANSWERED = "unanswered"
    """May have been stored; never sent again by itself."""
    REFUSED = "refused"
    """The service rejects this very file."""
    UNFIT = "unfit"
    """Cannot be sent as it is: too large, damaged, empty, not one of the formats."""


MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.READY: frozenset({State.SENDING, State.UNFIT, State.UNANSWERED}),
    State.SENDING: frozenset({State.UPLOADED, State.READY, State.REFUSED, State.UNANSWERED}),
    State.UPLOADED: frozenset(),
    State.UNANSWERED: frozenset({State.UPLOADED, State.READY, State.REFUSED}),
    State.REFUSED: frozenset({State.READY}),
    State.UNFIT: frozenset({State.READY}),
}
"""Every move there is. The ledger refuses any other."""


def may_move(before: State, after: State) -> bool:
    """Tell whether an entry may go from one state to the other."""
    return after in MOVES[before]


def backoff(attempts: int, rng: random.Random) -> float:
    """Seconds until an entry that was certainly not stored is due again: full jitter, doubling, capped at 15 minutes.

    `attempts` counts the sends so far, this one included (1 or more).
    """
    ceiling = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempts, 32))
    return rng.uniform(0.0, ceiling)


class Outcome(StrEnum):
    """What one request came to. The values are what the ledger stores."""

    STORED = "stored"
    """Every file has an image id."""
    REJECTED = "rejected"
    """The service documents that it stored nothing, because of what was in the request."""
    THROTTLED = "throttled"
    """Too fast for the account; nothing was stored."""
    PAUSED = "paused"
    """Nothing was stored, and nothing will be before a person has put something right."""
    UNANSWERED = "unanswered"
    """May have been stored."""
    NOT_SENT = "not sent"
    """The body never left completely, so that nothing can have been stored."""
    CHANGED = "changed"
    """A file no longer had the bytes of its digest; given up before the body was complete."""
