"""Hints from the file system: which files and folders are worth a look now. watchdog is the source.

A hint is never the truth: it may come twice, late, for nothing, or not at all. What was lost is found by a scan, and
everything here that goes wrong ends in one: a failing handler, a full set, an overflow, an observer built anew.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from watchdog.events import (
    DirDeletedEvent,
    FileClosedNoWriteEvent,
    FileSystemEvent,
    FileSystemEventHandler,
    FileSystemMovedEvent,
)

from syncd.settings import WatchMode
from syncd.watch.filters import Filter
from syncd.watch.health import Fault, Problem, Vitals, diagnose, limit_reached, watch_limit
from syncd.watch.hints import HintBatch, Hints
from syncd.watch.inotify import Notes, RootObserver
from syncd.watch.mounts import Mount, concerning, current

__all__ = ["Handler", "HintBatch", "Hints", "WatchMode", "WatchedRoot", "Watcher"]

_TRY_AGAIN: Final = 600.0
"""Seconds after which a root that could not be watched is tried again, although no limit was raised."""

ECHO_EVERY: Final = 20.0
"""Seconds between two echoes of a root, at least: each wakes three threads up."""

_LOOK_FOR_ECHO: Final = 0.005
"""Seconds between two looks for the first echo."""


@dataclass(frozen=True, slots=True)
class WatchedRoot:
    """A root to be watched. Folders that the filter ignores, and other roots inside, get no watches of their own."""

    path: bytes
    mode: WatchMode = WatchMode.AUTO
    filters: Filter | None = None
    nested: frozenset[bytes] = frozenset()


class Handler(FileSystemEventHandler):
    """Turns the events of one root into hints. Never raises: that would end the dispatcher without a word (W1)."""

    def __init__(self, root: bytes, real: bytes, hints: Hints) -> None:
        self._root = root
        self._prefix = root.rstrip(b"/")
        self._real = real.rstrip(b"/")
        self._hints = hints
        self.echoed_at: float | None = None
        self.folder_gone: Callable[[bytes], None] | None = None
        """Told of each folder that is gone from its path, by its path without links."""

    def dispatch(self, event: FileSystemEvent) -> None:
        """Take one event."""
        try:
            self._take(event)
        except BaseException:  # noqa: BLE001 - whatever it was, the scan finds what this event would have told
            self._hints.rescan(self._root)

    def _take(self, event: FileSystemEvent) -> None:
        source = os.fsencode(event.src_path)
        if isinstance(event, FileClosedNoWriteEvent):
            self.echoed_at = time.monotonic()
            return
        if event.is_directory and source.rstrip(b"/") == self._real:
            self._hints.rescan(self._root)
            return
        self._hint(source, is_folder=event.is_directory)
        if isinstance(event, FileSystemMovedEvent) and event.dest_path:
            self._hint(os.fsencode(event.dest_path), is_folder=event.is_directory)
        elif isinstance(event, DirDeletedEvent) and self.folder_gone is not None:
            self.folder_gone(source)

    def _hint(self, real_path: bytes, *, is_folder: bool) -> None:
        if not real_path.startswith(self._real + b"/"):
            return
        path = self._prefix + real_path[len(self._real) :]
        (self._hints.folder if is_folder else self._hints.file)(self._root, path)


@dataclass(slots=True)
class _Watch:
    """What is known of one root. Without an observer it is polled, or waited for."""

    root: WatchedRoot
    observer: RootObserver | None = None
    handler: Handler | None = None
    identity: tuple[int, int] = (0, 0)
    mounts: tuple[Mount, ...] = ()
    overflows_told: int = 0
    folders: int | None = None
    poked_at: float | None = None
    polled: str | None = None
    problem: Problem | None = None
    try_again_at: float = 0.0
    limit: int | None = None

    def poke(self, now: float) -> None:
        """Ask for an echo."""
        if self.observer is not None and self.handler is not None:
            self.handler.echoed_at, self.poked_at = None, now
            self.observer.poke()

    def silent_for(self, now: float) -> float:
        """Count the seconds for which an echo has not come."""
        silent = self.handler is not None and self.handler.echoed_at is None
        return now - self.poked_at if silent and self.poked_at is not None else 0.0


class Watcher:
    """Watches the roots by inotify where that works, and says which roots must be polled by scanning them.

    `check` is to be called every few seconds: it finds out what went wrong, builds observers anew, and asks for a
    rescan of what may have been missed. `monotonic` and `mounts` can be replaced in tests.
    """

    def __init__(
        self,
        roots: Sequence[WatchedRoot],
        hints: Hints,
        *,
        mounts: Callable[[], Sequence[Mount]] = current,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hints = hints
        self._mounts = mounts
        self._monotonic = monotonic
        self._watches = {root.path: _Watch(root) for root in roots}

    def start(self) -> None:
        """Begin to watch. Scan after this returns: what changes during the scan then gives hints."""
        for watch in self._watches.values():
            self._build(watch)

    def prove(self, within: float) -> list[bytes]:
        """Have each watched root show that events arrive; give those that did not within so many seconds."""
        deadline = time.monotonic() + within
        silent = {path: watch for path, watch in self._watches.items() if watch.observer is not None}
        for watch in silent.values():
            watch.poke(self._monotonic())
        while True:
            silent = {path: watch for path, watch in silent.items() if not (watch.handler and watch.handler.echoed_at)}
            if not silent or time.monotonic() >= deadline:
                return sorted(silent)
            time.sleep(_LOOK_FOR_ECHO)

    def stop(self) -> None:
        """End all threads and give up all watches."""
        for watch in self._watches.values():
            _drop(watch)

    def polled(self) -> dict[bytes, str]:
        """Return the roots that give no events and why; they are to be scanned every `poll`."""
        return {path: watch.polled for path, watch in self._watches.items() if watch.polled is not None}

    def scanned(self, root: bytes, folders: int) -> None:
        """Tell how many folders a whole scan found that are not ignored; the next check compares the watches."""
        self._watches[root].folders = folders

    def check(self, now: float) -> list[Problem]:
        """Examine every root at `now` (monotonic), heal what can be healed, and return what was or is wrong."""
        echoing = self._to_echo(now)
        return [problem for watch in self._watches.values() for problem in self._check(watch, now, echoing)]

    def rebuild(self, root: bytes) -> None:
        """Build the observer of a root anew and ask for its rescan."""
        watch = self._watches[root]
        _drop(watch)
        self._build(watch)
        self._hints.rescan(root)

    def _to_echo(self, now: float) -> _Watch | None:
        """Choose the root whose echo lies back the longest: one at each look, so that many cost no more than two."""
        heard = [
            (watch.poked_at, path)
            for path, watch in self._watches.items()
            if watch.poked_at is not None and watch.handler is not None and watch.handler.echoed_at is not None
        ]
        poked_at, path = min(heard, default=(now, b""))
        return self._watches[path] if now - poked_at >= ECHO_EVERY else None

    def _check(self, watch: _Watch, now: float, echoing: _Watch | None) -> list[Problem]:
        if watch.observer is None:
            return self._try_again(watch, now)
        if watch.poked_at is None or watch is echoing:
            watch.poke(now)
        problems = diagnose(watch.root.path, self._vitals(watch, now))
        heals_itself = {Fault.OVERFLOW}
        if any(problem.fault not in heals_itself for problem in problems):
            self.rebuild(watch.root.path)
            if watch.problem is not None and watch.problem.fault not in {problem.fault for problem in problems}:
                problems.append(watch.problem)
        return problems

    def _try_again(self, watch: _Watch, now: float) -> list[Problem]:
        before = watch.problem
        if before is None:
            return []
        raised = before.fault is Fault.LIMIT and watch.limit != watch_limit()
        if before.fault in {Fault.ABSENT, Fault.REFUSED} or raised or now >= watch.try_again_at:
            self._build(watch)
            if watch.observer is not None:
                self._hints.rescan(watch.root.path)
        return [watch.problem] if watch.problem is not None else []

    def _build(self, watch: _Watch) -> None:
        path = watch.root.path
        real = os.path.realpath(path)
        watch.problem, watch.polled, watch.folders, watch.poked_at = None, None, None, None
        watch.mounts = concerning(real, self._mounts())
        watch.polled = why_polled(watch.root.mode, watch.mounts)
        if watch.polled is not None:
            return
        handler = Handler(path, real, self._hints)
        notes = Notes(lost=lambda: self._hints.rescan(path), skip=_skipping(watch.root, real))
        try:
            identity = _identity(real)
            observer = RootObserver(real, handler, notes)
        except OSError as error:
            self._give_up(watch, error)
            return
        if notes.refused[errno.ENOSPC]:
            # Half a tree of watches would use up what other programs of this user need, and still miss changes.
            observer.stop()
            self._give_up(watch, OSError(errno.ENOSPC, ""))
            return
        handler.folder_gone = observer.release
        watch.observer, watch.handler, watch.overflows_told = observer, handler, 0
        watch.identity = identity

    def _give_up(self, watch: _Watch, error: OSError) -> None:
        path = watch.root.path
        watch.try_again_at = self._monotonic() + _TRY_AGAIN
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            watch.problem = Problem(path, Fault.ABSENT, "nothing can be watched", "mount its disk, or put it back")
            return
        if error.errno in {errno.ENOSPC, errno.EMFILE}:
            watch.problem = limit_reached(path, error.errno or errno.ENOSPC)
            watch.limit = watch_limit()
        else:
            reason = os.strerror(error.errno) if error.errno else str(error)
            hint = "make it readable for the user that syncd runs as"
            watch.problem = Problem(path, Fault.REFUSED, f"{reason}; the folder is polled instead", hint)
        watch.polled = str(watch.problem.fault)

    def _vitals(self, watch: _Watch, now: float) -> Vitals:
        observer = watch.observer
        assert observer is not None  # noqa: S101 - _check has asked
        overflows = observer.notes.overflows - watch.overflows_told
        watch.overflows_told += overflows
        vitals = Vitals(
            identity_then=watch.identity,
            identity_now=_identity_or_none(watch.root.path),
            mounts_then=watch.mounts,
            mounts_now=concerning(os.path.realpath(watch.root.path), self._mounts()),
            dead_threads=tuple(observer.dead_threads()),
            overflows=overflows,
            refused=dict(observer.notes.refused),
            silent_for=watch.silent_for(now),
        )
        if watch.folders is not None:
            counts = (observer.watches(), observer.kernel_watches())
            vitals = replace(vitals, watches=min(count for count in counts if count is not None), folders=watch.folders)
            watch.folders = None
        return vitals


def _drop(watch: _Watch) -> None:
    observer, watch.observer, watch.handler = watch.observer, None, None
    if observer is not None:
        observer.stop()


def why_polled(mode: WatchMode, mounts: Sequence[Mount]) -> str | None:
    if mode is WatchMode.POLL:
        return "set to poll"
    silent = next((mount for mount in mounts if mount.silent), None)
    if mode is WatchMode.AUTO and silent is not None:
        return f"{silent.kind} gives no events"
    return None


def _skipping(root: WatchedRoot, real: bytes) -> Callable[[bytes], bool]:
    prefix = len(real.rstrip(b"/")) + 1
    outer = len(root.path.rstrip(b"/")) + 1
    nested = {path[outer:].rstrip(b"/") for path in root.nested}

    def skip(path: bytes) -> bool:
        below = path[prefix:]
        return below in nested or (root.filters is not None and root.filters.subfolder(below) is not None)

    return skip


def _identity(path: bytes) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - bytes have no Path
    return found.st_dev, found.st_ino


def _identity_or_none(path: bytes) -> tuple[int, int] | None:
    try:
        return _identity(path)
    except OSError:
        return None
