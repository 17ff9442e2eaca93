"""The small languages of the configuration: globs on paths and names, and tags with placeholders. Pure.

All texts are compared in Unicode's composed form (NFC). One word can be stored in two ways (macOS decomposes names,
Linux keeps what it was given), and a rule that keeps "Privé/" at home must not depend on which of the two a folder has.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

CAPTURE_WORDS: Final = ("year", "month", "day", "camera", "folder", "path")
"""The placeholders that every tag may use, whatever the rule captured."""

_WORD: Final = re.compile(r"[^\W\d]\w*")
_PIECES: Final = re.compile(r"(?P<open>\{\{)|(?P<close>\}\})|\{(?P<word>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")


class PatternError(ValueError):
    """A glob or a tag that cannot be read. The message says what is wrong and what would be right."""


def composed(text: str) -> str:
    """Give the text in composed form (NFC), in which all comparing is done."""
    return unicodedata.normalize("NFC", text)


def nearest(word: str, known: Iterable[str]) -> str:
    """Give the end of a message that names the known word most like this one, or nothing if none is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def glob_matches(glob: str, text: str) -> bool:
    """Tell whether `*` (any run of characters) and `?` (one character) make the glob the whole text.

    Goes back to the last star only, which is enough, so that the time is at most len(glob) * len(text).
    """
    literal = glob[1:]
    if glob[:1] == "*" and "*" not in literal and "?" not in literal:
        return text.endswith(literal)  # "*.png": a million names are asked for it
    g = t = 0
    star, resume = -1, 0
    while t < len(text):
        if g < len(glob) and glob[g] == "*":
            star, resume = g, t
            g += 1
        elif g < len(glob) and glob[g] in ("?", text[t]):
            g, t = g + 1, t + 1
        elif star >= 0:
            resume += 1
            g, t = star + 1, resume
        else:
            return False
    return not glob[g:].strip("*")


@dataclass(frozen=True, slots=True)
class _AnyDepth:
    """`**`: any number of segments, none included."""


@dataclass(frozen=True, slots=True)
class _Captured:
    """`{word}`: one whole segment, which tags may then name."""

    word: str


@dataclass(frozen=True, slots=True)
class _Glob:
    """One segment of literal text, `*` and `?`."""

    text: str


_Segment = _AnyDepth | _Captured | _Glob


@dataclass(frozen=True, slots=True)
class PathGlob:
    """The `match` of a rule: a glob on the path of a file below its watched folder."""

    text: str
    segments: tuple[_Segment, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a glob, or raise PatternError."""
        if not text.strip():
            raise PatternError('it is empty; "**" matches every file')
        if text.startswith("/"):
            raise PatternError(f'it is relative to the watched folder: leave out the first "/" and write "{text[1:]}"')
        if text.endswith("/"):
            raise PatternError(f'it has to match files: write "{text}**" for all that is in the folder')
        segments: list[_Segment] = []
        for part in composed(text).split("/"):
            segment = _segment(part)
            if not (isinstance(segment, _AnyDepth) and segments[-1:] == [segment]):
                segments.append(segment)
        words = [segment.word for segment in segments if isinstance(segment, _Captured)]
        for word in words:
            if words.count(word) > 1:
                raise PatternError(f"it captures {{{word}}} more than once; give each a name of its own")
        return cls(text, tuple(segments))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that a match captures."""
        return tuple(segment.word for segment in self.segments if isinstance(segment, _Captured))

    @property
    def may_capture_name(self) -> str | None:
        """The word, if there is one, that can also capture the name of the file itself ("Trips/{trip}/**")."""
        for segment in reversed(self.segments):
            if isinstance(segment, _Captured):
                return segment.word
            if not isinstance(segment, _AnyDepth):
                return None
        return None

    def match(self, path: Sequence[str]) -> Mapping[str, str] | None:
        """Give the captured words for the segments of a path in composed form, or None if it does not match.

        Where `**` leaves a choice, the earlier one takes as few segments as it can. The time is at most
        len(segments) * len(path) comparisons of a segment.
        """
        reach = self._reach(path)
        if not reach[0][0]:
            return None
        captured: dict[str, str] = {}
        at = 0
        for index, segment in enumerate(self.segments):
            if isinstance(segment, _AnyDepth):
                while not reach[index + 1][at]:
                    at += 1
                continue
            if isinstance(segment, _Captured):
                captured[segment.word] = path[at]
            at += 1
        return captured

    def of_names(self, folder: Sequence[str]) -> str | None:
        """Give the glob that decides by their names alone which files of a folder match; None: none does."""
        segments = self.segments
        if isinstance(segments[-1], _AnyDepth):
            if self.match(folder) is not None:
                return "*"
            segments = segments[:-1]  # it takes nothing, and what stands before it takes the name
        if not segments or replace(self, segments=segments[:-1]).match(folder) is None:
            return None
        return segments[-1].text if isinstance(segments[-1], _Glob) else "*"

    def _reach(self, path: Sequence[str]) -> list[list[bool]]:
        """Tell for each i and j whether segments[i:] match path[j:], from the end to the start."""
        below = [False] * len(path) + [True]
        rows = [below]
        for segment in reversed(self.segments):
            row = [False] * (len(path) + 1)
            if isinstance(segment, _AnyDepth):
                row[-1] = below[-1]
                for j in range(len(path) - 1, -1, -1):
                    row[j] = below[j] or row[j + 1]
            else:
                for j in range(len(path)):
                    row[j] = below[j + 1] and (isinstance(segment, _Captured) or glob_matches(segment.text, path[j]))
            rows.append(row)
            below = row
        return rows[::-1]


def _segment(part: str) -> _Segment:
    """Read one segment of a glob."""
    if part == "**":
        return _AnyDepth()
    if part in {"", ".", ".."}:
        raise PatternError(f'it has a segment "{part}", which no path below a folder has; take it out')
    if "**" in part:
        raise PatternError(f'"**" has to be a whole segment, but "{part}" has it inside; write "*", or "**/" before it')
    pieces = list(_PIECES.finditer(part))
    if len(pieces) == 1 and pieces[0]["word"] is not None:
        return _Captured(_checked_word(pieces[0]["word"]))
    for piece in pieces:
        if piece["word"] is not None or piece["stray"] is not None:
            raise PatternError(
                f'"{{word}}" has to be a whole segment, but "{part}" has more; use "*" there, '
                'or "{{" and "}}" where the name of the folder itself has a brace'
            )
    return _Glob("".join(_literal(piece) for piece in pieces))


def _literal(piece: re.Match[str]) -> str:
    """Give the text that a piece without a word stands for."""
    if piece["open"]:
        return "{"
    return "}" if piece["close"] else piece["text"]


def _checked_word(word: str) -> str:
    if not _WORD.fullmatch(word):
        raise PatternError(f'"{{{word}}}" is no word; letters, digits and "_" make one, starting with a letter')
    return word


@dataclass(frozen=True, slots=True)
class _Placeholder:
    word: str


@dataclass(frozen=True, slots=True)
class TagTemplate:
    """A tag of the configuration: text and placeholders."""

    text: str
    parts: tuple[str | _Placeholder, ...]

    @classmethod
    def parse(cls, text: str, captured: Collection[str]) -> Self:
        """Read a tag, or raise PatternError. Placeholders are CAPTURE_WORDS and the words that the match captures."""
        known = [*captured, *(word for word in CAPTURE_WORDS if word not in captured)]
        parts: list[str | _Placeholder] = []
        for piece in _PIECES.finditer(composed(text)):
            word = piece["word"]
            if piece["stray"]:
                raise PatternError(
                    f'it has a single "{piece["stray"]}"; write "{piece["stray"] * 2}" for the character itself'
                )
            if word is None:
                parts.append(_literal(piece))
            elif word in known:
                parts.append(_Placeholder(word))
            else:
                choice = ", ".join(f"{{{each}}}" for each in known)
                ending = nearest(word, known) or "."
                raise PatternError(f"{{{word}}} is no placeholder here{ending} There are {choice}")
        return cls(text, tuple(parts))

    def fill(self, values: Mapping[str, str]) -> str | None:
        """Give the tag, or None if a placeholder has no value."""
        filled: list[str] = []
        for part in self.parts:
            text = values.get(part.word, "") if isinstance(part, _Placeholder) else part
            if not text:
                return None
            filled.append(text)
        return "".join(filled)
