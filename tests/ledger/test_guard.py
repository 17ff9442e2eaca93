"""Which ledger can be believed: the mark beside it, the file system below it, the pages in it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from syncd.errors import LedgerError
from syncd.ledger.guard import Mark, MarkFile, file_system, integrity, refuse_network_file_system
from syncd.ledger.migrate import open_ledger
from tests.fakes.ledgers import START, Ledger, make_ledger

OWN = Mark("0123456789abcdef", 41)


def test_a_mark_comes_back_and_is_rewritten_in_place(tmp_path: Path) -> None:
    marks = MarkFile(tmp_path / "ledger.db")
    assert marks.read() is None
    marks.write(OWN)
    assert marks.read() == OWN
    before = marks.path.stat()
    marks.write(Mark(OWN.ledger_id, 10**12))
    assert marks.read() == Mark(OWN.ledger_id, 10**12)
    after = marks.path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert after.st_mode & 0o777 == 0o600
    assert "billed" in marks.path.read_text(), "it says to a person what it is for"
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db.mark"]


@pytest.mark.parametrize("content", [b"", b"ledger=abc\n", b"requests=7\n", b"ledger=a\nrequests=x\n", b"\xff\xfe\x00"])
def test_a_damaged_mark_is_no_missing_one(tmp_path: Path, content: bytes) -> None:
    marks = MarkFile(tmp_path / "ledger.db")
    marks.path.write_bytes(content)
    with pytest.raises(LedgerError, match="the mark"):
        marks.read()
    with pytest.raises(LedgerError, match="the mark"):
        open_ledger(tmp_path / "ledger.db", now=START)
    assert not (tmp_path / "ledger.db").exists()


def test_what_cannot_be_marked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be written: No such file"):
        MarkFile(tmp_path / "not there" / "ledger.db").write(OWN)
    marks = MarkFile(tmp_path / "ledger.db")
    marks.write(OWN)
    target = tmp_path / "elsewhere"
    target.write_bytes(marks.path.read_bytes())
    marks.path.unlink()
    marks.path.symlink_to(target)
    with pytest.raises(LedgerError, match="cannot be written"):
        marks.write(Mark(OWN.ledger_id, 42))


def mountinfo(folder: Path, kind: str) -> Path:
    """Make up a file of mounts: a folder's device is of this kind."""
    device = folder.stat().st_dev
    path = folder / "mountinfo"
    path.write_text(
        "22 1 0:21 / /proc rw - proc proc rw\n"
        f"36 22 {os.major(device)}:{os.minor(device)} / /old rw - ext4 /dev/sda1 rw\n"
        f"37 22 {os.major(device)}:{os.minor(device)} / /data rw,noatime shared:1 - {kind} server:/x rw\n"
    )
    return path


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.rclone", "virtiofs"])
def test_d4_a_network_file_system_is_refused_and_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(LedgerError, match=f"network file system \\({kind}\\)") as raised:
        refuse_network_file_system(tmp_path, mountinfo(tmp_path, kind))
    assert "local disk" in raised.value.hint


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "zfs", "tmpfs", "overlay", "fuseblk", "f2fs"])
def test_d4_a_local_one_is_not(tmp_path: Path, kind: str) -> None:
    assert file_system(tmp_path, mountinfo(tmp_path, kind)) == kind
    refuse_network_file_system(tmp_path, mountinfo(tmp_path, kind))


def test_where_the_system_does_not_say_nothing_is_refused(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "no such file") is None
    refuse_network_file_system(tmp_path, tmp_path / "no such file")
    assert file_system(tmp_path / "not there") is None


def test_integrity_of_what_is_whole_missing_or_garbage(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=3) as ledger:
        assert integrity(ledger.path, thorough=True) == []
    assert integrity(tmp_path / "missing", thorough=False)
    (tmp_path / "garbage").write_bytes(os.urandom(8192))
    assert integrity(tmp_path / "garbage", thorough=False)


@pytest.mark.parametrize("damage", ["random bytes", "zeros", "cut off"])
def test_b7_no_page_can_be_damaged_and_believed(tmp_path: Path, damage: str) -> None:
    with make_ledger(tmp_path, photos=60) as ledger:
        ledger.upload(*range(1, 21))
        path = ledger.path
        (page_size,) = ledger.rows("PRAGMA page_size")[0]
        wanted = content(ledger)
    whole = path.read_bytes()
    rng = random.Random(7)
    found = 0
    for start in range(0, len(whole), page_size):
        page = {"random bytes": rng.randbytes(page_size), "zeros": bytes(page_size)}.get(damage)
        rest = whole[start + page_size :] if page is not None else b""
        path.write_bytes(whole[:start] + (page or b"") + rest)
        try:
            store = open_ledger(path, now=START + 10 * start)
        except LedgerError:
            found += 1
        else:
            # A page that nothing lies on yet: what is known is the same.
            with Ledger(store) as opened:
                assert content(opened) == wanted
    assert found >= len(whole) // page_size * 0.8


def content(ledger: Ledger) -> list[object]:
    tables = ("photos", "places", "entries", "requests", "sent", "history", "roots", "folders")
    return [ledger.rows(f"SELECT * FROM {table}") for table in tables]
