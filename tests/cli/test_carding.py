"""`syncd import` and `syncd card` from the command line, in this process: what is said, and the exit codes."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.main import main
from syncd.extract.samples import write_sample


class Person:
    """Somebody at a terminal, with a configuration, a library and a card."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.library = home / "Pictures"
        self.library.mkdir()
        self.card = home / "EOS_DIGITAL"
        (self.card / "DCIM" / "100CANON").mkdir(parents=True)
        self.config = home / "config.toml"
        self._capsys = capsys
        self.err = ""
        self.write_config()

    def write_config(self, more: str = "") -> None:
        text = f'[ledger]\nurl = "sqlite:///{self.home}/ledger.db"\n[[folder]]\npath = "{self.library}"\n{more}'
        self.config.write_text(text, encoding="utf-8")

    def photo(self, name: str, *, size: int = 0, seed: int = 0) -> Path:
        path = self.card / "DCIM" / "100CANON" / name
        write_sample(path, taken_at=datetime(2024, 5, 4, 9, 30, 12), camera_model="R8", seed=seed)  # noqa: DTZ001
        path.write_bytes(path.read_bytes() + os.urandom(size))
        return path

    def says(self, *arguments: object) -> tuple[int, str]:
        """Run a command; give its exit code and what it printed."""
        code = main(["--config", str(self.config), *map(str, arguments)])
        told = self._capsys.readouterr()
        self.err = told.err
        return code, told.out

    def json(self, *arguments: object) -> Any:
        code, out = self.says(*arguments, "--json")
        found = json.loads(out)
        assert found["exit_code"] == code
        return found

    def copies(self, below: Path | None = None) -> list[str]:
        root = below or self.library
        lists = (".json", ".mhl")
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and not p.name.endswith(lists))


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(tmp_path, capsys)


def test_a_newcomer_is_told_each_step_in_sentences(person: Person) -> None:
    person.photo("IMG_0001.JPG")
    (person.card / "DCIM/100CANON/IMG_0001.CR3").write_bytes(b"raw")
    code, out = person.says("card", person.card)
    assert code == 3
    assert "NOT SAFE TO FORMAT: 2 files have no verified copy; they are named above." in out
    assert "IMG_0001.CR3" in out
    assert not (person.home / "ledger.db").exists(), "a look changes nothing"
    code, out = person.says("import", person.card)
    assert code == 0
    assert out.splitlines()[-1].startswith("SAFE TO FORMAT: each of the 2 files has a verified copy.")
    assert person.copies() == ["2024/05/04/IMG_0001.CR3", "2024/05/04/IMG_0001.JPG"]
    code, out = person.says("card", person.card, "--uploaded")
    assert code == 75
    assert "NOT YET: every file has a verified copy, but 1 photo is not uploaded" in out
    assert person.says("card", person.card)[0] == 0


def test_the_lists_hold_the_folder_to_what_was_copied(person: Person) -> None:
    person.photo("IMG_0001.JPG", seed=1)
    person.photo("IMG_0002.JPG", seed=2)
    second = person.home / "Backup"
    lists = person.json("import", person.card, "--also", second)["cards"][0]["manifests"]
    assert [Path(name).suffix for name in lists] == [".json", ".mhl", ".json", ".mhl"]
    assert [person.says("card", "--check", name)[0] for name in lists] == [0, 0, 0, 0]
    first, other = (person.library / name for name in person.copies())
    changed = bytearray(first.read_bytes())
    changed[100] ^= 1
    first.write_bytes(changed)
    other.unlink()
    for name in lists[:2]:
        assert [one["state"] for one in person.json("card", "--check", name)["not_same"]] == ["changed", "missing"]
    empty = person.home / "empty.mhl"
    empty.write_text('<hashlist version="1.1"></hashlist>', encoding="ascii")
    code, out = person.says("card", "--check", empty)
    assert (code, "names no file" in out) == (3, True)
    code, out = person.says("card", "--check", lists[0])
    assert code == 3
    assert "2 files of 2" in out
    assert person.says("card", "--check", lists[2])[0] == 0


def test_a_destination_in_no_watched_folder_is_refused_unless_that_is_wanted(person: Person) -> None:
    person.photo("IMG_0001.JPG")
    elsewhere = person.home / "Elsewhere"
    for folder, why in (
        (elsewhere, "no watched folder"),
        (person.library / ".hidden", "hidden"),
        (person.library / "private", "excluded"),
    ):
        person.write_config('exclude = ["private/"]\n')
        assert person.says("import", person.card, "--to", folder)[0] == 2
        assert why in person.err
        assert "--no-upload" in person.err
        assert not folder.exists()
    told = person.json("import", person.card, "--to", elsewhere, "--no-upload")
    assert told["cards"][0]["uploads"]["not uploaded yet"] == 0
    assert len(person.copies(elsewhere)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["import"],
        ["card"],
        ["import", "CARD", "--device", "/dev/null"],
        ["import", "--device", "/dev/null"],
        ["import", "CARD/nothing"],
        ["import", "CARD", "--to", "CARD/copies", "--no-upload"],
        ["import", "CARD", "--also", "LIBRARY/second"],
        ["import", "CARD", "--template", "{nonsense}/{name}"],
        ["card", "--check", "CARD/nothing"],
        ["card", "--check", "CONFIG"],
    ],
)
def test_what_cannot_be_meant_ends_with_two_and_touches_nothing(person: Person, arguments: list[str]) -> None:
    person.photo("IMG_0001.JPG")
    words = {"CARD": str(person.card), "LIBRARY": str(person.library), "CONFIG": str(person.config)}
    for word, path in words.items():
        arguments = [one.replace(word, path) for one in arguments]
    assert person.says(*arguments)[0] == 2
    assert person.err.startswith("syncd: ")
    assert person.copies() == []
    assert person.copies(person.card) == ["DCIM/100CANON/IMG_0001.JPG"]


def test_the_configuration_says_where_to_where_also_and_how(person: Person) -> None:
    person.photo("IMG_0001.JPG")
    to, also = person.library / "Cards", person.home / "Backup"
    person.write_config(f'[card]\nto = "{to}"\nalso = ["{also}"]\ntemplate = "{{camera}}/{{name}}"\n')
    assert person.says("import", person.card)[0] == 0
    assert person.copies() == ["Cards/R8/IMG_0001.JPG"]
    assert person.copies(also) == ["R8/IMG_0001.JPG"]


def test_several_cards_at_once_are_judged_each_and_together(person: Person) -> None:
    person.photo("IMG_0001.JPG")
    other = person.home / "OTHER"
    shutil.copytree(person.card, other)
    (other / "link.jpg").symlink_to("/etc/passwd")
    told = person.json("import", person.card, other)
    assert told["safe_to_format"] is False
    assert [one["safe_to_format"] for one in told["cards"]] == [True, False]
    assert told["exit_code"] == 3
    assert person.copies() == ["2024/05/04/IMG_0001.JPG"]


def test_an_empty_folder_on_which_nothing_is_mounted_is_never_called_safe(person: Person) -> None:
    shutil.rmtree(person.card)
    person.card.mkdir()
    code, out = person.says("import", person.card)
    assert code == 3
    assert "nothing is mounted there" in out
    assert person.says("card", person.card)[0] == 3


def test_if_card_leaves_alone_what_no_camera_wrote(person: Person) -> None:
    boot = person.home / "boot"
    boot.mkdir()
    (boot / "kernel.img").write_bytes(b"boot")
    assert person.says("import", "--if-card", boot)[0] == 0
    assert person.copies() == []


def test_hostile_names_act_on_nothing(person: Person) -> None:
    hostile = person.home / "$(touch pwned);\x1b[2J`id`\u202e"
    person.card.rename(hostile)
    (hostile / "DCIM" / "../a\x1b[2J.jpg").write_bytes(b"x")
    code, out = person.says("import", hostile, "--template", "{label}/{name}")
    assert code == 0
    assert "\x1b" not in out + person.err
    assert "\u202e" not in out + person.err
    assert not list(person.home.rglob("pwned"))
    names = [path.name for path in person.library.iterdir()]
    assert len(names) == 3
    assert all("\x1b" not in name for name in names)


def test_a_notification_carries_the_verdict_as_arguments_without_a_shell_and_without_markup(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, heard = person.home / "bin", person.home / "heard"
    bin_.mkdir()
    program = bin_ / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {heard}\n', encoding="ascii")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    person.photo("IMG_0001.JPG")
    assert person.says("import", person.card, "--label", "<b>$(id)", "--notify")[0] == 0
    told = heard.read_text(encoding="utf-8")
    assert "&lt;b&gt;$(id): safe to format" in told
    assert "--urgency=normal" in told
    program.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    assert person.says("import", person.card, "--notify")[0] == 0, "one that fails stops nothing"


@contextmanager
def mounted(folder: Path, command: list[str]) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() or shutil.which(command[0]) is None:
        pytest.skip(f"mounting needs root and {command[0]}")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_destination_is_found_out_before_and_met_on_the_way(person: Person) -> None:
    small = person.library / "small"
    for number in range(10):
        person.photo(f"IMG_{number:04}.JPG", size=500_000, seed=number)
    with mounted(small, ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)]):
        before = person.json("import", person.card, "--to", small)
        assert before["exit_code"] == 3
        assert "are needed" in before["cards"][0]["stopped"]
        assert person.copies(small) == []
        # What has the size of something known may be known: that it is not shows only on the way.
        sized = person.home / "sized"
        sized.mkdir()
        for path in person.card.rglob("*.JPG"):
            (sized / path.name).write_bytes(os.urandom(path.stat().st_size))
        person.says("import", sized, "--to", person.home / "elsewhere", "--no-upload")
        told = person.json("import", person.card, "--to", small)["cards"][0]
        assert 0 < told["counts"]["copied"] < 10
        assert told["counts"]["copied"] + told["counts"]["not copied"] == 10
        assert all("full" in one["reason"] for one in told["not_safe"])
        assert len(person.copies(small)) == told["counts"]["copied"]


def test_a_card_of_fat_is_read_through_a_loop_mount(person: Person) -> None:
    for needed in ("mkfs.vfat", "mcopy", "fusefat"):
        if shutil.which(needed) is None:
            pytest.skip("dosfstools, mtools and fusefat make and mount the FAT image")
    image, point = person.home / "card.img", person.home / "card"
    with image.open("wb") as file:
        file.truncate(40_000_000)
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    subprocess.run(["mmd", "-i", str(image), "::DCIM", "::DCIM/100CANON"], check=True)
    photos = [person.photo(f"IMG_{number:04}.JPG", size=100_000, seed=number) for number in range(5)]
    subprocess.run(["mcopy", "-m", "-i", str(image), *map(str, photos), "::DCIM/100CANON/"], check=True)
    with mounted(point, ["fusefat", "-o", "ro", str(image), str(point)]):
        told = person.json("import", point)["cards"][0]
        assert told["safe_to_format"] is True
        assert told["whole_card"] is True
        assert person.json("card", point)["cards"][0]["counts"]["known"] == 5
    assert [(person.library / name).read_bytes() for name in person.copies()] == [p.read_bytes() for p in photos]


def test_copies_onto_exfat_which_has_neither_links_nor_an_exclusive_rename_under_fuse(person: Person) -> None:
    for needed in ("mkfs.exfat", "mount.exfat-fuse", "losetup"):
        if shutil.which(needed) is None:
            pytest.skip("exfatprogs and exfat-fuse make and mount the exFAT image")
    image, point = person.home / "disk.img", person.library / "disk"
    with image.open("wb") as file:
        file.truncate(40_000_000)
    subprocess.run(["mkfs.exfat", str(image)], check=True, capture_output=True)
    made = subprocess.run(["losetup", "-f", "--show", str(image)], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip("no loop device can be had here")
    loop = made.stdout.strip()
    person.photo("IMG_0001.JPG", seed=1)
    person.photo("IMG_0002.JPG", seed=2)
    try:
        with mounted(point, ["mount.exfat-fuse", loop, str(point)]):
            (point / "2024" / "05" / "04").mkdir(parents=True)
            (point / "2024/05/04/img_0001.jpg").write_bytes(b"somebody's own")
            assert person.says("import", person.card, "--to", point)[0] == 0
            assert (point / "2024/05/04/img_0001.jpg").read_bytes() == b"somebody's own"
            assert person.copies(point) == [
                "2024/05/04/IMG_0001-2.JPG", "2024/05/04/IMG_0002.JPG", "2024/05/04/img_0001.jpg",
            ]  # fmt: skip
            assert person.says("card", person.card)[0] == 0
    finally:
        subprocess.run(["losetup", "-d", loop], check=False)


def test_s4_a_card_whose_device_fails_is_met_by_the_kernel_s_own_errors(person: Person) -> None:
    """The image behind a loop device is cut while it is mounted: what lay there gives EIO, as a failing card does."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 makes the image")
    image, point = person.home / "card.img", person.home / "card"
    with image.open("wb") as file:
        file.truncate(32_000_000)
    for number in range(4):
        person.photo(f"IMG_{number:04}.JPG", size=3_000_000, seed=number)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(person.card), str(image)], check=True)
    with mounted(point, ["mount", "-o", "loop,ro", str(image), str(point)]):
        os.truncate(image, 8_000_000)
        told = person.json("import", point)["cards"][0]
        assert told["exit_code"] == 3
        assert told["safe_to_format"] is False
        lost = told["counts"]["unreadable"]
        assert lost >= 1
        assert told["counts"]["copied"] + lost == told["files"]
        assert all("read error" in one["reason"] for one in told["not_safe"])
    assert not list(person.library.rglob("*.part"))


def test_check_looks_at_where_cards_go(person: Person) -> None:
    for more, word in (
        (f'to = "{person.library}/Cards"', f"copied to {person.library}/Cards/"),
        (f'to = "{person.home}/Elsewhere"', "lies in no watched folder"),
        ('template = "{nonsense}/{name}"', "is none of its words"),
    ):
        person.write_config(f"[card]\n{more}\n")
        assert word in person.says("check")[1]


def test_a_destination_whose_disk_fails_under_it_makes_nothing_safe(person: Person) -> None:
    """A disk that has less room than it says: what was written to it cannot be synced (EIO of the kernel)."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 makes the image")
    for number in range(8):
        person.photo(f"IMG_{number:04}.JPG", size=2_000_000, seed=number)
    small, point = person.home / "small", person.library / "disk"
    with mounted(small, ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(small)]):
        image = small / "disk.img"
        with image.open("wb") as file:
            file.truncate(100_000_000)
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], check=True)
        with mounted(point, ["mount", "-o", "loop", str(image), str(point)]):
            told = person.json("import", person.card, "--to", point)["cards"][0]
            assert told["exit_code"] == 3
            assert told["counts"]["not copied"] >= 1
            assert told["counts"]["copied"] + told["counts"]["not copied"] == 8
            assert any("failed: Input/output error" in one["reason"] for one in told["not_safe"])
            assert not list(point.rglob("*.part"))
