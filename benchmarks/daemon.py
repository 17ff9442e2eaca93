"""A daemon that is asked for rescans, and timed from outside: its ledger says when one begins and when it has ended."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY = 0.005
PATIENCE = 600.0


@dataclass(frozen=True)
class Rescan:
    wall: float
    cpu: float
    """Of all its threads, from when it took the wish to when the scan was recorded."""
    peak_mb: float


class Daemon:
    def __init__(self, command: Sequence[str], ledger: Path, env: dict[str, str]) -> None:
        self._ledger = sqlite3.connect(f"file:{ledger}?mode=rw", uri=True, isolation_level=None)
        before = self._scanned_at()
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, start_new_session=True
        )
        self._until(lambda: self._scanned_at() != before)

    def rescan(self) -> Rescan:
        """Ask as `syncd sync` beside a daemon does; it looks for wishes once a second."""
        before = self._scanned_at()
        self._ledger.execute("INSERT OR REPLACE INTO facts VALUES ('scan_asked_at', ?)", (repr(time.time()),))
        self._until(lambda: not self._rows("SELECT 1 FROM facts WHERE name = 'scan_asked_at'"))
        began, used = time.monotonic(), self._cpu()
        self._until(lambda: self._scanned_at() != before)
        return Rescan(time.monotonic() - began, self._cpu() - used, self._peak())

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._ledger.close()

    def _until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit("the daemon ended, or did not do what it was asked for")
            time.sleep(LOOK_EVERY)

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        return self._ledger.execute(sql).fetchall()

    def _scanned_at(self) -> object:
        return self._rows("SELECT last_scan_at FROM roots")

    def _cpu(self) -> float:
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def _peak(self) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
