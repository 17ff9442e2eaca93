"""Tells that a file was written to, once, after it was set: so that nobody has to look at it from time to time.

inotify(7) tells of what the programs of this machine write, whoever they are. That is enough for the log of the ledger:
SQLite's WAL does not work across machines (sqlite.org/wal.html).
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from watchdog.observers.inotify_c import (
    EVENT_SIZE,
    InotifyConstants,
    Mask,
    inotify_add_watch,
    inotify_init,
)

_ONCE: Final = Mask(InotifyConstants.IN_MODIFY | InotifyConstants.IN_ONESHOT)
_HEAD: Final = struct.Struct("iIII")
"""Of an event: watch, mask, cookie, length of the name."""


class Tripwire:
    """Calls `tripped`, on a thread of its own, with the next write to the file after each `set`.

    Who is at work and writes all the time does not set it, and hears nothing.
    """

    def __init__(self, file: Path, tripped: Callable[[], None], instance: Callable[[], int] = inotify_init) -> None:
        """`instance` gives a new instance of inotify, -1 where there is none."""
        self._file = os.fsencode(file)
        self._tripped = tripped
        self._instance = instance
        self._lock = threading.Lock()
        self._watch: int | None = None
        self._inotify = -1
        self._end = -1
        self._thread = threading.Thread(target=self._listen, name="tripwire", daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen. Where the system has no more to give, nothing can be set; that is no error."""
        self._inotify = self._instance()
        if self._inotify != -1:
            os.set_inheritable(self._inotify, False)
            self._end = os.eventfd(0, os.EFD_CLOEXEC)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inotify != -1:
            os.eventfd_write(self._end, 1)
            self._thread.join()
            os.close(self._end)
            os.close(self._inotify)
            self._inotify = -1
            self._watch = None

    @property
    def is_set(self) -> bool:
        """Whether the next write will be told of."""
        return self._watch is not None

    def set(self) -> bool:
        """Have the next write told of; what was written before is not. False: it cannot be set."""
        with self._lock:
            watch = inotify_add_watch(self._inotify, self._file, _ONCE)
            self._watch = None if watch == -1 else watch
            return watch != -1

    def _listen(self) -> None:
        poller = select.poll()
        poller.register(self._inotify, select.POLLIN)
        poller.register(self._end, select.POLLIN)
        while all(ready != self._end for ready, _ in poller.poll()):
            happened = os.read(self._inotify, 64 * EVENT_SIZE)
            with self._lock:
                # One that is not the present one is the last word of an earlier one (IN_IGNORED).
                has_tripped = self._watch in _watches(happened)
                if has_tripped:
                    self._watch = None
            if has_tripped:
                self._tripped()


def _watches(events: bytes) -> Sequence[int]:
    """Give the watch of each event."""
    found, at = [], 0
    while at < len(events):
        watch, _, _, length = _HEAD.unpack_from(events, at)
        found.append(watch)
        at += _HEAD.size + length
    return found
