"""Words of the command line that need reading: durations, paths."""

from __future__ import annotations

import os
import re
from typing import Final

from syncd.errors import UsageError
from syncd.printable import printable

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str, option: str) -> float:
    """Read a duration as the configuration writes it ("90s", "5m"), or plain seconds."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|)", text)
    if found is None:
        raise UsageError(f"{option} {printable(text)} is no duration", hint="write it like 30s, 5m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def metres_of(text: str, option: str) -> float:
    """Read a distance as the configuration writes it ("100m", "1.5km"), or plain metres."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(m|km|)", text)
    if found is None:
        raise UsageError(f"{option} {printable(text)} is no distance", hint="write it like 100m or 1.5km")
    return float(found[1]) * (1000.0 if found[2] == "km" else 1.0)


def absolute(path: str) -> bytes:
    """Give an absolute path without `.` and `..`, links unresolved: the form in which the ledger knows places."""
    return os.path.normpath(os.path.join(os.getcwdb(), os.fsencode(path)))  # noqa: PTH109, PTH118  (bytes)
