"""The faults and limits that the sandbox can be told to have, and how they are read from JSON. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, slots=True)
class Switches:
    """How the sandbox behaves. The defaults are a service that works."""

    rate: float | None = None
    """Requests a second that the account may make, uploads and searches each; above it 0429. None: no limit."""
    latency: float = 0.0
    """Seconds that every answer of the service takes longer."""
    credits: int | None = None
    """Images that can still be paid for; each stored one takes 1, and 0402 when they do not suffice. None: no end."""
    lose_every: int | None = None
    """Every n-th good upload is stored, and the connection closed instead of an answer."""
    fail_every: int | None = None
    """Every n-th good upload is answered with HTTP 503 and not stored."""
    batch_cap: int = 10
    """Files that one request may have."""
    indexing_lag: float = 0.0
    """Seconds until the search finds a stored image."""
    key: str | None = None
    """The only key that is accepted. None: any key that begins with sk-."""
    http_statuses: bool = False
    """Failures come with the HTTP status that fits instead of HTTP 200."""


WHOLE = {"credits": 0, "lose_every": 1, "fail_every": 1, "batch_cap": 1}
"""Switches that are whole numbers, with their least value."""
NUMBERS = {"rate", "latency", "indexing_lag"}
OPTIONAL = {"rate", "credits", "lose_every", "fail_every", "key"}
LONGEST = 86_400.0
"""Seconds: no latency or lag is longer than a day."""


def change(switches: Switches, wanted: Mapping[str, object]) -> Switches | tuple[str, ...]:
    """Apply some switches by name, or say everything that is wrong with them (and apply none)."""
    problems = tuple(problem for name, value in wanted.items() if (problem := check(name, value)) is not None)
    # The values were checked one by one above, by the names of the fields.
    return problems or replace(switches, **wanted)  # type: ignore[arg-type]


def check(name: str, value: object) -> str | None:
    """Say what is wrong with one switch, or None."""
    if name not in Switches.__dataclass_fields__:
        return f"there is no switch {name}; there are {', '.join(Switches.__dataclass_fields__)}"
    if value is None and name in OPTIONAL:
        return None
    if name in WHOLE:
        fits = type(value) is int and WHOLE[name] <= value < 2**53
        return None if fits else f"{name} must be a whole number, at least {WHOLE[name]}"
    if name in NUMBERS:
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        fits = 0 < number < math.inf if name == "rate" else 0 <= number <= LONGEST
        return None if fits else f"{name} must be a number, {'above 0' if name == 'rate' else f'0 to {LONGEST:.0f}'}"
    if name == "key":
        return None if isinstance(value, str) and value.isascii() and value.strip() else "key must be a text"
    return None if type(value) is bool else f"{name} must be true or false"


def shown(switches: Switches) -> dict[str, object]:
    """Give the switches as JSON shows them: of the key only whether there is one."""
    return asdict(switches) | {"key": None if switches.key is None else "(set)"}
