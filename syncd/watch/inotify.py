"""watchdog's inotify observer for one root, made to tell what it keeps to itself.

watchdog 7.1 swallows four things that decide whether a root is watched at all: folders that got no watch (ENOSPC,
EACCES), an overflow of the kernel's queue, the death of its reading thread, and watches that follow a folder out of the
tree. This module overrides the few methods where they pass by; it is written against 7.1 and the only one that knows
names which watchdog does not publish. No event for opening or reading a file is asked for, because our own reading
would fill the queue. The one exception is the root folder: opening it gives the echo that proves the whole way.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyEmitter, InotifyObserver, InotifyWatchGroup
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, Mask, WatchDescriptor
from watchdog.observers.inotify_move_event_grouper import GroupedInotifyEvent, PathedInotifyEvent

_WANTED: Final[list[type[FileSystemEvent]]] = [
    *(FileCreatedEvent, FileMovedEvent, FileDeletedEvent, FileClosedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent),
]
"""What becomes a hint. Not FileModifiedEvent: a write of 20 MB would be hundreds, and who writes also closes."""


@dataclass(slots=True)
class Notes:
    """What the watch group notices. `lost` is called in the reading thread when events were lost."""

    lost: Callable[[], None]
    skip: Callable[[bytes], bool]
    """Tells which folders (absolute, without links) need no watch."""
    overflows: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    """How many folders got no watch, by errno."""


@dataclass(kw_only=True)
class _Group(InotifyWatchGroup):
    notes: Notes

    def on_queue_overflow(self) -> None:
        self.notes.overflows += 1
        super().on_queue_overflow()
        # Told after the watches are made anew: the scan that follows finds what came before, they what comes after.
        self.notes.lost()

    def on_event(self, event: InotifyEvent) -> None:
        if event.is_close_nowrite and event.name:
            return
        super().on_event(event)

    def watched(self) -> int:
        with self._lock:
            return len(self._active_callbacks_by_watch)

    def release(self, path: bytes) -> None:
        """Give up the watches that followed a folder out of the tree, or stayed on a folder that was replaced."""
        below = path + b"/"
        with self._lock:
            stale = [
                wd
                for wd, watched in self._active_callbacks_by_watch.items()
                if (watched == path or watched.startswith(below))
                and (self._active_callbacks_by_path.get(watched) != wd or not os.path.lexists(watched))
            ]
            if stale:
                self._remove_callbacks(stale)

    def _add_all_callbacks(self, path: bytes) -> None:
        if path != self.path and self.notes.skip(path):
            return
        folders = [path]
        while folders:
            folder = folders.pop()
            # The watch comes first: what is made after it gives an event, what was made before it is listed.
            self._add_callback(folder)
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                folders += [
                    entry.path
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and not self.notes.skip(entry.path)
                ]

    def _add_callback(self, path: bytes) -> None:
        mask = self.event_mask | InotifyConstants.IN_ONLYDIR
        if path == self.path:
            mask |= InotifyConstants.IN_CLOSE_NOWRITE
        try:
            wd = self._register(path, Mask(mask))
        except OSError as error:
            if path == self.path:
                raise
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                self.notes.refused[error.errno or 0] += 1
            return
        self._active_callbacks_by_path[path] = wd
        self._active_callbacks_by_watch[wd] = path

    def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
        # A folder made again at the path of a lost one leaves two watches with one path; either may go first.
        path = self._active_callbacks_by_watch.pop(wd, None)
        if path is not None and self._active_callbacks_by_path.get(path) == wd:
            del self._active_callbacks_by_path[path]

    def _register(self, path: bytes, mask: Mask) -> WatchDescriptor:
        # This is `InotifyFD.add_callback`, without its warning about a folder that is registered again, and with the
        # refusal that it takes for watch number -1 (EACCES) turned into an error.
        reader = self._inotify_fd
        with reader._lock:  # noqa: SLF001 - see the module's docstring
            watch = reader._get_or_create_watch(path, mask)  # noqa: SLF001 - as above
            if watch.wd < 0:
                reader._watch_for_wd.pop(watch.wd, None)  # noqa: SLF001 - as above
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            watch.callbacks[self._id] = self
            return watch.wd


class _Emitter(InotifyEmitter):
    def __init__(self, *args: Any, notes: Notes, **options: Any) -> None:
        super().__init__(*args, **options)
        self._notes = notes

    @property
    def group(self) -> _Group | None:
        return self._inotify if isinstance(self._inotify, _Group) else None

    def on_thread_start(self) -> None:
        self._inotify = _Group(
            self._inotify_fd,
            os.fsencode(self.watch.path),
            is_recursive=True,
            event_mask=self.get_event_mask_from_filter(),
            notes=self._notes,
        )

    def queue_events(self, timeout: float, *, full_events: bool = False) -> None:  # noqa: ARG002 - as it is called
        # The parent logs an error for what is no more than being stopped while waiting.
        group = self._inotify
        event = group.read_event() if group is not None else None
        if event is not None and self._inotify is not None:
            self.build_and_queue_event(event)

    def build_and_queue_event(self, event: GroupedInotifyEvent, *, full_events: bool = False) -> None:
        if isinstance(event, PathedInotifyEvent) and event.ev.is_close_nowrite:
            # Past the filter of events, which would ask the kernel for this event everywhere.
            self._event_queue.put((FileClosedNoWriteEvent(os.fsdecode(event.path)), self.watch))
        else:
            super().build_and_queue_event(event, full_events=full_events)


class RootObserver:
    """The threads that watch one root: the dispatcher, the emitter, the reader.

    `real` is the root without links (a watch on a link sees nothing). Raises OSError when the root cannot be watched:
    ENOSPC and EMFILE are the limits on watches and on instances.
    """

    def __init__(self, real: bytes, handler: FileSystemEventHandler, notes: Notes) -> None:
        self.notes = notes
        self._real = real
        self._observer = InotifyObserver()
        self._observer._emitter_class = _Emitter  # noqa: SLF001 - InotifyObserver does not let it be chosen
        self._observer._emitter_kwargs["notes"] = notes  # noqa: SLF001 - as above
        try:
            self._observer.schedule(handler, os.fsdecode(real), recursive=True, event_filter=_WANTED)
            self._observer.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the threads and give up the watches. May be called again."""
        self._observer.stop()
        if self._observer.ident is not None:
            self._observer.join()
        reader = self._observer._inotify_fd  # noqa: SLF001 - see the module's docstring
        if reader._is_reading and not reader.is_alive():  # noqa: SLF001 - as above
            # It died while reading, or was stopped before it began: then watchdog leaves its descriptors open, and an
            # instance is one of 128.
            reader._is_reading = False  # noqa: SLF001 - as above
            reader._close_resources()  # noqa: SLF001 - as above

    def dead_threads(self) -> list[str]:
        """Name the threads that should be running and are not."""
        dead = [] if self._observer.is_alive() else ["dispatcher"]
        emitters = self._observer.emitters
        if not emitters or not all(emitter.is_alive() for emitter in emitters):
            dead.append("emitter")
        if not self._observer._inotify_fd.is_alive():  # noqa: SLF001 - see the module's docstring
            dead.append("reader")
        return dead

    def watches(self) -> int:
        """Count the watches that watchdog believes in."""
        return sum(group.watched() for group in self._groups())

    def kernel_watches(self) -> int | None:
        """Count the watches that the kernel holds. None where /proc cannot say. Reads a line for each watch."""
        number = self._observer._inotify_fd._inotify_fd  # noqa: SLF001 - see the module's docstring
        try:
            with Path(f"/proc/self/fdinfo/{number}").open("rb") as lines:
                return sum(line.startswith(b"inotify wd:") for line in lines)
        except OSError:
            return None

    def release(self, path: bytes) -> None:
        """Give up the watches below a folder that is not there any more."""
        for group in self._groups():
            group.release(path)

    def poke(self) -> None:
        """Open and close the root folder, which must come back through all threads as a FileClosedNoWriteEvent."""
        with contextlib.suppress(OSError):
            os.close(os.open(self._real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def _groups(self) -> list[_Group]:
        return [emitter.group for emitter in self._observer.emitters if isinstance(emitter, _Emitter) and emitter.group]
