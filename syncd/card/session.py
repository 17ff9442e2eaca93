"""One import among others: how it shows that it lives, and how it clears away what a dead one left behind.

Each import holds a lock on a file of its own beside the ledger. The ledger tells which imports have not ended; those
whose lock is free have died. Of such an import the temporary files go, and only they, by their exact names; a copy
that had got its name is read back and, where it is whole, counts as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from syncd.card.destination import leftovers, look_of
from syncd.card.medium import read_back
from syncd.card.placing import sync_file, sync_folder
from syncd.errors import LedgerError
from syncd.ledger.imports import Copy, Imports, Unfinished
from syncd.model import Look

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Life:
    """The lock by which an import shows that it lives."""

    def __init__(self, ledger: Path) -> None:
        self.token = secrets.token_hex(6)
        self._path = _lock_path(ledger, self.token)
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            while not self._is_held():
                # Another import took the file for that of a dead one, between making it and locking it.
                self._fd = os.open(self._path, _OPEN | os.O_CREAT, 0o600)
                fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError as error:
            raise LedgerError(
                f"the lock {self._path} cannot be made: {error.strerror}",
                hint="The folder of the ledger must be writable for this user.",
            ) from error
        return self

    def _is_held(self) -> bool:
        """Tell whether the file under the name is the one that is locked; what is not is let go of."""
        if self._fd < 0:
            return False
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._fd), self._path.lstat()):
                return True
        os.close(self._fd)
        return False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._fd)


def is_alive(ledger: Path, token: str) -> bool:
    """Tell whether the import of a token runs."""
    try:
        fd = os.open(_lock_path(ledger, token), _OPEN)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def clear_away(imports: Imports, ledger: Path, now: Callable[[], float]) -> int:
    """Clear up after imports that died; give how many there were."""
    dead = [one for one in imports.unfinished() if not is_alive(ledger, one.token)]
    for one in dead:
        _clear_one(imports, one, now)
    start = _lock_path(ledger, "").name
    for path in ledger.parent.iterdir():
        if path.name.startswith(start) and not is_alive(ledger, path.name.removeprefix(start)):
            with contextlib.suppress(OSError):
                path.unlink()
    return len(dead)


def _clear_one(imports: Imports, dead: Unfinished, now: Callable[[], float]) -> None:
    looks: dict[int, Look] = {}
    nothing: list[int] = []
    unnamed = any(leftovers(destination, dead.token) for destination in dead.destinations)
    for copy in imports.unverified(dead.number):
        look = _whole(copy)
        if look is None:
            if unnamed:
                _take_reservation_away(copy)
            nothing.append(copy.number)
        else:
            looks[copy.number] = look
    imports.verified(looks, now())
    imports.forget(nothing)
    for destination in dead.destinations:
        for path in leftovers(destination, dead.token):
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108  (bytes)
    if all(_is_there(path) for path in dead.destinations):
        # One whose disk is away keeps its row: its temporary files are taken away when it is back.
        imports.end(dead.number, now())


def _whole(copy: Copy) -> Look | None:
    """Read a copy back that has its name: the look at it where it is whole, None where it is not there or another."""
    try:
        seen = os.lstat(copy.path)
        if seen.st_size != copy.prints.size:
            return None
        sync_file(copy.path)
        _sync_folder_of(copy.path)
        if read_back(copy.path).digest != copy.prints.digest:
            return None
        after = os.lstat(copy.path)
    except OSError:
        return None
    return look_of(after)


def _take_reservation_away(copy: Copy) -> None:
    """Take the empty file away with which a name was reserved (placing.reserve_and_rename)."""
    with contextlib.suppress(OSError):
        if copy.prints.size and os.lstat(copy.path).st_size == 0:
            os.unlink(copy.path)  # noqa: PTH108  (bytes)


def _sync_folder_of(path: bytes) -> None:
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120  (bytes)
    try:
        sync_folder(fd)
    finally:
        os.close(fd)


def _is_there(path: bytes) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  (bytes)


def _lock_path(ledger: Path, token: str) -> Path:
    return ledger.with_name(f"{ledger.name}.import-{token}")
