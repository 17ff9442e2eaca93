"""The instance lock: one process at a time migrates, recovers, scans and sends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from syncd.errors import LedgerError, LockedError
from syncd.printable import printable

DAEMON: Final = "run"
"""The role of the daemon: what `syncd run` holds the lock as."""
_LOOKS: Final = 4
_LOOK_AGAIN: Final = 0.05


class InstanceLock:
    """A lock on a file beside the ledger. The file is never unlinked: a second process could then lock another one.

    Raises LockedError, which says who holds it, when it is taken.
    """

    def __init__(self, ledger: Path, role: str = "") -> None:
        """`role` is the command that holds it, as others are told of it."""
        self._role = role
        self.path = ledger.with_name(ledger.name + ".lock")
        self._fd = -1

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
            raise LedgerError(
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
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"pid {os.getpid()} {self._role}".strip().encode("ascii") + b"\n", 0)
        except OSError as error:
            os.close(fd)
            raise LedgerError(
                f"the lock {self.path} cannot be written: {error.strerror}",
                hint="Free some space there and start again; nothing was lost.",
            ) from error
        self._fd = fd

    def release(self) -> None:
        """Let go of the lock; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


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


def _holder(fd: int) -> str:
    said = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
    pid, _, role = said.removeprefix("pid ").partition(" ")
    if not pid.isdigit():
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
