"""The voice of a run: a line for each photo that changes state, safe on any terminal, without the key."""

from __future__ import annotations

import logging

import pytest

from syncd.cli.telling import PlainVoice, line
from syncd.daemon.voice import Said


def test_n1_a_name_cannot_act_on_a_terminal_or_break_a_line() -> None:
    told = line(Said.UPLOADED, b"/p/\x1b[2J\n\xff\xe2\x80\xaeevil.jpg", "image\x07")
    assert told.isprintable()
    assert "\\x1b" in told
    assert "\\xff" in told
    assert "\\u202e" in told


def test_what_needs_a_person_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="syncd"):
        voice = PlainVoice()
        voice.say(Said.UPLOADED, b"/p/a.jpg", "1")
        voice.say(Said.REFUSED, b"/p/b.jpg", "no")
        voice.say(Said.KNOWN, b"/p/c.jpg", "")
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "DEBUG"]
