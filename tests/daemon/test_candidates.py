"""Candidates on their way: they wait, are read as they were, and are recorded before anything is gone."""

from __future__ import annotations

import os

import pytest

from syncd.daemon.voice import Said
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig


def test_w14_a_file_that_is_written_waits_and_is_named_meanwhile(rig: Rig) -> None:
    path = rig.write("slow.jpg", photo_bytes("one"))
    later = rig.clock.now() + 1.0
    os.utime(path, (later, later))
    rig.scan()
    assert (rig.states(), rig.intake.waiting(), rig.aside()) == ({}, 1, {"slow.jpg": "unsettled"})
    rig.clock.advance(1.0)
    path.write_bytes(photo_bytes("one and more"))
    os.utime(path, (later + 1.0, later + 1.0))
    rig.intake.settle()
    assert rig.reader.reads == 0, "it is not opened while it changes"
    rig.let_settle()
    rig.let_settle()
    assert (set(rig.states()), rig.intake.waiting(), rig.aside()) == ({"slow.jpg"}, 0, {})
    assert rig.reader.reads == 1


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
    assert (rig.intake.waiting(), rig.aside()) == (1, {"a.jpg": "unsettled"}), "and it is not forgotten"
    rig.let_settle()
    assert set(rig.states()) == {"a.jpg"}
    assert rig.rows("SELECT size FROM photos") == [(len(final),)]


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
