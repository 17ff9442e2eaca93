"""The way in: what a scan, a hint and a second look make of the disk. Real files, a reader without a decoder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.daemon.voice import Said
from syncd.ledger.reports import status
from syncd.model import PlacePath
from syncd.settings import FolderSettings
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig


def test_a_scan_finds_what_is_new_changed_and_gone(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    changed = rig.write("x/b.jpg", photo_bytes("b"))
    gone = rig.write("x/c.jpg", photo_bytes("c"))
    rig.scan()
    assert set(rig.states()) == {"a.jpg", "x/b.jpg", "x/c.jpg"}
    reads = rig.reader.reads
    rig.scan()
    assert rig.reader.reads == reads, "what did not change is not read again"
    changed.write_bytes(photo_bytes("b2"))
    gone.unlink()
    rig.write("d.jpg", photo_bytes("d"))
    rig.scan()
    rig.let_settle()
    assert set(rig.states()) == {"a.jpg", "x/b.jpg", "d.jpg"}
    assert rig.intake.tally.gone == 1
    assert len(rig.rows("SELECT * FROM photos")) == 5


def test_a_hint_is_enough_for_a_file_a_folder_and_what_is_gone(rig: Rig) -> None:
    path = rig.write("a.jpg", photo_bytes("a"))
    rig.intake.look_at([rig.place("a.jpg")])
    rig.write("deep/er/b.jpg", photo_bytes("b"))
    rig.write("deep/c.jpg", photo_bytes("c"))
    rig.intake.look_below(rig.place("deep"))
    rig.intake.flush()
    assert set(rig.states()) == {"a.jpg", "deep/er/b.jpg", "deep/c.jpg"}
    path.unlink()
    rig.intake.look_at([rig.place("a.jpg")])
    assert set(rig.states()) == {"deep/er/b.jpg", "deep/c.jpg"}


@pytest.mark.parametrize(
    "name", ["note.txt", ".hidden.jpg", "._a.jpg", "@eaDir/a.jpg", "nowhere.jpg", "nowhere/a.jpg", "raw.CR2"]
)
def test_a_hint_at_what_is_no_candidate_does_nothing(rig: Rig, name: str) -> None:
    if not name.startswith("nowhere"):
        rig.write(name, photo_bytes("a"))
    rig.intake.look_at([rig.place(name), PlacePath(b"/no/root/of/ours", b"", b"a.jpg")])
    rig.intake.look_below(rig.place(name))
    rig.intake.look_below(PlacePath(b"/no/root/of/ours", b"", b"x"))
    rig.intake.settle()
    assert (rig.states(), rig.aside(), rig.reader.reads) == ({}, {}, 0)


def test_what_is_gone_before_it_settled_is_not_counted_as_unsettled(rig: Rig) -> None:
    path = rig.write("sub/moving.jpg", photo_bytes("one"))
    later = rig.clock.now() + 1.0
    os.utime(path, (later, later))
    rig.intake.look_at([rig.place("sub/moving.jpg")])
    assert (rig.intake.waiting(), rig.aside()) == (1, {})
    path.rename(rig.root / "moved.jpg")
    rig.scan()
    assert (rig.intake.waiting(), rig.aside()) == (1, {"moved.jpg": "unsettled"})


def test_what_never_settles_is_said_once_after_ten_minutes(rig: Rig) -> None:
    path = rig.write("endless.jpg", photo_bytes("x"))
    for number in range(80):
        path.write_bytes(photo_bytes("x" * number))
        later = rig.clock.now() + 5.0
        os.utime(path, (later, later))
        rig.intake.look_at([rig.place("endless.jpg")])
        rig.intake.set_aside_given_up()
        rig.clock.advance(10.0)
    assert rig.voice.count(Said.UNSETTLED) == 1
    assert rig.aside() == {"endless.jpg": "unsettled"}
    assert status(rig.store).unsettled == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_looked_into_is_named_once_and_loses_nothing(rig: Rig) -> None:
    path = rig.write("deep/a.jpg", photo_bytes("a"))
    rig.scan()
    path.parent.chmod(0)
    try:
        rig.scan()
        rig.scan()
        assert rig.intake.tally.unreadable == 1
        assert rig.pipeline.status().unseen[0][0].endswith("/deep")
        assert rig.pipeline.status().places == 1
    finally:
        path.parent.chmod(0o700)
    rig.scan()
    assert rig.pipeline.status().unseen == ()


def test_n2_a_photo_that_became_a_link_is_gone(rig: Rig) -> None:
    path = rig.write("a.jpg", photo_bytes("a"))
    rig.scan()
    path.unlink()
    path.symlink_to("/etc/hostname")
    rig.intake.look_at([rig.place("a.jpg")])
    assert (rig.states(), rig.reader.reads) == ({}, 1)


@pytest.mark.parametrize("away", ["missing", "empty"])
def test_b15_a_root_that_is_away_loses_nothing_and_is_said_once(rig: Rig, tmp_path: Path, away: str) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.scan()
    rig.root.rename(tmp_path / "away")
    if away == "empty":
        rig.root.mkdir()
    for _ in range(3):
        assert rig.intake.scan(bytes(rig.root)) is None
    rig.intake.look_at([rig.place("b.jpg")])
    assert rig.voice.count(Said.ABSENT) == 1
    assert rig.voice.count(Said.GONE) == 0
    assert (status(rig.store).places, len(status(rig.store).absent)) == (1, 1)
    if away == "empty":
        rig.root.rmdir()
    (tmp_path / "away").rename(rig.root)
    assert rig.intake.scan(bytes(rig.root)) == 1
    assert rig.voice.count(Said.RETURNED) == 1
    assert (status(rig.store).places, status(rig.store).absent) == (1, ())


def test_a_folder_that_is_moved_takes_its_photos_along(rig: Rig) -> None:
    rig.write("one/deep/a.jpg", photo_bytes("a"))
    rig.scan()
    (rig.root / "one").rename(rig.root / "two")
    rig.scan()
    assert set(rig.states()) == {"two/deep/a.jpg"}
    assert len(rig.rows("SELECT * FROM entries")) == 1


def test_a_folder_that_is_excluded_later_takes_its_places_with_it(rig: Rig) -> None:
    rig.write("exports/a.jpg", photo_bytes("a"))
    rig.scan()
    rig.folders = (FolderSettings(rig.root, exclude=("exports/",)),)
    rig.restart()
    rig.scan()
    assert rig.states() == {}
    assert status(rig.store).withdrawn == 1


def test_nested_roots_each_own_their_files(rig: Rig) -> None:
    inner = rig.root / "inner"
    rig.write("a.jpg", photo_bytes("a"))
    rig.write("inner/b.jpg", photo_bytes("b"))
    rig.folders = (FolderSettings(rig.root), FolderSettings(inner))
    rig.restart()
    rig.scan()
    found = {
        (row.root, row.name)
        for row in rig.rows("""
        SELECT roots.path AS root, places.name FROM places JOIN folders ON folders.id = folder_id
        JOIN roots ON roots.id = root_id WHERE gone_at IS NULL""")
    }
    assert found == {(bytes(rig.root), b"a.jpg"), (bytes(inner), b"b.jpg")}


def test_after_a_halt_nothing_more_is_read_and_the_scan_is_not_taken_for_whole(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.intake.halt()
    assert rig.intake.scan(bytes(rig.root)) is None
    assert rig.reader.reads == 0
    assert not rig.pipeline.territory.roots()[0].scanned_before
