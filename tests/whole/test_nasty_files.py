"""Libraries as they are in the wild: names, links, devices, hostile and broken files. And the counts that add up."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import tempfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program

NAMES = [
    b"not-utf8-\xff\xfe.jpg",
    b"new\nline.jpg",
    b"escape\x1b[31m\x1b]0;owned\x07.jpg",
    "bidi-\u202egpj.exe.jpg".encode(),
    b"=cmd|' -C calc'!A0.jpg",
    b"-rf.jpg",
    b"--config.jpg",
    b'quo"te;fi\\le.jpg',
    b"x" * 251 + b".jpg",
    "日本 写真 🏖.JPG".encode(),
    b" lead and trail .jpg",
    b"%00%0d%0a.jpg",
    b"half a pair \xed\xa0\xbd.jpg",
    "a\u2028b\u200b\ufeffc.jpg".encode(),
]
RAW = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What must never reach a terminal: control characters other than the line's end, directions, broken UTF-8."""


def raw_path(shown: str) -> bytes:
    """The bytes of a path in JSON, where what is not UTF-8 is a surrogate escape."""
    return os.fsencode(shown)


def test_n1_odd_names_are_uploaded_once_shown_escaped_and_kept_exactly(program: Program, server: FaultServer) -> None:
    template = program.photo("template.jpg")
    folder = os.fsencode(program.library)
    for number, name in enumerate(NAMES):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(different(template.read_bytes(), number))
    odd_folder = folder + b"/dir\xe9\n"
    Path(os.fsdecode(odd_folder)).mkdir()
    Path(os.fsdecode(odd_folder + b"/in.jpg")).write_bytes(different(template.read_bytes(), 99))
    count = len(NAMES) + 2

    verbose = program.call("--log-level", "debug", "sync")
    assert verbose.code == 0, verbose.err
    assert len(server.stored) == count
    assert not server.account.violations
    assert all(image.file_name.isascii() and image.file_name.isprintable() for image in server.stored)

    rows = program.call("list", "--json")
    assert rows.out.isascii()
    assert {raw_path(row["path"]) for row in rows.json} == {
        os.fsencode(path) for path in program.library.rglob("*") if path.is_file()
    }
    assert {row["image_id"] for row in rows.json} == {str(image.id) for image in server.stored}
    asked = [folder + b"/" + name for name in NAMES]
    why = program.call("why", "--json", asked[0])
    assert raw_path(why.json["path"]) == asked[0]
    inspected = program.call("inspect", "--json", "--", *asked)
    assert [raw_path(row["path"]) for row in inspected.json] == asked
    exported = [json.loads(line) for line in program.call("ledger", "export").out.splitlines()]
    assert len(exported) == 1 + count, "a head, and each photo"
    texts = [verbose, program.call("list"), program.call("why", asked[2]), program.call("inspect", "--", *asked)]
    for ended in texts:
        assert not RAW.search(ended.out), RAW.search(ended.out)
        assert not RAW.search(ended.err), RAW.search(ended.err)


def different(jpeg: bytes, number: int) -> bytes:
    """The same picture in other bytes."""
    return jpeg[:2] + b"\xff\xfe\x00\x06%04d" % number + jpeg[2:]


def test_n2_links_devices_pipes_and_loops_are_neither_followed_nor_opened(
    program: Program, server: FaultServer
) -> None:
    library = program.library
    program.photo("real.jpg")
    secret = program.photo("../outside/secret.jpg")
    (library / "link.jpg").symlink_to(secret)
    (library / "linked-folder").symlink_to(secret.parent)
    (library / "loop").symlink_to(library)
    (library / "dangling.jpg").symlink_to(library / "nothing.jpg")
    os.mkfifo(library / "pipe.jpg")
    (library / "folder.jpg").mkdir()
    special = 1
    with contextlib.suppress(PermissionError):
        os.mknod(library / "device.jpg", 0o600 | 0o020000, os.makedev(1, 3))
        special += 1
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(library)  # the path of a socket is limited to 108 bytes
    try:
        listener.bind("socket.jpg")
    finally:
        os.chdir(here)
    special += 1

    ended = program.sync()
    listener.close()
    assert ended.code == 0, ended.err
    assert [image.file_name.split("-")[0] for image in server.stored] == ["real"]
    ignored = ended.json["status"]["ignored"]
    assert ignored["not a regular file"] == special
    assert ignored["symbolic link"] >= 2
    assert adds_up(ended.json["status"], library)


def test_n2_a_folder_replaced_by_a_link_is_not_followed_after_it_was_known(
    program: Program, server: FaultServer
) -> None:
    program.photo("trip/a.jpg")
    assert program.sync().code == 0
    secret = program.photo("../outside/a.jpg")
    (program.library / "trip").rename(program.home / "away")
    (program.library / "trip").symlink_to(secret.parent)
    assert program.sync().code == 0
    assert len(server.stored) == 1
    assert program.listed() == {}


def test_e1_e2_hostile_files_hurt_nobody_and_go_without_metadata_or_not_at_all(
    program: Program, server: FaultServer
) -> None:
    program.write_config(extract={"time_limit": "1s", "memory_limit": "256MB"})
    good = program.photo("good.jpg").read_bytes()
    hostile = {
        "cycle.jpg": with_app1(good, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"),
        "count.jpg": with_app1(good, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x10\x01\x02\0\xff\xff\xff\xff\x08\0\0\0\0\0\0\0"),
        "bomb.png": bomb(),
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n" + b"x" * 4000,
        "fits.jpg": b"SIMPLE  =                    T" + b" " * 2850,
        "xml.jpg": with_app1(
            good,
            b'http://ns.adobe.com/xap/1.0/\0<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">'
            + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;">' % (98 + i, 97 + i, 97 + i, 97 + i) for i in range(20))
            + b"]><x>&u;</x>",
        ),
    }
    for name, content in hostile.items():
        (program.library / name).write_bytes(content)
    ended = program.sync(timeout=40)
    assert ended.code == 3, ended.err
    listed = program.listed()
    assert {name for name, row in listed.items() if row["state"] == "unfit"} == {"postscript.jpg", "fits.jpg"}
    assert all(row["reason"] for row in listed.values() if row["state"] == "unfit")
    assert {name for name, row in listed.items() if row["state"] == "uploaded"} == {
        "good.jpg", "cycle.jpg", "count.jpg", "bomb.png", "xml.jpg",
    }  # fmt: skip
    assert not server.account.violations


def with_app1(jpeg: bytes, content: bytes) -> bytes:
    """A JPEG whose first and only EXIF or XMP is this."""
    bare = jpeg[2:]
    while bare[:2] in {b"\xff\xe1", b"\xff\xe0"}:
        bare = bare[2 + int.from_bytes(bare[2:4], "big") :]
    return b"\xff\xd8\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + bare


def bomb() -> bytes:
    """A PNG of 13,000 x 13,000 pixels whose text unpacks to 60 MB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    packer = zlib.compressobj(9)
    text = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(60)) + packer.flush()
    size = (13_000).to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + size + b"\x08\x02\0\0\0")
        + chunk(b"zTXt", b"Raw profile type exif\0\0" + text)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def test_e4_unfinished_files_wait_and_are_sent_when_they_are_whole(program: Program, server: FaultServer) -> None:
    whole = program.photo("whole.jpg", size=(320, 240)).read_bytes()
    broken = {
        "half.jpg": whole[: len(whole) // 2],
        "tail.jpg": whole[:-2000] + b"\0" * 2000,
        "empty.jpg": b"",
        "zeros.jpg": b"\0" * 10_000,
    }
    for name, content in broken.items():
        (program.library / name).write_bytes(content)
    ended = program.sync()
    assert ended.code == 3
    assert ended.json["unfit"] + ended.json["status"]["unsettled"] >= 4
    assert len(server.stored) == 1
    listed = program.listed()
    assert all(listed[name]["state"] == "unfit" and listed[name]["reason"] for name in broken if name in listed)
    assert adds_up(ended.json["status"], program.library)

    (program.library / "half.jpg").write_bytes(different(whole, 1))
    ended = program.sync()
    assert ended.json["uploaded"] == 1
    assert ended.code == 0, "old ones are no news"


def test_e3_what_is_wrong_in_the_metadata_is_dropped_and_never_invented(program: Program, server: FaultServer) -> None:
    import piexif  # noqa: PLC0415 -- only this test writes wrong EXIF

    def wrong(name: str, **directories: dict[int, Any]) -> None:
        path = program.photo(name, taken_at=None)
        piexif.insert(piexif.dump(directories), str(path))

    gps, exif, main = piexif.GPSIFD, piexif.ExifIFD, piexif.ImageIFD
    degrees = ((47, 1), (30, 1), (0, 1))
    both = {gps.GPSLatitude: degrees, gps.GPSLongitude: degrees}
    refs = {gps.GPSLatitudeRef: b"S", gps.GPSLongitudeRef: b"W"}
    nothing = ((0, 1), (0, 1), (0, 1))
    wrong("zero.jpg", GPS={**refs, gps.GPSLatitude: nothing, gps.GPSLongitude: nothing})
    wrong("no-refs.jpg", GPS=both)
    wrong("no-number.jpg", GPS={**both, **refs, gps.GPSLatitude: ((0, 0), (0, 0), (0, 0))})
    wrong("beyond.jpg", GPS={**both, **refs, gps.GPSLatitude: ((95, 1), (0, 1), (0, 1))})
    wrong("south-west.jpg", GPS={**both, **refs})
    wrong("zeros.jpg", Exif={exif.DateTimeOriginal: b"0000:00:00 00:00:00"})
    wrong(
        "next.jpg",
        Exif={exif.DateTimeOriginal: b"2024:13:41 00:00:00", exif.DateTimeDigitized: b"2024:05:06 07:08:09"},
    )
    wrong("model.jpg", **{"0th": {main.Model: b"  Kamera \0garbage"}})
    wrong("long.jpg", **{"0th": {main.Model: b"M" * 400}})
    assert program.sync().code == 0
    assert not server.account.violations
    listed = program.listed()
    assert len(listed) == len(server.stored) == 9
    positions = {
        name: (row["latitude"], row["longitude"]) for name, row in listed.items() if row["latitude"] is not None
    }
    assert positions == {"south-west.jpg": (-47.5, -47.5)}
    assert {name: row["taken_at"] for name, row in listed.items() if row["taken_at"]} == {
        "next.jpg": "2024-05-06 07:08:09"
    }
    assert listed["model.jpg"]["camera_model"] == "Kamera"
    assert len(listed["long.jpg"]["camera_model"] or "") <= 200


def test_h3_large_and_sparse_files_cost_no_memory(program: Program, server: FaultServer) -> None:
    program.write_config(upload={"max_file_bytes": 19_000_000, "batch_bytes": 64_000_000})
    for number in range(3):
        program.photo(f"large-{number}.jpg", padding=18_000_000, taken_at=None)
    with (program.library / "sparse.jpg").open("wb") as sparse:
        sparse.write(b"\xff\xd8\xff\xe0\x00\x10JFIF")
        sparse.truncate(400_000_000)
    with tempfile.TemporaryDirectory() as home, Program(Path(home), server.base_url) as small:
        small.photo("a.jpg")
        least = peak_of(small)
    most = peak_of(program)
    assert {row["state"] for name, row in program.listed().items() if name.startswith("large")} == {"uploaded"}
    assert program.listed()["sparse.jpg"]["state"] == "unfit"
    assert most - least < 50_000, f"{most - least} KB more than for a small photo"


def peak_of(program: Program) -> int:
    """Run a sync and give the largest resident set of it and its worker, in KB."""
    running = program.start("sync", "--wait", "0s", "--json")
    _, status, usage = os.wait4(running.pid, 0)
    running.process.returncode = os.waitstatus_to_exitcode(status)
    assert running.process.returncode in {0, 3}, running.said
    return usage.ru_maxrss


def test_status_adds_up_against_a_nasty_tree(program: Program, server: FaultServer) -> None:
    program.write_config(folders=[{"exclude": ["**/exports/", "*.tmp.jpg"]}])
    original = program.photo("a.jpg").read_bytes()
    others = [
        ".hidden.jpg", "._a.jpg", "@eaDir/a.jpg", ".thumbnails/x.png", "exports/e.jpg", "b.tmp.jpg", "c.jpg.part",
        "raw.CR2", "movie.MOV", "side.xmp", "notes.txt", "no-extension", "deep/er/exports/d.jpg", "Thumbs.db", "x.HEIC",
    ]  # fmt: skip
    for number, name in enumerate(others):
        path = program.library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(different(original, number))
    (program.library / "copy.jpg").write_bytes(original)
    (program.library / "text.jpg").write_text("no photo")
    unreadable = program.photo("locked.jpg")
    unreadable.chmod(0)
    ended = program.sync()
    status = ended.json["status"]
    assert adds_up(status, program.library), (status, Counter(p.suffix for p in program.library.rglob("*")))
    assert {name: value for name, value in program.status().items() if name in status} == status
    assert set(status["entries"]) == {"ready", "sending", "uploaded", "unanswered", "refused", "unfit"}
    assert status["ignored"]["excluded by your pattern"] == 3
    why = program.call("why", str(program.library / "exports" / "e.jpg"))
    assert "exports" in why.out


def adds_up(status: dict[str, Any], library: Path) -> bool:
    """Files on disk = present places + ignored + unsettled. A link counts as a file, unless it leads to a folder."""
    on_disk = sum(len(files) for _, _, files in os.walk(library))
    counted: int = status["places"] + sum(status["ignored"].values()) + status["unsettled"]
    return on_disk == counted
