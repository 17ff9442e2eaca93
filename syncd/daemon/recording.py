"""What the intake found goes into the ledger together, and is told: photos, what is gone, what cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncd.daemon.clock import Clock
from syncd.daemon.voice import Said, Voice
from syncd.ledger.sightings import Recorded, Sighting, Sightings
from syncd.ledger.territory import AsideReason, Territory
from syncd.model import PlacePath

_TOGETHER: Final = 64
"""Sightings that one transaction records."""
_BYTES_TOGETHER: Final = 16_000_000
"""Bytes of their files: what takes long to read does not keep from the way out what was read before."""
_AT_LATEST: Final = 0.5
"""Seconds after which they are recorded anyway."""


@dataclass(slots=True)
class Tally:
    """What this run's intake came to."""

    recorded: Counter[Recorded] = field(default_factory=Counter)
    unreadable: int = 0
    gone: int = 0
    absent: set[bytes] = field(default_factory=set)
    held: set[bytes] = field(default_factory=set)
    missed: Counter[bytes] = field(default_factory=Counter)
    """By root: files that only a rescan found, although events were on."""


class Recording:
    """Sightings on their last step, and the count of what came of all of them."""

    def __init__(
        self, sightings: Sightings, territory: Territory, clock: Clock, voice: Voice, heard: Callable[[], None]
    ) -> None:
        """`heard` is called after photos were recorded."""
        self._sightings = sightings
        self._territory = territory
        self._clock = clock
        self._voice = voice
        self._heard = heard
        self._pending: list[Sighting] = []
        self._pending_bytes = 0
        self._pending_since = 0.0
        self._unhinted: dict[PlacePath, bool] = {}
        self.tally = Tally()

    def keep(self, sighting: Sighting) -> None:
        """Keep what was read until there is enough of it, or it has waited long enough."""
        if not self._pending:
            self._pending_since = self._clock.monotonic()
        self._pending.append(sighting)
        self._pending_bytes += sighting.look.size
        enough = len(self._pending) >= _TOGETHER or self._pending_bytes >= _BYTES_TOGETHER
        if enough or self._clock.monotonic() - self._pending_since >= _AT_LATEST:
            self.record()

    def add(self, sightings: Iterable[Sighting]) -> None:
        """Keep some that have waited already; they are recorded with the next."""
        self._pending += sightings

    def make_way(self, size: int) -> None:
        """Record what was read before a file that may take long."""
        if self._pending and self._pending_bytes + size > _BYTES_TOGETHER:
            self.record()

    def drop(self, root: bytes) -> None:
        """Let go of what was kept of a root."""
        self._pending = [sighting for sighting in self._pending if sighting.place.root != root]
        self._pending_bytes = sum(sighting.look.size for sighting in self._pending)

    def record(self) -> None:
        """Record what was kept, in one transaction, and tell of it."""
        if not self._pending:
            return
        sightings, self._pending, self._pending_bytes = self._pending, [], 0
        results = self._sightings.record(sightings, self._clock.now())
        for sighting, result in zip(sightings, results, strict=True):
            self.tally.recorded[result] += 1
            was_known = self._unhinted.pop(sighting.place, None)
            if was_known is False or (was_known is True and result is not Recorded.KNOWN):
                self.tally.missed[sighting.place.root] += 1
            self._tell(sighting, result)
        self._heard()

    def unhinted(self, place: PlacePath, *, is_known: bool) -> None:
        """Note a file that no event has told of: if it turns out to be news, it was missed."""
        self._unhinted[place] = is_known

    def forget_unhinted(self) -> None:
        """Let go of what was noted so."""
        self._unhinted.clear()

    def gone(self, places: Sequence[PlacePath]) -> None:
        """Record that files are not there any more."""
        self.tally.gone += self._sightings.gone(places, self._clock.now())
        for place in places:
            self._voice.say(Said.GONE, place.path, "")

    def unreadable(self, place: PlacePath, why: str) -> None:
        """Set a file aside that cannot be read."""
        # One that could not be read before is tried again, and is no news: `status` counts it, `why` tells of it.
        if self._territory.put_aside([(place, AsideReason.UNREADABLE, why)], self._clock.now()):
            self.tally.unreadable += 1
            self._voice.say(Said.UNREADABLE, place.path, why)

    def _tell(self, sighting: Sighting, result: Recorded) -> None:
        path = sighting.place.path
        if sighting.unwanted is not None:
            self._voice.say(Said.RECORDED, path, f"not to be uploaded: {sighting.unwanted}")
        elif result is Recorded.UNFIT:
            self._voice.say(Said.UNFIT, path, str(sighting.unfit))
        elif result is Recorded.DOUBTFUL:
            self._voice.say(Said.UNANSWERED, path, "the ledger was put back, and it may be stored already")
        elif result is Recorded.OWED:
            self._voice.say(Said.RECORDED, path, "")
        elif result is Recorded.EDIT:
            self._voice.say(Said.EDIT, path, "the same picture as before, it is not uploaded again")
        else:
            self._voice.say(Said.KNOWN, path, "")
