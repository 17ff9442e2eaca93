"""`syncd import` and `syncd card` as processes: beside a daemon, killed, two at once, on a full disk."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from pathlib import Path

import pytest

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program, eventually


@pytest.fixture
def card(program: Program) -> Path:
    folder = program.home / "EOS_DIGITAL"
    (folder / "DCIM" / "100CANON").mkdir(parents=True)
    return folder


def photos(program: Program, card: Path, count: int, *, padding: int = 0) -> None:
    for number in range(count):
        taken = program.photo(f"new-{number}.jpg", padding=padding)
        taken.rename(card / "DCIM" / "100CANON" / f"IMG_{number:04}.JPG")


def below(folder: Path) -> list[str]:
    """Every file, hidden and temporary ones included, but for the lists."""
    lists = (".json", ".mhl")
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and not p.name.endswith(lists))


def test_from_the_slot_to_safe_to_format_and_uploaded(program: Program, server: FaultServer, card: Path) -> None:
    photos(program, card, 2)
    (card / "DCIM/100CANON/IMG_0000.CR3").write_bytes(os.urandom(5000))
    imported = program.call("import", str(card))
    assert imported.code == 0, imported.err
    assert "SAFE TO FORMAT: each of the 3 files has a verified copy" in imported.out
    assert len(below(program.library)) == 3
    assert server.uploads == []

    pending = program.call("card", str(card), "--uploaded", "--json")
    assert pending.code == pending.json["exit_code"] == 75
    uploads = pending.json["cards"][0]["uploads"]
    assert uploads == {"uploaded": 0, "not uploaded yet": 2, "waits for a person": 0, "not to be sent": 1}
    assert program.sync().code == 0
    done = program.call("card", str(card), "--uploaded", "--json")
    assert done.code == 0
    assert done.json["safe_to_format"] is True
    assert set(server.account.billed().values()) == {1}


def test_it_works_beside_a_running_daemon_which_uploads_only_whole_files(
    program: Program, server: FaultServer, card: Path
) -> None:
    photos(program, card, 6, padding=400_000)
    running = program.start("run")
    program.photo("first.jpg")
    server.wait_for_stored(1, 20)
    imported = program.call("import", str(card), "--json")
    assert imported.code == 0, imported.err
    server.wait_for_stored(7, 20)
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert set(server.account.billed().values()) == {1}
    assert program.call("card", str(card), "--uploaded").code == 0


def test_b2_killed_anywhere_it_leaves_no_partial_file_under_a_final_name_and_repeats_nothing(
    program: Program, card: Path
) -> None:
    photos(program, card, 40, padding=150_000)
    originals = {path.read_bytes() for path in card.rglob("*.JPG")}
    program.call("import", str(card / "DCIM" / "none"), "--json")  # makes the ledger
    for delay in (0.4, 0.7):
        running = program.start("import", str(card), "--json")
        killer = threading.Timer(delay, running.kill)
        killer.start()
        killer.join()
        for path in program.library.rglob("*.JPG"):
            assert path.read_bytes() in originals, f"{path} is not whole"
    last = program.call("import", str(card), "--json")
    assert last.code == 0, last.err
    found = below(program.library)
    assert len(found) == 40, "nothing twice, nothing temporary"
    assert {(program.library / name).read_bytes() for name in found} == originals
    assert not list(program.ledger.parent.glob("*.import-*"))


def test_two_imports_of_the_same_card_at_once_copy_each_file_once(program: Program, card: Path) -> None:
    photos(program, card, 30, padding=100_000)
    both = [program.start("import", str(card), "--json") for _ in range(2)]
    ended = [one.wait(30) for one in both]
    assert [one.code for one in ended] == [0, 0], [one.err for one in ended]
    assert len(below(program.library)) == 30
    copied = [one.json["cards"][0]["counts"]["copied"] for one in ended]
    assert sum(copied) == 30, copied


def test_sigint_ends_it_with_75_and_says_how_to_go_on(program: Program, card: Path) -> None:
    for number in range(60):
        (card / f"DCIM/100CANON/MVI_{number:04}.MP4").write_bytes(os.urandom(2_000_000))
    running = program.start("import", str(card))
    eventually(lambda: any(program.library.rglob("*")))
    running.send(signal.SIGINT)
    ended = running.wait(20)
    assert ended.code == 75, ended.err
    assert "interrupted" in ended.out
    assert "goes on with the rest" in ended.out
    assert not list(program.library.rglob("*.part"))
    assert program.call("import", str(card)).code == 0
    assert len(below(program.library)) == 60


def test_a_copy_is_synced_then_read_from_the_disk_then_named_and_then_its_folder_is_synced(
    program: Program, card: Path, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: the order of system calls cannot be seen")
    photos(program, card, 1, padding=200_000)
    (program.library / "2024/01/02").mkdir(parents=True)
    trace = tmp_path / "trace"
    calls = "trace=openat,fsync,fdatasync,renameat2,unlink,unlinkat"
    running = program.start("import", str(card), before=[strace, "-f", "-y", "-e", calls, "-o", str(trace)])
    ended = running.wait(40)
    if not trace.exists() or "renameat2" not in trace.read_text(errors="replace"):
        pytest.skip(f"strace cannot trace here: {ended.err[-200:]}")
    assert ended.code == 0
    lines = trace.read_text(errors="replace").splitlines()

    def first(pattern: str) -> int:
        return next(number for number, line in enumerate(lines) if re.search(pattern, line))

    order = [
        first(r"openat\(.*\.part\", .*O_CREAT"),
        first(r"fsync\(\d+<[^>]*\.part>"),
        first(r"openat\(.*\.part\", O_RDONLY.*O_DIRECT"),
        first(r"renameat2\(.*\.part.*IMG_0000\.JPG\", RENAME_NOREPLACE"),
        first(r"fsync\(\d+<[^>]*/2024/01/02>"),
    ]
    assert order == sorted(order)
    planned = first(r"f(data)?sync\(\d+<[^>]*ledger\.db-wal>")
    assert planned < order[3], "the name is in the ledger before it is given"
    opened = [
        line for line in lines if "IMG_0000.JPG" in line and "openat" in line and str(program.library) not in line
    ]
    assert len(opened) == 1, "the card's file is opened once"
    assert not [line for line in lines if re.search(r"unlink", line) and str(card) in line]
