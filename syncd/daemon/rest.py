"""Why nothing leaves at a moment, and until when. Values alone: also for those who only tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rest(StrEnum):
    """Why nothing leaves at the moment."""

    NOTHING_OWED = "nothing is owed"
    UNDER_WAY = "requests are under way"
    PACE = "the pace"
    LINGER = "waiting for photos with the same metadata"
    BACK_OFF = "waiting for the next try"
    UNANSWERED = "the last request was not answered"
    BUDGET = "the budget of the day is spent"
    PAUSED = "paused"
    BY_A_PERSON = "paused by a person"
    HOURS = "outside the hours for uploads"
    METERED = "the network is metered"


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing can leave now. `until` (seconds since the epoch) is when to ask again; None: not before something new.

    `detail` says more than the reason alone, where there is more to say.
    """

    rest: Rest
    until: float | None = None
    detail: str = ""

    @property
    def why(self) -> str:
        """All that there is to say of the reason."""
        return self.detail or str(self.rest)
