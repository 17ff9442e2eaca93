"""Globs and tags of the configuration."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.patterns import PathGlob, PatternError, TagTemplate, glob_matches

# glob, path, captured words or None
MATCHES: list[tuple[str, str, dict[str, str] | None]] = [
    ("**", "a.jpg", {}),
    ("**", "a/b/c.jpg", {}),
    ("*", "a.jpg", {}),
    ("*", "a/b.jpg", None),
    ("*.jpg", "a.jpg", {}),
    ("*.jpg", "a.JPG", None),
    ("*.jpg", "dir/a.jpg", None),
    ("**/*.jpg", "a.jpg", {}),
    ("**/*.jpg", "x/y/a.jpg", {}),
    ("**/*.jpg", "x/y/a.png", None),
    ("Trips/**", "Trips/a.jpg", {}),
    ("Trips/**", "Trips/x/a.jpg", {}),
    ("Trips/**", "trips/a.jpg", None),
    ("Trips/**", "Tripsy/a.jpg", None),
    ("Trips/**", "x/Trips/a.jpg", None),
    ("**/Trips/**", "Trips/a.jpg", {}),
    ("**/Trips/**", "x/y/Trips/a.jpg", {}),
    ("Trips/{trip}/**", "Trips/Rome/a.jpg", {"trip": "Rome"}),
    ("Trips/{trip}/**", "Trips/Rome/x/y.jpg", {"trip": "Rome"}),
    ("Trips/{trip}/**", "Trips/a.jpg", {"trip": "a.jpg"}),  # ** may be none, and {trip} is any one segment
    ("Trips/{trip}/**/*", "Trips/a.jpg", None),
    ("Trips/{trip}/**/*", "Trips/Rome/a.jpg", {"trip": "Rome"}),
    ("Trips/{trip}/**/*", "Trips/Rome/x/a.jpg", {"trip": "Rome"}),
    ("{year}/{what}/*", "2024/Oslo/a.jpg", {"year": "2024", "what": "Oslo"}),
    ("{year}/{what}/*", "2024/a.jpg", None),
    ("**/{album}/*", "a/b/c/d.jpg", {"album": "c"}),
    ("**/{album}/**/*.jpg", "a/b/c/d.jpg", {"album": "a"}),  # the earlier ** takes as little as it can
    ("{a}/**/{b}/*", "1/2/3/4.jpg", {"a": "1", "b": "3"}),
    ("IMG_????.jpg", "IMG_0001.jpg", {}),
    ("IMG_????.jpg", "IMG_001.jpg", None),
    ("?", "é", {}),
    ("[abc].jpg", "[abc].jpg", {}),
    ("[abc].jpg", "a.jpg", None),
    ("a.b+c(d)$^|\\/*", "a.b+c(d)$^|\\/x", {}),
    ("a.b/*", "aXb/x", None),
    ("{{x}}/*", "{x}/a.jpg", {}),
    ("{{x}}/*", "y/a.jpg", None),
    ("a*b*c", "abbbc", {}),
    ("a*b*c", "abbb", None),
    ("**/**/x", "x", {}),
    ("a/**/**/b", "a/b", {}),
    ("a/**/b/**/c", "a/b/b/x/c", {}),
    ("a/**/b/**/c", "a/x/c", None),
    (" a /*", " a /x", {}),
    ("caf\u00e9/*", "caf\u00e9/x", {}),
    ("cafe\u0301/*", "caf\u00e9/x", {}),
]


@pytest.mark.parametrize(("glob", "path", "captured"), MATCHES)
def test_a_glob_matches_or_not(glob: str, path: str, captured: dict[str, str] | None) -> None:
    assert PathGlob.parse(glob).match(path.split("/")) == captured


@pytest.mark.parametrize(
    ("glob", "words"),
    [
        ("", '"**" matches every file'),
        ("  ", '"**" matches every file'),
        ("/Trips/**", 'write "Trips/**"'),
        ("Trips/", 'write "Trips/**"'),
        ("a//b", 'segment ""'),
        ("./a", 'segment "."'),
        ("../a", 'segment ".."'),
        ("**.jpg", '"**" has to be a whole segment'),
        ("a**b/c", '"**" has to be a whole segment'),
        ("***", '"**" has to be a whole segment'),
        ("{trip}-x/*", '"{word}" has to be a whole segment'),
        ("{a}{b}/*", '"{word}" has to be a whole segment'),
        ("{a/*", '"{word}" has to be a whole segment'),
        ("a}/*", '"{word}" has to be a whole segment'),
        ("{}/*", '"{}" is no word'),
        ("{1st}/*", '"{1st}" is no word'),
        ("{a b}/*", '"{a b}" is no word'),
        ("{a}/{a}/*", "{a} more than once"),
    ],
)
def test_a_broken_glob_says_what_would_be_right(glob: str, words: str) -> None:
    with pytest.raises(PatternError, match=re.escape(words)):
        PathGlob.parse(glob)


@pytest.mark.parametrize(
    ("glob", "word"),
    [
        ("Trips/{trip}/**", "trip"),
        ("{x}", "x"),
        ("{x}/**/**", "x"),
        ("Trips/{trip}/**/*", None),
        ("**", None),
        ("{x}/*", None),
    ],
)
def test_a_word_that_may_be_the_name_of_the_file_is_told(glob: str, word: str | None) -> None:
    assert PathGlob.parse(glob).may_capture_name == word


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("/".join(["**"] * 50 + ["x"]), "a/" * 2000 + "y"),
        ("/".join(["**", "a"] * 30 + ["x"]), "a/" * 2000 + "y"),
        ("/".join(["**", "*"] * 30 + ["x"]), "a/" * 2000 + "y"),
        ("*a" * 100 + "b", "a" * 4000),
        ("*?" * 100 + "b", "a" * 4000),
    ],
)
def test_a_hostile_path_costs_little_time(glob: str, path: str) -> None:
    started = time.perf_counter()
    assert PathGlob.parse(glob).match(path.split("/")) is None
    assert time.perf_counter() - started < 2.0


def as_regex(glob: str) -> str:
    """An independent reading of the same language, for short inputs."""
    regex = ""
    for segment in glob.split("/"):
        if segment == "**":
            regex += "(?:[^/]+/)*"
        else:
            regex += re.escape(segment).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "/"
    return regex


SEGMENTS = st.sampled_from(["**", "*", "?", "a", "b", "a*", "*b", "a?b"])
NAMES = st.text("ab", min_size=1, max_size=3)


@given(st.lists(SEGMENTS, min_size=1, max_size=5), st.lists(NAMES, min_size=1, max_size=5))
def test_a_glob_agrees_with_a_regular_expression(segments: list[str], path: list[str]) -> None:
    glob = "/".join(segments)
    expected = re.fullmatch(as_regex(glob), "/".join(path) + "/") is not None
    assert (PathGlob.parse(glob).match(path) is not None) == expected


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_glob_on_a_name_agrees_with_a_regular_expression(glob: str, text: str) -> None:
    regex = re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".")
    assert glob_matches(glob, text) == (re.fullmatch(regex, text) is not None)


@given(st.text(max_size=30))
def test_reading_a_glob_or_a_tag_only_ever_refuses(text: str) -> None:
    for read in (PathGlob.parse, lambda each: TagTemplate.parse(each, ())):
        with suppress(PatternError):
            read(text)


# tag, values, filled
FILLED: list[tuple[str, dict[str, str], str | None]] = [
    ("home", {}, "home"),
    ("{trip}", {"trip": "Rome"}, "Rome"),
    ("trip-{trip}-{year}", {"trip": "Rome", "year": "2024"}, "trip-Rome-2024"),
    ("{trip}", {}, None),
    ("x{year}", {"year": ""}, None),
    ("{{trip}}", {"trip": "Rome"}, "{trip}"),
    ("{{{trip}}}", {"trip": "Rome"}, "{Rome}"),
    ("a {{ b }} c", {}, "a { b } c"),
    ("{trip}", {"trip": "{year}", "year": "2024"}, "{year}"),
]


@pytest.mark.parametrize(("tag", "values", "filled"), FILLED)
def test_a_tag_is_filled(tag: str, values: dict[str, str], filled: str | None) -> None:
    assert TagTemplate.parse(tag, ["trip"]).fill(values) == filled


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("{yeer}", "did you mean year?"),
        ("{tripp}", "did you mean trip?"),
        ("{qqq}", "There are {trip}, {year}"),
        ("{}", "{} is no placeholder"),
        ("{ year }", "{ year } is no placeholder"),
        ("{year", 'a single "{"'),
        ("year}", 'write "}}"'),
    ],
)
def test_a_broken_tag_says_what_would_be_right(tag: str, words: str) -> None:
    with pytest.raises(PatternError, match=re.escape(words)):
        TagTemplate.parse(tag, ["trip"])


@given(st.lists(SEGMENTS | st.just("{word}"), min_size=1, max_size=4), st.lists(NAMES, max_size=3), NAMES)
def test_what_a_glob_says_of_the_names_in_a_folder_is_what_it_says_of_their_paths(
    segments: list[str], folder: list[str], name: str
) -> None:
    numbered = (segment.replace("word", f"word{number}") for number, segment in enumerate(segments))
    glob = PathGlob.parse("/".join(numbered))
    of_names = glob.of_names(folder)
    assert (of_names is not None and glob_matches(of_names, name)) == (glob.match([*folder, name]) is not None)
