"""What people ask of the daemon by other commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.ledger.migrate import open_for_single_moves, open_ledger
from syncd.ledger.store import Store, set_fact
from syncd.ledger.wishes import PersonPause, Wishes

NOW = 1_700_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_ledger(tmp_path / "ledger.db", now=NOW) as made:
        yield made


def test_a_wish_for_a_scan_is_seen_by_the_daemon_and_taken_once(store: Store) -> None:
    daemon = Wishes(store)
    assert daemon.scan_asked_at() is None
    with open_for_single_moves(store.path) as beside:
        Wishes(beside).ask_for_scan(NOW)
    assert daemon.scan_asked_at() == NOW
    daemon.scan_begins(NOW)
    assert daemon.scan_asked_at() is None


def test_a_wish_that_comes_while_another_is_taken_is_not_lost(store: Store) -> None:
    wishes = Wishes(store)
    wishes.ask_for_scan(NOW)
    taken = wishes.scan_asked_at()
    assert taken is not None
    wishes.ask_for_scan(NOW + 1)
    wishes.scan_begins(taken)
    assert wishes.scan_asked_at() == NOW + 1


def test_a_pause_holds_until_its_time_or_until_it_is_ended(store: Store) -> None:
    wishes = Wishes(store)
    assert wishes.person_pause() is None
    assert not wishes.resume()
    wishes.pause(NOW, NOW + 60)
    pause = wishes.person_pause()
    assert pause == PersonPause(NOW, NOW + 60)
    assert pause.holds(NOW + 59)
    assert not pause.holds(NOW + 60)
    wishes.pause(NOW, None)
    forever = wishes.person_pause()
    assert forever is not None
    assert forever.holds(NOW + 1e9)
    assert wishes.resume()
    assert wishes.person_pause() is None


@pytest.mark.parametrize("nonsense", [7, "x", [], {"since": "x"}, {}])
def test_nonsense_in_the_ledger_is_no_pause(store: Store, nonsense: object) -> None:
    with store.write() as connection:
        set_fact(connection, "paused_by_a_person", nonsense)
        set_fact(connection, "scan_asked_at", "soon")
    assert Wishes(store).person_pause() is None
    assert Wishes(store).scan_asked_at() is None
