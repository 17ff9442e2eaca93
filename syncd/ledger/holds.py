"""Folders that are held: too many known photos there became other pictures at once, and a person must say go.

A mass edit, a failing disk and ransomware look alike from here, and each new picture would be billed.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.ledger.plain import text
from syncd.ledger.sightings import WITHDRAWN_NOW
from syncd.ledger.store import Store
from syncd.printable import printable


@dataclass(frozen=True, slots=True)
class HeldFolder:
    """A root of the configuration that is held: why, and since when (seconds since the epoch)."""

    root: bytes
    reason: str
    since: float


class Holds:
    """Holds and releases roots. What is owed for a photo that lies in held ones alone does not leave meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def hold(self, root: bytes, reason: str, now: float) -> None:
        """Take nothing of a root in any more."""
        with self._store.write() as connection:
            connection.execute(_HOLD, {"root": root, "reason": printable(reason), "now": now})
            connection.execute(_REFRESH, {"root": root})

    def release(self, root: bytes) -> bool:
        """Go on with a root, whatever its next whole scan finds; tell whether it was held."""
        with self._store.write() as connection:
            released = connection.execute(_RELEASE, {"root": root}).rowcount == 1
            connection.execute(_REFRESH, {"root": root})
        return released

    def held(self) -> list[HeldFolder]:
        """Give the roots that are held."""
        with self._store.read() as connection:
            return [HeldFolder(*row) for row in connection.execute(HELD_FOLDERS)]


_HOLD = text("""
    UPDATE roots SET held = :reason, held_at = coalesce(held_at, :now), released = 0 WHERE path = :root
""")
_RELEASE = text("""
    UPDATE roots SET held = NULL, held_at = NULL, released = 1 WHERE path = :root AND held IS NOT NULL
""")
HELD_FOLDERS = text("SELECT path, held, held_at FROM roots WHERE held IS NOT NULL AND NOT dropped ORDER BY path")
_REFRESH = text(
    f"""
    UPDATE entries SET withdrawn = {WITHDRAWN_NOW}
    WHERE state <> 'uploaded' AND photo_id IN (
        SELECT places.photo_id
        FROM roots JOIN folders ON folders.root_id = roots.id JOIN places ON places.folder_id = folders.id
        WHERE roots.path = :root AND places.gone_at IS NULL)
"""  # noqa: S608  (no value in it)
)
