"""The program that opens what strangers have written: `python -m syncd.extract.worker MEMORY_LIMIT PARENT_PID`.

Its standard input is a socket on which descriptors arrive; it never sees a path. It limits itself before it reads the
first byte, and dies with its parent.
"""

from __future__ import annotations

import array
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final, Protocol

from syncd.extract.fingerprint import Fingerprint, read_fingerprint
from syncd.extract.tags import read_capture
from syncd.extract.wire import Task, encode_capture, encode_fingerprint, encode_unreadable
from syncd.model import Capture, Dropped

_SET_PARENT_DEATH_SIGNAL: Final = 1
_SET_NO_NEW_PRIVILEGES: Final = 38
_STDERR_LIMIT: Final = 64 * 1024

Parse = Callable[[int, Fingerprint], Capture]


class Read(Protocol):
    """How a file is read: `read_fingerprint`, or what a test puts in its place."""

    def __call__(self, fd: int, *, walk: bool) -> Fingerprint:
        """Read an open file from its start."""


def parse(fd: int, found: Fingerprint) -> Capture:
    """Read the capture out of the blocks that the walk kept, or by Pillow where the format is a stranger's."""
    if found.type:
        return read_capture(found.blocks)
    from syncd.extract.foreign import read_foreign_capture  # noqa: PLC0415  (Pillow, for what is never sent)

    return read_foreign_capture(fd)


def serve(channel: socket.socket, parse: Parse = parse, fingerprint: Read = read_fingerprint) -> None:
    """Answer requests until the parent hangs up, or until memory ran out once: a new process is cheap."""
    while True:
        task, fd = _receive(channel)
        if fd is None:
            return
        try:
            last, lasting = _answer(channel, Task(task), fd, parse, fingerprint)
        finally:
            os.close(fd)
        channel.sendall(last)
        if not lasting:
            return


def _receive(channel: socket.socket) -> tuple[bytes, int | None]:
    task, ancillary, _flags, _address = channel.recvmsg(1, socket.CMSG_SPACE(array.array("i").itemsize))
    for level, kind, packed in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            return task, array.array("i", packed)[0]
    return task, None


def _answer(channel: socket.socket, task: Task, fd: int, parse: Parse, fingerprint: Read) -> tuple[bytes, bool]:
    """Send the first message for one file; return the last one, and whether this process may go on after it."""
    try:
        found = fingerprint(fd, walk=task is Task.EXTRACT)
    except OSError as error:
        return encode_unreadable(error), True
    channel.sendall(encode_fingerprint(found))
    lasting = True
    try:
        capture = parse(fd, found) if task is Task.EXTRACT else Capture()
    except MemoryError:
        capture, lasting = _nothing("the parser ran out of memory"), False
    except Exception as error:  # noqa: BLE001 (metadata never blocks an upload, whatever a parser trips over)
        capture = _nothing(f"the parser failed: {type(error).__name__}")
    return encode_capture(capture), lasting


def _nothing(reason: str) -> Capture:
    return Capture(dropped=(Dropped("all", "", reason),))


def limit_oneself(memory: int, parent: int) -> None:
    """Die with the parent, and be unable to grow, to fork, to write files, to leave a core or to gain rights."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) or os.getppid() != parent:
        sys.exit("the parent is gone")
    libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _STDERR_LIMIT),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, memory),
    ):
        _soft, hard = resource.getrlimit(kind)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)  # noqa: PLW2901
        resource.setrlimit(kind, (limit, limit))


def main(arguments: list[str], parse: Parse = parse, fingerprint: Read = read_fingerprint) -> None:
    """Run the worker on the socket that is its standard input."""
    memory, parent = map(int, arguments)
    limit_oneself(memory, parent)
    serve(socket.socket(fileno=0), parse, fingerprint)


if __name__ == "__main__":
    main(sys.argv[1:])
