"""Known places that show another picture: kept back for a moment, so that a flood of them is never sent. Pure.

One scan that finds more than a hundred of them, or as many within an hour from events, is no one's daily work: it is a
mass edit, a failing disk or ransomware, and a person must say which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from syncd.ledger.sightings import Sighting
from syncd.model import Look, PlacePath

MOST: Final = 100
"""So many known places of one root may show another picture within one scan, or within `WINDOW`."""
WINDOW: Final = 3600.0
"""Seconds for which a replaced place is remembered."""
QUIET: Final = 5.0
"""Seconds without another one of the same root, after which those kept back are taken for daily work."""


@dataclass(slots=True)
class _OfRoot:
    kept: dict[PlacePath, Sighting] = field(default_factory=dict)
    seen: dict[PlacePath, float] = field(default_factory=dict)
    """When each place was replaced last, oldest first."""
    last: float = 0.0


class Replacements:
    """The replaced places of each root. All times in seconds on the monotonic clock. Never more than `MOST` a root."""

    def __init__(self) -> None:
        self._roots: dict[bytes, _OfRoot] = {}
        self._allowed: dict[bytes, float] = {}

    def allow(self, root: bytes, now: float) -> None:
        """Let any number pass for a while: a person said so."""
        self._allowed[root] = now + WINDOW

    def allowed(self, root: bytes, now: float) -> bool:
        """Tell whether any number may pass."""
        return now < self._allowed.get(root, now)

    def keep(self, sighting: Sighting, now: float) -> bool:
        """Keep a sighting back; tell whether its root has too many of them by now."""
        of_root = self._roots.setdefault(sighting.place.root, _OfRoot())
        seen = of_root.seen
        for place in [place for place, at in seen.items() if at <= now - WINDOW]:
            del seen[place]
        seen.pop(sighting.place, None)
        seen[sighting.place] = of_root.last = now
        of_root.kept[sighting.place] = sighting
        return len(seen) > MOST

    def keeps(self, place: PlacePath, look: Look) -> bool:
        """Tell whether what this look shows is kept back already: looking again must not begin its wait anew."""
        of_root = self._roots.get(place.root)
        kept = of_root.kept.get(place) if of_root is not None else None
        return kept is not None and kept.look == look

    def take(self, root: bytes | None = None) -> list[Sighting]:
        """Give what is kept back, of one root or of all: it is daily work."""
        taken: list[Sighting] = []
        for path, of_root in self._roots.items():
            if root in {None, path}:
                taken += of_root.kept.values()
                of_root.kept.clear()
        return taken

    def take_quiet(self, now: float) -> list[Sighting]:
        """Give what is kept back of roots that have been quiet since."""
        quiet = [path for path, of_root in self._roots.items() if now - of_root.last >= QUIET]
        return [sighting for path in quiet for sighting in self.take(path)]

    def next_due(self) -> float | None:
        """Tell when the next root will have been quiet; None where nothing is kept back."""
        return min((of_root.last + QUIET for of_root in self._roots.values() if of_root.kept), default=None)

    def forget(self, place: PlacePath) -> None:
        """Let go of a place that is looked at anew, or gone."""
        of_root = self._roots.get(place.root)
        if of_root is not None:
            of_root.kept.pop(place, None)

    def drop(self, root: bytes) -> list[PlacePath]:
        """Let go of a whole root; give the places that were replaced, oldest first."""
        of_root = self._roots.pop(root, _OfRoot())
        return list(of_root.seen)
