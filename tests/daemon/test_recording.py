"""What goes into the ledger together, and how it is told."""

from __future__ import annotations

import shutil

from syncd.daemon.voice import Said
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig


def test_a_file_that_cannot_be_read_is_named_and_tried_again(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.reader.fails = OSError(5, "Input/output error")
    rig.scan()
    assert rig.aside() == {"a.jpg": "unreadable"}
    assert rig.intake.tally.unreadable == 1
    assert "Input/output error" in rig.voice.details(Said.UNREADABLE)[0]
    rig.reader.fails = None
    rig.scan()
    assert (set(rig.states()), rig.aside()) == ({"a.jpg"}, {})


def test_each_photo_is_said_with_what_it_came_to(rig: Rig) -> None:
    rig.write("a.jpg", photo_bytes("a"))
    rig.scan()
    shutil.copyfile(rig.root / "a.jpg", rig.root / "copy.jpg")
    rig.scan()
    rig.pump()
    (rig.root / "a.jpg").write_bytes(photo_bytes("a", more="edited"))
    rig.scan()
    rig.let_settle()
    assert [rig.voice.count(said) for said in (Said.RECORDED, Said.KNOWN, Said.EDIT)] == [1, 1, 1]


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
