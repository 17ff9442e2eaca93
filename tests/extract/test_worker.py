from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from syncd.extract import worker
from syncd.extract.fingerprint import Fingerprint
from syncd.extract.wire import LENGTH, Task, Unreadable, decode_capture, decode_fingerprint
from syncd.model import Capture
from tests.extract import pictures


def answers(*requests: tuple[Task, int], parse: worker.Parse = worker.parse) -> list[bytes]:
    """Let the worker's loop serve these requests in this process, and return the bodies of its messages."""
    here, there = socket.socketpair()
    with here, there:
        for task, fd in requests:
            socket.send_fds(here, [task.value], [fd])
        here.shutdown(socket.SHUT_WR)
        worker.serve(there, parse)
        there.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: here.recv(1 << 16), b""))
    bodies = []
    while received:
        end = LENGTH.size + LENGTH.unpack_from(received)[0]
        bodies.append(received[LENGTH.size : end])
        received = received[end:]
    return bodies


def test_two_messages_for_each_file(tmp_path: Path) -> None:
    content = pictures.jpeg_with(pictures.exif_segment(pictures.exif([pictures.text(0x110, b"E-P3\0")])))
    with pictures.opened(content, tmp_path) as fd:
        bodies = answers((Task.EXTRACT, fd), (Task.HASH, fd))
    found = [decode_fingerprint(body) for body in bodies[::2]]
    assert all(isinstance(each, Fingerprint) and each.digest == hashlib.sha256(content).hexdigest() for each in found)
    assert decode_capture(bodies[1]).camera_model == "E-P3"
    assert decode_capture(bodies[3]) == Capture()


def test_descriptors_are_closed(tmp_path: Path) -> None:
    with pictures.opened(b"text", tmp_path) as fd:
        before = list(Path("/proc/self/fd").iterdir())
        answers(*[(Task.EXTRACT, fd)] * 20)
        assert list(Path("/proc/self/fd").iterdir()) == before


def test_what_cannot_be_read_takes_one_message(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    bodies = answers((Task.EXTRACT, fd))
    os.close(fd)
    assert [decode_fingerprint(body) for body in bodies] == [Unreadable(0, "not a regular file")]


def test_e1_a_parser_that_raises_costs_only_the_metadata(tmp_path: Path) -> None:
    def parse(fd: int, found: Fingerprint) -> Capture:
        raise ZeroDivisionError

    with pictures.opened(b"text", tmp_path) as fd:
        bodies = answers((Task.EXTRACT, fd), (Task.EXTRACT, fd), parse=parse)
    assert [decode_capture(body).dropped[0].reason for body in bodies[1::2]] == [
        "the parser failed: ZeroDivisionError"
    ] * 2


def test_e1_after_memory_ran_out_the_worker_ends(tmp_path: Path) -> None:
    def parse(fd: int, found: Fingerprint) -> Capture:
        raise MemoryError

    with pictures.opened(b"text", tmp_path) as fd:
        bodies = answers((Task.EXTRACT, fd), (Task.EXTRACT, fd), parse=parse)
    assert len(bodies) == 2
    assert decode_capture(bodies[1]).dropped[0].reason == "the parser ran out of memory"


def test_without_its_parent_it_does_not_start() -> None:
    with pytest.raises(SystemExit, match="the parent is gone"):
        worker.limit_oneself(1 << 30, os.getpid())
