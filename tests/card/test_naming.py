"""Templates, names that are free, and what hostile values come to."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.card.layout import CardFile, Group
from syncd.card.naming import Template, Told, free_names, numbered, safe_label
from syncd.errors import UsageError

DEFAULT = Template.parse("{year}/{month}/{day}/{name}")
MOMENT = datetime(2024, 5, 4, 9, 30, 12)  # noqa: DTZ001 -- a camera's clock


def told(camera: str = "R8", label: str = "CARD", sequence: int = 7) -> Told:
    return Told(MOMENT, camera, sequence, label, datetime(2024, 6, 1))  # noqa: DTZ001


def group(*names: bytes, keeps_folders: bool = False) -> Group:
    files = tuple(CardFile(b"DCIM/100", name, 1, 0) for name in names)
    return Group(names[0].rpartition(b".")[0], files, keeps_folders)


@pytest.mark.parametrize(
    ("template", "folder", "stem"),
    [
        ("{year}/{month}/{day}/{name}", b"2024/05/04", b"IMG_1"),
        ("{name}", b"", b"IMG_1"),
        ("{camera}/{label}/{imported}/{name}", b"R8/CARD/2024-06-01", b"IMG_1"),
        ("{year}-{month}-{day}_{hour}{minute}{second}_{sequence}", b"", b"2024-05-04_093012_0007"),
        ("x/{year}_{name}_{sequence}", b"x", b"2024_IMG_1_0007"),
    ],
)
def test_templates(template: str, folder: bytes, stem: bytes) -> None:
    assert Template.parse(template).place(group(b"IMG_1.JPG"), told()) == (folder, stem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/{name}",
        "{nonsense}/{name}",
        "{name",
        "name}",
        "../{name}",
        "a//{name}",
        ".x/{name}",
        "{name}/x",
        "{year}",
        "a\0/{name}",
    ],
)
def test_templates_that_cannot_be_used_say_why(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Template.parse(text)
    assert "the words are" in refused.value.hint


@given(st.text(), st.text())
def test_no_value_leads_out_of_its_component(camera: str, label: str) -> None:
    template = Template.parse("{camera}/{label}/{name}")
    folder, _ = template.place(group(b"IMG_1.JPG"), told(camera, label))
    parts = folder.split(b"/")
    assert len(parts) == 2
    for part in parts:
        assert part.strip(b". ")
        assert not part.startswith(b".")
        assert len(part) <= 255
        assert part.decode().isprintable()


@pytest.mark.parametrize("text", ["", "..", ".", " / ", "___"])
def test_a_card_without_a_label_is_a_card(text: str) -> None:
    assert safe_label(text) == "card"


def test_nothing_that_a_shell_reads_comes_from_a_label() -> None:
    assert safe_label("$(id);`x` & <y> 'z' \"q\" *?!{}") == "__id___x_ _ _y_ _z_ _q_ _____"
    assert safe_label("-rf") == "_rf"
    assert safe_label("Été 2024 (Lumière)") == "Été 2024 _Lumière_"
    assert safe_label("写真 カード") == "写真 カード"


def test_what_keeps_its_folders_lies_below_a_folder_of_its_card() -> None:
    kept = group(b"INDEX.BDM", keeps_folders=True)
    assert DEFAULT.place(kept, told()) == (b"Card files/2024-06-01 CARD/DCIM/100", b"INDEX")


def test_a_group_gets_one_stem_that_is_free_for_all_of_it() -> None:
    both = group(b"IMG_1.JPG", b"IMG_1.CR3")
    taken = {b"IMG_1.CR3", b"IMG_1-2.JPG"}
    names = free_names(both, b"IMG_1", lambda _, name: name in taken)
    assert list(names.values()) == [b"IMG_1-3.JPG", b"IMG_1-3.CR3"]


def test_names_never_grow_too_long_and_keep_their_endings() -> None:
    long = group(b"x" * 251 + b".JPG")
    names = free_names(long, long.stem, lambda _, name: b"-2." not in name)
    (name,) = names.values()
    assert len(name) == 255
    assert name.endswith(b"-2.JPG")


def test_numbers_begin_with_none() -> None:
    stems = numbered(b"IMG", longest=4)
    assert [next(stems) for _ in range(3)] == [b"IMG", b"IMG-2", b"IMG-3"]
