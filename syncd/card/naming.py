"""Where a copy goes: the template, and names that are free. Pure.

Values come from cameras, cards and their users, and are made harmless: none brings a slash, a control character, a
leading dot or more than one component. A name of a file stays as it is, byte for byte.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from syncd.card.layout import CardFile, Group, stem
from syncd.errors import UsageError
from syncd.printable import printable

REST: Final = "Card files"
"""The folder for what keeps its own folders: structures of video cameras, databases, whatever else lies on a card."""

WORDS: Final = frozenset(
    {"year", "month", "day", "hour", "minute", "second", "name", "camera", "sequence", "label", "imported"}
)
LONGEST_NAME: Final = 255
"""Bytes of one component (NAME_MAX)."""
_LONGEST_VALUE: Final = 80
_HARMLESS: Final = frozenset(" ._-+,@")
_WORD: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a group when it gets its name."""

    taken_at: datetime
    """The camera's wall clock."""
    camera: str
    """The model; "" where no file of the group names it."""
    sequence: int
    """The number of the group in this import, from 1."""
    label: str
    imported: datetime
    """When the import began, in the machine's zone."""


@dataclass(frozen=True, slots=True)
class Template:
    """A path below the destination with words in braces. The last component is the name, without its extension."""

    text: str
    _folders: tuple[str, ...]
    _name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a template. Raises UsageError that says what is wrong with it."""
        problem = _problem(text)
        if problem:
            raise UsageError(
                f"the template {printable(text)} cannot be used: {problem}",
                hint="a template is like {year}/{month}/{day}/{name}; the words are " + ", ".join(sorted(WORDS)),
            )
        *folders, name = text.split("/")
        return cls(text, tuple(folders), name)

    def place(self, group: Group, told: Told) -> tuple[bytes, bytes]:
        """Give the folder below the destination and the stem that the files of a group get."""
        values = _values(told)
        if group.keeps_folders:
            top = f"{values['imported']} {values['label']}"
            return b"/".join(filter(None, (REST.encode(), os.fsencode(top), group.files[0].folder))), group.stem
        folders = [os.fsencode(_component(_filled(part, {**values, "name": ""}))) for part in self._folders]
        before, word, after = self._name.partition("{name}")
        name = os.fsencode(_filled(before, values))
        if word:
            name += group.stem + os.fsencode(_filled(after, values))
        return b"/".join(folders), name or b"_"


def name_of(file: CardFile, group: Group, given: bytes) -> bytes:
    """Give the name of one file of a group that got a stem: what its own name has behind the group's stem stays."""
    rest = file.name[len(group.stem) :] if file.name.lower().startswith(group.stem.lower()) else _suffix(file.name)
    return given[: LONGEST_NAME - len(rest)] + rest


def free_names(group: Group, given: bytes, is_taken: Callable[[CardFile, bytes], bool]) -> Mapping[CardFile, bytes]:
    """Give each file of a group a name that is not taken, all with the same stem: IMG_1, IMG_1-2, IMG_1-3, ..."""
    for candidate in numbered(given, longest=max(len(file.name) - len(group.stem) for file in group.files)):
        names = {file: name_of(file, group, candidate) for file in group.files}
        if not any(is_taken(file, name) for file, name in names.items()):
            return names
    raise AssertionError("unreachable: numbers do not end")


def numbered(given: bytes, *, longest: int) -> Iterator[bytes]:
    """Give a stem, then the stem with -2, -3, ...; cut where the name with the longest ending would be too long."""
    number = 1
    while True:
        mark = b"" if number == 1 else b"-%d" % number
        yield given[: max(1, LONGEST_NAME - max(0, longest) - len(mark))] + mark
        number += 1


def safe_label(text: str) -> str:
    """Make the label of a card harmless as one component of a path; "card" where nothing is left of it."""
    return _component(text) if text.strip(" ._/") else "card"


def _problem(text: str) -> str:
    """Say what is wrong with a template; "" where nothing is."""
    parts = text.split("/")
    last = parts[-1]
    unknown = next((word for word in _WORD.findall(text) if word not in WORDS), None)
    problems = {
        "it is to be a path below the destination": not text or text.startswith("/") or "\0" in text,
        f"{{{unknown}}} is none of its words": unknown is not None,
        "a brace is not closed": any(brace in _WORD.sub("", text) for brace in "{}"),
        "a component is empty, or begins with a dot, and would be hidden": any(
            not part or part.startswith(".") for part in parts
        ),
        "{name} belongs into the last component": "{name}" in "/".join(parts[:-1]),
        "its last component has neither {name} nor {sequence}: files could not be told apart": (
            "{name}" not in last and "{sequence}" not in last
        ),
    }
    return next((problem for problem, is_one in problems.items() if is_one), "")


def _values(told: Told) -> dict[str, str]:
    taken = told.taken_at
    return {
        "year": f"{taken.year:04}",
        "month": f"{taken.month:02}",
        "day": f"{taken.day:02}",
        "hour": f"{taken.hour:02}",
        "minute": f"{taken.minute:02}",
        "second": f"{taken.second:02}",
        "camera": _component(told.camera) if told.camera else "unknown camera",
        "sequence": f"{told.sequence:04}",
        "label": safe_label(told.label),
        "imported": f"{told.imported:%Y-%m-%d}",
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _WORD.sub(lambda found: values[found[1]], text)


def _component(text: str) -> str:
    """Make a text harmless as one component: letters and digits of any script, and a little that no shell reads."""
    spaced = "".join(" " if c.isspace() else c for c in text)
    kept = "".join(c if (c.isalnum() or c in _HARMLESS or _is_mark(c)) and printable(c) == c else "_" for c in spaced)
    cut = kept.strip().encode("utf-8", "replace")[:_LONGEST_VALUE].decode("utf-8", "ignore").rstrip(" .")
    return "_" + cut[1:] if cut.startswith((".", "-")) else cut or "_"


def _is_mark(character: str) -> bool:
    """Tell whether it belongs to the letter before it (an accent, a vowel sign)."""
    return unicodedata.category(character) in {"Mn", "Mc"}


def _suffix(name: bytes) -> bytes:
    own = stem(name)
    return name[len(own) :]
