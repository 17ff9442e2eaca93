"""The status and the result of a sync: the same numbers for people and for programs, and what to do about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.cli.summary import result_json, result_lines, status_json, status_lines
from syncd.daemon.once import Result
from syncd.daemon.rest import Rest
from syncd.ledger.reports import Status, status
from syncd.ledger.sightings import Recorded
from syncd.lifecycle import State
from syncd.model import Unfit, UnfitCode
from syncd.upload.pace import Gate, held_for_a_person, paused
from tests.daemon.test_once import NOTHING
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path, photos=3) as made:
        made.see(sighting(b"cut.jpg", photo(9, unfit=Unfit(UnfitCode.DAMAGED, "cut"))))
        made.see(sighting(b"gone.jpg", photo(10)))
        made.lose(sighting(b"gone.jpg", photo(10)))
        made.upload(1)
        made.leave_unanswered(2, lookup_at=made.now + 60)
        made.territory.scanned(ROOT, 1, {"hidden": 4, "another\x1btype": 2}, made.tick())
        yield made


def test_the_status_has_the_fields_that_programs_rely_on(ledger: Ledger) -> None:
    found = status_json(status(ledger.store))
    assert found["entries"] == {
        "ready": 1, "sending": 0, "uploaded": 1, "unanswered": 1, "refused": 0, "unfit": 1,
    }  # fmt: skip
    wanted = {"withdrawn": 1, "unsettled": 0, "places": 4, "requests": 2, "absent": [], "paused": None}
    assert {name: found[name] for name in wanted} == wanted
    assert found["ignored"] == {"hidden": 4, "another\x1btype": 2}
    assert found["next_lookup"].endswith("Z")


def test_the_status_for_people_adds_up_and_acts_on_no_terminal(ledger: Ledger) -> None:
    lines = list(status_lines(status(ledger.store)))
    assert lines[0].startswith("10 files on disk = 4 places of 5 photos + 6 ignored + 0 unsettled")
    text = "\n".join(lines)
    assert "\x1b" not in text
    for words in ("1 ready", "1 uploaded", "1 unanswered", "1 unfit", "1 withdrawn", "4 hidden", "next look-up"):
        assert words in text
    assert "refused" not in text, "what is not there is not shown"


def test_a_pause_is_shown_with_its_reason_and_when_it_is_tried_again(ledger: Ledger) -> None:
    now = ledger.now
    ledger.queue.set_gate(paused(Gate(), "no credits: \x1bpoints", now).to_json())
    found = status(ledger.store)
    assert status_json(found)["paused"] == "no credits: \x1bpoints"
    text = "\n".join(status_lines(found))
    assert r"no credits: \x1bpoints" in text
    assert "tries again in" in text
    ledger.queue.set_gate(held_for_a_person(Gate(), "another account", now).to_json())
    assert "tries again" not in "\n".join(status_lines(status(ledger.store)))


def test_a_folder_that_could_not_be_looked_into_is_named_until_it_can(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=1) as ledger:
        seen = ledger.territory.note_unseen
        assert seen(ROOT, {b"a\x1b\xff": "Permission denied", b"b": "Permission denied"}) == 2
        assert seen(ROOT, {b"a\x1b\xff": "Permission denied"}) == 0, "an old one is no news"
        assert seen(b"/dropped", {b"c": "Permission denied"}) == 1
        found = status(ledger.store)
        assert seen(ROOT, {}) == 0
        assert status(ledger.store).unseen == ()
    assert status_json(found)["unreadable_folders"] == ["/photos/a\x1b\udcff"]
    (line,) = [line for line in status_lines(found) if "looked into" in line]
    assert r"/photos/a\x1b\xff (Permission denied)" in line


def test_an_absent_root_is_shown_and_in_json_as_a_path(tmp_path: Path) -> None:
    with make_ledger(tmp_path, roots=[b"/p\xff"]) as ledger:
        ledger.territory.set_absent(b"/p\xff", "not mounted", ledger.now)
        found = status(ledger.store)
    assert status_json(found)["absent"] == ["/p\udcff"]
    assert r"/p\xff (not mounted); nothing in it is gone" in "\n".join(status_lines(found))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (NOTHING, ("0 photos uploaded",)),
        (
            replace(NOTHING, outcomes=Counter({State.UPLOADED: 2385}), recorded=Counter({Recorded.KNOWN: 3})),
            ("2,385 photos uploaded, 3 known already",),
        ),
        (replace(NOTHING, outcomes=Counter({State.REFUSED: 1})), ("1 refused", "syncd list --state refused")),
        (replace(NOTHING, outcomes=Counter({State.UNANSWERED: 1})), ("1 unanswered", "not sent again")),
        (replace(NOTHING, recorded=Counter({Recorded.UNFIT: 2})), ("2 unfit", "syncd list --state unfit")),
        (replace(NOTHING, unreadable=1), ("1 could not be read",)),
        (replace(NOTHING, unsettled=4), ("4 still being written",)),
        (replace(NOTHING, rest=Rest.BUDGET), ("daily_uploads",)),
        (replace(NOTHING, owed_later=True), ("1 still owed",)),
        (replace(NOTHING, paused="no credits\x1b"), (r"paused: no credits\x1b",)),
        (replace(NOTHING, interrupted=True), ("interrupted",)),
    ],
)
def test_what_a_sync_came_to_is_said_with_what_to_do(ledger: Ledger, result: Result, words: tuple[str, ...]) -> None:
    counts: Status = status(ledger.store)
    text = "\n".join(result_lines(result, counts))
    assert all(word in text for word in words)
    assert "files on disk" in text, "the status stands below it"
    found = result_json(result, counts)
    assert found["exit_code"] == result.exit_code
    assert found["uploaded"] == result.outcomes[State.UPLOADED]
    assert found["status"] == status_json(counts)
