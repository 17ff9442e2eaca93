"""What people ask of the daemon by other commands: a scan now, a pause, its end. Facts, so that no wish is lost.

The daemon looks at them once a second, or where it is idle when somebody has written to the ledger; a wish needs no
signal, no socket, and no daemon that listens at the moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncd.ledger.store import Store, fact, set_fact

_SCAN: Final = "scan_asked_at"
_PAUSE: Final = "paused_by_a_person"


@dataclass(frozen=True, slots=True)
class PersonPause:
    """Nothing leaves because a person said so. Seconds since the epoch; no `until`: until they say otherwise."""

    since: float
    until: float | None = None

    def holds(self, now: float) -> bool:
        """Tell whether it still holds."""
        return self.until is None or now < self.until


class Wishes:
    """The wishes that a ledger keeps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ask_for_scan(self, now: float) -> None:
        """Have the daemon scan all folders and send what is owed, as a `sync` would."""
        with self._store.write() as connection:
            set_fact(connection, _SCAN, now)

    def scan_asked_at(self) -> float | None:
        """Tell when a scan was asked for last, if no daemon has begun it yet."""
        with self._store.read() as connection:
            value = fact(connection, _SCAN)
        return float(value) if isinstance(value, int | float) else None

    def scan_begins(self, asked_at: float) -> None:
        """Note that the scan that was asked for begins; a wish that came later stays."""
        with self._store.write() as connection:
            if fact(connection, _SCAN) == asked_at:
                set_fact(connection, _SCAN, None)

    def pause(self, now: float, until: float | None) -> None:
        """Let nothing leave, until a time or until `resume`."""
        with self._store.write() as connection:
            set_fact(connection, _PAUSE, {"since": now, "until": until})

    def resume(self) -> bool:
        """End the pause; tell whether there was one."""
        with self._store.write() as connection:
            before = fact(connection, _PAUSE)
            set_fact(connection, _PAUSE, None)
        return before is not None

    def person_pause(self) -> PersonPause | None:
        """Give the pause that a person asked for, also one whose time is over."""
        with self._store.glance() as connection:
            value = fact(connection, _PAUSE)
        if not isinstance(value, dict) or not isinstance(value.get("since"), int | float):
            return None
        until = value.get("until")
        return PersonPause(float(value["since"]), float(until) if isinstance(until, int | float) else None)
