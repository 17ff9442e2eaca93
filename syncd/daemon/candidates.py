"""What becomes of a candidate: it settles, is read, and is recorded, or kept back where too much changes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from syncd.daemon.ahead import Ahead
from syncd.daemon.clock import Clock
from syncd.daemon.holding import Holding
from syncd.daemon.reading import Changed, NotRead, Reading, Stopped, Unreadable, Vanished
from syncd.daemon.recording import Recording
from syncd.daemon.replacements import Replacements
from syncd.ledger.sightings import Sighting, Sightings
from syncd.model import Look, PlacePath
from syncd.watch.reach import Root
from syncd.watch.settle import Settled, Settling


class Candidates:
    """The candidates on their way. `is_stopped` is asked before each that is read."""

    def __init__(  # noqa: PLR0913  (what it joins is what it is)
        self,
        *,
        reading: Reading,
        settling: Settling,
        sightings: Sightings,
        recording: Recording,
        holding: Holding,
        clock: Clock,
        is_stopped: Callable[[], bool],
        progress: Callable[[float], None],
    ) -> None:
        self._ahead = Ahead(
            reading, self._conclude, is_wanted=self._is_wanted, progress=progress, waits_for=recording.make_way
        )
        self._settling = settling
        self._sightings = sightings
        self._recording = recording
        self._holding = holding
        self._clock = clock
        self._is_stopped = is_stopped
        self._replacements = Replacements()

    def consider(self, root: Root, place: PlacePath, look: Look, *, is_known: bool) -> None:
        """Take in a file that is new or changed, once it has settled."""
        if self._replacements.keeps(place, look):
            return
        self._replacements.forget(place)
        self._ahead.takes(look.size)
        settled = self._settling.look(place, look, self._clock.now(), self._clock.monotonic())
        if isinstance(settled, Settled):
            self._ahead.read(root, place, look, is_known=is_known)

    def finish(self) -> bool:
        """Take in all that is being read; tell whether there was any, because time has passed then."""
        return self._ahead.finish()

    def give_up(self) -> None:
        """Close what is being read, without waiting for it."""
        self._ahead.give_up()

    def forget(self, place: PlacePath) -> None:
        """Let go of a place at which nothing is new, or nothing any more."""
        self._settling.forget(place)
        self._replacements.forget(place)

    def gone(self, places: Iterable[PlacePath]) -> None:
        """Record that files are gone, after what was read before: it may be the same photo at another place."""
        some = list(places)
        if not some:
            return
        self._recording.record()
        for place in some:
            self.forget(place)
        self._recording.gone(some)

    def unreadable(self, place: PlacePath, why: str) -> None:
        """Set a file aside that cannot be read."""
        self._settling.forget(place)
        self._recording.unreadable(place, why)

    def allow(self, root: bytes) -> None:
        """Let any number of replaced pictures of a root pass for a while: a person said so."""
        self._replacements.allow(root, self._clock.monotonic())

    def let_pass(self, root: bytes | None = None) -> None:
        """Record what was kept back of a root, or of all: it is daily work."""
        self._recording.add(self._replacements.take(root))

    def let_quiet_pass(self) -> None:
        """Record what was kept back of roots that have been quiet since."""
        self._recording.add(self._replacements.take_quiet(self._clock.monotonic()))

    def next_due(self) -> float | None:
        """Tell, on the monotonic clock, when what is kept back, or waits to settle, is due."""
        dues = (self._settling.next_due(), self._replacements.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _is_wanted(self, root: bytes) -> bool:
        return not self._is_stopped() and root not in self._holding

    def _conclude(self, place: PlacePath, read: Sighting | NotRead, *, is_known: bool) -> None:
        match read:
            case Sighting() as sighting:
                self._take_in(sighting, is_known=is_known)
            case Vanished():
                self.gone([place])
            case Unreadable(why):
                self.unreadable(place, why)
            case Changed(now):
                # Its times may be old enough by now: without a wait nobody would look at it before the next scan.
                self._settling.wait_anew(place, now, self._clock.monotonic())
            case Stopped():
                pass
            case unexpected:
                assert_never(unexpected)

    def _take_in(self, sighting: Sighting, *, is_known: bool) -> None:
        root, monotonic = sighting.place.root, self._clock.monotonic()
        if (
            is_known
            and not self._replacements.allowed(root, monotonic)
            and self._sightings.puts_another_picture(sighting)
        ):
            if self._replacements.keep(sighting, monotonic):
                self._hold(root)
            return
        self._recording.keep(sighting)

    def _hold(self, root: bytes) -> None:
        """Take nothing of a root in any more: too much of it changed at once for anybody's daily work."""
        replaced = self._replacements.drop(root)
        self._recording.drop(root)
        for place in self._settling.places():
            if place.root == root:
                self._settling.forget(place)
        self._holding.hold(root, replaced)
