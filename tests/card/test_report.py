"""The verdict: when a card is safe, and which exit code says so."""

from __future__ import annotations

import pytest

from syncd.card.layout import CardFile
from syncd.card.report import Finding, Report, Sending, Standing


def finding(standing: Standing, sending: Sending = Sending.NOT_SENT) -> Finding:
    return Finding(CardFile(b"", b"a", 7, 0), standing, "why", sending=sending)


@pytest.mark.parametrize("standing", Standing)
def test_one_file_without_a_verified_copy_makes_the_card_unsafe(standing: Standing) -> None:
    report = Report()
    report.add(finding(Standing.COPIED))
    report.add(finding(standing))
    safe = standing in {Standing.COPIED, Standing.KNOWN}
    assert report.is_safe is safe
    assert report.exit_code == (0 if safe else 3)
    assert len(report.unsafe) == (not safe)
    assert (report.files, report.size) == (2, 14)


@pytest.mark.parametrize(
    ("sending", "code"),
    [(Sending.UPLOADED, 0), (Sending.NOT_SENT, 0), (Sending.OWED, 75), (Sending.HELD, 3)],
)
def test_uploads_count_only_where_they_are_asked_for(sending: Sending, code: int) -> None:
    for asked in (False, True):
        report = Report(wants_uploads=asked)
        report.add(finding(Standing.KNOWN, sending))
        assert report.exit_code == (code if asked else 0)


@pytest.mark.parametrize(
    ("changes", "code"), [({"stopped": "pulled"}, 3), ({"interrupted": True}, 75), ({"changed": True}, 3)]
)
def test_what_was_not_seen_to_its_end_is_not_safe(changes: dict[str, object], code: int) -> None:
    report = Report(**changes)  # type: ignore[arg-type]  # one of its fields
    report.add(finding(Standing.COPIED))
    assert not report.is_safe
    assert report.exit_code == code
