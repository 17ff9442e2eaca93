"""`card`: where every file stands, read from the card as it is now, with nothing written anywhere."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from syncd.card.destination import look_of
from syncd.card.inventory import Inventory
from syncd.card.looking import Look
from syncd.card.report import Report, Standing
from syncd.card.walk import Card
from syncd.ledger.imports import Known
from tests.card.rig import Rig, standings
from tests.card.test_importing import DamagedCard, PulledCard


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def look(rig: Rig, *, thorough: bool = False, empty: bool = False) -> Report:
    with closing(rig.card_class(os.fsencode(rig.source), "CARD")) as card, Inventory(card) as inventory:
        work = Look(
            card=card,
            inventory=inventory,
            known=(lambda _: Known()) if empty else rig.imports.known,
            report=Report(),
            pace=rig.pace,
            candidate=lambda _: False,
            stop=rig.stop,
            thorough=thorough,
        )
        work.run()
    return work.report


def test_new_known_and_lost(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"one")
    rig.put("DCIM/IMG_2.JPG", b"two")
    assert look(rig, empty=True).counts == {Standing.NEW: 2}
    rig.run()
    assert look(rig).is_safe
    rig.put("DCIM/IMG_3.JPG", b"three")
    (rig.to / "2024/05/04/IMG_2.JPG").unlink()
    assert standings(look(rig)) == {"DCIM/IMG_2.JPG": Standing.LOST, "DCIM/IMG_3.JPG": Standing.NEW}


def test_rot_that_left_size_and_times_alone_is_found_by_reading_again(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    (copy,) = rig.imports.known(next(iter(digests(rig)))).copies
    path = Path(os.fsdecode(copy.path))
    path.write_bytes(b"PHOTO")
    assert copy.look is not None
    rig.imports.verified({copy.number: look_of(path.stat())}, 1.0)
    assert look(rig).is_safe, "nobody looked closely"
    assert standings(look(rig, thorough=True)) == {"DCIM/IMG_1.JPG": Standing.LOST}


def digests(rig: Rig) -> list[str]:
    return [row.digest for row in rig.ledger.rows("SELECT digest FROM copies")]


def test_read_errors_a_pulled_card_and_an_interruption_are_told_apart(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"one")
    rig.put("DCIM/IMG_2_BAD_LAST.JPG", b"x" * 200_000)
    rig.put("DCIM/IMG_3.JPG", b"three")
    rig.card_class = DamagedCard
    assert standings(look(rig))["DCIM/IMG_2_BAD_LAST.JPG"] is Standing.UNREADABLE

    class Pulled(PulledCard):
        pulled = False

    rig.card_class = Pulled
    report = look(rig)
    assert "pulled" in report.stopped
    assert standings(report)["DCIM/IMG_3.JPG"] is Standing.NOT_READ
    rig.card_class = Card
    rig.stop = lambda: True
    report = look(rig)
    assert report.interrupted
    assert report.counts == {Standing.NOT_READ: 3}
    assert report.exit_code == 75
