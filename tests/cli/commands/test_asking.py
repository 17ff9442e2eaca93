"""`status` and `list`: nothing but the answer on standard output, and a wrong word has its own exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.model import Capture, Position, Unfit, UnfitCode
from tests.cli.conftest import Home
from tests.fakes.ledgers import photo, sighting


def fill(home: Home) -> None:
    with home.ledger() as ledger:
        ledger.see(
            sighting(
                b"a.jpg", photo(1, capture=Capture(camera_model="Canon", position=Position(1.5, -2.0))), root=home.root
            ),
            sighting(b"b.jpg", photo(2), root=home.root),
            sighting(b"\xff\x1b.jpg", photo(3, unfit=Unfit(UnfitCode.EMPTY, "0 bytes")), root=home.root),
            sighting(b"private.jpg", photo(4), root=home.root, unwanted="rule 1 (x) skips it"),
        )
        ledger.store_all(ledger.claim(1, namespace="family", tags=("home",)), 1)


def test_list_has_the_fields_that_programs_rely_on_and_streams_an_array(home: Home) -> None:
    fill(home)
    told = home.call("list", "--json")
    assert (told.code, told.err) == (0, "")
    assert told.out.isascii()
    rows = {Path(row["path"]).name: row for row in told.json}
    assert rows["a.jpg"] == {
        "path": f"{home.library}/a.jpg", "state": "uploaded", "image_id": "7001", "namespace": "family",
        "reason": None, "taken_at": None, "camera_model": "Canon", "latitude": 1.5, "longitude": -2.0, "tags": ["home"],
    }  # fmt: skip
    assert {name: row["state"] for name, row in rows.items()} == {
        "a.jpg": "uploaded", "b.jpg": "ready", "\udcff\x1b.jpg": "unfit", "private.jpg": "withdrawn",
    }  # fmt: skip
    assert rows["private.jpg"]["reason"] == "rule 1 (x) skips it"


@pytest.mark.parametrize(
    ("state", "shown"), [("uploaded", 1), ("ready", 1), ("unfit", 1), ("withdrawn", 1), ("refused", 0), ("sending", 0)]
)
def test_list_of_one_state(home: Home, state: str, shown: int) -> None:
    fill(home)
    assert len(home.call("list", "--json", "--state", state).json) == shown
    lines = home.call("list", "--state", state).out.splitlines()
    assert len(lines) == shown
    assert all(line.startswith(state) and "\x1b" not in line for line in lines)


def test_status_tells_the_same_to_people_and_to_programs(home: Home) -> None:
    fill(home)
    found = home.call("status", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["places"] == 4
    assert found.json["entries"]["uploaded"] == 1
    assert "4 files on disk" in home.call("status").out


@pytest.mark.parametrize("command", [["status"], ["list"], ["why", "/x"], ["resolve"], ["retry", "--all"]])
def test_without_a_ledger_each_says_how_to_get_one(home: Home, command: list[str]) -> None:
    told = home.call(*command)
    assert (told.code, told.out) == (78, "")
    assert "syncd sync" in told.err
    assert list(home.state.iterdir()) == []


def test_a_state_that_is_none_is_named_with_those_that_are(home: Home) -> None:
    fill(home)
    told = home.call("list", "--state", "lost\x1b")
    assert (told.code, told.out) == (2, "")
    assert "uploaded" in told.err
    assert "\x1b" not in told.err


def test_ledger_export_is_one_json_object_a_line(home: Home) -> None:
    fill(home)
    told = home.call("ledger", "export")
    assert told.code == 0
    head, *rows = [json.loads(line) for line in told.out.splitlines()]
    assert head["photos"] == len(rows) == 4
