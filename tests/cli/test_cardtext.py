"""The verdict in a sentence, for every way in which a card can stand."""

from __future__ import annotations

import json

import pytest

from syncd.card.layout import CardFile
from syncd.card.report import Finding, Report, Sending, Standing
from syncd.cli.carding import Outcome
from syncd.cli.cardtext import report_json, report_lines, sentence


def outcome(report: Report, *, whole: bool = True) -> Outcome:
    return Outcome(b"/media/\xffCARD", "CARD\x1b", whole, (b"/photos",), report)


def finding(standing: Standing, sending: Sending = Sending.NOT_SENT, name: bytes = b"a\x1b[2J.jpg") -> Finding:
    return Finding(CardFile(b"DCIM", name, 7, 0), standing, "why\nnot", sending=sending)


@pytest.mark.parametrize(
    ("state", "found", "said"),
    [
        ({}, [], "SAFE TO FORMAT: there is no file on it."),
        ({}, [Standing.KNOWN], "SAFE TO FORMAT: its one file has a verified copy."),
        ({}, [Standing.KNOWN, Standing.COPIED], "SAFE TO FORMAT: each of the 2 files has a verified copy."),
        ({}, [Standing.NEW], "NOT SAFE TO FORMAT: 1 file has no verified copy; it is named above."),
        ({}, [Standing.NEW] * 2, "NOT SAFE TO FORMAT: 2 files have no verified copy; they are named above."),
        ({"stopped": "the card was pulled"}, [Standing.COPIED], "NOT SAFE TO FORMAT: the card was pulled."),
        ({"interrupted": True}, [Standing.COPIED], "NOT SAFE TO FORMAT: interrupted. 1 file safe so far"),
        ({"changed": True}, [Standing.COPIED], "NOT SAFE TO FORMAT: files on the card came, went or changed"),
    ],
)
def test_sentences(state: dict[str, object], found: list[Standing], said: str) -> None:
    report = Report(**state)  # type: ignore[arg-type]  # one of its fields
    for standing in found:
        report.add(finding(standing))
    assert sentence(outcome(report)).startswith(said)


@pytest.mark.parametrize(
    ("sending", "said"),
    [
        (
            Sending.UPLOADED,
            "SAFE TO FORMAT: its one file has a verified copy, and each photo that is to be sent is uploaded.",
        ),
        (Sending.OWED, "NOT YET: every file has a verified copy, but 1 photo is not uploaded; it is named above."),
        (Sending.HELD, "NOT YET: every file has a verified copy, but 1 photo waits for a person"),
    ],
)
def test_sentences_with_uploads(sending: Sending, said: str) -> None:
    report = Report(wants_uploads=True)
    report.add(finding(Standing.KNOWN, sending))
    assert sentence(outcome(report)).startswith(said)


def test_a_part_of_a_card_is_not_called_the_card() -> None:
    report = Report()
    report.add(finding(Standing.KNOWN))
    assert "not of what lies beside it" in sentence(outcome(report, whole=False))


def test_every_unsafe_file_is_named_and_nothing_foreign_acts_on_a_terminal() -> None:
    report = Report()
    for number in range(50):
        report.add(finding(Standing.UNREADABLE, name=b"\x1b%d\n.jpg" % number))
    lines = list(report_lines(outcome(report)))
    assert all(line.isprintable() for line in lines)
    assert sum("DCIM/" in line for line in lines) == 50


def test_the_json_is_whole_and_ascii() -> None:
    report = Report()
    report.add(finding(Standing.LOST))
    text = json.dumps(report_json(outcome(report)))
    assert text.isascii()
    found = json.loads(text)
    assert found["exit_code"] == 3
    assert found["counts"]["copy lost"] == 1
    assert found["not_safe"][0]["path"] == "DCIM/a\x1b[2J.jpg"
