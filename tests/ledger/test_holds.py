from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.ledger import reports
from syncd.ledger.holds import HeldFolder, Holds
from syncd.lifecycle import State
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

OTHER = b"/other"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path, photos=3, roots=(ROOT, OTHER)) as made:
        yield made


def test_what_is_owed_in_a_held_folder_alone_does_not_leave(ledger: Ledger) -> None:
    ledger.upload(1)
    ledger.see(sighting(b"copy.jpg", photo(2), root=OTHER))
    holds = Holds(ledger.store)
    holds.hold(ROOT, "a\x1bbad", ledger.tick())
    assert holds.held() == [HeldFolder(ROOT, "a\\x1bbad", ledger.now)]
    assert ledger.due() == [2], "it lies in another folder, too"
    status = reports.status(ledger.store)
    assert (status.held, status.withdrawn) == (1, 0)
    assert (status.entries[State.UPLOADED], status.entries[State.READY]) == (1, 1)
    shown = {one.place.name: (one.state, one.reason) for one in reports.listed(ledger.store)}
    assert shown[b"IMG_0001.jpg"] == ("uploaded", "its folder is held: a\\x1bbad")
    assert shown[b"IMG_0003.jpg"] == ("held", "its folder is held: a\\x1bbad")
    ledger.lose(sighting(b"IMG_0003.jpg", photo(3)))
    assert reports.status(ledger.store).withdrawn == 1, "gone is gone"


def test_a_held_folder_is_released_once_and_stays_so_through_the_next_whole_scan(ledger: Ledger) -> None:
    holds = Holds(ledger.store)
    assert not holds.release(ROOT)
    holds.hold(ROOT, "bad", ledger.tick())
    holds.hold(ROOT, "bad", ledger.tick())
    assert holds.held()[0].since == ledger.now - 1
    assert holds.release(ROOT)
    assert not holds.release(ROOT)
    assert (holds.held(), ledger.due()) == ([], [3, 2, 1])
    assert [root.released for root in ledger.territory.roots()] == [False, True]
    ledger.territory.scanned(ROOT, 1, {}, ledger.tick())
    assert [root.released for root in ledger.territory.roots()] == [False, False]


def test_a_held_folder_makes_no_edit_an_orphan(ledger: Ledger) -> None:
    ledger.leave_unanswered(1)
    ledger.see(sighting(b"IMG_0001.jpg", photo(10, picture=1)))
    ledger.see(sighting(b"elsewhere.jpg", photo(1)))
    Holds(ledger.store).hold(ROOT, "bad", ledger.tick())
    assert len(ledger.states()) == 3
    assert ledger.due() == []
