"""What a file is read as, and what is not read at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from syncd.daemon.reading import order_at
from syncd.daemon.voice import Said
from syncd.ledger.reports import status
from syncd.ledger.sightings import Recorded
from syncd.lifecycle import State
from syncd.model import Capture, Look
from syncd.settings import RuleSettings
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        os.mkfifo,
        lambda path: path.mkdir(),
    ],
    ids=["a link", "a pipe", "a folder"],
)
def test_n2_what_is_no_regular_file_is_never_read(rig: Rig, make: Callable[[Path], None]) -> None:
    make(rig.root / "a.jpg")
    rig.scan()
    rig.intake.look_at([rig.place("a.jpg")])
    rig.intake.settle()
    assert (rig.states(), rig.reader.reads) == ({}, 0)


def test_e4_what_is_damaged_is_unfit_until_its_bytes_change(rig: Rig) -> None:
    path = rig.write("a.jpg", photo_bytes("a", fit=False))
    rig.scan()
    assert rig.states() == {"a.jpg": State.UNFIT}
    assert rig.intake.tally.recorded[Recorded.UNFIT] == 1
    path.write_bytes(photo_bytes("a whole one"))
    rig.scan()
    rig.let_settle()
    assert rig.states() == {"a.jpg": State.READY}


def test_what_is_too_large_for_the_setting_is_unfit_with_both_numbers(rig: Rig) -> None:
    rig.upload = replace(rig.upload, max_file_bytes=50)
    rig.restart()
    rig.write("small.jpg", photo_bytes("a"))
    rig.write("large.jpg", photo_bytes("b", more="x" * 100))
    rig.scan()
    assert rig.states() == {"small.jpg": State.READY, "large.jpg": State.UNFIT}
    assert "max_file_bytes is 50" in rig.voice.details(Said.UNFIT)[0]


def test_what_a_rule_keeps_at_home_is_recorded_and_not_owed(rig: Rig) -> None:
    rig.rules = (RuleSettings("private/**", skip=True),)
    rig.restart()
    rig.write("private/a.jpg", photo_bytes("a"))
    rig.scan()
    assert rig.queue.next_due() is None
    assert status(rig.store).withdrawn == 1
    assert "not to be uploaded" in rig.voice.details(Said.RECORDED)[0]


WHEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 -- a camera's wall clock has no zone


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (None, 5.0),
        (WHEN.replace(year=2020), 1_588_748_889.0),
        (WHEN.replace(year=1900), -2_198_163_111.0),
        (WHEN.replace(year=2123), 5.0),
    ],
)
def test_the_order_is_the_capture_time_or_mtime_where_that_cannot_be(taken: datetime | None, expected: float) -> None:
    assert order_at(Capture(taken_at=taken), Look(1, 5_000_000_000, 7, 8, 9), NOW) == expected
