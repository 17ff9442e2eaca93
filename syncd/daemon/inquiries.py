"""Look-ups of photos that may have been stored: asked of the service one by one, and what their answers settle.

A hit is proof and a miss is not (API.md), so a photo is looked up at growing distances, and never sent again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from syncd.daemon.clock import Clock
from syncd.daemon.voice import Said, Voice
from syncd.ledger.lookups import Lookups, Pending
from syncd.ledger.queue import Queue
from syncd.lifecycle import Outcome
from syncd.settings import OnUnanswered, UploadSettings
from syncd.upload import pace
from syncd.upload.lookup import Found, Missing, adopt, next_lookup
from syncd.upload.replies import Hit, SearchFailed

Hits = tuple[Hit, ...] | SearchFailed

_ANSWERED_WITHIN: Final = 300.0
"""Seconds, beside twice `lookup_after`, for which a look-up under way is not due again."""


class Searcher(Protocol):
    """The search of the service."""

    def search(self, marker: str, unique_id: str | None) -> Hits:
        """Look images up by their marker; never raises for trouble of the network."""
        ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look-up came to: image ids by entry, and what the gate must hear of the answer, if anything."""

    adopted: Mapping[int, str] = field(default_factory=dict)
    complaint: pace.Answered | None = None


class Inquiries:
    """The look-ups of one ledger. Called by the thread of the dispatch; only the search itself is on another."""

    def __init__(  # noqa: PLR0913  (what it joins is what it is)
        self,
        *,
        lookups: Lookups,
        queue: Queue,
        searcher: Searcher,
        executor: Executor,
        settings: UploadSettings,
        clock: Clock,
        voice: Voice,
    ) -> None:
        self._lookups = lookups
        self._queue = queue
        self._searcher = searcher
        self._executor = executor
        self._settings = settings
        self._clock = clock
        self._voice = voice
        self._under_way: dict[Future[Hits], Pending] = {}
        self._next_due: float | None = None
        self._next_is_known = False

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def futures(self) -> Sequence[Future[Hits]]:
        """The look-ups under way, to be waited for."""
        return [*self._under_way]

    def next_due(self) -> float | None:
        """Tell when the next look-up is due; None when none is outstanding. Asked at every turn, and so remembered."""
        if not self._next_is_known:
            self._next_due, self._next_is_known = self._lookups.next_due(), True
        return self._next_due

    def arose(self) -> None:
        """Hear that a request became unanswered."""
        self._next_is_known = False

    def ask(self, now: float, answered: Callable[[], None]) -> bool:
        """Let the look-up leave that has been due the longest; tell whether there was one. `answered`: it came back."""
        due = self.next_due()
        if due is None or due > now:
            return False
        self._next_is_known = False
        pending = self._lookups.due(now)
        if pending is None:
            return False  # a person settled it meanwhile
        future = self._executor.submit(self._searcher.search, pending.marker, pending.namespace)
        self._under_way[future] = pending
        future.add_done_callback(lambda _: answered())
        self._lookups.postpone(pending, now + 2 * self._settings.lookup_after + _ANSWERED_WITHIN)
        return True

    def collect(self) -> list[Findings]:
        """Settle the look-ups that came back."""
        done = [future for future in self._under_way if future.done()]
        return [self._settle(self._under_way.pop(future), future.result()) for future in done]

    def _settle(self, pending: Pending, answer: Hits) -> Findings:
        now = self._clock.now()
        self._next_is_known = False
        if isinstance(answer, SearchFailed):
            self._lookups.postpone(pending, now + self._settings.lookup_after)
            return Findings(complaint=_complaint(answer))
        missing = [Missing(entry_id, name) for entry_id, name in pending.missing]
        found = [Found(hit.id, hit.name) for hit in answer]
        adopted = adopt(missing, found, self._queue.held_ids([hit.id for hit in answer]))
        next_at = next_lookup(pending.lookups + 1, pending.sent_at, self._settings.lookup_after)
        if next_at is not None:
            # After a long night off all of them are past: they still keep their distance, for each is billed.
            next_at = max(next_at, now + self._settings.lookup_after)
        self._lookups.done(pending, adopted, next_at, now)
        for image_id in adopted.values():
            self._voice.say(Said.FOUND, None, f"image id {image_id}, marker {pending.marker}")
        missed = len(missing) - len(adopted)
        if missed and next_at is None and self._settings.unanswered is OnUnanswered.RESEND:
            self._lookups.resend(pending, now)
        return Findings(adopted)


def _complaint(failed: SearchFailed) -> pace.Answered | None:
    """Say what the gate must hear of a search that failed: limits and pauses of the account hold for uploads too."""
    if failed.paused is not None:
        return pace.Answered(Outcome.PAUSED, 0, f"{failed.paused}: {failed.message}")
    if failed.limited:
        return pace.Answered(Outcome.THROTTLED, 0, failed.message, retry_after=failed.retry_after)
    return None
