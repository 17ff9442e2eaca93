"""The hints that are waiting to be taken: bounded, coalesced, and safe between threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Condition


@dataclass(frozen=True, slots=True)
class HintBatch:
    """What to look at: absolute paths, which may be gone meanwhile.

    A folder is to be listed with all that is below it; a root in `rescan` is to be scanned whole.
    """

    files: frozenset[bytes] = frozenset()
    folders: frozenset[bytes] = frozenset()
    rescan: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.rescan)


@dataclass(slots=True)
class _Pending:
    files: set[bytes] = field(default_factory=set)
    folders: set[bytes] = field(default_factory=set)
    rescan: bool = False


class Hints:
    """The hints not yet taken: a set for each root, safe between threads.

    At most `capacity` paths are kept for a root; beyond that all of them become one rescan of the root.
    """

    def __init__(self, capacity: int = 50_000, linger: float = 0.1) -> None:
        self._capacity = capacity
        self._linger = linger
        self._changed = Condition()
        self._pending: dict[bytes, _Pending] = {}
        self._woken = False

    def file(self, root: bytes, path: bytes) -> None:
        """Hint at one file: made, changed, moved or gone."""
        with self._changed:
            pending = self._pending.setdefault(root, _Pending())
            if not pending.rescan:
                pending.files.add(path)
                self._bound(pending)
            self._changed.notify_all()

    def folder(self, root: bytes, path: bytes) -> None:
        """Hint at a folder and all that is below it: made, moved in, moved away or gone."""
        with self._changed:
            pending = self._pending.setdefault(root, _Pending())
            if not pending.rescan:
                pending.folders.add(path)
                self._bound(pending)
            self._changed.notify_all()

    def rescan(self, root: bytes) -> None:
        """Ask for a scan of a whole root, which covers every hint for it so far."""
        with self._changed:
            self._pending[root] = _Pending(rescan=True)
            self._changed.notify_all()

    def wake(self) -> None:
        """Make the `take` that is waiting, or the next one, return at once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def take(self, timeout: float) -> HintBatch:
        """Take all hints. Wait up to `timeout` seconds for the first, then a moment for those that come with it.

        Without a `timeout` nothing is waited for.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._woken or bool(self._pending), timeout)
            if self._pending and not self._woken and timeout > 0:
                # A copied tree arrives as a burst: one batch of a hundred hints costs less than a hundred batches.
                self._changed.wait_for(lambda: self._woken, self._linger)
            taken, self._pending, self._woken = self._pending, {}, False
        folders = frozenset().union(*(pending.folders for pending in taken.values()))
        files = frozenset().union(*(pending.files for pending in taken.values()))
        return HintBatch(
            frozenset(path for path in files if not _below(path, folders)),
            frozenset(path for path in folders if not _below(path, folders)),
            frozenset(root for root, pending in taken.items() if pending.rescan),
        )

    def _bound(self, pending: _Pending) -> None:
        if len(pending.files) + len(pending.folders) > self._capacity:
            pending.files.clear()
            pending.folders.clear()
            pending.rescan = True


def _below(path: bytes, folders: frozenset[bytes]) -> bool:
    while folders and path:
        path = path.rpartition(b"/")[0]
        if path in folders:
            return True
    return False
