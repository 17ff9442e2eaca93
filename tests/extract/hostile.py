"""A worker like the real one, but for files whose first word makes it misbehave: `python -m tests.extract.hostile`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from syncd.extract import worker
from syncd.extract.fingerprint import Fingerprint, read_fingerprint
from syncd.extract.wire import LENGTH
from syncd.model import Capture


def word(fd: int) -> str:
    return os.pread(fd, 32, 0).split(b" ")[0].decode("ascii", "replace")


def parse(fd: int, found: Fingerprint) -> Capture:
    match word(fd):
        case "HANG":
            signal.pause()
        case "ABORT":
            os.abort()
        case "EXIT":
            sys.exit("parsing was too much")
        case "MEMORY":
            bytearray(4 << 30)
        case "RAISE":
            raise ZeroDivisionError
        case "RECURSE":
            return parse(fd, found)
        case "NONSENSE":
            socket.socket(fileno=os.dup(0)).sendall(LENGTH.pack(2) + b"[]")
        case "FLOOD":
            socket.socket(fileno=os.dup(0)).sendall(LENGTH.pack(1 << 30))
            signal.pause()
        case _:
            pass
    return worker.parse(fd, found)


def fingerprint(fd: int, *, walk: bool) -> Fingerprint:
    match word(fd):
        case "SLOW":
            time.sleep(0.6)
        case "STUCK":
            signal.pause()
        case "CURSED":
            os.abort()
        case "WALKDIES" if walk:
            os.abort()
        case "LIES" if walk:
            socket.socket(fileno=os.dup(0)).sendall(LENGTH.pack(10) + b'{"size":1}')
        case _:
            pass
    return read_fingerprint(fd, walk=walk)


if __name__ == "__main__":
    worker.main(sys.argv[1:], parse, fingerprint)
