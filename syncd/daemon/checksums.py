"""The checksums of what was read lately: with them a large file is checked while it is sent.

SHA-256 says what a photo is, and takes as long as reading and sending it. That the bytes that leave are those that were
looked at, an XXH3-128 of them tells as well (`Body` says why), at a twentieth of the cost, if it was taken in the same
reading as the SHA-256. So it is kept from the one to the other, in memory only: what an earlier run has read is checked
by its SHA-256, which the ledger knows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

_MOST: Final = 10_000
"""Checksums that are kept, some 3 MB."""


class Checksums:
    """Tells the checksum of a file by its digest; forgets the oldest. Thread-safe."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[str, str] = OrderedDict()

    def note(self, digest: str, checksum: str) -> None:
        """Keep the XXH3-128 of the bytes that have this SHA-256."""
        with self._lock:
            self._known[digest] = checksum
            self._known.move_to_end(digest)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def of(self, digest: str) -> str | None:
        """Give the XXH3-128 of the bytes that have this SHA-256; None where it is not known."""
        with self._lock:
            return self._known.get(digest)
