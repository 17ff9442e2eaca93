"""Whether the ledger on the disk can be believed, before anything is uploaded on its word.

An empty or an older ledger in place of the right one would upload the whole library a second time, and each upload is
billed. So a mark beside the ledger remembers which ledger it was and how far it had come.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.errors import LedgerError, ledger_error
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import connect

_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "9p", "virtiofs", "vboxsf", "davfs"),
        *("lustre", "gfs2", "ocfs2", "orangefs", "pvfs2", "beegfs", "gpfs", "glusterfs", "sshfs"),
        *("fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.davfs2", "fuse.s3fs", "fuse.smbnetfs", "fuse.ceph"),
    }
)
_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_MARK_HEAD = "There was a syncd ledger here. Without it everything would be uploaded, and billed, again.\n"


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mark beside a ledger says: which ledger it was, and the number of its last request."""

    ledger_id: str
    requests: int


class MarkFile:
    """The mark beside a ledger (`NAME.mark`). It is written after the ledger, so that it is never ahead of it."""

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(ledger.name + ".mark")

    def read(self) -> Mark | None:
        """Give what the mark says; None where there is no mark. A mark that is no mark raises LedgerError."""
        try:
            lines = self.path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            hint = "Run syncd as the user to whom the ledger belongs." if isinstance(error, PermissionError) else ""
            raise LedgerError(f"the mark {self.path} cannot be read: {error}", hint=hint) from error
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
        try:
            return Mark(fields["ledger"], int(fields["requests"]))
        except (KeyError, ValueError) as error:
            raise LedgerError(
                f"the mark {self.path} is damaged",
                hint=f"If the ledger beside it is the right one, delete {self.path} and start again.",
            ) from error

    def write(self, mark: Mark) -> None:
        """Write the mark in place: its length never changes, so that a crash leaves the old or the new one.

        The first one is made under another name, so that a crash leaves it whole or not at all. Raises LedgerError:
        what cannot be marked must not be sent.
        """
        text = f"{_MARK_HEAD}ledger={mark.ledger_id}\nrequests={mark.requests:020d}\n".encode("ascii")
        try:
            if self.path.exists() and self.path.stat().st_size == len(text):
                _write_at_start(self.path, text)
            else:
                partial = self.path.with_name(self.path.name + ".partial")
                _write_at_start(partial, text, durably=True)
                partial.replace(self.path)
        except OSError as error:
            raise ledger_error(
                error,
                f"the mark {self.path} cannot be written: {error.strerror}",
                hint="Check free space and permissions there; nothing is uploaded meanwhile.",
            ) from error


def _write_at_start(path: Path, text: bytes, *, durably: bool = False) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.pwrite(fd, text, 0)
        if durably:
            os.ftruncate(fd, len(text))
            os.fsync(fd)
    finally:
        os.close(fd)


def requests_made(connection: Connection) -> int:
    """Tell the number of the last request that was ever made, also where the ledger does not know it any more."""
    return int(connection.execute(_LAST_NUMBER).scalar_one())


def refuse_network_file_system(folder: Path, mountinfo: Path = _MOUNTINFO) -> None:
    """Raise LedgerError where WAL would not be safe (sqlite.org/wal.html: not over a network file system)."""
    kind = file_system(folder, mountinfo)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise LedgerError(
            f"the ledger's folder {folder} is on a network file system ({kind}), where SQLite cannot keep it safe",
            hint="Set [ledger] url to a place on a local disk; the photos may stay where they are.",
        )


def file_system(folder: Path, mountinfo: Path = _MOUNTINFO) -> str | None:
    """Name the type of the file system that a folder lies on (see proc(5)); None where the system does not say."""
    try:
        device = folder.stat().st_dev
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in reversed(lines):
        fields, _, behind = line.partition(" - ")
        if wanted in fields.split()[2:3] and behind:
            return behind.split()[0]
    return None


def integrity(path: Path, *, thorough: bool) -> list[str]:
    """Let SQLite check the file; give what it found, nothing when all is well. Seconds per gigabyte."""
    try:
        with closing(connect(path, "ro")) as connection:
            rows = connection.execute("PRAGMA integrity_check" if thorough else "PRAGMA quick_check").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


_LAST_NUMBER = text("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'requests'), 0)")
