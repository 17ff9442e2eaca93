"""What waits to be sent: its order, and who could share a request with whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from syncd.ledger import waiting
from syncd.ledger.plain import text
from syncd.ledger.queue import Answer, Receipt
from syncd.lifecycle import Outcome, State
from syncd.model import Capture, PlacePath
from tests.fakes.ledgers import ROOT, Ledger, backlog, end_first_scan, make_ledger, photo, sighting

NOON = Capture(taken_at=datetime(2024, 1, 1, 12))  # noqa: DTZ001 -- a camera's wall clock has no zone


def test_arrivals_come_first_the_newest_before_the_others_then_the_backlog(ledger: Ledger) -> None:
    backlog(ledger, 2, 3, 1)
    end_first_scan(ledger)
    ledger.see(sighting(b"old-but-new.jpg", photo(10), order_at=0.0))
    ledger.see(sighting(b"newer.jpg", photo(11), order_at=1.0))
    by_number = dict(zip((2, 3, 1, 10, 11), (1, 2, 3, 4, 5), strict=True))
    assert ledger.queue.head("newest", ledger.now, limit=9) == [by_number[n] for n in (11, 10, 3, 2, 1)]
    assert ledger.queue.head("oldest", ledger.now, limit=9) == [by_number[n] for n in (11, 10, 1, 2, 3)]
    assert ledger.queue.head("newest", ledger.now) == [by_number[11]]
    assert ledger.queue.head("newest", ledger.now, limit=3) == [by_number[n] for n in (11, 10, 3)]
    assert ledger.queue.head("newest", ledger.now, oldest=True, limit=9) == [1, 2, 3, 4, 5], "the longest waiting"


def test_only_what_is_due_wanted_and_ready_is_in_the_queue(ledger: Ledger) -> None:
    backlog(ledger, 1, 2, 3, 4)
    ledger.queue.defer(1, ledger.now + 100)
    ledger.lose(sighting(b"2.jpg", photo(2)))
    ledger.claim(3)
    for oldest in (False, True):
        assert ledger.queue.head("newest", ledger.now, oldest=oldest, limit=9) == [4]
    assert ledger.queue.mates(1, ledger.now, limit=9) == []
    assert ledger.queue.next_due() is not None
    ledger.claim(4)
    assert ledger.queue.next_due() == pytest.approx(ledger.now + 100, abs=10)
    assert ledger.queue.head("newest", ledger.now, limit=9) == []


def test_nothing_is_owed_in_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.queue.next_due() is None
    assert ledger.queue.last_sent_at() is None
    assert ledger.queue.head("newest", ledger.now, limit=9) == []
    assert ledger.queue.gate() is None
    assert ledger.queue.sent_since(0.0) == 0


def test_mates_are_those_with_equal_metadata_the_newest_first(ledger: Ledger) -> None:
    dated = [sighting(b"%d.jpg" % n, photo(n, capture=NOON), order_at=float(n)) for n in (1, 2, 3, 4)]
    ledger.see(*dated, sighting(b"undated.jpg", photo(5)))
    found = ledger.queue.mates(2, ledger.now, limit=9)
    assert [owed.entry_id for owed in found] == [2, 4, 3, 1]
    assert found[0].capture == NOON
    assert found[0].places == (PlacePath(ROOT, b"", b"2.jpg"),)
    assert [owed.entry_id for owed in ledger.queue.mates(2, ledger.now, limit=3)] == [2, 4, 3]
    ledger.queue.defer(4, ledger.now + 9)
    assert [owed.entry_id for owed in ledger.queue.mates(2, ledger.now, limit=9)] == [2, 3, 1]


@pytest.mark.parametrize(
    "receipt", [Receipt(2, State.READY, "r", split=1), Receipt(2, State.READY, "r", omit=frozenset({"tags"}))]
)
def test_what_was_rejected_together_is_not_the_mate_of_others(ledger: Ledger, receipt: Receipt) -> None:
    backlog(ledger, 1, 2, 3)
    ledger.answer(ledger.claim(2), Answer(Outcome.REJECTED), replace(receipt, due_at=ledger.now))
    ledger.tick()
    assert [owed.entry_id for owed in ledger.queue.mates(2, ledger.now, limit=9)] == [2]
    assert [owed.entry_id for owed in ledger.queue.mates(1, ledger.now, limit=9)] == [1, 3]
    owed = ledger.queue.mates(2, ledger.now, limit=9)[0]
    assert (owed.attempts, owed.split, owed.omit) == (1, receipt.split, receipt.omit or frozenset())


def test_an_entry_knows_its_places_in_the_order_in_which_they_were_seen(ledger: Ledger) -> None:
    names = (b"z.jpg", b"a.jpg", b"\xff\n.jpg")
    for name in names:
        ledger.see(sighting(name, photo(1)))
    ledger.lose(sighting(b"a.jpg", photo(1)))
    owed = ledger.queue.mates(1, ledger.now, limit=1)[0]
    assert [place.name for place in owed.places] == [b"z.jpg", b"\xff\n.jpg"]


def test_another_root_that_was_dropped_gives_no_place(tmp_path: Path) -> None:
    with make_ledger(tmp_path, roots=[b"/a", b"/b"]) as ledger:
        ledger.see(sighting(b"x.jpg", photo(1), root=b"/a"), sighting(b"y.jpg", photo(1), root=b"/b"))
        ledger.territory.configure([b"/b"])
        owed = ledger.queue.mates(1, ledger.now, limit=1)[0]
        assert [place.path for place in owed.places] == [b"/b/y.jpg"]


@pytest.mark.parametrize(
    "query", ["_ARRIVALS", "_BACKLOG_NEWEST", "_BACKLOG_OLDEST", "_WAITING", "_MATES", "_NEXT_DUE"]
)
def test_each_question_that_is_asked_at_every_turn_reads_an_index_in_order(ledger: Ledger, query: str) -> None:
    values = {"now": 0, "limit": 1, "group_key": "", "namespace": "", "split": None, "omit": None, "entry_id": 1}
    sql = getattr(waiting, query)
    with ledger.store.read() as connection:
        plan = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"), values)]
    assert "USING" in plan[0]
    assert "INDEX ix_entries_" in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan), plan
