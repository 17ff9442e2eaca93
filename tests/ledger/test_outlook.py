"""What is owed as a stream; and that no question which is asked often goes through a table."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.ledger import lookups, outlook, reports, territory, waiting
from syncd.ledger.plain import text
from syncd.model import Capture
from tests.fakes.ledgers import make_ledger, photo, sighting

NOON = datetime(2024, 6, 1, 12)  # noqa: DTZ001 -- a camera's wall clock has no zone

ASKED_AT_EVERY_TURN = [
    waiting._NEXT_DUE,
    waiting._ARRIVALS,
    waiting._ARRIVED_SINCE,
    waiting._BACKLOG_NEWEST,
    waiting._BACKLOG_OLDEST,
    waiting._WAITING,
    waiting._HEAD,
    waiting._MATES,
    waiting._SIZES,
    waiting._PLACES_OF,
    waiting._PLACES_OF_ONE,
    waiting._SMALL_ARRIVALS,
    waiting._SMALL_NEWEST,
    waiting._SMALL_OLDEST,
    lookups._DUE,
    lookups._NEXT,
    territory._LOOKS,
    territory._LOOK,
    territory._FOLDER,
    territory._ASIDE_NAMES,
    territory._SAMPLE,
    territory._FOLDERS_IN_USE,
]
COUNTS = [reports._STATES, reports._TOTALS, outlook._ESTIMATE, outlook._LATELY, outlook._OWED]


def plan(connection: Any, query: Any) -> list[str]:
    words = re.sub(r":(\w+)", "1", str(query))
    return [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {words}"))]


@pytest.mark.parametrize("query", ASKED_AT_EVERY_TURN, ids=range(len(ASKED_AT_EVERY_TURN)))
def test_no_turn_goes_through_a_table_or_sorts(query: Any, tmp_path: Path) -> None:
    with make_ledger(tmp_path) as ledger, ledger.store.read() as connection:
        steps = plan(connection, query)
    for step in steps:
        # An index of what is owed may be read from its start, as far as the LIMIT goes.
        assert not step.startswith("SCAN") or re.search(r"INDEX ix_entries_|json_each|subquery", step, re.IGNORECASE), (
            steps
        )
        if "USE TEMP B-TREE" in step:
            # The places of one batch, a handful, in the order in which they were seen.
            assert query in {waiting._PLACES_OF, waiting._PLACES_OF_ONE}, steps


@pytest.mark.parametrize("query", COUNTS, ids=range(len(COUNTS)))
def test_a_count_goes_through_an_index_and_never_through_a_table_of_photos(query: Any, tmp_path: Path) -> None:
    with make_ledger(tmp_path) as ledger, ledger.store.read() as connection:
        steps = plan(connection, query)
    for step in steps:
        if re.match(r"SCAN (entries|places|photos|history|sent|requests)\b", step):
            # The last requests are read from the end of their table, as many as are asked for.
            assert "INDEX" in step or query is outlook._LATELY, steps


def test_what_is_owed_comes_latest_first_from_both_lanes(tmp_path: Path) -> None:
    with make_ledger(tmp_path) as ledger:
        for number in (3, 1, 2):
            ledger.see(
                sighting(b"%d" % number, photo(number, capture=Capture(NOON, camera_model="X")), order_at=number * 1.0)
            )
        ledger.see(sighting(b"again", photo(2)))
        with ledger.store.write() as connection:
            connection.execute(text("UPDATE entries SET lane = 1 WHERE order_at = 2.0"))
        found = list(outlook.owed(ledger.store))
        assert [one.places[0].name for one in found] == [b"3", b"2", b"1"]
        assert [place.name for place in found[1].places] == [b"2", b"again"]
        assert (found[0].capture.taken_at, found[0].capture.camera_model) == (NOON, "X")


def test_the_last_requests_come_in_their_order(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=4) as ledger:
        for number in (1, 2, 3):
            ledger.now += 10
            ledger.upload(number)
        sent = outlook.sent_lately(ledger.store, 2)
        assert [at for at, _ in sent] == sorted(at for at, _ in sent)
        assert len(sent) == 2
        assert outlook.sent_since(ledger.store, sent[1][0]) == 1
        assert timedelta(seconds=sent[1][0] - sent[0][0]) < timedelta(seconds=20)
