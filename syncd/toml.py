"""Reading values out of TOML, so that everything that is wrong is reported at once, each with its place. Pure.

What the keys mean is left to syncd.config. No value of a key that nobody asked for is ever quoted, and whatever looks
like a key of the service is blacked out of every message: it may stand where it does not belong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from syncd.patterns import nearest
from syncd.printable import printable
from syncd.toml_lines import KeyPath, find_lines

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader = Callable[[object], T]

SECRET: Final = re.compile(r"sk-(?:mavi|mai)-[A-Za-z0-9][^\s\"']*")
"""What a key of the service looks like, as far as is known (API.md)."""

_LONGEST_INT: Final = 64
"""Bits. Python refuses to write out much longer numbers, and nobody would read them."""
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "a table"),
)
_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_METRES: Final = {"m": 1, "km": 1000}
_BYTES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class ValueProblemError(ValueError):
    """A value cannot be used: what is wrong with it and what would be right, each below the key that was read."""

    def __init__(self, *problems: tuple[KeyPath, str]) -> None:
        super().__init__(*(text for _, text in problems))
        self.problems = problems


def wrong(text: str) -> ValueProblemError:
    """Make the problem of a value as a whole."""
    return ValueProblemError(((), text))


def shown(value: object) -> str:
    """Give a value as a message quotes it: safe on a terminal, and cut where it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{printable(value, 60)}"'
    if isinstance(value, int) and value.bit_length() > _LONGEST_INT:
        return "a huge number"
    if isinstance(value, int | float):
        return printable(str(value), 60)
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "a date or time")


@dataclass(slots=True)
class Problems:
    """What was found wrong in one file, in the order of its lines."""

    path: Path
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    _found: dict[tuple[int, str], None] = field(default_factory=dict)

    def add(self, key: KeyPath, text: str) -> None:
        """Note what is wrong at a key, or at the nearest table around it that stands in the file."""
        self.add_at(self.line(key), f"{printable(_named(key), 100)}: {text}")

    def add_at(self, line: int, text: str) -> None:
        """Note what is wrong in a line (0: in no line of its own)."""
        place = f"{printable(str(self.path))}:{line}" if line else printable(str(self.path))
        sentence = SECRET.sub("sk-...", f"{place}: {text}")
        self._found[line, sentence] = None

    def line(self, key: KeyPath) -> int:
        """Give the line in which a key stands, or that of the table around it, or 0."""
        return next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 0)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All problems, each with its place."""
        return tuple(sentence for _, sentence in sorted(self._found, key=lambda found: found[0]))


def _named(key: KeyPath) -> str:
    """Name a key as a person finds it: "[upload] pace", "[[folder]] 2, tags, value 3"."""
    if len(key) == 1:
        return str(key[0])
    section, *rest = key
    head = f"[{section}] "
    if rest and isinstance(rest[0], int):
        head = f"[[{section}]] {rest[0] + 1}, "
        rest = rest[1:]
    return (
        head.rstrip(", ") if not rest else head + ", ".join(f"value {p + 1}" if isinstance(p, int) else p for p in rest)
    )


class Table:
    """One table of the file. Hands out values by key, notes what is wrong, and knows which keys nobody asked for."""

    def __init__(self, values: Mapping[str, object], at: KeyPath, problems: Problems) -> None:
        self.at = at
        self.asked: list[str] = []
        self._values = values
        self._problems = problems

    def get(self, key: str, read: Reader[T], default: T) -> T:
        """Give the value of a key, or the default where the key is missing or its value cannot be used."""
        self.asked.append(key)
        if key not in self._values:
            return default
        try:
            return read(self._values[key])
        except ValueProblemError as error:
            for below, text in error.problems:
                self._problems.add((*self.at, key, *below), text)
            return default

    def require(self, key: str, read: Reader[T], placeholder: T, example: str) -> T:
        """Do as `get` does, with a problem where the key is missing."""
        if key not in self._values:
            self._problems.add(self.at, f"{key} is missing; write {key} = {example}")
        return self.get(key, read, placeholder)

    def text(self, key: str) -> str:
        """Give a value just as it stands if it is a text, whatever is wrong with it; else ""."""
        value = self._values.get(key)
        return value if isinstance(value, str) else ""

    @property
    def name(self) -> str:
        """The table as it stands in the file: [name] or [[name]]."""
        return f"[[{self.at[0]}]]" if len(self.at) > 1 else f"[{self.at[0]}]"

    @property
    def unasked(self) -> list[str]:
        """The keys of the file that nobody asked for."""
        return [key for key in self._values if key not in self.asked]


class Document:
    """A TOML file of sections: `[name]` once, `[[name]]` any number of times."""

    broken: bool
    """The text is no TOML; the problems say where, and there are no sections."""

    def __init__(self, text: str, path: Path) -> None:
        self.problems = Problems(path)
        self._values: Mapping[str, object] = {}
        self._tables: list[Table] = []
        self._names: list[str] = []
        self.broken = True
        try:
            self._values = tomllib.loads(text)
            self.problems.lines = find_lines(text)
            self.broken = False
        except tomllib.TOMLDecodeError as error:
            self._note_syntax(str(error), text)
        except (RecursionError, ValueError):  # the latter for a whole number of thousands of digits
            self.problems.add_at(0, "is nested too deeply, or has too long a number, to be a configuration")

    def section(self, name: str) -> Table:
        """Give the section `[name]`, empty where the file has none."""
        self._names.append(name)
        values = self._values.get(name, {})
        if not isinstance(values, dict):
            example = f"[{name}] with single brackets, once" if isinstance(values, list) else f"a section [{name}]"
            self.problems.add((name,), f"must be {example}")
            values = {}
        return self._table(values, (name,))

    def sections(self, name: str) -> list[Table]:
        """Give the sections `[[name]]` in order."""
        self._names.append(name)
        values = self._values.get(name, [])
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            self.problems.add((name,), f"must be [[{name}]] with double brackets: there can be several")
            values = []
        return [self._table(each, (name, index)) for index, each in enumerate(values)]

    def note_unknown(self, explain: Callable[[str], str | None]) -> None:
        """Note every key and section that nobody asked for. `explain` may know better what to do about a key."""
        homes = {key: table.name for table in self._tables for key in table.asked}
        for name in self._values:
            if name in self._names:
                continue
            home = f"; it belongs below {homes[name]}" if name in homes else nearest(name, self._names)
            fallback = f"there is no such section{home or f'; there are {_listed(self._names)}'}"
            self.problems.add((name,), explain(name) or fallback)
        for table in self._tables:
            for key in table.unasked:
                home = f"; it belongs below {homes[key]}" if key in homes else f"; there are {_listed(table.asked)}"
                fallback = f"there is no such key{nearest(key, table.asked) or home}"
                self.problems.add((*table.at, key), explain(key) or fallback)

    def _table(self, values: Mapping[str, object], at: KeyPath) -> Table:
        table = Table(values, at, self.problems)
        self._tables.append(table)
        return table

    def _note_syntax(self, message: str, text: str) -> None:
        found = re.fullmatch(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", message, re.DOTALL)
        line = int(found["line"]) if found else max(1, text.rstrip("\n").count("\n") + 1)
        what = f"column {found['column']}: {found['what']}" if found else message
        hint = 'texts stand in quotes, as in name = "text"; lists in brackets, as in tags = ["one", "two"]'
        self.problems.add_at(line, f"{printable(what, 200)}. This is not TOML ({hint})")


def _listed(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def text(value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise wrong(f"must be a text in quotes, not {shown(value)}")
    if "\0" in value:
        raise wrong("has a NUL character in it; take it out")
    return value


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise wrong(f"must be true or false, without quotes, not {shown(value)}")
    return value


def count(low: int, high: int) -> Reader[int]:
    """Make a reader of whole numbers of a range."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(f"must be a whole number without quotes, not {shown(value)}")
        return _within(value, low, high, shown)

    return read


def choice(options: type[E]) -> Reader[E]:
    """Make a reader of one of the values of an enumeration."""

    def read(value: object) -> E:
        names = [option.value for option in options]
        if not isinstance(value, str) or value not in names:
            listed = " or ".join(f'"{name}"' for name in names)
            raise wrong(f"{shown(value)} is no choice here; write {listed}")
        return options(value)

    return read


def duration(low: float, high: float) -> Reader[float]:
    """Make a reader of durations like "1.5h", in seconds."""

    def read(value: object) -> float:
        found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
        if found is None:
            raise wrong(
                f'{shown(value)} is no duration; write a number and its unit in quotes, like "10s" (ms, s, m, h, d)'
            )
        return _within(float(Decimal(found[1]) * _MILLISECONDS[found[2]] / 1000), low, high, duration_text)

    return read


def duration_text(seconds: float) -> str:
    """Write a duration as the configuration does, in the largest unit that leaves no fraction."""
    milliseconds = round(seconds * 1000)
    if not milliseconds:
        return '"0s"'
    unit = max(
        (unit for unit, each in _MILLISECONDS.items() if milliseconds % each == 0), key=_MILLISECONDS.__getitem__
    )
    return f'"{milliseconds // _MILLISECONDS[unit]}{unit}"'


def size(low: int, high: int) -> Reader[int]:
    """Make a reader of sizes: bytes as a whole number, or a text like "64MB" (decimal units)."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return _within(value, low, high, shown)
        found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(B|KB|MB|GB)", value) if isinstance(value, str) else None
        if found is None:
            raise wrong(
                f'{shown(value)} is no size; write bytes as a whole number, or a text like "64MB" (KB, MB, GB; decimal)'
            )
        return _within(int(Decimal(found[1]) * _BYTES[found[2]]), low, high, shown)

    return read


def distance(low: float, high: float) -> Reader[float]:
    """Make a reader of distances like "100m" or "1.5km", in metres."""

    def read(value: object) -> float:
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(m|km)", value) if isinstance(value, str) else None
        if found is None:
            raise wrong(f'{shown(value)} is no distance; write a number and its unit in quotes, like "100m" (m, km)')
        return _within(float(Decimal(found[1]) * _METRES[found[2]]), low, high, lambda metres: f'"{metres:g}m"')

    return read


def each(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Make a reader of lists whose values `read` reads. Every value that is wrong is reported."""

    def read_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise wrong(f'must be a list in brackets, like ["one", "two"], not {shown(value)}')
        values: list[T] = []
        problems: list[tuple[KeyPath, str]] = []
        for index, member in enumerate(value):
            try:
                values.append(read(member))
            except ValueProblemError as error:
                problems += [((index, *below), text) for below, text in error.problems]
        if problems:
            raise ValueProblemError(*problems)
        return tuple(values)

    return read_all


N = TypeVar("N", int, float)


def _within(value: N, low: N, high: N, write: Callable[[N], str]) -> N:
    if not low <= value <= high:
        raise wrong(f"{write(value)} is out of range; it can be from {write(low)} to {write(high)}")
    return value
