"""What syncd tells the service manager: sd_notify(3), spoken over its socket without a library.

Telling never fails the work: a manager that does not listen is a manager that is not there.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final, Self

from syncd.printable import printable

_LONGEST_STATUS: Final = 300
_SEND_WITHIN: Final = 1.0
"""Seconds: the manager's queue may be full for a moment."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Speaks to the service manager; says nothing where there is none."""

    address: str | None = None
    """A path, or an abstract name that starts with "@"."""
    watchdog: float | None = None
    """Seconds within which the manager wants to hear of life; None: it does not ask."""

    @classmethod
    def from_environment(cls, env: MutableMapping[str, str], pid: int | None = None) -> Self:
        """Take the variables of sd_notify(3) and sd_watchdog_enabled(3) out of the environment.

        No child is to speak for syncd.
        """
        address = env.pop("NOTIFY_SOCKET", "")
        microseconds = env.pop("WATCHDOG_USEC", "")
        meant_for = env.pop("WATCHDOG_PID", "")
        for_us = not meant_for or meant_for == str(os.getpid() if pid is None else pid)
        known = address.startswith(("/", "@"))
        watchdog = int(microseconds) / 1e6 if known and for_us and microseconds.isdigit() else 0.0
        return cls(address if known else None, watchdog or None)

    def ready(self, status: str) -> None:
        """Say that syncd is at work: after the start, and after each reload."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """Say that the configuration is read again. `ready` must follow."""
        # The manager compares it with its own clock, to tell this reload from one before (sd_notify(3)).
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """Say that syncd ends."""
        self._send("STOPPING=1", _status(status))

    def status(self, status: str) -> None:
        """Say in one line how things stand."""
        self._send(_status(status))

    def alive(self) -> None:
        """Feed the watchdog. Only what knows that every worker makes progress may call it."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def hung(self, status: str) -> None:
        """Say that a worker hangs: the manager ends the process and starts it again."""
        self._send("WATCHDOG=trigger", _status(status))

    def _send(self, *assignments: str) -> None:
        if self.address is None:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(_SEND_WITHIN)
                channel.connect(name)
                channel.sendall("\n".join(assignments).encode("utf-8", "replace"))
        except OSError:
            return


def _status(text: str) -> str:
    """Make one line of it: a line break would begin another assignment."""
    return f"STATUS={printable(text, _LONGEST_STATUS)}"
