"""When an unanswered request is looked up, and which hit proves that a file of it was stored. Pure.

The search endpoint is the only way to look an image up, and items appear only after indexing, with an unknown lag
(API.md): a hit is proof, a miss is not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

DISTANCES: Final = (1, 5, 30, 180, 1440, 4320)
"""Distances of the look-ups from the answer that never came, in units of `lookup_after`; then no more."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An unanswered entry that is looked for: its number, and the name that its file bore in the request."""

    entry_id: int
    wire_name: str


@dataclass(frozen=True, slots=True)
class Found:
    """A hit of the search: the image id, and the name that the service gives (mostly without its extension)."""

    image_id: str
    name: str


def next_lookup(done: int, sent_at: float, lookup_after: float) -> float | None:
    """Tell when the next look-up is due after so many; None when there are no more. Seconds since the epoch."""
    if done >= len(DISTANCES):
        return None
    return sent_at + DISTANCES[done] * lookup_after


def adopt(missing: Sequence[Missing], found: Sequence[Found], held: Collection[str]) -> dict[int, str]:
    """Match hits to the entries that are missed; give image ids by entry.

    A hit counts only if its name contains the 12 hex digits of the digest, and no entry holds its id already.
    """
    adopted: dict[int, str] = {}
    taken = set(held)
    for entry in missing:
        digits = fingerprint_digits(entry.wire_name)
        for hit in found:
            if hit.image_id not in taken and digits in hit.name.lower():
                adopted[entry.entry_id] = hit.image_id
                taken.add(hit.image_id)
                break
    return adopted


def fingerprint_digits(wire_name: str) -> str:
    """Give the 12 hex digits of the digest that a wire name carries before its extension."""
    return wire_name.rsplit(".", 1)[0][-12:]
