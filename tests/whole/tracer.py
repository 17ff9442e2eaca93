"""Runs a program and counts what it does to a folder and to the network; at the N-th such call it strikes.

    python tracer.py --below STATE --log CALLS [--at N --strike kill|power|ENOSPC|EIO [--on]] -- COMMAND...

`kill` ends the whole process with SIGKILL before the call is done. `power` does so too, and then takes back every
write to the folder that no fsync or fdatasync had made durable: what a power cut may do. An error is what the call
gives instead of being done; with `--on` every later one fails the same way. Each call is a line in CALLS.

strace can inject the same, but counts for each thread on its own: a call of one thread is then never reached while
another thread comes first. Here all threads share one count, so that every call is reached. Needs ptrace(2) and
seccomp(2) of Linux on x86-64, nothing else; `unavailable` says why it cannot work here.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import platform
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

CALLS: Final = {
    18: "pwrite64", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 74: "fsync", 75: "fdatasync",
    77: "ftruncate", 82: "rename", 87: "unlink", 257: "openat", 263: "unlinkat",
}  # fmt: skip
"""By the system call numbers of x86-64. openat counts only where it makes a file."""
WRITES: Final = frozenset({"pwrite64", "ftruncate"})
SYNCS: Final = frozenset({"fsync", "fdatasync"})
_SOCKETS: Final = frozenset({"sendto", "recvfrom", "sendmsg", "recvmsg"})
_BY_PATH: Final = {"rename": "rdi", "unlink": "rdi", "openat": "rsi", "unlinkat": "rsi"}
STRUCK: Final = 137
"""The exit code after `kill` and `power`, as a shell gives it."""

_REGISTERS: Final = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_TRACEME, _CONT, _GETREGS, _SETREGS, _SETOPTIONS = 0, 7, 12, 13, 0x4200
_FOLLOW_AND_SECCOMP_AND_EXITKILL: Final = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000
_EVENT_SECCOMP: Final = 7
_WALL: Final = 0x40000000
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_TRACE, _ALLOW = 0x7FF00000, 0x7FFF0000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


@dataclass(frozen=True, slots=True)
class Strike:
    """What is done, and at which call, counted from 1 (0: never)."""

    at: int
    what: str
    on: bool = False

    @property
    def errno(self) -> int:
        """The error that the call gives; 0 where the process dies instead."""
        return 0 if self.what in {"kill", "power"} else int(getattr(errno, self.what))


@dataclass(frozen=True, slots=True)
class _Before:
    """What a file held where it was written to, and how long it was."""

    path: str
    offset: int
    held: bytes
    size: int


@dataclass(slots=True)
class _Unsynced:
    """The writes that a power cut may undo."""

    writes: list[_Before] = field(default_factory=list)

    def note(self, call: str, path: str, registers: dict[str, int]) -> None:
        """Keep what a call is about to overwrite; forget it once a sync has made it durable."""
        if call in SYNCS or call in _BY_PATH:
            self.writes = [write for write in self.writes if write.path != path]
        elif call in WRITES and not path.endswith("-shm"):
            offset = registers["rsi"] if call == "ftruncate" else registers["r10"]
            with Path(path).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(offset)
                held = file.read(-1 if call == "ftruncate" else registers["rdx"])
            self.writes.append(_Before(path, offset, held, size))

    def lose(self, below: str) -> None:
        """Undo them, the last one first. The index beside the WAL is memory: it does not survive either."""
        for before in reversed(self.writes):
            with suppress(FileNotFoundError), Path(before.path).open("r+b") as file:
                file.seek(before.offset)
                file.write(before.held)
                file.truncate(before.size)
        for index in Path(below).glob("*-shm"):
            index.unlink()


class Tracer:
    """One traced program. `below`: the folder whose files count, beside the network."""

    def __init__(self, below: str, log: IO[str], strike: Strike) -> None:
        self._below = below.rstrip("/") + "/"
        self._log = log
        self._strike = strike
        self._count = 0
        self._root = 0
        self._known: set[int] = set()
        self._network: dict[str, bool] = {}
        self._unsynced = _Unsynced()
        self._struck = False

    def run(self, command: list[str]) -> int:
        """Run the command to its end, or to the strike; give its exit code."""
        process = subprocess.Popen(command, preexec_fn=_be_traced)  # noqa: PLW1509 (one thread)
        self._root = process.pid
        self._known.add(self._root)
        code = 0
        _, status = os.waitpid(self._root, _WALL)
        _ptrace(_SETOPTIONS, self._root, _FOLLOW_AND_SECCOMP_AND_EXITKILL)
        _ptrace(_CONT, self._root, 0)
        while True:
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                break
            if os.WIFSTOPPED(status):
                self._stopped(pid, status)
            elif pid == self._root:
                code = os.waitstatus_to_exitcode(status)
        process.returncode = code
        if self._struck and self._strike.what == "power":
            self._unsynced.lose(self._below)
        return code if code >= 0 else 128 - code

    def _stopped(self, pid: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        if event == _EVENT_SECCOMP:
            if not self._struck:
                self._call(pid)
            number = 0
        elif event or number == signal.SIGTRAP or (number == signal.SIGSTOP and pid not in self._known):
            number = 0
        self._known.add(pid)
        with suppress(ProcessLookupError):  # it may have been killed meanwhile
            _ptrace(_CONT, pid, number)

    def _call(self, pid: int) -> None:
        registers = _registers(pid)
        call = CALLS[registers["orig_rax"]]
        target = self._target(pid, call, registers)
        if target is None:
            return
        self._count += 1
        self._log.write(f"{self._count}\t{pid - self._root}\t{call}\t{target}\n")
        self._log.flush()
        due = self._count >= self._strike.at if self._strike.on else self._count == self._strike.at
        if not self._strike.at or not due:
            self._unsynced.note(call, target, registers)
        elif self._strike.errno:
            if call not in _SOCKETS:
                _set_registers(pid, registers | {"orig_rax": 2**64 - 1, "rax": 2**64 - self._strike.errno})
        else:
            self._struck = True
            os.kill(self._root, signal.SIGKILL)

    def _target(self, pid: int, call: str, registers: dict[str, int]) -> str | None:
        """Name the file or "network" that a call is for; None where it does not count."""
        if call in _BY_PATH:
            path = _text_at(pid, registers[_BY_PATH[call]])
            makes = call != "openat" or (registers["rdx"] & os.O_CREAT and not os.path.exists(path))  # noqa: PTH110
            return path if makes and path.startswith(self._below) else None
        try:
            link = os.readlink(f"/proc/{pid}/fd/{registers['rdi']}")  # noqa: PTH115
        except OSError:
            return None
        if call in _SOCKETS:
            if link not in self._network:
                inode = link.removeprefix("socket:[").removesuffix("]")
                self._network[link] = f" {inode} " in Path(f"/proc/{pid}/net/tcp").read_text("ascii")
            return "network" if self._network[link] else None
        return link if link.startswith(self._below) else None


def unavailable() -> str | None:
    """Say why nothing can be traced here; None where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"system calls are only traced on Linux and x86-64, not on {sys.platform} and {platform.machine()}"
    command = [sys.executable, __file__, "--below", "/nowhere", "--log", os.devnull, "--", "/bin/true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"ptrace or seccomp is not allowed here: {tried.stderr[-200:]}" if tried.returncode else None


def _be_traced() -> None:
    _filter_calls()
    _ptrace(_TRACEME, 0, 0)


def _filter_calls() -> None:
    """Have the kernel stop at the calls of CALLS alone: all others run at full speed (seccomp(2), BPF)."""
    numbers = list(CALLS)
    steps = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    steps += [struct.pack("HBBI", 0x15, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    steps += [struct.pack("HBBI", 0x06, 0, 0, _ALLOW), struct.pack("HBBI", 0x06, 0, 0, _TRACE)]
    code = ctypes.create_string_buffer(b"".join(steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if _libc.prctl(_SET_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _ptrace(request: int, pid: int, data: int) -> None:
    if _libc.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _registers(pid: int) -> dict[str, int]:
    buffer = ctypes.create_string_buffer(8 * len(_REGISTERS))
    _ptrace(_GETREGS, pid, ctypes.addressof(buffer))
    return dict(zip(_REGISTERS, struct.unpack(f"{len(_REGISTERS)}Q", buffer.raw), strict=True))


def _set_registers(pid: int, registers: dict[str, int]) -> None:
    packed = struct.pack(f"{len(_REGISTERS)}Q", *(registers[name] for name in _REGISTERS))
    buffer = ctypes.create_string_buffer(packed, len(packed))
    _ptrace(_SETREGS, pid, ctypes.addressof(buffer))


def _text_at(pid: int, address: int) -> str:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return os.fsdecode(memory.read(4096).split(b"\0", 1)[0])


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the calls of a program, and strike at one of them.")
    parser.add_argument("--below", required=True)
    parser.add_argument("--log", required=True, type=Path)
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--strike", default="kill", choices=["kill", "power", "ENOSPC", "EIO"])
    parser.add_argument("--on", action="store_true")
    parser.add_argument("command", nargs="+")
    chosen = parser.parse_args()
    with chosen.log.open("w", encoding="utf-8", errors="surrogateescape") as log:
        return Tracer(chosen.below, log, Strike(chosen.at, chosen.strike, chosen.on)).run(chosen.command)


if __name__ == "__main__":
    sys.exit(main())
