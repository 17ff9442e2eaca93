"""The log: what a person, the journal and a program read of it, and that no secret is in it."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile

import pytest

from syncd.cli.logs import Redacting, formatter, redacting, to_journal
from syncd.settings import LogFormat


def record(
    message: str = "refused /p/b.jpg: no", level: int = logging.WARNING, **told: str | None
) -> logging.LogRecord:
    made = logging.LogRecord("syncd", level, "", 0, "%s", (message,), None)
    made.created = 1_700_000_000.0
    if told:
        made.syncd = told
    return made


@pytest.mark.parametrize(
    ("form", "journal", "line"),
    [
        (LogFormat.AUTO, True, '<4>level=warning event=refused path="/p/a b.jpg" detail=no'),
        (LogFormat.KEYS, False, 'time=2023-11-14T22:13:20Z level=warning event=refused path="/p/a b.jpg" detail=no'),
        (LogFormat.PLAIN, True, "<4>refused /p/a b.jpg: no"),
        (
            LogFormat.JSON,
            True,
            (
                '<4>{"time": "2023-11-14T22:13:20Z", "level": "warning", "event": "refused", '
                '"path": "/p/a b.jpg", "detail": "no"}'
            ),
        ),
    ],
)
def test_each_format_on_one_line(form: LogFormat, journal: bool, line: str) -> None:  # noqa: FBT001 -- a table
    made = record("refused /p/a b.jpg: no", event="refused", path="/p/a b.jpg", detail="no")
    assert formatter(form, journal=journal).format(made) == line


def test_plain_text_on_a_terminal_has_the_moment_and_the_level() -> None:
    made = formatter(LogFormat.AUTO, journal=False).format(record())
    assert made.endswith(" warning: refused /p/b.jpg: no")
    assert made[:4] == "2023"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_the_journal_gets_syslog_priorities(level: int, priority: int) -> None:
    assert formatter(LogFormat.AUTO, journal=True).format(record(level=level)).startswith(f"<{priority}>")


def test_n1_what_comes_from_outside_cannot_break_a_line_or_forge_a_key() -> None:
    made = formatter(LogFormat.KEYS, journal=True).format(record('evil"\n<0>level=info \x1b[2J'))
    assert made == '<4>level=warning message="evil\\"\\\\x0a<0>level=info \\\\x1b[2J"'
    assert json.loads(formatter(LogFormat.JSON, journal=False).format(record("a\nb")))["message"] == "a\\x0ab"


def test_a_traceback_stays_with_its_record() -> None:
    made = record("it failed", logging.ERROR)
    try:
        int("sk-mavi-sentinel")
    except ValueError:
        made.exc_info = sys.exc_info()
    redacting.secrets.add("sk-mavi-sentinel")
    try:
        lines = formatter(LogFormat.PLAIN, journal=True).format(made).splitlines()
        assert all(line.startswith("<3>") for line in lines)
        assert len(formatter(LogFormat.KEYS, journal=True).format(made).splitlines()) == 1
        assert "sentinel" not in "".join(lines)
    finally:
        redacting.secrets.clear()


def test_the_journal_is_told_by_device_and_inode() -> None:
    with tempfile.TemporaryFile() as file:
        found = os.fstat(file.fileno())
        assert to_journal({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, file.fileno())
        assert not to_journal({"JOURNAL_STREAM": "1:2"}, file.fileno())
        assert not to_journal({}, file.fileno())
    assert not to_journal({"JOURNAL_STREAM": "1:2"}, 987)


def test_p2_the_key_is_in_no_record_whoever_wrote_it() -> None:
    hiding = Redacting()
    hiding.secrets.add("sk-mavi-sentinel")
    made = logging.LogRecord("urllib3", logging.WARNING, "", 0, "header %s", ("sk-mavi-sentinel",), None)
    made.syncd = {"detail": "sk-mavi-sentinel"}
    assert hiding.filter(made)
    for form in LogFormat:
        assert "sentinel" not in formatter(form, journal=False).format(made)
