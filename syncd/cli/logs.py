"""The log: plain lines for a person, key=value or JSON for a machine, priorities for the journal, no secret in any."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from syncd.cli.output import local_moment, moment
from syncd.printable import printable
from syncd.settings import LogFormat, LogLevel

log = logging.getLogger("syncd")

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""syslog(3) priorities, as the journal reads them at the start of a line (sd-daemon(3))."""


class Redacting(logging.Filter):
    """Keeps a secret out of every log record, whoever wrote it."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace each secret in the finished message."""
        text = record.getMessage()
        for secret in self.secrets:
            if secret in text:
                text = text.replace(secret, "[the API key]")
                record.msg, record.args = text, None
                # What the message was made of holds it, too.
                record.__dict__.pop("syncd", None)
        return True


redacting = Redacting()


class PlainFormatter(logging.Formatter):
    """A line for a person: moment, level where it is worth one, message."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; a traceback on lines of its own."""
        lines = [printable(record.getMessage()), *_trace(self, record)]
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        if self._journal:
            return "\n".join(f"<{_priority(record.levelno)}>{line}" for line in lines)
        lines[0] = f"{local_moment(record.created)} {level}{lines[0]}"
        return "\n".join(lines)


class KeysFormatter(logging.Formatter):
    """A record as key=value on one line; values in quotes where they have to be."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        fields = _fields(self, record, with_time=not self._journal)
        line = " ".join(f"{key}={_value(value)}" for key, value in fields.items())
        return f"<{_priority(record.levelno)}>{line}" if self._journal else line


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, in ASCII."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = json.dumps(_fields(self, record, with_time=True), ensure_ascii=True)
        return f"<{_priority(record.levelno)}>{line}" if self._journal else line


def set_up_logging(level: LogLevel, form: LogFormat) -> None:
    """Send the log to standard error: the program's from `level` on, the libraries' warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form, journal=to_journal(os.environ)))
    handler.addFilter(redacting)
    # Each record would have the stack walked and the process asked for what no line shows (docs.python.org, the HOWTO
    # of logging, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  (as documented there)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(level.upper())


def formatter(form: LogFormat, *, journal: bool) -> logging.Formatter:
    """Give what writes the records. `journal`: each line starts with its priority."""
    if form is LogFormat.AUTO:
        form = LogFormat.KEYS if journal else LogFormat.PLAIN
    kinds: dict[LogFormat, type[PlainFormatter | KeysFormatter | JsonFormatter]] = {
        LogFormat.PLAIN: PlainFormatter,
        LogFormat.KEYS: KeysFormatter,
        LogFormat.JSON: JsonFormatter,
    }
    return kinds[form](journal=journal)


def to_journal(env: Mapping[str, str], fd: int = 2) -> bool:
    """Tell whether standard error goes to the journal (systemd.exec(5): $JOURNAL_STREAM)."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return env.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _fields(form: logging.Formatter, record: logging.LogRecord, *, with_time: bool) -> dict[str, str]:
    told: Mapping[str, Any] = getattr(record, "syncd", {})
    fields = {"time": moment(record.created) or ""} if with_time else {}
    fields["level"] = record.levelname.lower()
    fields |= {key: str(value) for key, value in told.items() if value}
    if not told:
        fields["message"] = printable(record.getMessage())
    trace = _trace(form, record)
    if trace:
        fields["trace"] = "\n".join(trace)
    return fields


def _trace(form: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if not record.exc_info:
        return []
    text = form.formatException(record.exc_info)
    for secret in redacting.secrets:
        text = text.replace(secret, "[the API key]")
    return [printable(line) for line in text.splitlines()]


def _value(text: str) -> str:
    """Quote a value where a blank or a quote would end it."""
    if text and all(character.isprintable() and character not in ' "=\\' for character in text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)
