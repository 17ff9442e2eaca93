"""Files that change while they are sent, and trees that appear while the daemon runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.extract.samples import write_sample
from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program, padded

LARGE = 3_000_000
"""Bytes of a photo that no buffer between the two swallows whole."""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rewrite(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"\x5a", path.stat().st_size - 1_000_000)
    os.close(fd)


def grow(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(padded(whole, 70_000))


def shrink(path: Path) -> None:
    whole = path.read_bytes()
    # Behind the start lie comments of 60,004 bytes each: without one of them it is whole as well.
    path.write_bytes(whole[:2] + whole[2 + 60_004 :])


@pytest.mark.parametrize(("change", "by_digest"), [(rewrite, False), (rewrite, True), (grow, False), (shrink, False)])
def test_b10_a_file_that_changes_while_it_is_sent_is_never_stored_half(
    program: Program,
    server: FaultServer,
    change: Callable[[Path], None],
    by_digest: bool,  # noqa: FBT001
) -> None:
    """It is checked by the checksum that the same run took, or by the digest, where an earlier one has read it."""
    path = program.photo("a.jpg", padding=LARGE)
    if by_digest:
        assert program.call("sync", "--dry-run").code == 0
    go_on = threading.Event()
    server.script(paused_reading(100_000, go_on), default=act.OK)
    running = program.start("sync", "--json", "--wait", "10s")
    server.wait_until(lambda: any(request.body_read >= 100_000 for request in server.uploads), 20)
    before = digest(path)
    change(path)
    go_on.set()
    ended = running.wait(30)
    assert not server.account.violations
    assert server.account.billed() == {digest(path): 1}, ended.err
    assert before not in server.account.billed()
    assert not server.uploads[0].complete, "the request with the changed file was given up"
    assert ended.code == 0, ended.err


def paused_reading(after: int, go_on: threading.Event) -> act.Behaviour:
    """Reads so many bytes, waits, and reads all that still comes, without an answer."""

    def answer(exchange: act.Exchange) -> None:
        assert go_on.wait(20)
        assert exchange.request is not None
        while chunk := exchange.conn.recv(65536):
            exchange.request.body_read += len(chunk)
        exchange.request.complete = exchange.request.body_read >= exchange.request.declared

    return act.Behaviour("pauses in the middle of the body", answer, act.Reading.PART, after)


def test_w11_trees_that_appear_while_the_daemon_runs_are_uploaded_once(program: Program, server: FaultServer) -> None:
    program.write_config(watch={"settle": "200ms"}, upload={"batch_files": 50})
    source = program.home / "source"
    make_tree(source, 600)
    program.photo("there-before.jpg")
    running = program.start("run")
    server.wait_for_stored(1, 20)

    library = program.library
    subprocess.run(["cp", "-r", str(source), str(library / "copied")], check=True)
    unzip(program, library / "unzipped")
    rsync_like(program, library)
    moved = program.home / "moved"
    make_tree(moved, 5, salt=b"moved")
    moved.rename(library / "moved")
    deep = library / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    program.photo("a/b/c/d/deep.jpg")

    server.wait_for_stored(1 + 600 + 10 + 10 + 5 + 1, 50)
    wanted = {digest(path) for path in library.rglob("*.jpg")}
    assert set(server.account.billed()) == wanted
    assert set(server.account.billed().values()) == {1}
    assert not server.account.violations
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    status = program.status()
    assert status["places"] == 627
    assert status["entries"]["uploaded"] == 627


def make_tree(folder: Path, count: int, salt: bytes = b"") -> None:
    """Distinct photos in folders of 60, quickly: one picture, with another comment in each."""
    folder.mkdir()
    model = folder / "model.jpg"
    write_sample(model)
    whole = model.read_bytes()
    model.unlink()
    for number in range(count):
        below = folder / f"{number // 60}"
        below.mkdir(exist_ok=True)
        comment = b"%s%06d" % (salt, number)
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (below / f"{number}.jpg").write_bytes(whole[:2] + segment + whole[2:])


def unzip(program: Program, target: Path) -> None:
    """Unpack as unzip does: each file is written, then given its old time."""
    tree, packed = program.home / "tree", program.home / "tree.zip"
    make_tree(tree, 10, salt=b"zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(tree.rglob("*.jpg")):
            archive.write(path, path.relative_to(tree))
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(target)
    for path in target.rglob("*.jpg"):
        os.utime(path, (1_600_000_000, 1_600_000_000))


def rsync_like(program: Program, library: Path) -> None:
    """Write each file under a temporary name of rsync's, set its time, and rename it."""
    tree = program.home / "rsync"
    make_tree(tree, 10, salt=b"rsync")
    for path in sorted(tree.rglob("*.jpg")):
        temporary = library / f".{path.name}.Ab3dEf"
        shutil.copyfile(path, temporary)
        os.utime(temporary, (1_600_000_000, 1_600_000_000))
        temporary.rename(library / f"rsync-{path.name}")


def test_w14_slow_writers_and_renames_give_one_upload_of_the_final_bytes(program: Program, server: FaultServer) -> None:
    program.write_config(watch={"settle": "900ms"})
    program.photo("there-before.jpg")
    names = ("slow", "reopened", "renamed", "preallocated", "zero-tail", "motion")
    final = {name: program.photo(f"../final-{name}.jpg", padding=200_000) for name in names}
    picture, trailer = final["motion"].read_bytes(), os.urandom(300_000)
    final["motion"].write_bytes(picture + trailer)
    running = program.start("run")
    server.wait_for_stored(1, 20)

    parts = {name: in_parts(path.read_bytes(), 6) for name, path in final.items()}
    # Whole from its first part on, as far as its structure tells: only that it is still written keeps it back.
    parts["motion"] = [picture, *in_parts(trailer, 5)]
    renamed = (program.library / "renamed.part.jpg").open("wb", buffering=0)
    slow = (program.library / "slow.jpg").open("wb", buffering=0)
    motion = (program.library / "motion.jpg").open("wb", buffering=0)
    # These two writers pause for longer than `settle`, with a whole size on the disk and zeros where the rest belongs.
    half = final["zero-tail"].read_bytes()
    (program.library / "zero-tail.jpg").write_bytes(half[: len(half) // 2] + bytes(len(half) - len(half) // 2))
    preallocated = (program.library / "preallocated.jpg").open("wb", buffering=0)
    preallocated.truncate(final["preallocated"].stat().st_size)
    for number in range(6):
        slow.write(parts["slow"][number])
        motion.write(parts["motion"][number])
        with (program.library / "reopened.jpg").open("ab") as reopened:
            reopened.write(parts["reopened"][number])
        renamed.write(parts["renamed"][number])
        if number == 3:
            (program.library / "renamed.part.jpg").rename(program.library / "renamed.jpg")
        time.sleep(0.5)  # this is the pace of the writers, less than `settle`
    preallocated.write(final["preallocated"].read_bytes())
    (program.library / "zero-tail.jpg").write_bytes(half)
    for writer in (slow, renamed, motion, preallocated):
        writer.close()

    server.wait_for_stored(1 + len(final), 20)
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert set(server.account.billed().values()) == {1}
    assert set(server.account.billed()) == {
        digest(path) for path in [*final.values(), program.library / "there-before.jpg"]
    }
    status = program.status()
    assert (status["entries"]["unfit"], status["unsettled"]) == (0, 0)
    assert {row["state"] for row in program.listed().values()} == {"uploaded"}


def in_parts(whole: bytes, count: int) -> list[bytes]:
    step = -(-len(whole) // count)
    return [whole[at : at + step] for at in range(0, len(whole), step)]
