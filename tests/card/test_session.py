"""Killed at any call that touches a disk, and started again: nothing partial, nothing twice, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import xxhash

from syncd.card.session import Life, is_alive
from syncd.ledger.imports import Fingerprints, Intended, Kind, Unless
from tests.card.rig import Rig

CALLS = frozenset(
    {
        *("open", "write", "fsync", "unlink", "mkdir", "link", "rename", "utime", "preadv", "flock", "close", "lstat"),
        *("stat", "execute", "commit"),
    }
)


def test_a_life_shows_until_it_ends_and_leaves_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with Life(ledger) as life:
        assert is_alive(ledger, life.token)
        assert not is_alive(ledger, "another")
    assert not is_alive(ledger, life.token)
    assert list(tmp_path.iterdir()) == []


def test_killed_before_any_call_it_repeats_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """A child is killed at the first call, another at the twelfth, and so on, until one comes through.

    With SYNCD_LONG=1 (and --timeout=0) at each call: that takes minutes.
    """
    died = 0
    for number in range(0, 10_000, 1 if os.environ.get("SYNCD_LONG") else 11):
        folder = tmp_path / str(number)
        folder.mkdir()
        survived = killed_at(number, folder)
        rig = reopened(folder)
        originals = {path.read_bytes() for path in rig.source.rglob("*") if path.is_file()}
        for name, content in rig.copies().items():
            assert name.endswith(".part") or content in originals, f"{name} is not whole, killed at {number}"
        report = rig.run(also=True)
        assert report.is_safe, f"killed at {number}: {report.unsafe}"
        for root in (rig.to, rig.second):
            found = rig.copies(root)
            assert sorted(found.values()) == sorted(originals), f"killed at {number}: {list(found)}"
        assert not list(folder.glob("*.import-*")), f"killed at {number}"
        rig.ledger.store.close()
        if survived:
            break
        died += 1
    assert died > 10, "the kills came too late to prove anything"


def killed_at(number: int, folder: Path) -> bool:
    """Import in a child that dies at the n-th call; tell whether it came through."""
    child = os.fork()
    if child == 0:
        # Whatever happens in here, the child never goes back into the tests.
        code = 1
        try:
            rig = Rig(folder)
            for name in ("IMG_1.JPG", "IMG_1.CR3", "IMG_2.JPG"):
                rig.put(f"DCIM/{name}", name.encode() * 100)
            dies_at(number)
            code = 0 if rig.run(also=True).is_safe else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}, f"the child ended with {status}"
    return status == 0


def dies_at(number: int) -> None:
    """Have this process killed before its n-th call that touches a disk, whichever thread makes it."""
    count, lock = 0, threading.Lock()

    def watch(frame: FrameType, event: str, called: Callable[..., object]) -> None:
        nonlocal count
        name = called.__name__ if event == "c_call" else frame.f_code.co_name if event == "call" else ""
        if name in CALLS or (event == "call" and name == "rename_exclusively"):
            with lock:
                count += 1
                if count > number:
                    os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


def reopened(folder: Path) -> Rig:
    rig = Rig.__new__(Rig)
    rig.open(folder)
    return rig


def test_a_reserved_name_is_taken_away_and_somebody_s_own_empty_file_is_not(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.to.mkdir()
    prints = Fingerprints("0" * 64, "0", "0", 5)
    for token, name in (("dead", "reserved.jpg"), ("gone", "own.jpg")):
        number = rig.imports.begin(token, b"/card", "CARD", [os.fsencode(rig.to)], 1.0)
        path = rig.to / name
        path.touch()
        rig.imports.plan(number, [Intended(Kind.COPY, os.fsencode(path), os.fsencode(rig.to), prints, Unless.NEVER)])
    (rig.to / ".syncd-dead-1.part").write_bytes(b"whole")
    rig.run()
    assert list(rig.copies()) == ["own.jpg"]


def test_temporary_files_of_a_living_import_and_of_others_stay(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.to.mkdir()
    (rig.to / ".syncd-foreign-1.part").write_bytes(b"of another ledger")
    with Life(rig.ledger.path) as life:
        rig.imports.begin(life.token, b"/card", "CARD", [os.fsencode(rig.to)], 1.0)
        (rig.to / f".syncd-{life.token}-1.part").write_bytes(b"under way")
        rig.run()
        assert len(rig.copies()) == 2
    rig.run()
    assert list(rig.copies()) == [".syncd-foreign-1.part"]


def test_what_a_dead_import_left_on_a_disk_that_is_away_is_cleared_when_it_is_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.imports.begin("dead", b"/card", "CARD", [os.fsencode(rig.second)], 1.0)
    rig.run()
    assert len(rig.imports.unfinished()) == 1
    rig.second.mkdir()
    (rig.second / ".syncd-dead-1.part").write_bytes(b"half")
    rig.run()
    assert rig.imports.unfinished() == []
    assert rig.copies(rig.second) == {}


def test_another_file_under_a_planned_name_is_not_taken_for_the_copy(tmp_path: Path) -> None:
    """The import died before it gave the name, and somebody else took it, with a file of the same size."""
    rig = Rig(tmp_path)
    rig.put("DCIM/IMG_1.JPG", b"photo")
    (rig.to / "2024/05/04").mkdir(parents=True)
    path = rig.to / "2024/05/04/IMG_1.JPG"
    path.write_bytes(b"other")
    prints = Fingerprints(hashlib.sha256(b"photo").hexdigest(), "q", xxhash.xxh3_128(b"photo").hexdigest(), 5)
    number = rig.imports.begin("dead", b"/card", "CARD", [os.fsencode(rig.to)], 1.0)
    rig.imports.plan(number, [Intended(Kind.COPY, os.fsencode(path), os.fsencode(rig.to), prints, Unless.ANY)])
    report = rig.run()
    assert report.is_safe
    assert rig.copies() == {"2024/05/04/IMG_1-2.JPG": b"photo", "2024/05/04/IMG_1.JPG": b"other"}
