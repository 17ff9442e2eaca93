"""`retry` and `resolve`: what they take, what they refuse, and that they say what they did."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.ledger.queue import Answer, Receipt
from syncd.lifecycle import Outcome, State
from tests.cli.conftest import Home
from tests.fakes.ledgers import photo, sighting


@pytest.fixture
def filled(home: Home) -> Home:
    """One photo each: uploaded (7001), unanswered, refused, ready."""
    with home.ledger() as ledger:
        ledger.see(*(sighting(b"%d.jpg" % n, photo(n), root=home.root) for n in (1, 2, 3, 4)))
        ledger.upload(1)
        ledger.leave_unanswered(2, lookup_at=ledger.now + 60)
        ledger.answer(ledger.claim(3), Answer(Outcome.REJECTED), Receipt(3, State.REFUSED, "bad\x1bpicture"))
    return home


def states(home: Home) -> dict[str, str]:
    return {Path(row["path"]).stem: row["state"] for row in home.call("list", "--json").json}


BEFORE = {"1": "uploaded", "2": "unanswered", "3": "refused", "4": "ready"}


@pytest.mark.parametrize(
    ("command", "words", "after"),
    [
        (["retry", "{3}"], "1 photo will be tried again", {"3": "ready"}),
        (["retry", "--all"], "1 photo will be tried again", {"3": "ready"}),
        (["retry", "{1}", "{2}", "{4}"], "0 photos", {}),
        (["resolve", "--dismiss", "{2}"], "1 photo settled", {"2": "refused"}),
        (["resolve", "--resend", "{2}"], "1 photo settled", {"2": "ready"}),
        (["resolve", "--stored", "568102998803353601", "{2}"], "1 photo settled", {"2": "uploaded"}),
        (["resolve", "--resend", "{1}", "{2}", "{3}"], "2 files left as they are", {"2": "ready"}),
    ],
)
def test_what_a_person_decides(filled: Home, command: list[str], words: str, after: dict[str, str]) -> None:
    told = filled.call(*(path(filled, word) for word in command))
    assert told.code == 0, told.err
    assert words in told.out
    assert states(filled) == BEFORE | after


@pytest.mark.parametrize(
    "command",
    [
        ["retry"],
        ["retry", "--all", "{3}"],
        ["retry", "{9}"],
        ["retry", "/etc/hostname"],
        ["resolve", "{2}"],
        ["resolve", "--resend"],
        ["resolve", "--resend", "--dismiss", "{2}"],
        ["resolve", "--stored", "5", "{2}", "{3}"],
        ["resolve", "--stored", "12x", "{2}"],
        ["resolve", "--stored", "7001", "{2}"],
        ["resolve", "--resend", "{9}"],
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(filled: Home, command: list[str]) -> None:
    told = filled.call(*(path(filled, word) for word in command))
    assert (told.code, told.out) == (2, "")
    assert told.err
    assert states(filled) == BEFORE


def test_resolve_alone_names_what_waits(filled: Home) -> None:
    told = filled.call("resolve")
    assert f"{filled.library}/2.jpg  no answer" in told.out
    assert "--stored ID" in told.out
    filled.call("resolve", "--dismiss", path(filled, "{2}"))
    assert "no photo is unanswered" in filled.call("resolve").out


def path(home: Home, word: str) -> str:
    return str(home.library / f"{word[1:-1]}.jpg") if word.startswith("{") else word
