"""How syncd speaks: standard output for answers, standard error for messages; nothing foreign acts on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from syncd.errors import ConfigError, SyncdError
from syncd.figures import amount, duration, local_moment, size
from syncd.printable import printable

__all__ = [
    "amount",
    "answer",
    "answer_json",
    "answer_json_array",
    "complain",
    "duration",
    "local_moment",
    "message",
    "moment",
    "size",
]


def answer(line: str = "") -> None:
    """Print a line of an answer. Whatever is in it, it stays one line and acts on no terminal."""
    sys.stdout.write(printable(line) + "\n")


def message(line: str) -> None:
    """Print a message for the person, beside the answer: one line, that acts on no terminal."""
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def answer_json(value: Any) -> None:
    """Print a JSON answer: ASCII alone, so that a path that is not UTF-8 is a surrogate escape."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, allow_nan=False, indent=2) + "\n")


def answer_json_array(values: Iterable[Any]) -> None:
    """Print a JSON array one object a line, without holding it in memory."""
    separator = "[\n"
    for value in values:
        sys.stdout.write(separator + json.dumps(value, ensure_ascii=True, allow_nan=False))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def complain(error: SyncdError) -> None:
    """Print an error: what happened, every problem of a configuration, what to do."""
    message(f"syncd: {printable(error.message)}")
    if isinstance(error, ConfigError):
        for problem in error.problems:
            message(f"  {printable(problem)}")
    if error.hint:
        message(f"  -> {printable(error.hint)}")


def moment(seconds: float | None) -> str | None:
    """Write a moment for JSON: ISO 8601, UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
