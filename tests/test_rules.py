"""The folder rules, as tables, and what must hold for every name and every capture."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from syncd.model import Capture, Labels, PlacePath
from syncd.rules import LONGEST_TAG, MOST_TAGS, NO_PLACE, NOT_CONFIGURED, Rules, clean, union, wire_tags
from syncd.settings import FolderSettings, RuleSettings

ROOT = Path("/home/u/Pictures")
TAKEN = datetime(2024, 3, 7, 23, 59, 1)  # noqa: DTZ001 - a camera's wall clock has no zone
CAPTURE = Capture(taken_at=TAKEN, camera_model="Canon EOS 80D")
BARE = Capture()


def place(relative: bytes | str, root: Path = ROOT) -> PlacePath:
    path = relative if isinstance(relative, bytes) else relative.encode()
    folder, _, name = path.rpartition(b"/")
    return PlacePath(bytes(root), folder, name)


def rule(
    match: str = "**", *tags: str, camera: str | None = None, namespace: str | None = None, skip: bool | None = None
) -> RuleSettings:
    return RuleSettings(match, camera, namespace, tags, skip)


def labels(path: bytes | str, *rules: RuleSettings, capture: Capture = CAPTURE, tags: tuple[str, ...] = ()) -> Labels:
    return Rules.compile([FolderSettings(ROOT, tags=tags)], rules).labels(place(path), capture)


@dataclass(frozen=True)
class Case:
    """The tags that some rules give to a path."""

    path: bytes | str
    rules: tuple[RuleSettings, ...]
    tags: tuple[str, ...]
    capture: Capture = CAPTURE
    folder_tags: tuple[str, ...] = ()


CASES = {
    "no rule": Case("a.jpg", (), ()),
    "the folder's tags": Case("a.jpg", (), ("home", "nas"), folder_tags=("home", "nas")),
    "the folder's first, then the rules in order": Case(
        "a.jpg", (rule("**", "z"), rule("**", "a", "b")), ("m", "z", "a", "b"), folder_tags=("m",)
    ),
    "only rules that match": Case("x/a.jpg", (rule("y/**", "y"), rule("x/**", "x")), ("x",)),
    "a repeat is dropped": Case("a.jpg", (rule("**", "b", "a"), rule("**", "a", "b", "c")), ("b", "a", "c")),
    "case makes another tag": Case("a.jpg", (rule("**", "Rome", "rome"),), ("Rome", "rome")),
    "a captured word": Case("Trips/Rome/a.jpg", (rule("Trips/{trip}/**", "trip", "{trip}"),), ("trip", "Rome")),
    "a captured word in a deep path": Case("Trips/Rome/x/y.jpg", (rule("Trips/{trip}/**", "{trip}"),), ("Rome",)),
    "two captured words": Case("2020/Oslo/a.jpg", (rule("{y}/{t}/*", "{t} {y}"),), ("Oslo 2020",)),
    "a captured word is known to its own rule only": Case(
        "Rome/a.jpg", (rule("{folder}/*", "1-{folder}"), rule("**", "2-{folder}")), ("1-Rome", "2-Rome")
    ),
    "a captured year goes first": Case("1999/a.jpg", (rule("{year}/*", "{year}", "{month}"),), ("1999", "03")),
    "year month day": Case("a.jpg", (rule("**", "{year}", "{month}", "{day}"),), ("2024", "03", "07")),
    "together": Case("a.jpg", (rule("**", "{year}-{month}-{day}"),), ("2024-03-07",)),
    "an early year has four digits": Case(
        "a.jpg",
        (rule("**", "{year}"),),
        ("0987",),
        Capture(taken_at=datetime(987, 1, 1)),  # noqa: DTZ001 - a camera's wall clock has no zone
    ),
    "undated": Case("a.jpg", (rule("**", "{year}", "y{month}", "{day}", "all"),), ("all",), BARE),
    "camera": Case("a.jpg", (rule("**", "{camera}"),), ("Canon EOS 80D",)),
    "no camera": Case("a.jpg", (rule("**", "cam {camera}", "all"),), ("all",), BARE),
    "a camera of blanks": Case("a.jpg", (rule("**", "{camera}"),), (), Capture(camera_model="  ")),
    "a camera with a comma": Case("a.jpg", (rule("**", "{camera}"),), ("A B",), Capture(camera_model="A,B")),
    "folder": Case("x/y/a.jpg", (rule("**", "{folder}"),), ("y",)),
    "folder of a file at the root": Case("a.jpg", (rule("**", "{folder}"),), ("Pictures",)),
    "path": Case("x/y/a.jpg", (rule("**", "{path}"),), ("x/y",)),
    "path of a file at the root": Case("a.jpg", (rule("**", "{path}", "all"),), ("all",)),
    "placeholders in the folder's tags": Case("x/a.jpg", (), ("x", "2024"), folder_tags=("{folder}", "{year}")),
    "braces": Case("a.jpg", (rule("**", "{{year}}"),), ("{year}",)),
    "a name that looks like a placeholder stays a name": Case("{year}/a.jpg", (rule("**", "{folder}"),), ("{year}",)),
    "camera condition": Case("a.jpg", (rule("**", "canon", camera="Canon*"),), ("canon",)),
    "camera condition with ?": Case("a.jpg", (rule("**", "eos", camera="Canon EOS ??D"),), ("eos",)),
    "camera condition is the whole model": Case("a.jpg", (rule("**", "eos", camera="EOS"),), ()),
    "camera condition, another camera": Case("a.jpg", (rule("**", "nikon", camera="NIKON*"),), ()),
    "camera condition minds case": Case("a.jpg", (rule("**", "canon", camera="canon*"),), ()),
    "camera condition, no model": Case("a.jpg", (rule("**", "any", camera="*"),), (), BARE),
    "camera condition and path": Case("x/a.jpg", (rule("y/*", "t", camera="Canon*"),), ()),
    "a comma becomes a space": Case("Rome, Italy/a.jpg", (rule("**", "{folder}"),), ("Rome Italy",)),
    "a newline goes": Case("a\nb/a.jpg", (rule("**", "{folder}"),), ("ab",)),
    "escape codes go": Case("\x1b[31mred\x1b[0m/a.jpg", (rule("**", "{folder}"),), ("[31mred[0m",)),
    "C1 controls go": Case("a\x9bb/a.jpg", (rule("**", "{folder}"),), ("ab",)),
    "bidirectional overrides go": Case("a\u202egpj/a.jpg", (rule("**", "{folder}"),), ("agpj",)),
    "zero widths go": Case("a\u200bb\ufeff/a.jpg", (rule("**", "{folder}"),), ("ab",)),
    "joiners in emoji stay": Case("👩\u200d🚀/a.jpg", (rule("**", "{folder}"),), ("👩\u200d🚀",)),
    "a lone joiner is nothing": Case("\u200d/a.jpg", (rule("**", "{folder}"),), ()),
    "blanks are one": Case("  a \u00a0 b  /a.jpg", (rule("**", "{folder}"),), ("a b",)),
    "a folder of commas has no value": Case(",,,/a.jpg", (rule("**", "x-{folder}"),), ()),
    "not UTF-8": Case(b"caf\xe9/a.jpg", (rule("**", "{folder}"),), ("caf\N{REPLACEMENT CHARACTER}",)),
    "not UTF-8, captured": Case(b"T/\xff\xfe/a.jpg", (rule("T/{t}/*", "{t}"),), ("\N{REPLACEMENT CHARACTER}" * 2,)),
    "not UTF-8, matched by a star": Case(b"caf\xe9/a.jpg", (rule("caf?/*", "cafe"),), ("cafe",)),
    "names give composed tags": Case("e\u0301/a.jpg", (rule("**", "{folder}", "\u00e9"),), ("\u00e9",)),
    "decomposed names match composed rules": Case("cafe\u0301/a.jpg", (rule("caf\u00e9/**", "yes"),), ("yes",)),
    "composed names match decomposed rules": Case("caf\u00e9/a.jpg", (rule("cafe\u0301/**", "yes"),), ("yes",)),
    "a long tag is cut": Case("a.jpg", (rule("**", "{folder}" * 26),), ("Pictures" * 25,)),
    "a rule with neither": Case("a.jpg", (rule("**"),), ()),
    "a comma in the configuration": Case("a.jpg", (rule("**", "a,b"),), ("a b",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_tags(case: Case) -> None:
    given_tags = labels(case.path, *case.rules, capture=case.capture, tags=case.folder_tags)
    assert given_tags == Labels("default", case.tags)


PRIVATE = rule("Private/**", skip=True)
SKIPPED = {
    "no rule skips": ("a.jpg", (PRIVATE,), None),
    "a rule skips": ("Private/a.jpg", (PRIVATE,), "rule 1 (Private/**) skips it"),
    "the rule is numbered as in the file": ("Private/a.jpg", (rule(), PRIVATE), "rule 2 (Private/**) skips it"),
    "a later rule takes it back": ("Private/x/a.jpg", (PRIVATE, rule("Private/x/**", skip=False)), None),
    "an earlier rule does not": (
        "Private/x/a.jpg", (rule("Private/x/**", skip=False), PRIVATE), "rule 2 (Private/**) skips it",
    ),
    "a later rule that says nothing of it does not": (
        "Private/a.jpg", (PRIVATE, rule("**", "t")), "rule 1 (Private/**) skips it",
    ),
    "the last that skips is named": ("Private/a.jpg", (PRIVATE, rule("**", skip=True)), "rule 2 (**) skips it"),
    "a skip by camera": ("a.jpg", (rule("**", camera="Canon*", skip=True),), "rule 1 (**) skips it"),
    "a skip by another camera": ("a.jpg", (rule("**", camera="NIKON*", skip=True),), None),
    "a decomposed name is private as well": (
        "Prive\u0301/a.jpg", (rule("Priv\u00e9/**", skip=True),), "rule 1 (Privé/**) skips it",
    ),
    "a rule is shown so that it is safe on a terminal": (
        "a\u009bb.jpg", (rule("*\u009b*", skip=True),), "rule 1 (*\\x9b*) skips it",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "rules", "skipped"), SKIPPED.values(), ids=SKIPPED.keys())
def test_skip(path: str, rules: tuple[RuleSettings, ...], skipped: str | None) -> None:
    assert labels(path, *rules).skipped == skipped


def test_a_skipped_place_still_shows_what_it_would_get() -> None:
    assert labels("Private/a.jpg", rule("**", "t", namespace="n"), PRIVATE) == Labels(
        "n", ("t",), "rule 2 (Private/**) skips it"
    )


@pytest.mark.parametrize(
    ("rules", "namespace"),
    [
        ((), "default"),
        ((rule("**", namespace="a"),), "a"),
        ((rule("**", namespace="a"), rule("**", namespace="b")), "b"),
        ((rule("**", namespace="a"), rule("no/*", namespace="b"), rule("**", "t")), "a"),
    ],
)
def test_the_last_namespace_wins(rules: tuple[RuleSettings, ...], namespace: str) -> None:
    assert labels("a.jpg", *rules).namespace == namespace


def test_more_tags_than_the_service_takes_are_cut_with_a_warning() -> None:
    many = labels("a.jpg", rule("**", *(f"t{n}" for n in range(60))))
    assert many.tags == tuple(f"t{n}" for n in range(48))
    assert many.warnings == ("60 tags are more than the service takes: only the first 48 are sent",)
    assert labels("a.jpg", rule("**", *(f"t{n}" for n in range(48)))).warnings == ()


NESTED = (
    FolderSettings(Path("/p"), namespace="outer", tags=("outer",)),
    FolderSettings(Path("/p/in/side"), namespace="inner", tags=("inner",)),
    FolderSettings(Path("/p/inside"), namespace="other"),
)


@pytest.mark.parametrize(
    ("path", "namespace"),
    [
        (b"/p/a.jpg", "outer"),
        (b"/p/in/a.jpg", "outer"),
        (b"/p/in/side/a.jpg", "inner"),
        (b"/p/in/side/deep/er/a.jpg", "inner"),
        (b"/p/in/sideways/a.jpg", "outer"),
        (b"/p/inside/a.jpg", "other"),
        (b"/p", "outer"),
        (b"/px/a.jpg", None),
        (b"/", None),
        (b"/a.jpg", None),
    ],
)
def test_the_innermost_folder_owns_a_file(path: bytes, namespace: str | None) -> None:
    owner = Rules.compile(NESTED, ()).owner(path)
    assert (owner.namespace if owner else None) == namespace


def test_a_folder_can_be_the_root_of_the_file_system() -> None:
    rules = Rules.compile([FolderSettings(Path("/"))], [rule("x/*", "{folder}"), rule("*", "{folder}", "top")])
    assert rules.labels(PlacePath(b"/", b"x", b"a.jpg"), BARE).tags == ("x",)
    assert rules.labels(PlacePath(b"/", b"", b"a.jpg"), BARE).tags == ("top",)  # "/" has no name
    assert rules.owner(b"/x/a.jpg") == FolderSettings(Path("/"))


def test_a_place_of_a_folder_that_is_gone_is_not_wanted() -> None:
    rules = Rules.compile([FolderSettings(ROOT)], ())
    assert rules.labels(place("a.jpg", Path("/elsewhere")), BARE).skipped == NOT_CONFIGURED
    assert rules.labels(place("a.jpg", ROOT / "inner"), BARE).skipped == NOT_CONFIGURED


def test_a_place_seen_below_the_outer_folder_gets_the_labels_of_an_inner_one_added_later() -> None:
    rules = Rules.compile(NESTED, [rule("a.jpg", "relative to the inner folder")])
    seen = PlacePath(b"/p", b"in/side", b"a.jpg")
    assert rules.labels(seen, BARE) == Labels("inner", ("inner", "relative to the inner folder"))


def test_union_adds_tags_up_and_takes_the_first_namespace() -> None:
    first, second = Labels("n1", ("a", "b")), Labels("n2", ("c", "a"))
    assert union([first, second]) == Labels("n1", ("a", "b", "c"))
    assert union([second, first]) == Labels("n2", ("c", "a", "b"))


def test_union_takes_nothing_from_a_skipped_place() -> None:
    private = Labels("private", ("secret",), "rule 1 (Private/**) skips it")
    assert union([private, Labels("n", ("a",))]) == Labels("n", ("a",))
    assert union([private]) == private
    assert union([private, private]).skipped == private.skipped


def test_union_of_no_place_is_not_wanted() -> None:
    assert union([]).skipped == NO_PLACE


def test_union_is_cut_with_a_warning() -> None:
    joined = union([Labels("n", tuple(f"{p}{n}" for n in range(30)), warnings=("w",)) for p in "ab"])
    assert len(joined.tags) == MOST_TAGS
    assert joined.warnings == ("w", "60 tags are more than the service takes: only the first 48 are sent")


def test_the_marker_is_one_tag_more() -> None:
    full = Labels("n", tuple(f"t{n}" for n in range(MOST_TAGS)))
    assert wire_tags(full, "syncd-0123456789abcdef") == (*full.tags, "syncd-0123456789abcdef")
    assert len(wire_tags(full, "syncd-0123456789abcdef")) == 49
    assert wire_tags(full, None) == full.tags
    assert len(wire_tags(Labels("n", tuple(f"t{n}" for n in range(60))), "syncd-0123456789abcdef")) == 49


def check_wire_safe(tags: tuple[str, ...]) -> None:
    assert len(tags) <= MOST_TAGS
    assert len(set(tags)) == len(tags)
    for tag in tags:
        tag.encode()
        assert tag
        assert len(tag) <= LONGEST_TAG
        assert tag == " ".join(tag.split())
        assert "," not in tag
        assert not {unicodedata.category(character) for character in tag} & {"Cc", "Cs", "Zl", "Zp"}
        assert not set(tag) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff")
        assert unicodedata.is_normalized("NFC", tag)


SEGMENT = st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\0" not in name)
RULES = st.lists(
    st.builds(
        RuleSettings,
        match=st.sampled_from(("**", "*", "{w}/**", "**/{w}/*", "a/**", "?*/{w}")),
        camera=st.sampled_from((None, "*", "C?n*")),
        tags=st.lists(
            st.sampled_from(("{year}{camera}", "{folder}", "x{path}", "{day},{day}", "plain")), max_size=4
        ).map(tuple),
        skip=st.sampled_from((None, True, False)),
    ),
    max_size=4,
)
CAPTURES = st.builds(
    Capture, taken_at=st.none() | st.datetimes(), camera_model=st.none() | st.text(st.characters(), max_size=20)
)


@given(st.lists(SEGMENT, min_size=1, max_size=6), RULES, CAPTURES)
def test_n1_any_name_of_a_file_gives_tags_that_can_go_on_the_wire(
    path: list[bytes], rules: list[RuleSettings], capture: Capture
) -> None:
    compiled = Rules.compile([FolderSettings(ROOT, tags=("{folder}",))], [*rules, rule("**/{last}", "{last}")])
    found = compiled.labels(place(b"/".join(path)), capture)
    check_wire_safe(found.tags)
    check_wire_safe(union([found, found]).tags)


IN_EACH_OTHER = [FolderSettings(ROOT, namespace="all"), FolderSettings(ROOT / "a", namespace="inner")]


@given(
    st.lists(st.sampled_from((b"a", b"b", b"\xff", b"e\xcc\x81.jpg")), min_size=1, max_size=4),
    st.lists(
        st.builds(
            RuleSettings,
            match=st.sampled_from(
                ("**", "*", "{w}/**", "**/{w}/*", "a/**", "?*/{w}", "**/\u00e9.jpg", "**/*.jpg", "b")
            ),
            camera=st.sampled_from((None, "*", "C?n*")),
            namespace=st.sampled_from((None, "one", "two")),
            skip=st.sampled_from((None, True, False)),
        ),
        max_size=4,
    ),
    st.sampled_from((None, "", "Canon", "Nikon")),
    st.sampled_from((ROOT, ROOT / "a", Path("/elsewhere"))),
)
def test_what_is_said_of_a_folder_is_what_is_said_of_each_of_its_files(
    path: list[bytes], rules: list[RuleSettings], camera: str | None, root: Path
) -> None:
    compiled = Rules.compile(IN_EACH_OTHER, rules)
    where = place(b"/".join(path), root)
    assume(where.path != bytes(ROOT / "a"))  # that is a folder, and no file
    expected = compiled.labels(where, Capture(camera_model=camera))
    of_folder = compiled.of_folder(where.root, where.folder)
    for _ in range(2):  # what it remembers is right, too
        assert of_folder.labels(b"another.png", None) == bare(compiled.labels(sibling(where), BARE))
        assert of_folder.labels(where.name, camera) == bare(expected)


def sibling(where: PlacePath) -> PlacePath:
    return PlacePath(where.root, where.folder, b"another.png")


def bare(found: Labels) -> Labels:
    return Labels(found.namespace, (), found.skipped)


@given(st.text(st.characters(), max_size=400))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    if once:
        check_wire_safe((once,))


def test_every_character_alone_is_clean_or_gone() -> None:
    for code in range(0x11000):
        cleaned = clean(chr(code))
        if cleaned:
            check_wire_safe((cleaned,))
