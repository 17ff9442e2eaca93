"""`why PATH`: one answer for each thing that can be true of a path, and the trail that led to it."""

from __future__ import annotations

import os

import pytest

from syncd.ledger.queue import Answer, Receipt
from syncd.ledger.territory import AsideReason
from syncd.lifecycle import Outcome, State
from syncd.model import PlacePath
from tests.cli.conftest import Home, Told
from tests.fakes.ledgers import photo, sighting


def why(home: Home, name: str) -> Told:
    return home.call("why", "--json", str(home.library / name))


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("missing.jpg", "unknown", "no such file"),
        ("new.jpg", "unknown", "next scan"),
        ("note.txt", "ignored", ""),
        ("exports/a.jpg", "ignored", "exports"),
        (".hidden.jpg", "ignored", ""),
        ("link.jpg", "ignored", "symbolic link"),
        ("folder.jpg", "folder", "a folder"),
        ("", "folder", "a watched folder"),
        ("fifo.jpg", "ignored", "not a regular file"),
        ("linked/new.jpg", "ignored", "behind the symbolic link"),
        ("new.jpg/inside.jpg", "unknown", "no such file"),
        ("n" * 300, "unknown", "cannot be looked at"),
        ("slow.jpg", "unsettled", "written"),
        ("locked.jpg", "unreadable", "permission"),
        ("../elsewhere.jpg", "not watched", "none of the configured folders"),
    ],
)
def test_what_is_no_photo_has_its_reason(home: Home, name: str, state: str, words: str) -> None:
    with home.ledger() as ledger:
        found = [
            ("slow.jpg", AsideReason.UNSETTLED, "it may be written"),
            ("locked.jpg", AsideReason.UNREADABLE, "no permission"),
        ]
        ledger.territory.put_aside([(PlacePath(home.root, b"", n.encode()), r, d) for n, r, d in found], ledger.now)
    for each in ("new.jpg", "note.txt", ".hidden.jpg", "slow.jpg", "locked.jpg", "exports/a.jpg"):
        path = home.library / each
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (home.library / "link.jpg").symlink_to("new.jpg")
    (home.library / "linked").symlink_to(".")
    (home.library / "folder.jpg").mkdir()
    os.mkfifo(home.library / "fifo.jpg")
    told = why(home, name)
    assert told.code == 0
    assert (told.json["state"], told.json["image_id"], told.json["entries"]) == (state, None, [])
    assert words in told.json["reason"]
    assert told.json["reason"] in home.call("why", str(home.library / name)).out


def test_the_whole_way_of_a_photo_is_told(home: Home) -> None:
    with home.ledger() as ledger:
        ledger.see(sighting(b"a.jpg", photo(1), root=home.root), sighting(b"copy.jpg", photo(1), root=home.root))
        first = ledger.claim(1)
        ledger.answer(first, Answer(Outcome.NOT_SENT), Receipt(1, State.READY, "no route"))
        ledger.store_all(ledger.claim(1, namespace="family", tags=("home",)), 1)
    told = why(home, "a.jpg").json
    assert (told["state"], told["image_id"], told["sha256"]) == ("uploaded", "7001", photo(1).digest)
    (entry,) = told["entries"]
    assert [move["to"] for move in entry["history"]] == ["ready", "sending", "ready", "sending", "uploaded"]
    assert [request["outcome"] for request in entry["requests"]] == ["not sent", "stored"]
    assert all(request["marker"].startswith("syncd-") for request in entry["requests"])
    assert entry["sent"] == {"unique_id": "family", "tags": ["home"]}
    lines = home.call("why", str(home.library / "a.jpg")).out
    for words in ("uploaded", "image id      7001 in namespace family", "copy.jpg", "no route", "tags="):
        assert words in lines


def test_n1_an_odd_name_is_shown_safely_and_given_exactly(home: Home) -> None:
    name = b"\x1b[2J\xff\n.jpg"
    with home.ledger() as ledger:
        ledger.see(sighting(name, photo(1), root=home.root))
    asked = os.fsdecode(home.root + b"/" + name)
    told = home.call("why", "--json", asked)
    assert told.out.isascii()
    assert told.json["path"] == asked
    assert told.json["state"] == "ready"
    lines = home.call("why", asked).out
    assert r"\x1b[2J\xff\x0a.jpg" in lines
    assert "\x1b" not in lines
