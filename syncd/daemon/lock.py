"""The instance lock: one process at a time migrates, recovers, scans and sends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from syncd.errors import LockedError, ledger_error
from syncd.printable import printable

DAEMON: Final = "run"
"""The role of the daemon: what `syncd run` holds the lock as."""
_LOOKS: Final = 4
_LOOK_AGAIN: Final = 0.05


class InstanceLock:
    """A lock on a file beside the ledger, and on the ledger itself.

    syncd never unlinks the file beside it: a second process could then lock another one. Where somebody else does, the
    lock on the ledger still holds (flock: on a local disk it has nothing to do with the locks of SQLite). Release it
    only when the ledger is closed: a process that closes any descriptor of a file gives up SQLite's locks on it
    (sqlite.org/howtocorrupt.html 2.2).

    Raises LockedError, which says who holds it, when it is taken.
    """

    def __init__(self, ledger: Path, role: str = "") -> None:
        """`role` is the command that holds it, as others are told of it."""
        self._role = role
        self.path = ledger.with_name(ledger.name + ".lock")
        self._ledger = ledger
        self._fd = -1
        self._ledger_fd = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock, or raise LockedError at once."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ledger_error(
                error,
                f"the lock {self.path} cannot be made: {error.strerror}",
                hint="The folder of the ledger must exist and be writable for this user.",
            ) from error
        if not _taken(fd):
            holder = _holder(fd)
            os.close(fd)
            raise LockedError(
                f"another syncd uses this ledger already: {holder}",
                hint="It does the work. `syncd status` shows how far it is; end it first to work from here.",
            )
        self._fd = fd
        try:
            self.cover()
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"pid {os.getpid()} {self._role}".strip().encode("ascii") + b"\n", 0)
        except OSError as error:
            self.release()
            raise ledger_error(
                error,
                f"the lock {self.path} cannot be written: {error.strerror}",
                hint="Free some space there and start again; nothing was lost.",
            ) from error
        except LockedError:
            self.release()
            raise

    def cover(self) -> None:
        """Lock the ledger, too, where there is one: to be called again once the first start has made it."""
        if self._ledger_fd >= 0:
            return
        try:
            fd = os.open(self._ledger, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return  # what is wrong with it, opening it will say
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _told_by_the_kernel(fd)
            os.close(fd)
            raise LockedError(
                f"another syncd uses this ledger already, and its lock {self.path} was deleted: {holder}",
                hint="End it first. The lock need never be deleted: it means nothing while nobody holds it.",
            ) from None
        except OSError:
            os.close(fd)  # a file system without such locks
            return
        self._ledger_fd = fd

    def release(self) -> None:
        """Let go of the lock; the file stays."""
        for fd in (self._ledger_fd, self._fd):
            if fd >= 0:
                os.close(fd)
        self._ledger_fd = self._fd = -1


def _taken(fd: int) -> bool:
    """Try to take the lock; a command that only looks who holds it has it for a moment (`holder_of`)."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_AGAIN)
        else:
            return True
    return False


def holder_of(ledger: Path) -> str | None:
    """Say who holds the instance lock of a ledger ("pid 812: syncd run"); None when nobody does."""
    path = ledger.with_name(ledger.name + ".lock")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(fd)
    else:
        return None
    finally:
        os.close(fd)


def is_daemon(holder: str | None) -> bool:
    """Tell whether the one that `holder_of` named is a daemon, which grants what other commands ask of it."""
    return holder is not None and holder.endswith(f"syncd {DAEMON}")


def _told_by_the_kernel(fd: int) -> str:
    """Name the process that holds a flock on a file, by /proc/locks (proc(5))."""
    file = os.fstat(fd)
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    holders = [fields[4] for line in lines if (fields := line.split())[1:2] == ["FLOCK"] and place in fields[5:6]]
    return _named(holders[0] if holders else "", "")


def _holder(fd: int) -> str:
    said = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
    pid, _, role = said.removeprefix("pid ").partition(" ")
    return _named(pid, role)


def _named(pid: str, role: str) -> str:
    if not (pid.isascii() and pid.isdigit()):
        return "an unknown process"
    if role:
        return printable(f"pid {pid}: syncd {role}")
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return printable(f"pid {pid}")
    # Only the command's name: arguments may hold paths that are nobody else's business.
    names = [word for word in words if word in {"sync", "demo"}]
    return printable(f"pid {pid}: syncd {names[0]}" if names else f"pid {pid}")
