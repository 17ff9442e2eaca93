"""Roots and folders in the ledger: what was seen there, what is aside, what cannot be believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.ledger import territory
from syncd.ledger.reports import set_aside, status
from syncd.ledger.territory import AsideReason, Territory
from syncd.model import Look, PlacePath
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

UNSETTLED, UNREADABLE = AsideReason.UNSETTLED, AsideReason.UNREADABLE


def place(name: bytes, folder: bytes = b"") -> PlacePath:
    return PlacePath(ROOT, folder, name)


def paths(found: Territory) -> list[bytes]:
    return [root.path for root in found.roots()]


def test_the_roots_are_those_of_the_configuration_and_a_dropped_one_keeps_what_it_knew(tmp_path: Path) -> None:
    with make_ledger(tmp_path, roots=[b"/a", b"/b\xff"]) as ledger:
        ledger.see(sighting(b"x.jpg", photo(1), root=b"/a"))
        assert paths(ledger.territory) == [b"/a", b"/b\xff"]
        ledger.territory.configure([b"/b\xff"])
        assert paths(ledger.territory) == [b"/b\xff"]
        assert status(ledger.store).places == 0
        ledger.territory.configure([b"/a", b"/b\xff", b"/c"])
        assert paths(ledger.territory) == [b"/a", b"/b\xff", b"/c"]
        assert status(ledger.store).places == 1
        assert ledger.territory.known_looks(b"/a", b"").keys() == {b"x.jpg"}


def test_a_new_root_is_known_to_be_new(ledger: Ledger) -> None:
    (root,) = ledger.territory.roots()
    assert (root.device, root.scanned_before, root.has_places, root.absent) == (None, False, False, None)
    seen = sighting(b"a.jpg", photo(1))
    ledger.see(seen)
    ledger.territory.scanned(ROOT, 2**64 - 1, {}, ledger.tick())
    (root,) = ledger.territory.roots()
    assert (root.device, root.scanned_before, root.has_places) == (2**64 - 1, True, True)
    ledger.lose(seen)
    assert not ledger.territory.roots()[0].has_places


def test_what_is_seen_after_the_first_whole_scan_is_an_arrival(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.territory.scanned(ROOT, 1, {}, ledger.tick())
    ledger.see(sighting(b"b.jpg", photo(2)))
    with_new_memory = Ledger(ledger.store, ledger.policy, ledger.now)
    with_new_memory.see(sighting(b"c.jpg", photo(3)))
    lanes = {row.id: row.lane for row in ledger.rows("SELECT id, lane FROM entries")}
    assert lanes == {1: territory.BACKLOG, 2: territory.ARRIVALS, 3: territory.ARRIVALS}


def test_the_counts_of_a_scan_replace_those_of_the_one_before(ledger: Ledger) -> None:
    ledger.territory.scanned(ROOT, 1, {"hidden": 3, "another type": 2, "none": 0}, ledger.tick())
    assert status(ledger.store).ignored == {"hidden": 3, "another type": 2}
    ledger.territory.scanned(ROOT, 1, {"another type": 5}, ledger.tick())
    assert status(ledger.store).ignored == {"another type": 5}
    assert status(ledger.store).last_scan_at == ledger.now


def test_b15_absence_lasts_until_a_whole_scan_and_keeps_its_beginning(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.territory.set_absent(ROOT, "not mounted", 100.0)
    ledger.territory.set_absent(ROOT, "not mounted", 200.0)
    ledger.territory.set_absent(ROOT, "on another device", 300.0)
    (absent,) = status(ledger.store).absent
    assert (absent.root, absent.reason, absent.since) == (ROOT, "on another device", 100.0)
    assert status(ledger.store).places == 1, "nothing in it is gone"
    assert ledger.due() == [1]
    ledger.territory.scanned(ROOT, 1, {}, ledger.tick())
    assert status(ledger.store).absent == ()
    ledger.territory.set_absent(ROOT, "not mounted", 400.0)
    assert status(ledger.store).absent[0].since == 400.0
    ledger.territory.set_absent(ROOT, None, 500.0)
    assert ledger.territory.roots()[0].absent is None


def test_known_looks_are_those_of_one_folder(ledger: Ledger) -> None:
    ledger.see(
        sighting(b"a.jpg", photo(1), look=Look(1, 2, 3, 4, 5)),
        sighting(b"a.jpg", photo(2), folder=b"x", look=Look(6, 7, 8, 9, 5)),
        sighting(b"gone.jpg", photo(3)),
    )
    ledger.lose(sighting(b"gone.jpg", photo(3)))
    assert ledger.territory.known_looks(ROOT, b"") == {b"a.jpg": (1, 2, 3, 4)}
    assert ledger.territory.known_looks(ROOT, b"x") == {b"a.jpg": (6, 7, 8, 9)}
    assert ledger.territory.known_looks(ROOT, b"nowhere") == {}
    assert ledger.territory.known_looks(b"/elsewhere", b"") == {}


@pytest.mark.parametrize("at_once", [1, 2, 2000])
def test_a_folder_in_which_nothing_happened_is_known_whole(
    ledger: Ledger, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(territory, "_LOOKS_AT_ONCE", at_once)
    ledger.see(
        sighting(b"a.jpg", photo(1), look=Look(1, 2, 3, 4, 5)),
        sighting(b"b.jpg", photo(2), look=Look(6, 7, 8, 9, 5)),
        sighting(b"gone.jpg", photo(3)),
    )
    ledger.lose(sighting(b"gone.jpg", photo(3)))
    knows, a, b = ledger.territory.knows_all, (1, 2, 3, 4, 5), (6, 7, 8, 9, 5)
    assert knows(ROOT, b"", 5, {b"b.jpg": b, b"a.jpg": a})
    assert knows(ROOT, b"", 77, {b"a.jpg": (1, 2, 3, 4, 77), b"b.jpg": (6, 7, 8, 9, 77)}), "mounted again"
    assert not knows(ROOT, b"", 5, {b"a.jpg": a}), "one is missing"
    assert not knows(ROOT, b"", 5, {b"a.jpg": a, b"b.jpg": b, b"c.jpg": a}), "one is new"
    assert not knows(ROOT, b"", 5, {b"a.jpg": a, b"c.jpg": b}), "one is missing and one is new"
    for changed in ((0, 7, 8, 9, 5), (6, 0, 8, 9, 5), (6, 7, 0, 9, 5), (6, 7, 8, 0, 5)):
        assert not knows(ROOT, b"", 5, {b"a.jpg": a, b"b.jpg": changed})
    assert not knows(ROOT, b"", 5, {b"a.jpg": (1, 2, 3, 4, 6), b"b.jpg": b}), "to be compared one by one"
    assert knows(ROOT, b"nowhere", 5, {})
    assert not knows(ROOT, b"nowhere", 5, {b"a.jpg": a})
    ledger.territory.put_aside([(place(b"a.jpg"), UNREADABLE, "no permission")], ledger.now)
    assert not knows(ROOT, b"", 5, {b"a.jpg": a, b"b.jpg": b}), "something is aside"


def test_numbers_that_were_folded_to_fit_are_compared_one_by_one(ledger: Ledger) -> None:
    far = Look(1, 1 << 63, 1 << 63, (1 << 64) - 1, 5)
    ledger.see(sighting(b"a.jpg", photo(1), look=far))
    stamp = (far.size, far.mtime_ns, far.ctime_ns, far.inode, far.device)
    assert not ledger.territory.knows_all(ROOT, b"", 5, {b"a.jpg": stamp})
    assert ledger.territory.known_looks(ROOT, b"")[b"a.jpg"] == stamp[:4]


def test_what_is_known_at_one_place(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), look=Look(1, 2, 3, 4, 5)))
    ledger.territory.put_aside([(place(b"b.jpg"), UNREADABLE, "no permission")], ledger.now)
    assert ledger.territory.known_at(place(b"a.jpg")) == ((1, 2, 3, 4), False)
    assert ledger.territory.known_at(place(b"b.jpg")) == (None, True)
    assert ledger.territory.known_at(place(b"c.jpg")) == (None, False)
    assert ledger.territory.known_at(place(b"c.jpg", b"nowhere")) == (None, False)


def test_a_file_is_aside_until_it_is_read_or_gone(ledger: Ledger) -> None:
    assert ledger.territory.put_aside([], ledger.now) == 0
    new = ledger.territory.put_aside(
        [(place(b"a.jpg"), UNSETTLED, "it may still be written"), (place(b"b\xff.jpg", b"x"), UNREADABLE, "I/O\x1b")],
        5.0,
    )
    assert new == 2
    assert set_aside(ledger.store) == [
        (place(b"a.jpg"), "unsettled", "it may still be written"),
        (place(b"b\xff.jpg", b"x"), "unreadable", r"I/O\x1b"),
    ]
    assert (status(ledger.store).unsettled, status(ledger.store).ignored) == (1, {"unreadable": 1})
    assert ledger.territory.put_aside([(place(b"a.jpg"), UNREADABLE, "no permission")], 9.0) == 1, "for another reason"
    assert ledger.territory.put_aside([(place(b"a.jpg"), UNREADABLE, "no permission")], 9.0) == 0
    assert ledger.rows("SELECT reason, since FROM aside WHERE name = x'612e6a7067'") == [("unreadable", 5.0)]
    assert ledger.territory.names_aside(ROOT, b"") == {b"a.jpg"}
    assert ledger.territory.names_aside(ROOT, b"nowhere") == frozenset()
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.lose(sighting(b"b\xff.jpg", photo(2), folder=b"x"))
    assert set_aside(ledger.store) == []


def test_a_known_place_that_is_being_rewritten_counts_once(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.territory.put_aside([(place(b"a.jpg"), UNSETTLED, "it may still be written")], ledger.now)
    assert (status(ledger.store).places, status(ledger.store).unsettled) == (1, 0)


def test_every_folder_with_something_in_it_is_found(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)), sighting(b"b.jpg", photo(2), folder=b"x/y"))
    ledger.see(sighting(b"c.jpg", photo(3), folder=b"empty"))
    ledger.lose(sighting(b"c.jpg", photo(3), folder=b"empty"))
    ledger.territory.put_aside([(place(b"d.jpg", b"aside\xff"), UNSETTLED, "")], ledger.now)
    assert ledger.territory.folders_below(ROOT) == [b"", b"aside\xff", b"x/y"]
    assert ledger.territory.folders_below(b"/elsewhere") == []


def test_a_sample_of_a_root_has_one_photo_of_each_folder(ledger: Ledger) -> None:
    ledger.see(*(sighting(b"%d.jpg" % n, photo(n), folder=b"f%d" % (n % 5)) for n in range(20)))
    found = ledger.territory.sample(ROOT)
    assert len(found) == 5
    assert len({path.partition(b"/")[0] for path in found}) == 5
    assert len(ledger.territory.sample(ROOT, 2)) == 2
    assert ledger.territory.sample(b"/elsewhere") == []


def test_the_number_of_a_folder_made_in_a_transaction_that_failed_is_forgotten(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.store.write() as connection:
            ledger.territory.folder_id(connection, ROOT, b"first")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with ledger.store.write() as connection:
        second = ledger.territory.folder_id(connection, ROOT, b"second")
        assert ledger.territory.folder_id(connection, ROOT, b"first") != second
    assert ledger.rows("SELECT count(*) AS n FROM folders")[0].n == 2


def test_only_so_many_folders_are_remembered(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(territory, "_REMEMBERED_FOLDERS", 3)
    with ledger.store.write() as connection:
        numbers = [ledger.territory.folder_id(connection, ROOT, b"%d" % n) for n in range(20)]
        assert [ledger.territory.folder_id(connection, ROOT, b"%d" % n) for n in range(20)] == numbers
    assert len(ledger.territory._folder_ids) <= 3
