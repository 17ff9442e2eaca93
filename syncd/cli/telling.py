"""The voice of a run: one line for each photo that changes state, or a progress bar on a terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from syncd.daemon.voice import Said
from syncd.ledger.reports import Status
from syncd.lifecycle import State
from syncd.printable import path_text, printable

log = logging.getLogger("syncd")

_DEBUG = frozenset({Said.KNOWN, Said.RECORDED, Said.SCANNED, Said.GONE, Said.EDIT})
_SHOWN_BESIDE_A_BAR = frozenset(
    {
        Said.REFUSED,
        Said.UNANSWERED,
        Said.UNFIT,
        Said.UNREADABLE,
        Said.ABSENT,
        Said.HELD,
        Said.PAUSED,
        Said.RESUMED,
        Said.BUDGET,
    }
)


class PlainVoice:
    """Logs each thing that happens as one line."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.counts: Counter[Said] = Counter()
        self._quiet = quiet

    def say(self, said: Said, path: bytes | None, detail: str) -> None:
        """Log it: a warning where a person is needed; all of it for debugging alone where it is to be quiet."""
        self.counts[said] += 1
        level = logging.WARNING if said.needs_a_person else logging.DEBUG if said in _DEBUG else logging.INFO
        level = logging.DEBUG if self._quiet else level
        if not log.isEnabledFor(level):
            return
        where, shown = path_text(path) if path is not None else None, printable(detail)
        told = {"syncd": {"event": said.value, "path": where, "detail": shown}}
        log.log(level, "%s", _line(said, where, shown), extra=told)


class BarVoice:
    """Draws a progress bar of the photos of this run; only what a person must know is written above it."""

    def __init__(self) -> None:
        self.counts: Counter[Said] = Counter()
        self._status: Callable[[], Status] | None = None
        self._lock = threading.Lock()
        self._progress: Any = None
        self._task: Any = None
        self._asked_at = 0.0

    @contextmanager
    def drawing(self, status: Callable[[], Status]) -> Iterator[None]:
        """Draw while the block runs; `status` counts what is owed."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        with Progress(*columns, TimeRemainingColumn(), transient=True) as progress:
            self._status = status
            self._progress = progress
            self._task = progress.add_task("looking", total=None, rate="")
            self._started = time.monotonic()
            yield
            self._progress = None

    def say(self, said: Said, path: bytes | None, detail: str) -> None:
        """Move the bar, and write a line where a person must know of it."""
        with self._lock:
            self.counts[said] += 1
            progress = self._progress
            if said in _SHOWN_BESIDE_A_BAR:
                text = line(said, path, detail)
                if progress is None:
                    sys.stderr.write(text + "\n")
                else:
                    from rich.text import Text

                    progress.console.print(Text(text, style="yellow"), soft_wrap=True)
            if progress is not None and self._status is not None and time.monotonic() - self._asked_at > 0.5:
                self._redraw(progress, self._status())

    def _redraw(self, progress: Any, status: Status) -> None:
        self._asked_at = time.monotonic()
        done = self.counts[Said.UPLOADED]
        entries = status.entries
        owed = entries[State.READY] + entries[State.SENDING]
        rate = done / max(0.1, time.monotonic() - self._started)
        progress.update(
            self._task, description="uploading", completed=done, total=done + owed, rate=f"{rate:.1f} photos/s"
        )


def line(said: Said, path: bytes | None, detail: str) -> str:
    """Write what happened as one line that is safe on any terminal."""
    return _line(said, path_text(path) if path is not None else None, printable(detail))


def _line(said: Said, where: str | None, shown: str) -> str:
    return f"{said.value}{f' {where}' if where is not None else ''}{': ' if shown else ''}{shown}"
