"""Where the keys of a TOML text stand: tomllib gives values without their places. Pure."""

from __future__ import annotations

import tomllib
from bisect import bisect_left

KeyPath = tuple[str | int, ...]
"""Names of keys and, for arrays, positions from 0: ("folder", 1, "tags", 0)."""


class _Lines:
    """Finds the line of each key and of each value of a list, in a text that tomllib has already accepted."""

    def __init__(self, text: str) -> None:
        self.found: dict[KeyPath, int] = {}
        self._text = text.replace("\r\n", "\n")
        self._breaks = [at for at, character in enumerate(self._text) if character == "\n"]
        self._at = 0
        self._counts: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.found

    def _header(self) -> KeyPath:
        double = self._text.startswith("[[", self._at)
        self._at += 1 + double
        keys = self._keys("]")
        self._at += 1 + double
        path = self._resolve((), keys[:-1]) + keys[-1:]
        if double:
            self._counts[path] = self._counts.get(path, -1) + 1
        path = self._resolve(path[:-1], keys[-1:])
        for length in range(1, len(path) + 1):
            self._note(path[:length])
        return path

    def _resolve(self, path: KeyPath, keys: KeyPath) -> KeyPath:
        """Follow keys down, through the last element of each array of tables on the way."""
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table + self._keys("=")
        for length in range(len(table) + 1, len(path) + 1):
            self._note(path[:length], start)
        self._at += 1
        self._value(path)

    def _keys(self, end: str) -> KeyPath:
        """Read a dotted key up to `end`, and let tomllib say what its parts are."""
        start = self._at
        while self._text[self._at] != end:
            self._skip_string() if self._text[self._at] in "\"'" else self._advance()
        found: object = tomllib.loads(f"{self._text[start : self._at]} = 0")
        keys: list[str] = []
        while isinstance(found, dict):
            ((key, found),) = found.items()
            keys.append(key)
        return tuple(keys)

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        opening = self._text[self._at]
        if opening in "\"'":
            self._skip_string()
        elif opening == "[":
            self._members("]", path)
        elif opening == "{":
            self._members("}", path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._advance()

    def _members(self, end: str, path: KeyPath) -> None:
        """Read the values of a list, or the pairs of an inline table."""
        self._advance()
        index = 0
        while self._skip_blank() and self._text[self._at] != end:
            if self._text[self._at] == ",":
                self._advance()
            elif end == "}":
                self._pair(path)
            else:
                self._note((*path, index))
                self._value((*path, index))
                index += 1
        self._advance()

    def _skip_string(self) -> None:
        quote = self._text[self._at]
        fence = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(fence)
        while not self._text.startswith(fence, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(fence)
        while len(fence) > 1 and self._text.startswith(quote, self._at):  # up to two quotes may end the text itself
            self._advance()

    def _skip_blank(self) -> bool:
        """Go on to what is neither blank nor comment; False at the end."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in " \t\n":
                self._advance()
            else:
                return True
        return False

    def _advance(self) -> None:
        self._at += 1

    def _note(self, path: KeyPath, at: int | None = None) -> None:
        self.found.setdefault(path, bisect_left(self._breaks, self._at if at is None else at) + 1)


def find_lines(text: str) -> dict[KeyPath, int]:
    """Give the line (from 1) of each key, section and value of a list. `text` is TOML that tomllib has accepted."""
    return _Lines(text).scan()
