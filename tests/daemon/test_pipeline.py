"""What comes before the first scan: what a dead process left is settled, and settings that changed are applied."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.daemon.pipeline import OTHER_ACCOUNT
from syncd.daemon.voice import Said
from syncd.lifecycle import State
from syncd.settings import ApiSettings, RuleSettings, Settings
from syncd.upload.pace import Gate, paused
from tests.fakes.executor import StepExecutor
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig
from tests.fakes.service import Act, Died

KEY = "sk-mavi-one"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as made:
        made.write("a.jpg", photo_bytes("a"))
        made.write("private/b.jpg", photo_bytes("b", more="x" * 500))
        made.scan()
        yield made


def test_b2_what_was_under_way_is_settled_and_said(rig: Rig) -> None:
    rig.service.acts.append(Act.DIES_STORED)
    with pytest.raises(Died):
        rig.pump()
    rig.restart()
    assert rig.count(State.UNANSWERED) >= 1
    assert rig.count(State.SENDING) == 0
    assert "under way when syncd ended" in rig.voice.details(Said.UNANSWERED)[0]


def test_b2_what_had_not_left_is_owed_again_and_said(rig: Rig) -> None:
    rig.executor = StepExecutor(inline=False)
    rig.restart()
    rig.dispatch.turn()
    for flight in rig.dispatch._flights:
        for file in flight.files:
            os.close(file.fd)  # as the kernel does for a process that died
    rig.executor = StepExecutor()
    rig.restart()
    assert rig.count(State.READY) == 2
    assert "not sent completely" in rig.voice.details(Said.NOT_SENT)[0]
    rig.drain()
    assert set(rig.service.billed().values()) == {1}


def test_rules_and_limits_that_changed_hold_from_the_start(rig: Rig) -> None:
    rig.rules = (RuleSettings("private/**", skip=True),)
    rig.restart()
    assert rig.pipeline.status().withdrawn == 1
    rig.rules = ()
    rig.upload = replace(rig.upload, max_file_bytes=200)
    rig.restart()
    assert rig.states() == {"a.jpg": State.READY, "private/b.jpg": State.UNFIT}
    rig.upload = replace(rig.upload, max_file_bytes=20_000)
    rig.restart()
    assert set(rig.states().values()) == {State.READY}


def test_what_was_put_off_is_due_at_a_start(rig: Rig) -> None:
    rig.service.always = Act.REFUSED
    for _ in range(5):
        idle = rig.pump()
        rig.clock.advance(max(0.01, (idle.until or 0.0) - rig.clock.now()))
    rig.pump()
    rig.restart()
    due = rig.queue.next_due()
    assert due is not None
    assert due <= rig.clock.now()


def prepared(rig: Rig, key: str, url: str = "https://one") -> Gate:
    settings: Settings = replace(rig.pipeline.settings, api=ApiSettings(base_url=url))
    replace(rig.pipeline, settings=settings).prepare(key)
    return rig.dispatch.gate


def test_another_account_pauses_until_a_person_speaks_or_the_first_one_is_back(rig: Rig) -> None:
    assert prepared(rig, KEY).pause is None
    rig.pump()
    sent = len(rig.service.requests)
    assert sent
    for key, url in (("sk-mavi-two", "https://one"), (KEY, "https://two")):
        pause = prepared(rig, key, url).pause
        assert pause is not None
        assert pause.probe_at is None
        assert pause.reason.startswith(OTHER_ACCOUNT)
        assert "syncd ledger account --same" in pause.reason
        assert key not in pause.reason
        rig.pump()
        assert len(rig.service.requests) == sent
        assert prepared(rig, KEY).pause is None


def test_a_key_that_is_put_right_before_anything_is_stored_is_asked_about_by_nobody(rig: Rig) -> None:
    assert prepared(rig, "sk-mavi-slip").pause is None
    assert prepared(rig, KEY).pause is None


def test_the_same_account_ends_no_other_pause(rig: Rig) -> None:
    prepared(rig, KEY)
    rig.queue.set_gate(paused(Gate(), "no credits", rig.clock.now()).to_json())
    rig.restart()
    pause = prepared(rig, KEY).pause
    assert pause is not None
    assert pause.reason == "no credits"
