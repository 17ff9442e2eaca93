"""`syncd import` and `syncd card` as processes: beside a daemon, killed, two at once, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Ended, Program, eventually


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
    before = program.call("card", str(card))
    assert before.code == 3
    assert "NOT SAFE TO FORMAT" in before.out
    assert not program.ledger.exists(), "a look changes nothing"

    imported = program.call("import", str(card))
    assert imported.code == 0, imported.err
    assert "SAFE TO FORMAT: each of the 3 files has a verified copy" in imported.out
    assert len(below(program.library)) == 3

    pending = program.call("card", str(card), "--uploaded", "--json")
    assert pending.code == pending.json["exit_code"] == 75
    assert pending.json["cards"][0]["uploads"] == {"uploaded": 0, "not uploaded yet": 2, "not to be sent": 1}
    assert program.sync().code == 0
    done = program.call("card", str(card), "--uploaded", "--json")
    assert done.code == 0
    assert done.json["safe_to_format"] is True
    assert set(server.account.billed().values()) == {1}

    again = program.call("import", str(card), "--json")
    assert again.json["cards"][0]["counts"]["known"] == 3
    assert again.json["cards"][0]["manifests"] == []


def test_every_list_holds_the_folder_to_what_was_copied(program: Program, card: Path) -> None:
    photos(program, card, 2)
    imported = program.call("import", str(card), "--also", str(program.home / "Backup"), "--json")
    lists = imported.json["cards"][0]["manifests"]
    assert len(lists) == 4
    assert [program.call("card", "--check", name).code for name in lists] == [0, 0, 0, 0]
    copies = [program.library / name for name in below(program.library)]
    changed = bytearray(copies[0].read_bytes())
    changed[100] ^= 1
    copies[0].write_bytes(changed)
    copies[1].unlink()
    for name in lists[:2]:
        checked = program.call("card", "--check", name, "--json")
        assert checked.code == 3
        assert [one["state"] for one in checked.json["not_same"]] == ["changed", "missing"]
    assert program.call("card", "--check", lists[2]).code == 0


def test_a_destination_that_is_not_watched_is_refused_unless_no_upload_is_said(program: Program, card: Path) -> None:
    photos(program, card, 1)
    elsewhere = program.home / "Elsewhere"
    refused = program.call("import", str(card), "--to", str(elsewhere))
    assert refused.code == 2
    assert "no watched folder" in refused.err
    assert "--no-upload" in refused.err
    assert not elsewhere.exists()
    hidden = program.call("import", str(card), "--to", str(program.library / ".hidden"))
    assert hidden.code == 2
    taken = program.call("import", str(card), "--to", str(elsewhere), "--no-upload", "--json")
    assert taken.code == 0
    assert taken.json["cards"][0]["uploads"]["not uploaded yet"] == 0
    inside = program.call("import", str(card), "--to", str(card / "copies"), "--no-upload")
    assert inside.code == 2
    assert not (card / "copies").exists()


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
    for delay in (0.25, 0.35, 0.45, 0.55, 0.65, 0.8):
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


@contextmanager
def mounted(folder: Path, *options: str, source: str = "tmpfs") -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    if (
        os.geteuid()
        or subprocess.run(["mount", *options, source, str(folder)], capture_output=True, check=False).returncode
    ):
        pytest.skip("only root can mount, and only where that is permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_destination_is_found_out_before_and_met_on_the_way(program: Program, card: Path) -> None:
    small = program.library / "small"
    with mounted(small, "-t", "tmpfs", "-o", "size=3m"):
        photos(program, card, 10, padding=500_000)
        before = program.call("import", str(card), "--to", str(small), "--json")
        assert before.code == 3
        assert "are needed" in before.json["cards"][0]["stopped"]
        assert below(small) == []
        # What has the size of something known may be known: that it is not shows only on the way.
        for path in sorted(card.rglob("*.JPG")):
            elsewhere = program.home / "sized" / path.name
            elsewhere.parent.mkdir(exist_ok=True)
            elsewhere.write_bytes(os.urandom(path.stat().st_size))
        program.call("import", str(program.home / "sized"), "--to", str(program.home / "e"), "--no-upload")
        during = program.call("import", str(card), "--to", str(small), "--json")
        assert during.code == 3
        told = during.json["cards"][0]
        assert 0 < told["counts"]["copied"] < 10
        assert told["counts"]["copied"] + told["counts"]["not copied"] == 10
        assert all("full" in one["reason"] for one in told["not_safe"])
        assert len(below(small)) == told["counts"]["copied"]


def test_a_card_on_fat_whose_times_are_coarse_and_whose_folders_are_many(program: Program) -> None:
    if shutil.which("mkfs.vfat") is None or shutil.which("mcopy") is None or shutil.which("fusefat") is None:
        pytest.skip("dosfstools, mtools and fusefat (or the kernel's vfat) are needed to mount a FAT image")
    image, point = program.home / "card.img", program.home / "card"
    with image.open("wb") as file:
        file.truncate(40_000_000)
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    photo = program.photo("IMG_0001.JPG", padding=100_000)
    subprocess.run(["mmd", "-i", str(image), "::DCIM", "::DCIM/100CANON"], check=True)
    subprocess.run(["mcopy", "-i", str(image), "-m", str(photo), "::DCIM/100CANON/"], check=True)
    content = photo.read_bytes()
    photo.unlink()
    with mounted_fat(image, point):
        imported = program.call("import", str(point), "--json")
        assert imported.code == 0, imported.err
        assert imported.json["cards"][0]["whole_card"] is True
    (name,) = below(program.library)
    assert (program.library / name).read_bytes() == content


@contextmanager
def mounted_fat(image: Path, point: Path) -> Iterator[None]:
    point.mkdir()
    ended = subprocess.run(["fusefat", "-o", "ro", str(image), str(point)], capture_output=True, check=False)
    if ended.returncode:
        pytest.skip("FUSE file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["fusermount", "-u", "-z", str(point)], check=True)


def test_hostile_names_of_cards_act_on_nothing(program: Program) -> None:
    source = program.home / "$(touch pwned);\x1b[2J`id`"
    (source / "DCIM").mkdir(parents=True)
    (source / "DCIM" / "a.jpg").write_bytes(b"x")
    ended: Ended = program.call("import", str(source), "--template", "{label}/{name}")
    assert "\x1b" not in ended.out + ended.err
    assert not list(program.home.rglob("pwned"))
    (name,) = below(program.library)
    assert "/" in name
    assert "\x1b" not in name
    told = program.call("card", str(source), "--json")
    assert json.loads(told.out)["cards"][0]["source"] == str(source)


def test_the_service_is_never_asked(program: Program, server: FaultServer, card: Path) -> None:
    server.script(act.OK)
    photos(program, card, 1)
    program.call("import", str(card))
    assert server.uploads == []
