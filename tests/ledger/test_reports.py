"""The read side: counts that add up, lists that name everything, trails that forget nothing."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.errors import LedgerError
from syncd.ledger.migrate import open_for_reading
from syncd.ledger.plain import text
from syncd.ledger.queue import Answer, Receipt
from syncd.ledger.reports import Listed, at_place, listed, other_places, status, trail
from syncd.ledger.sightings import Policy
from syncd.ledger.territory import AsideReason
from syncd.lifecycle import Outcome, State
from syncd.model import Capture, PlacePath, Position, Unfit, UnfitCode
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

CAPTURE = Capture(
    taken_at=datetime(2024, 5, 6, 7, 8, 9),  # noqa: DTZ001 -- a camera's wall clock has no zone
    camera_model="Canon",
    position=Position(-12.5, 77.25),
)


def rows(ledger: Ledger) -> dict[bytes, Listed]:
    return {one.place.relative: one for one in listed(ledger.store)}


@pytest.fixture
def every(ledger: Ledger) -> Ledger:
    """A photo in each state, and what else may lie there."""
    ledger.see(
        sighting(b"uploaded.jpg", photo(1, capture=CAPTURE)),
        sighting(b"unanswered.jpg", photo(2)),
        sighting(b"refused.jpg", photo(3)),
        sighting(b"ready.jpg", photo(4), namespace="family"),
        sighting(b"unfit.jpg", photo(5, unfit=Unfit(UnfitCode.DAMAGED, "cut"))),
        sighting(b"sending.jpg", photo(6)),
        sighting(b"private.jpg", photo(7), unwanted="rule 1 (Private/**) skips it"),
        sighting(b"copy.jpg", photo(1, capture=CAPTURE), folder=b"x"),
    )
    ledger.store_all(ledger.claim(1, namespace="sent-to", tags=("home", "trip")), 1)
    ledger.leave_unanswered(2, lookup_at=ledger.now + 60)
    ledger.answer(ledger.claim(3), Answer(Outcome.REJECTED), Receipt(3, State.REFUSED, "bad picture"))
    ledger.claim(6)
    ledger.see(sighting(b"edit.jpg", photo(1)))
    ledger.see(sighting(b"edit.jpg", photo(8, picture=1)))
    return ledger


def test_an_empty_ledger_counts_nothing(ledger: Ledger) -> None:
    found = status(ledger.store)
    assert found.entries == dict.fromkeys(State, 0)
    assert (found.withdrawn, found.unsettled, found.places, found.photos, found.requests) == (0, 0, 0, 0, 0)
    assert (found.ignored, found.absent, found.lookup_at, found.last_scan_at, found.gate) == ({}, (), None, None, None)
    assert list(listed(ledger.store)) == []


def test_every_entry_is_counted_once(every: Ledger) -> None:
    found = status(every.store)
    assert found.entries == {
        State.READY: 1, State.SENDING: 1, State.UPLOADED: 1, State.UNANSWERED: 1, State.REFUSED: 1, State.UNFIT: 1,
    }  # fmt: skip
    assert (found.withdrawn, found.places, found.photos, found.requests) == (1, 9, 8, 4)
    assert sum(found.entries.values()) + found.withdrawn + found.held == len(every.states())


def test_what_is_uploaded_stays_counted_when_its_file_is_gone_and_the_others_are_withdrawn(every: Ledger) -> None:
    for one in list(listed(every.store)):
        every.lose(sighting(one.place.name, photo(1), folder=one.place.folder))
    found = status(every.store)
    assert {state for state, count in found.entries.items() if count} == {State.UPLOADED, State.SENDING}
    assert (found.withdrawn, found.places) == (5, 0)


def test_files_on_disk_are_places_ignored_and_unsettled(every: Ledger) -> None:
    aside = PlacePath(ROOT, b"", b"slow.jpg"), PlacePath(ROOT, b"", b"locked.jpg")
    every.territory.put_aside(
        [(aside[0], AsideReason.UNSETTLED, ""), (aside[1], AsideReason.UNREADABLE, "")], every.now
    )
    every.territory.scanned(ROOT, 1, {"hidden": 4, "unreadable": 2}, every.tick())
    found = status(every.store)
    assert (found.places, found.unsettled, found.ignored) == (9, 1, {"hidden": 4, "unreadable": 3})


def test_each_present_place_is_listed_in_order_with_what_became_of_it(every: Ledger) -> None:
    found = rows(every)
    assert list(found) == sorted(found, key=lambda path: (path.rpartition(b"/")[0], path))
    assert {path.decode(): one.state for path, one in found.items()} == {
        "uploaded.jpg": "uploaded", "unanswered.jpg": "unanswered", "refused.jpg": "refused", "ready.jpg": "ready",
        "unfit.jpg": "unfit", "sending.jpg": "sending", "private.jpg": "withdrawn", "edit.jpg": "uploaded",
        "x/copy.jpg": "uploaded",
    }  # fmt: skip
    assert {path for path, one in found.items() if one.image_id is not None} == {
        b"uploaded.jpg", b"edit.jpg", b"x/copy.jpg",
    }  # fmt: skip


def test_a_row_tells_what_was_sent_and_why_not(every: Ledger) -> None:
    found = rows(every)
    sent = found[b"uploaded.jpg"]
    assert (sent.image_id, sent.namespace, sent.sent_tags, sent.reason) == ("7001", "sent-to", ("home", "trip"), None)
    assert sent.capture == CAPTURE
    assert sent.uploaded_at is not None
    assert (found[b"ready.jpg"].namespace, found[b"ready.jpg"].sent_tags, found[b"ready.jpg"].reason) == (
        "family", None, None,
    )  # fmt: skip
    assert found[b"refused.jpg"].reason == "bad picture"
    assert found[b"unfit.jpg"].reason == "damaged: cut"
    assert found[b"private.jpg"].reason == "rule 1 (Private/**) skips it"
    assert found[b"unanswered.jpg"].reason == "no answer"
    edit = found[b"edit.jpg"]
    assert (edit.state, edit.image_id) == ("uploaded", "7001")
    assert edit.reason is not None
    assert "metadata-only edit" in edit.reason


def test_a_place_that_is_gone_or_of_a_dropped_root_is_not_listed(tmp_path: Path) -> None:
    with make_ledger(tmp_path, roots=[b"/a", b"/b"]) as ledger:
        gone = sighting(b"gone.jpg", photo(2), root=b"/b")
        ledger.see(sighting(b"x.jpg", photo(1), root=b"/a"), gone, sighting(b"y.jpg", photo(3), root=b"/b"))
        ledger.lose(gone)
        ledger.territory.configure([b"/b"])
        assert [one.place.path for one in listed(ledger.store)] == [b"/b/y.jpg"]
        assert other_places(ledger.store, photo(1).digest) == []


def test_with_copies_per_namespace_each_place_shows_the_entry_of_its_own(tmp_path: Path) -> None:
    with make_ledger(tmp_path, policy=Policy(per_namespace=True)) as ledger:
        ledger.see(sighting(b"a.jpg", photo(1), namespace="one"), sighting(b"b.jpg", photo(1), namespace="two"))
        ledger.upload(1, namespace="one")
        found = rows(ledger)
        assert (found[b"a.jpg"].state, found[b"a.jpg"].namespace) == ("uploaded", "one")
        assert (found[b"b.jpg"].state, found[b"b.jpg"].namespace) == ("ready", "two")


def test_one_place_can_be_asked_for(every: Ledger) -> None:
    (one,) = at_place(every.store, PlacePath(ROOT, b"x", b"copy.jpg"))
    assert (one.state, one.image_id) == ("uploaded", "7001")
    assert at_place(every.store, PlacePath(ROOT, b"", b"copy.jpg")) == []
    places = other_places(every.store, one.digest)
    assert {place.relative for place in places} == {b"uploaded.jpg", b"x/copy.jpg"}


def test_a_trail_has_every_move_and_every_request_in_order(every: Ledger) -> None:
    (found,) = trail(every.store, PlacePath(ROOT, b"", b"unanswered.jpg"))
    assert [(move.before, move.after) for move in found.moves] == [
        (None, State.READY), (State.READY, State.SENDING), (State.SENDING, State.UNANSWERED),
    ]  # fmt: skip
    assert all(before.at <= after.at for before, after in pairwise(found.moves))
    assert all(move.reason for move in found.moves)
    (request,) = found.requests
    assert (request.outcome, request.message, request.lookups) == ("unanswered", "no answer", 0)
    assert request.marker.startswith("syncd-")
    assert request.lookup_at is not None
    assert found.sent_metadata == {"unique_id": "default", "tags": []}


def test_a_trail_remembers_what_lay_there_before(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.upload(1)
    ledger.see(sighting(b"a.jpg", photo(2)))
    ledger.lose(sighting(b"a.jpg", photo(2)))
    found = trail(ledger.store, PlacePath(ROOT, b"", b"a.jpg"))
    assert [one.entry_id for one in found] == [1, 2]
    assert trail(ledger.store, PlacePath(ROOT, b"", b"b.jpg")) == []


def test_reading_changes_nothing_even_where_somebody_tries(every: Ledger) -> None:
    with open_for_reading(every.path) as store:
        assert status(store).places == 9
        assert len(list(listed(store))) == 9
        with pytest.raises(LedgerError), store.read() as connection:
            connection.execute(text("DELETE FROM aside"))
