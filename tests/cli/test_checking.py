"""`check`: everything that could keep syncd from its work is found at once, and nothing is made or sent."""

from __future__ import annotations

import os

import pytest

from syncd.cli.checking import Level, findings
from syncd.daemon.lock import InstanceLock
from tests.cli.conftest import KEY, Home
from tests.fakes.ledgers import photo, sighting


def problems(home: Home) -> dict[str, str]:
    return {found.subject: found.text for found in findings(home.config) if found.level is Level.PROBLEM}


def test_where_all_is_well_nothing_is_a_problem_and_nothing_is_made(home: Home) -> None:
    (home.library / "a.jpg").write_bytes(b"x")
    (home.library / "a.txt").write_bytes(b"x")
    told = home.call("check", "--json")
    assert told.code == 0
    by_subject = {row["subject"]: row for row in told.json}
    assert {row["level"] for row in told.json} <= {"ok", "warning"}
    assert {"configuration", "key", "folder", "disk", "ledger"} <= by_subject.keys()
    assert "1 candidate, 1 ignored" in by_subject["folder"]["text"]
    assert "will be made" in by_subject["ledger"]["text"]
    assert list(home.state.iterdir()) == []
    assert KEY not in told.out + told.err


@pytest.mark.parametrize(
    ("what", "subject"),
    [("no key", "key"), ("gone", "ledger"), ("emptied", "ledger"), ("damaged", "ledger"), ("no folder", "folders")],
)
def test_each_problem_is_found_with_what_to_do(home: Home, what: str, subject: str) -> None:
    with home.ledger() as ledger:
        ledger.see(*(sighting(b"%d.jpg" % n, photo(n), root=home.root) for n in range(9)))
    path = home.state / "ledger.db"
    match what:
        case "no key":
            home.key_file.unlink()
        case "gone":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "damaged":
            path.write_bytes(path.read_bytes()[:100] + os.urandom(60_000))
        case _:
            text = home.config.read_text(encoding="utf-8")
            home.config.write_text(text.partition("[[folder]]")[0], encoding="utf-8")
    told = home.call("check", "--json")
    assert told.code == 78
    (row,) = [row for row in told.json if row["level"] == "problem"]
    assert row["subject"] == subject
    assert row["hint"]


def test_several_problems_are_all_found(home: Home) -> None:
    home.key_file.unlink()
    with home.ledger():
        pass
    (home.state / "ledger.db").unlink()
    assert set(problems(home)) == {"key", "ledger"}


def test_every_problem_of_the_configuration_is_one_finding(home: Home) -> None:
    home.configure('[upload]\npace = "quick"\nin_fligth = 2\n')
    assert home.call("check").code == 78
    found = findings(home.config)
    assert {each.subject for each in found} == {"configuration"}
    assert len(found) >= 2


def test_a_folder_that_is_not_there_is_a_warning_because_it_counts_as_absent(home: Home) -> None:
    home.library.rmdir()
    told = home.call("check")
    assert told.code == 0
    assert "is not there" in told.out
    assert "absent" in told.out


def test_who_is_at_work_is_told(home: Home) -> None:
    with home.ledger():
        pass
    with InstanceLock(home.state / "ledger.db"):
        told = home.call("check")
    assert f"pid {os.getpid()}" in told.out
