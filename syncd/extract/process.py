"""One worker process as its parent holds it: how it is started, spoken to, and ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import syncd
from syncd.errors import NotNowError, WorkerError
from syncd.extract.wire import LENGTH, MESSAGE_LIMIT, Task

_STOP_INTERVAL: Final = 0.2
"""Seconds between two looks at whether to stop."""
_AT_ONCE: Final = 16 * 1024
"""Bytes taken from the channel at once. A message has some 200: memory for the longest would be cleared for each."""
_REAP_TIMEOUT: Final = 1.0
_LAST_WORDS: Final = 2000
"""Bytes of the worker's standard error that are looked at when it is lost."""


class LostError(Exception):
    """The worker is of no use any more; the text says why ("died of SIGKILL")."""


class WorkerProcess:
    """A process of its own session, with an environment that holds nothing but where Python's modules are."""

    def __init__(self, program: Sequence[str], memory_limit: int) -> None:
        """Start it. Raises WorkerError where the system has no process or descriptor to give."""
        self._buffer = b""
        self._arrival = select.poll()
        with contextlib.ExitStack() as undo:
            try:
                self._channel, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
                undo.callback(self._channel.close)
                with there:
                    self._errors = os.memfd_create("syncd-worker-errors")
                    undo.callback(os.close, self._errors)
                    self._process = _spawn([*program, str(memory_limit), str(os.getpid())], there, self._errors)
            except OSError as error:
                raise WorkerError(
                    f"the extraction worker cannot be started: {error.strerror}",
                    hint="Look at the limits on processes and open files, and at the memory that is free.",
                ) from error
            undo.pop_all()
        self._arrival.register(self._channel, select.POLLIN)

    @property
    def pid(self) -> int:
        """The process id, for tests and diagnoses."""
        return self._process.pid

    def ask(self, task: Task, fd: int) -> None:
        """Hand over a descriptor. Raises LostError."""
        try:
            socket.send_fds(self._channel, [task.value], [fd])
        except (BrokenPipeError, ConnectionResetError):
            raise LostError(self._cause()) from None

    def receive(self, *, seconds: float | None, stop: Callable[[], bool] | None) -> bytes:
        """Wait for one message, for so many seconds at most.

        Raises LostError where none comes or the worker breaks the framing, NotNowError once `stop` says true.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        self._fill(LENGTH.size, deadline, stop)
        end = LENGTH.size + int.from_bytes(self._buffer[: LENGTH.size], "big")
        if end > LENGTH.size + MESSAGE_LIMIT:
            raise LostError("sent a message that is too long")
        self._fill(end, deadline, stop)
        message, self._buffer = self._buffer[LENGTH.size : end], self._buffer[end:]
        return message

    def end(self) -> None:
        """Kill the process and free what it holds here. One that hangs in the kernel is left behind."""
        self._channel.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_TIMEOUT)
        os.close(self._errors)

    def _fill(self, wanted: int, deadline: float | None, stop: Callable[[], bool] | None) -> None:
        while len(self._buffer) < wanted:
            self._wait(deadline, stop)
            try:
                received = self._channel.recv(_AT_ONCE)
            except ConnectionResetError:
                received = b""
            if not received:
                raise LostError(self._cause())
            self._buffer += received

    def _wait(self, deadline: float | None, stop: Callable[[], bool] | None) -> None:
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if stop and (left is None or left > _STOP_INTERVAL):
                left = _STOP_INTERVAL
            if self._arrival.poll(None if left is None else left * 1000):
                return
            if stop and stop():
                raise NotNowError("stopped before the photo was read", hint="The next run reads it again.")
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError

    def _cause(self) -> str:
        """Say how the worker ended, in its own last words where it had any."""
        try:
            code = self._process.wait(_REAP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return "closed its channel"
        if code < 0:
            return f"died of {signal.Signals(-code).name}"
        words = os.pread(self._errors, 1 << 20, 0)[-_LAST_WORDS:].decode("utf-8", "replace").strip().splitlines()
        return f"ended with {code}" + (f" ({words[-1]})" if words else "")


def _spawn(arguments: Sequence[str], channel: socket.socket, errors: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (our own interpreter and module)
        [sys.executable, "-P", "-s", "-B", *arguments],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=errors,
        cwd="/",
        env={"PYTHONPATH": _module_path(), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )


def _module_path() -> str:
    """List the places where this process finds modules: the worker finds the same, however syncd was installed.

    The current directory, which stands there as "", is none of them.
    """
    places = [place for place in sys.path if Path(place).is_absolute()]
    package = str(Path(syncd.__file__).parent.parent)
    return os.pathsep.join(places if package in places else [*places, package])
