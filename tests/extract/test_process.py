from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import syncd
from syncd.extract.process import LostError, WorkerProcess
from syncd.extract.wire import Task

ECHO = """
import socket, sys
channel = socket.socket(fileno=0)
channel.recvmsg(1, 64)
for part in {parts!r}:
    channel.sendall(part)
channel.recv(1)
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").touch()
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    yield fd
    os.close(fd)


def started(*parts: bytes) -> WorkerProcess:
    return WorkerProcess(["-c", ECHO.format(parts=parts)], 1 << 30)


def test_messages_are_cut_out_of_the_stream(file: int) -> None:
    process = started(b"\0\0", b"\0\3ab", b"c\0\0\0\0\0\0\0\1d")
    process.ask(Task.EXTRACT, file)
    assert [process.receive(seconds=20, stop=None) for _ in range(3)] == [b"abc", b"", b"d"]
    with pytest.raises(TimeoutError):
        process.receive(seconds=0.01, stop=None)
    process.end()
    assert not Path(f"/proc/{process.pid}").exists()


def test_e1_a_message_without_bounds_is_not_awaited(file: int) -> None:
    process = started(b"\xff\xff\xff\xff")
    process.ask(Task.EXTRACT, file)
    with pytest.raises(LostError, match="too long"):
        process.receive(seconds=20, stop=None)
    process.end()


def test_e1_the_last_words_are_kept_short(file: int) -> None:
    process = WorkerProcess(["-c", "import sys; sys.exit('x' * 5000 + '\\nlast words')"], 1 << 30)
    with pytest.raises(LostError, match=r"ended with 1 \(last words\)"):
        process.receive(seconds=20, stop=None)
    with pytest.raises(LostError):
        process.ask(Task.EXTRACT, file)
    process.end()


def test_modules_come_from_where_the_parent_has_them(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("relative")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    program = (
        "import sys, syncd, os; sys.exit(f'{\"relative\" in sys.path} {os.getcwd() in sys.path} {syncd.__file__}')"
    )
    process = WorkerProcess(["-c", program], 1 << 30)
    with pytest.raises(LostError, match=f"False False {syncd.__file__}"):
        process.receive(seconds=20, stop=None)
    process.end()
