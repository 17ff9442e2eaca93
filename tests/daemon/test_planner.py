"""The request around an entry: from a real ledger, as full as equal metadata, or a tolerance, allow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from syncd.cli.trail import explain
from syncd.daemon.planner import Chosen, Planner
from syncd.ledger.queue import Claim
from syncd.model import Capture, Photo, PlacePath, Position
from syncd.rules import Rules
from syncd.settings import FolderSettings, LedgerSettings, RuleSettings, Settings, UploadSettings
from syncd.upload.batches import marked
from syncd.upload.names import new_marker
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

NOON = datetime(2024, 6, 1, 12)  # noqa: DTZ001 -- a camera's wall clock has no zone
FOLDERS = (FolderSettings(Path("/photos")),)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path) as made:
        yield made


def planner(ledger: Ledger, settings: UploadSettings, rules: Sequence[RuleSettings] = ()) -> Planner:
    return Planner(ledger.queue, Rules.compile(FOLDERS, rules), settings, as_utc=False)


def see(ledger: Ledger, photos: Sequence[Photo], folder: bytes = b"") -> None:
    ledger.see(
        *(
            sighting(b"%s.jpg" % each.digest[:12].encode(), each, folder=folder, order_at=_order(each.capture, number))
            for number, each in enumerate(photos)
        )
    )


def _order(capture: Capture, number: int) -> float:
    return capture.taken_at.timestamp() if capture.taken_at else 1000.0 + number


def drain(ledger: Ledger, plans: Planner, most: int) -> list[Chosen]:
    """Make every request that there is to make, as the dispatch does: ask for the head, claim, ask again."""
    made: list[Chosen] = []
    while True:
        # Every tenth takes the longest waiting, wherever in the order that is.
        heads = ledger.queue.head("newest", ledger.now, oldest=len(made) % 10 == 9)
        if not heads:
            return made
        chosen = plans.around(heads[0], most, ledger.now)
        assert chosen is not None
        assert chosen.batch[0].entry_id == heads[0]
        marker = new_marker(len(made).to_bytes(8, "big"))
        files = tuple((owed.entry_id, f"{owed.entry_id}.jpg", owed.size) for owed in chosen.batch)
        ledger.queue.claim([Claim(marker, True, marked(chosen.metadata, marker), files, chosen.off)], ledger.tick())
        made.append(chosen)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 95, 230])
def test_as_few_requests_as_the_number_of_files_allows(ledger: Ledger, count: int) -> None:
    see(ledger, [photo(n) for n in range(count)])
    made = drain(ledger, planner(ledger, UploadSettings()), 10)
    assert len(made) == math.ceil(count / 10)
    assert sum(len(chosen.batch) for chosen in made) == count
    assert all(chosen.full for chosen in made[:-1])


def test_mates_are_found_behind_many_with_other_labels(ledger: Ledger) -> None:
    see(ledger, [photo(n) for n in range(5)], b"one")
    see(ledger, [photo(n) for n in range(100, 400)], b"two")
    see(ledger, [photo(n) for n in range(50, 55)], b"one")
    rules = [RuleSettings("one/**", tags=("one",))]
    made = drain(ledger, planner(ledger, UploadSettings(), rules), 10)
    assert len(made) == 31
    assert sorted({chosen.metadata.tags for chosen in made}) == [(), ("one",)]


def test_only_places_that_the_rules_of_the_moment_want_count(ledger: Ledger) -> None:
    wanted, unwanted = photo(1), photo(2)
    see(ledger, [wanted, unwanted], b"Private")
    see(ledger, [wanted], b"Trips")
    rules = [RuleSettings("Trips/**", tags=("trip",)), RuleSettings("Private/**", skip=True, tags=("private",))]
    plans = planner(ledger, UploadSettings(), rules)
    chosen = [plans.around(head, 10, ledger.now) for head in ledger.due()]
    assert [None if one is None else (len(one.batch), one.metadata.tags) for one in chosen].count(None) == 1
    assert [(len(one.batch), one.metadata.tags) for one in chosen if one is not None] == [(1, ("trip",))]


def test_large_and_small_files_are_mixed_where_bytes_bind(ledger: Ledger) -> None:
    large = [photo(n, size=20_000_000) for n in range(30)]
    small = [photo(n, size=1_000_000) for n in range(100, 170)]
    see(ledger, [*large, *small])
    # Three of the large fill a request's bytes, but leave room for four small ones, or for their number: 10 at least.
    assert len(drain(ledger, planner(ledger, UploadSettings()), 10)) <= 18
    assert ledger.due() == []


def test_without_a_tolerance_a_second_apart_is_apart(ledger: Ledger) -> None:
    see(ledger, [photo(n, capture=Capture(NOON + timedelta(seconds=n))) for n in range(5)])
    made = drain(ledger, planner(ledger, UploadSettings()), 10)
    assert len(made) == 5
    assert not any(chosen.off for chosen in made)


TIMES = [0, 30, 61, 119, 120, 121, 240, 241, 400, 1000, 1001, 1060, 1120, 1121, *range(5000, 6200, 17)]


def test_with_a_tolerance_in_time_as_few_requests_as_can_be(ledger: Ledger) -> None:
    see(ledger, [photo(n, capture=Capture(NOON + timedelta(seconds=s), camera_model="X")) for n, s in enumerate(TIMES)])
    settings = UploadSettings(time_tolerance=60.0)
    made = drain(ledger, planner(ledger, settings), 10)
    assert len(made) == fewest_stabs(TIMES, 10)
    for chosen in made:
        sent = datetime.fromisoformat(chosen.metadata.datetime_taken or "")
        for owed in chosen.batch:
            assert owed.capture.taken_at is not None
            off = (sent - owed.capture.taken_at).total_seconds()
            assert abs(off) <= 60
            assert off == (chosen.off[owed.entry_id].seconds if owed.entry_id in chosen.off else 0)


def fewest_stabs(seconds: Sequence[int], most: int) -> int:
    times = sorted(seconds)
    best = [0]
    for end in range(1, len(times) + 1):
        starts = [start for start in range(max(0, end - most), end) if times[end - 1] - times[start] <= 120]
        best.append(1 + min(best[start] for start in starts))
    return best[-1]


def test_other_cameras_labels_and_places_do_not_share(ledger: Ledger) -> None:
    here, near, far = Position(47.0, 8.0), Position(47.0005, 8.0), Position(47.01, 8.0)
    see(ledger, [photo(1, capture=Capture(NOON, camera_model="X", position=here))])
    see(ledger, [photo(2, capture=Capture(NOON + timedelta(seconds=9), camera_model="X", position=near))])
    see(ledger, [photo(3, capture=Capture(NOON, camera_model="X", position=far))])
    see(ledger, [photo(4, capture=Capture(NOON, camera_model="Y", position=here))])
    see(ledger, [photo(5, capture=Capture(NOON, camera_model="X"))])
    see(ledger, [photo(6, capture=Capture(camera_model="X", position=here))])
    see(ledger, [photo(7, capture=Capture(NOON, camera_model="X", position=here))], b"other")
    rules = [RuleSettings("other/**", tags=("other",))]
    settings = UploadSettings(time_tolerance=60.0, place_tolerance=100.0)
    made = drain(ledger, planner(ledger, settings, rules), 10)
    shared = [sorted(owed.entry_id for owed in chosen.batch) for chosen in made]
    assert sorted(shared) == [[1, 2], [3], [4], [5], [6], [7]]
    [both] = [chosen for chosen in made if len(chosen.batch) == 2]
    assert both.metadata.datetime_taken == "2024-06-01 12:00:04"
    assert (both.metadata.latitude, both.metadata.longitude) == ("47.00025", "8")
    assert {entry: (off.seconds, round(off.metres)) for entry, off in both.off.items()} == {1: (4, 28), 2: (-5, 28)}


def test_why_tells_how_far_what_was_sent_is_from_its_own(ledger: Ledger) -> None:
    see(ledger, [photo(n, capture=Capture(NOON + timedelta(seconds=24 * n), camera_model="X")) for n in (0, 1)])
    drain(ledger, planner(ledger, UploadSettings(time_tolerance=60.0)), 10)
    settings = Settings(Path("/c.toml"), LedgerSettings("sqlite:////l.db"), folders=FOLDERS)
    place = PlacePath(ROOT, b"", b"%s.jpg" % photo(0).digest[:12].encode())
    told = explain(settings, ledger.store, place.path)
    assert "    the time that was sent is 12 s later than its own (time_tolerance)" in told.lines
    assert json.dumps(told.json["entries"][0]["sent"]["off_seconds"]) == "12.0"


def test_the_plan_of_a_long_chain_is_that_of_its_end(ledger: Ledger) -> None:
    """A photo in the middle of hours of one every ten seconds travels with those that it would have travelled with."""
    some = [photo(n, capture=Capture(NOON + timedelta(seconds=10 * n), camera_model="X")) for n in range(600)]
    see(ledger, some)
    plans = planner(ledger, UploadSettings(time_tolerance=60.0))
    head = next(iter(ledger.rows("SELECT id FROM entries WHERE photo_id = 305"))).id
    chosen = plans.around(head, 10, ledger.now)
    assert chosen is not None
    assert len(chosen.batch) == 10
    assert len(drain(ledger, plans, 10)) == 60
