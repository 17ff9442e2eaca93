"""Where the keys of a TOML text stand."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.toml_lines import find_lines

if TYPE_CHECKING:
    from syncd.toml_lines import KeyPath

EVERY_SHAPE = '''\
# a comment = with an equals sign
top = 1
"quoted key" = 'literal # no comment'
dotted . "inner.key" = 2
multi = """
not = "a key"
""\\"
"""   # after
raw = \'\'\'
[not.a.section]
\'\'\'
quotes = """"four""""
[section]   # comment
list = [
  "one",   # with = a comment
  [ 2,
    3 ],
  { x = 1, y = [ "a",
     "b" ] },
]
last = { p = "}", q.r = "]" }
when = 1979-05-27 07:32:00
[section.deep]
x = 1
[[folder]]
path = "a"
[folder.more]
x = 1
[[folder]]

path = "b"
[[folder.sub]]
y = 1
[[folder.sub]]
y = 2
'''

PLACES: list[tuple[KeyPath, int]] = [
    (("top",), 2),
    (("quoted key",), 3),
    (("dotted",), 4),
    (("dotted", "inner.key"), 4),
    (("multi",), 5),
    (("raw",), 9),
    (("quotes",), 12),
    (("section",), 13),
    (("section", "list"), 14),
    (("section", "list", 0), 15),
    (("section", "list", 1), 16),
    (("section", "list", 1, 0), 16),
    (("section", "list", 1, 1), 17),
    (("section", "list", 2), 18),
    (("section", "list", 2, "x"), 18),
    (("section", "list", 2, "y", 1), 19),
    (("section", "last"), 21),
    (("section", "last", "q", "r"), 21),
    (("section", "when"), 22),
    (("section", "deep", "x"), 24),
    (("folder", 0), 25),
    (("folder", 0, "path"), 26),
    (("folder", 0, "more", "x"), 28),
    (("folder", 1), 29),
    (("folder", 1, "path"), 31),
    (("folder", 1, "sub", 0, "y"), 33),
    (("folder", 1, "sub", 1), 34),
    (("folder", 1, "sub", 1, "y"), 35),
]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(("key", "line"), PLACES, ids=str)
def test_each_key_has_its_line(key: KeyPath, line: int, ending: str) -> None:
    text = EVERY_SHAPE.replace("\n", ending)
    tomllib.loads(text)
    assert find_lines(text)[key] == line


def test_nothing_is_found_in_strings_and_comments() -> None:
    found = find_lines(EVERY_SHAPE)
    assert ("not",) not in found
    assert ("not", "a", "section") not in found


def test_an_empty_text_has_no_keys() -> None:
    assert find_lines("") == {}
    assert find_lines("\n# only a comment") == {}


def every_key(value: object, path: KeyPath = ()) -> set[KeyPath]:
    found: set[KeyPath] = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= every_key(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= every_key(inner, (*path, index))
    return found


SIGNS = ("[", "]", "[[", "]]", "{", "}", "=", ".", ",", "#", '"', "'", '"""', "'''", "\\", "\n", "\r\n", " ", "\t")
PIECES = ("a", "1", "true", 'a = "x"\n', "[a]\n", "[[a]]\n", "b = [1,\n2]\n", "a.b = {c = ''}\n", "'q' = '''\n'''\n")

PLAIN = ("1", "-0.5e3", "true", "1979-05-27 07:32:00", '""', "''", '"a = [1]"', '"\\\\"', '"\\""', "'\\'", '"#"')
LONG = ('"""\n[x]\n\\""""""', "'''\na = 1'''''", '"""" """', '"""\\\n"""')
VALUES = st.recursive(
    st.sampled_from((*PLAIN, *LONG)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: "[ " + ", # no = key\n ".join(parts) + " \n]"),
        st.lists(inner, max_size=3).map(
            lambda parts: "{" + ", ".join(f"k{n}.'x y' = {part}" for n, part in enumerate(parts)) + "}"
        ),
    ),
    max_leaves=8,
)
HEADERS = st.sampled_from(("[[many]]", "[[many.more]]", "[ \"one\" . 'two' ] # [x]", "[many.x]", ""))


@given(st.lists(st.tuples(HEADERS, VALUES), max_size=6))
def test_every_key_of_a_document_is_found(statements: list[tuple[str, str]]) -> None:
    text = "".join(f"{header}\nkey{n} = {value}\n" for n, (header, value) in enumerate(statements))
    check_that_all_is_found(text)


@given(st.lists(st.sampled_from((*SIGNS, *PIECES)), max_size=40).map("".join))
def test_whatever_tomllib_takes_is_found_whole(text: str) -> None:
    check_that_all_is_found(text)


def check_that_all_is_found(text: str) -> None:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(find_lines(text)) >= every_key(values)
