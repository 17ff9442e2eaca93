"""The way in: what a scan, a hint and a second look make of the disk. Real files, a reader without a decoder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from syncd.daemon.reading import order_at
from syncd.daemon.voice import Said
from syncd.errors import WorkerError
from syncd.ledger.reports import set_aside, status
from syncd.ledger.sightings import Recorded
from syncd.lifecycle import State
from syncd.model import Capture, Look, PlacePath
from syncd.settings import FolderSettings, RuleSettings
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig

NOW = 1_700_000_000.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as made:
        yield made


def settle(rig: Rig, seconds: float = 10.0) -> None:
    """Let time pass, and look again at what waited."""
    rig.clock.advance(seconds)
    rig.intake.settle()


def aside(rig: Rig) -> dict[str, str]:
    return {place.relative.decode(): reason for place, reason, _ in set_aside(rig.store)}


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
    settle(rig)
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
    assert (rig.states(), aside(rig), rig.reader.reads) == ({}, {}, 0)


def test_w14_a_file_that_is_written_waits_and_is_named_meanwhile(rig: Rig) -> None:
    path = rig.write("slow.jpg", photo_bytes("one"))
    later = rig.clock.now() + 1.0
    os.utime(path, (later, later))
    rig.scan()
    assert (rig.states(), rig.intake.waiting(), aside(rig)) == ({}, 1, {"slow.jpg": "unsettled"})
    rig.clock.advance(1.0)
    path.write_bytes(photo_bytes("one and more"))
    os.utime(path, (later + 1.0, later + 1.0))
    rig.intake.settle()
    assert rig.reader.reads == 0, "it is not opened while it changes"
    settle(rig)
    settle(rig)
    assert (set(rig.states()), rig.intake.waiting(), aside(rig)) == ({"slow.jpg"}, 0, {})
    assert rig.reader.reads == 1


def test_what_is_gone_before_it_settled_is_not_counted_as_unsettled(rig: Rig) -> None:
    path = rig.write("sub/moving.jpg", photo_bytes("one"))
    later = rig.clock.now() + 1.0
    os.utime(path, (later, later))
    rig.intake.look_at([rig.place("sub/moving.jpg")])
    assert (rig.intake.waiting(), aside(rig)) == (1, {})
    path.rename(rig.root / "moved.jpg")
    rig.scan()
    assert (rig.intake.waiting(), aside(rig)) == (1, {"moved.jpg": "unsettled"})


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
    assert aside(rig) == {"endless.jpg": "unsettled"}
    assert status(rig.store).unsettled == 1


@pytest.mark.parametrize("change", [b"", b"x" * 400, b"same length"], ids=["cut", "grown", "rewritten"])
def test_a_file_that_changes_while_it_is_read_is_read_again(rig: Rig, change: bytes) -> None:
    path = rig.write("a.jpg", photo_bytes("a"))
    final = photo_bytes("b") if change == b"same length" else photo_bytes("final", more=change.decode())

    def write() -> None:
        rig.reader.meanwhile = None
        path.write_bytes(final)

    rig.reader.meanwhile = write
    rig.scan()
    assert rig.states() == {}, "what was read was not one photo"
    assert (rig.intake.waiting(), aside(rig)) == (1, {"a.jpg": "unsettled"}), "and it is not forgotten"
    settle(rig)
    assert set(rig.states()) == {"a.jpg"}
    assert rig.rows("SELECT size FROM photos") == [(len(final),)]


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


def test_a_file_that_cannot_be_read_is_named_and_tried_again(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.reader.fails = OSError(5, "Input/output error")
    rig.scan()
    assert aside(rig) == {"a.jpg": "unreadable"}
    assert rig.intake.tally.unreadable == 1
    assert "Input/output error" in rig.voice.details(Said.UNREADABLE)[0]
    rig.reader.fails = None
    rig.scan()
    assert (set(rig.states()), aside(rig)) == ({"a.jpg"}, {})


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        os.mkfifo,
        lambda path: path.mkdir(),
    ],
    ids=["a link", "a pipe", "a folder"],
)
def test_n2_what_is_no_regular_file_is_never_read(rig: Rig, make: Callable[[Path], None]) -> None:
    make(rig.root / "a.jpg")
    rig.scan()
    rig.intake.look_at([rig.place("a.jpg")])
    rig.intake.settle()
    assert (rig.states(), rig.reader.reads) == ({}, 0)


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


def test_e4_what_is_damaged_is_unfit_until_its_bytes_change(rig: Rig) -> None:
    path = rig.write("a.jpg", photo_bytes("a", fit=False))
    rig.scan()
    assert rig.states() == {"a.jpg": State.UNFIT}
    assert rig.intake.tally.recorded[Recorded.UNFIT] == 1
    path.write_bytes(photo_bytes("a whole one"))
    rig.scan()
    settle(rig)
    assert rig.states() == {"a.jpg": State.READY}


def test_what_is_too_large_for_the_setting_is_unfit_with_both_numbers(rig: Rig) -> None:
    rig.upload = replace(rig.upload, max_file_bytes=50)
    rig.restart()
    rig.write("small.jpg", photo_bytes("a"))
    rig.write("large.jpg", photo_bytes("b", more="x" * 100))
    rig.scan()
    assert rig.states() == {"small.jpg": State.READY, "large.jpg": State.UNFIT}
    assert "max_file_bytes is 50" in rig.voice.details(Said.UNFIT)[0]


def test_what_a_rule_keeps_at_home_is_recorded_and_not_owed(rig: Rig) -> None:
    rig.rules = (RuleSettings("private/**", skip=True),)
    rig.restart()
    rig.write("private/a.jpg", photo_bytes("a"))
    rig.scan()
    assert rig.queue.next_due() is None
    assert status(rig.store).withdrawn == 1
    assert "not to be uploaded" in rig.voice.details(Said.RECORDED)[0]


def test_each_photo_is_said_with_what_it_came_to(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.scan()
    shutil.copyfile(rig.root / "a.jpg", rig.root / "copy.jpg")
    rig.scan()
    rig.pump()
    (rig.root / "a.jpg").write_bytes(photo_bytes("a", more="edited"))
    rig.scan()
    settle(rig)
    assert [rig.voice.count(said) for said in (Said.RECORDED, Said.KNOWN, Said.EDIT)] == [1, 1, 1]


def test_after_a_halt_nothing_more_is_read_and_the_scan_is_not_taken_for_whole(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.intake.halt()
    assert rig.intake.scan(bytes(rig.root)) is None
    assert rig.reader.reads == 0
    assert not rig.pipeline.territory.roots()[0].scanned_before


def test_a_halt_in_the_middle_gives_up_what_is_open_and_the_next_scan_finds_it(rig: Rig) -> None:
    for number in range(40):
        rig.write(f"{number}.jpg", photo_bytes(str(number)))
    rig.reader.meanwhile = rig.intake.halt
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    assert rig.intake.scan(bytes(rig.root)) is None
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - names are enough
    assert rig.reader.reads == 1
    rig.reader.meanwhile = None
    rig.restart()
    rig.scan()
    assert len(rig.states()) == 40


def test_a_reader_that_fails_leaves_nothing_open(rig: Rig) -> None:
    for number in range(5):
        rig.write(f"{number}.jpg", photo_bytes(str(number)))
    rig.reader.meanwhile = none_can_be_had
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    with pytest.raises(WorkerError):
        rig.scan()
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - names are enough


def none_can_be_had() -> None:
    raise WorkerError("no worker can be had")


def test_a_photo_that_moved_is_seen_at_its_new_place_before_it_is_gone_from_the_old_one(rig: Rig) -> None:
    rig.write("b/old.jpg", photo_bytes("a")).parent.joinpath("stays.jpg").write_bytes(photo_bytes("b"))
    rig.scan()
    (rig.root / "a").mkdir()
    (rig.root / "b" / "old.jpg").rename(rig.root / "a" / "new.jpg")
    rig.clock.advance(10.0)
    rig.voice.said.clear()
    rig.scan()
    assert [said for said, *_ in rig.voice.said if said in {Said.KNOWN, Said.GONE}] == [Said.KNOWN, Said.GONE]
    assert set(rig.states()) == {"a/new.jpg", "b/stays.jpg"}


def test_what_was_read_is_recorded_together_and_the_way_out_is_woken(rig: Rig) -> None:
    for number in range(70):
        rig.write(f"{number}.jpg", photo_bytes(str(number)))
    rig.wake.clear()
    rig.scan()
    assert rig.wake.is_set()
    assert len({row.seen_at for row in rig.rows("SELECT seen_at FROM photos")}) == 1
    assert not rig.intake.is_busy()


def test_a_large_file_does_not_hold_up_what_was_read_before_it(rig: Rig) -> None:
    large = photo_bytes("large", more="x" * 17_000_000)
    places = [rig.place(name) for name in ("a.jpg", "large.jpg", "z.jpg")]
    for place, content in zip(places, (photo_bytes("a"), large, photo_bytes("z")), strict=True):
        rig.write(place.name.decode(), content)
    seen: list[set[str]] = []
    rig.reader.meanwhile = lambda: seen.append(set(rig.states()))
    rig.intake.look_at(places)
    assert seen == [set(), {"a.jpg"}, {"a.jpg", "large.jpg"}]


def test_of_large_files_the_next_is_begun_before_one_is_waited_for_and_no_more(rig: Rig) -> None:
    places = [rig.place(f"{number}.jpg") for number in range(4)]
    for place in places:
        rig.write(place.name.decode(), photo_bytes(place.name.decode(), more="x" * 1_500_000))
    begun: list[int] = []
    rig.reader.meanwhile = lambda: begun.append(rig.reader.begun)
    rig.intake.look_at(places)
    rig.intake.flush()
    assert begun == [2, 3, 4, 4]
    assert set(rig.states()) == {f"{number}.jpg" for number in range(4)}


WHEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 -- a camera's wall clock has no zone


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (None, 5.0),
        (WHEN.replace(year=2020), 1_588_748_889.0),
        (WHEN.replace(year=1900), -2_198_163_111.0),
        (WHEN.replace(year=2123), 5.0),
    ],
)
def test_the_order_is_the_capture_time_or_mtime_where_that_cannot_be(taken: datetime | None, expected: float) -> None:
    assert order_at(Capture(taken_at=taken), Look(1, 5_000_000_000, 7, 8, 9), NOW) == expected
