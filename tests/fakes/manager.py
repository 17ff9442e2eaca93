"""A service manager as a daemon sees it: a socket that datagrams arrive at, and an environment that names it."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self


class ServiceManager:
    """Keeps what it was told, in order. The socket is real; nothing is ever answered."""

    def __init__(self) -> None:
        self.address = f"@syncd-test-{uuid.uuid4().hex}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:])
        self._changed = threading.Condition()
        self._told: list[dict[str, str]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def environment(self, watchdog: float | None = None) -> dict[str, str]:
        env = {"NOTIFY_SOCKET": self.address}
        return env if watchdog is None else env | {"WATCHDOG_USEC": str(round(watchdog * 1e6))}

    @property
    def told(self) -> list[dict[str, str]]:
        with self._changed:
            return list(self._told)

    def wait_for(self, condition: Callable[[list[dict[str, str]]], bool], timeout: float = 20.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self._told), timeout), self._told

    def wait_for_key(self, key: str, count: int = 1, timeout: float = 20.0) -> None:
        self.wait_for(lambda told: sum(key in one for one in told) >= count, timeout)

    def states(self) -> list[str]:
        """The assignments that are no status and no watchdog, in order."""
        return [key for one in self.told for key in one if key in {"READY", "RELOADING", "STOPPING"}]

    def statuses(self) -> list[str]:
        return [one["STATUS"] for one in self.told if "STATUS" in one]

    def _listen(self) -> None:
        while True:
            try:
                message = self._socket.recv(65536)
            except OSError:
                return
            if not message:
                return
            lines = message.decode().splitlines()
            with self._changed:
                self._told.append(dict(line.split("=", 1) for line in lines))
                self._changed.notify_all()
