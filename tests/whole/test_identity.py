"""The same photo is sent once however often it lies about; another photo is sent, however alike it looks."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import piexif

from syncd.extract.samples import write_sample
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program


def test_b8_copy_rename_hard_link_other_card_and_normal_form_cost_one_upload(
    program: Program, server: FaultServer
) -> None:
    first = program.photo("card-1/IMG_0001.JPG")
    name = "Zürich.jpg"
    copies = [
        program.library / "copy.jpg",
        program.library / "card-2" / "DCIM" / "IMG_7777.JPG",
        program.library / unicodedata.normalize("NFC", name),
        program.library / unicodedata.normalize("NFD", name),
    ]
    for copy in copies:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(first, copy)
    (program.library / "linked.jpg").hardlink_to(first)
    assert program.sync().code == 0
    assert len(server.uploads) == 1

    first.rename(program.library / "renamed.jpg")
    (program.library / "card-2").rename(program.library / "moved")
    ended = program.sync()
    assert ended.code == 0
    assert ended.json["status"]["places"] == 6
    assert len(server.uploads) == 1
    image_id = str(server.stored[0].id)
    listed = program.listed()
    assert {row["image_id"] for row in listed.values()} == {image_id}
    assert {"renamed.jpg", "moved/DCIM/IMG_7777.JPG", "linked.jpg", "copy.jpg"} < listed.keys()


def test_b9_another_photo_under_the_same_name_size_and_mtime_is_sent(program: Program, server: FaultServer) -> None:
    path = program.photo("IMG_0001.JPG", padding=500)
    bmp = program.library / "a.bmp"
    bmp.write_bytes(bitmap(b"\x10"))
    assert program.sync().code == 0
    old = path.stat(), bmp.stat()

    other = bytearray(path.read_bytes())
    other[-3] ^= 0xFF  # in the picture
    path.write_bytes(other)
    bmp.write_bytes(bitmap(b"\x20"))
    os.utime(path, ns=(old[0].st_atime_ns, old[0].st_mtime_ns))
    os.utime(bmp, ns=(old[1].st_atime_ns, old[1].st_mtime_ns))
    assert path.stat().st_size == old[0].st_size
    assert program.sync().json["uploaded"] == 2
    assert len(server.account.billed()) == 4
    assert set(server.account.billed().values()) == {1}


def bitmap(colour: bytes) -> bytes:
    """A BMP of 4 x 4 pixels in one colour."""
    pixels = colour * 48
    header = b"\x28\0\0\0\x04\0\0\0\x04\0\0\0\x01\0\x18\0\0\0\0\0" + b"\x30\0\0\0" + b"\0" * 16
    return b"BM" + (54 + 48).to_bytes(4, "little") + b"\0\0\0\0\x36\0\0\0" + header + pixels


def test_a_metadata_edit_in_place_is_known_and_costs_nothing(program: Program, server: FaultServer) -> None:
    path = program.photo("a.jpg", camera_model="Canon EOS R5")
    assert program.sync().code == 0
    exif = piexif.load(str(path))
    exif["0th"][piexif.ImageIFD.Artist] = b"somebody"
    piexif.insert(piexif.dump(exif), str(path))
    ended = program.sync()
    assert ended.code == 0
    assert len(server.uploads) == 1
    assert program.listed()["a.jpg"]["image_id"] == str(server.stored[0].id)


def test_b15_an_emptied_or_missing_root_marks_nothing_as_gone(program: Program, server: FaultServer) -> None:
    for number in range(3):
        program.photo(f"{number}.jpg")
    assert program.sync().code == 0
    away = program.home / "unmounted"
    program.library.rename(away)
    for make_empty in (False, True):
        if make_empty:
            program.library.mkdir()
        ended = program.sync()
        status = ended.json["status"]
        assert status["absent"] == [str(program.library)]
        assert (status["places"], status["withdrawn"]) == (3, 0)
        assert "absent" in ended.err
    program.library.rmdir()
    away.rename(program.library)
    back = program.sync()
    assert back.code == 0
    assert back.json["status"]["absent"] == []
    assert len(server.stored) == 3


def test_a_rule_added_later_holds_for_known_photos_and_a_place_that_returns_is_owed_again(
    program: Program, server: FaultServer
) -> None:
    program.photo("Private/a.jpg")
    program.photo("Public/b.jpg")
    program.photo("Public/c.jpg")
    assert program.call("sync", "--dry-run", "--json").json["photos"] == 3
    program.write_config(
        rules=[
            {"match": "Private/**", "skip": True},
            {"match": "{kind}/**", "tags": ["{kind}", "{year}"], "namespace": "family"},
        ]
    )
    gone = program.library / "Public" / "c.jpg"
    kept = program.home / "c.jpg"
    gone.rename(kept)
    ended = program.sync()
    assert ended.code == 0
    assert ended.json["uploaded"] == 1
    assert ended.json["status"]["withdrawn"] == 2
    assert [(image.namespace, image.tags[:2]) for image in server.stored] == [("family", ["Public", "2024"])]
    listed = program.listed()
    assert listed["Private/a.jpg"]["state"] == "withdrawn"
    assert listed["Public/b.jpg"]["tags"] == ["Public", "2024"]

    kept.rename(gone)
    program.write_config()
    assert program.sync().json["uploaded"] == 2
    assert set(server.account.billed().values()) == {1}


def test_the_budget_of_the_day_holds_across_restarts(program: Program, server: FaultServer) -> None:
    program.write_config(upload={"daily_uploads": 3})
    for number in range(5):
        program.photo(f"{number}.jpg", taken_at=None)
    assert program.sync().json["uploaded"] == 3
    again = program.sync(wait="1m")
    assert again.code == 75
    assert again.json["uploaded"] == 0
    program.write_config(upload={"daily_uploads": 4})
    assert program.sync().json["uploaded"] == 1
    assert len(server.stored) == 4


def test_no_photo_is_written_to(program: Program, server: FaultServer) -> None:
    def looks(folder: Path) -> dict[str, tuple[bytes, int, int]]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in files}

    program.photo("a.jpg")
    write_sample(program.library / "b.png")
    (program.library / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    before = looks(program.library)
    assert program.sync().code == 3, "one is unfit"
    assert looks(program.library) == before
    assert Counter(image.content_type for image in server.stored) == {"image/jpeg": 2}
