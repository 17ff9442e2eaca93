"""The roots of which nothing is taken in until a person says go: too much of them changed at once."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.daemon.clock import Clock
from syncd.daemon.replacements import MOST
from syncd.daemon.voice import Said, Voice
from syncd.ledger.holds import Holds
from syncd.ledger.territory import RootRecord
from syncd.model import PlacePath
from syncd.printable import path_text


class Holding:
    """Knows which roots are held. `told` are those that were told of in this run."""

    def __init__(self, holds: Holds, clock: Clock, voice: Voice, told: set[bytes]) -> None:
        self._holds = holds
        self._clock = clock
        self._voice = voice
        self._told = told
        self._held = {folder.root for folder in holds.held()}

    def __contains__(self, root: bytes) -> bool:
        return root in self._held

    def is_held(self, root: RootRecord) -> bool:
        """Tell whether a root is held; a person may have released it since."""
        if root.held is not None:
            self._note(root.path, root.held)
            return True
        self._held.discard(root.path)
        self._told.discard(root.path)
        return False

    def hold(self, root: bytes, replaced: Sequence[PlacePath]) -> None:
        """Hold a root in which so many known places show other pictures."""
        some = ", ".join(path_text(place.relative) for place in replaced[:3])
        reason = f"more than {MOST} known photos have other pictures than before, among them {some}"
        self._holds.hold(root, reason, self._clock.now())
        self._note(root, reason)

    def _note(self, root: bytes, reason: str) -> None:
        if root not in self._told:
            go = "look at them; `syncd release` with the folder's path goes on, and each is then uploaded and billed"
            self._voice.say(Said.HELD, root, f"{reason}; {go}")
        self._held.add(root)
        self._told.add(root)
