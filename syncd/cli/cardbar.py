"""How far an import is: bars by bytes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from syncd.card.destination import Destination
from syncd.card.layout import CardFile
from syncd.card.report import Finding
from syncd.cli.output import amount, duration, message, size
from syncd.printable import path_text, printable

_BETWEEN_LINES: Final = 10.0
"""Seconds between two lines of progress where there is no terminal."""


class PlainPace:
    """A line at the start, one every ten seconds, one for each file that is not safe."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._total = 0
        self._read = 0
        self._verified = 0
        self._started = self._said = time.monotonic()

    def begins(self, files: int, count: int, destinations: Sequence[Destination]) -> None:
        """Say what there is to do."""
        self._total = count
        self._started = self._said = time.monotonic()
        to = f", to {', '.join(path_text(one.path) for one in destinations)}" if destinations else ""
        self._say(f"{amount(files, 'file')}, {size(count)}{to}")

    def read(self, count: int) -> None:
        """Count bytes that were read from the card."""
        self._read += count
        if time.monotonic() - self._said > _BETWEEN_LINES:
            self._said = time.monotonic()
            rate = self._read / max(0.1, self._said - self._started)
            left = max(0, self._total - self._read) / max(1.0, rate)
            back = f", {size(self._verified)} read back" if self._verified else ""
            share = f"{size(self._read)} of {size(self._total)}"
            self._say(f"{share} read{back}, {size(rate)}/s, {duration(left)} left")

    def passed(self, file: CardFile) -> None:
        """Count a file as done that will not be read."""
        self._total -= file.size

    def spared(self, destination: Destination, count: int) -> None:
        """Nothing is read back for what need not be copied."""

    def verified(self, _destination: Destination, count: int) -> None:
        """Count bytes that were read back."""
        with self._lock:
            self._verified += count

    def problem(self, finding: Finding) -> None:
        """Name a file that is not safe."""
        message(problem_line(finding))

    def _say(self, line: str) -> None:
        if not self._quiet:
            message(line)


class BarPace:
    """A bar for what is read from the card, and one for each destination for what is read back."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._reading: Any = None
        self._tasks: dict[Destination, Any] = {}

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw while the block runs."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with Progress(*columns, TimeRemainingColumn(), transient=True) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    def begins(self, files: int, count: int, destinations: Sequence[Destination]) -> None:
        """Draw the bars for one card."""
        for task in (self._reading, *self._tasks.values()):
            if task is not None:
                self._progress.remove_task(task)
        self._reading = self._progress.add_task(f"read {amount(files, 'file')}", total=count)
        self._tasks = {
            one: self._progress.add_task(f"read back from {path_text(one.path)}", total=count) for one in destinations
        }

    def read(self, count: int) -> None:
        """Move the bar of the card."""
        if self._progress is not None:
            self._progress.advance(self._reading, count)

    def passed(self, file: CardFile) -> None:
        """Count a file as done that will not be read."""
        self.read(file.size)

    def spared(self, destination: Destination, count: int) -> None:
        """Count bytes as done that a destination need not get."""
        self.verified(destination, count)

    def verified(self, destination: Destination, count: int) -> None:
        """Move the bar of a destination."""
        if self._progress is not None:
            self._progress.advance(self._tasks[destination], count)

    def problem(self, finding: Finding) -> None:
        """Name a file that is not safe, above the bars."""
        if self._progress is None:
            sys.stderr.write(problem_line(finding) + "\n")
            return
        from rich.text import Text

        self._progress.console.print(Text(problem_line(finding), style="yellow"), soft_wrap=True)


def problem_line(finding: Finding) -> str:
    """Say of one file why it is not safe."""
    return f"{finding.standing} {path_text(finding.file.relative)}: {printable(finding.reason)}"
