"""Many known photos become other pictures at once: the folder is held until a person says go, the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.daemon.lock import holder_of
from syncd.daemon.replacements import MOST, QUIET
from syncd.daemon.voice import Said
from syncd.ledger.holds import Holds
from syncd.settings import FolderSettings
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program, eventually
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig

KNOWN = MOST + 20


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    for name in ("photos", "other"):
        (tmp_path / name).mkdir()
    folders = (FolderSettings(tmp_path / "photos"), FolderSettings(tmp_path / "other"))
    with Rig(tmp_path, folders=folders) as made:
        for number in range(KNOWN):
            made.write(f"{number}.jpg", photo_bytes(f"old {number}"))
        (tmp_path / "other" / "a.jpg").write_bytes(photo_bytes("other"))
        made.scan()
        made.drain()
        yield made


def change(rig: Rig, numbers: range, *, prefix: str = "new") -> None:
    for number in numbers:
        rig.write(f"{number}.jpg", photo_bytes(f"{prefix} {number}"))


def stored(rig: Rig) -> int:
    return len(rig.service.stored)


def test_more_than_a_hundred_hold_their_folder_and_no_other(rig: Rig, tmp_path: Path) -> None:
    before = stored(rig)
    change(rig, range(KNOWN))
    rig.write("a new one.jpg", photo_bytes("in the held folder"))
    (tmp_path / "other" / "b.jpg").write_bytes(photo_bytes("beside it"))
    for _ in range(2):
        rig.scan()
        rig.drain()
        assert stored(rig) == before + 1, "only the one of the other folder"
        assert rig.voice.count(Said.HELD) == 1
        rig.restart()
        rig.voice.said.clear()
        rig.intake.look_at([rig.place("0.jpg")])
        rig.intake.settle()
        rig.scan()
        assert rig.voice.count(Said.HELD) == 1, "it is durable, and said at each start"
    assert rig.pipeline.status().held_folders[0].root == bytes(rig.root)

    assert Holds(rig.store).release(bytes(rig.root))
    rig.scan()
    rig.drain()
    assert stored(rig) == before + 1 + KNOWN + 1
    change(rig, range(KNOWN), prefix="once more")
    rig.clock.advance(2 * 3600.0)
    rig.scan()
    rig.drain()
    assert stored(rig) == before + 1 + KNOWN + 1, "the word of a person was for one scan"
    assert rig.pipeline.status().held_folders


def test_a_hundred_are_daily_work(rig: Rig) -> None:
    before = stored(rig)
    change(rig, range(MOST))
    rig.scan()
    rig.drain()
    assert stored(rig) == before + MOST
    assert not rig.pipeline.status().held_folders


def test_what_costs_nothing_does_not_count(rig: Rig) -> None:
    before = stored(rig)
    for number in range(KNOWN // 2):
        rig.write(f"{number}.jpg", photo_bytes(f"old {number}", more="another keyword"))
    (rig.root / "swap").mkdir()
    for number in range(KNOWN // 2, KNOWN):
        (rig.root / f"{number}.jpg").rename(rig.root / "swap" / f"{number + 1}.jpg")
    for number in range(KNOWN // 2, KNOWN):
        (rig.root / "swap" / f"{number + 1}.jpg").rename(rig.root / f"{number + 1}.jpg")
    rig.scan()
    rig.drain()
    assert stored(rig) == before
    assert not rig.pipeline.status().held_folders


def test_damaged_pictures_count_because_a_failing_disk_makes_them(rig: Rig) -> None:
    for number in range(KNOWN):
        rig.write(f"{number}.jpg", photo_bytes(f"old {number}", fit=False))
    rig.scan()
    assert rig.pipeline.status().held_folders
    assert rig.pipeline.status().places == KNOWN + 1, "what was known stays"


def test_halves_that_become_whole_do_not_count(rig: Rig) -> None:
    for number in range(KNOWN):
        rig.write(f"half {number}.jpg", photo_bytes(f"half {number}", fit=False))
    rig.scan()
    before = stored(rig)
    for number in range(KNOWN):
        rig.write(f"half {number}.jpg", photo_bytes(f"whole {number}"))
    rig.scan()
    rig.drain()
    assert stored(rig) == before + KNOWN


def test_events_count_as_a_scan_does(rig: Rig) -> None:
    before = stored(rig)
    change(rig, range(KNOWN))
    for number in range(KNOWN):
        rig.intake.look_at([rig.place(f"{number}.jpg")])
        rig.clock.advance(QUIET / 10)
        rig.intake.settle()
    rig.drain()
    assert rig.pipeline.status().held_folders
    assert stored(rig) == before


def test_an_edited_photo_waits_a_moment_and_is_sent(rig: Rig) -> None:
    before = stored(rig)
    change(rig, range(1))
    rig.intake.look_at([rig.place("0.jpg")])
    rig.intake.settle()
    rig.drain()
    assert stored(rig) == before
    due = rig.intake.next_due()
    assert due is not None
    assert due - rig.clock.monotonic() <= QUIET
    rig.clock.advance(QUIET)
    rig.intake.settle()
    rig.drain()
    assert stored(rig) == before + 1


def test_one_that_was_kept_back_and_is_gone_is_gone(rig: Rig) -> None:
    before = stored(rig)
    change(rig, range(1))
    rig.intake.look_at([rig.place("0.jpg")])
    (rig.root / "0.jpg").unlink()
    rig.intake.look_at([rig.place("0.jpg")])
    rig.clock.advance(QUIET)
    rig.intake.settle()
    rig.drain()
    assert stored(rig) == before
    assert "0.jpg" not in rig.states()


def test_the_program_says_so_everywhere_and_a_person_releases_it(program: Program, server: FaultServer) -> None:
    for number in range(KNOWN):
        program.photo(f"{number}.jpg", taken_at=None)
    assert program.sync().code == 0
    for number in range(KNOWN):
        program.photo(f"{number}.jpg", taken_at=None)
    sent = len(server.stored)
    library = str(program.library)
    ended = program.sync()
    assert (ended.code, ended.json["status"]["held_folders"]) == (3, [library])
    assert "folder held" in ended.err
    assert len(server.stored) == sent
    assert program.listed()["7.jpg"]["reason"].startswith("its folder is held: more than 100 known photos")
    assert "held" in program.call("why", str(program.library / "7.jpg")).out
    assert library in program.call("release").out
    assert program.call("release", str(program.home)).code == 2
    program.start("run")
    eventually(lambda: holder_of(program.ledger) is not None)
    assert len(server.stored) == sent
    assert program.call("release", library).code == 0
    server.wait_for_stored(sent + KNOWN, 20)
