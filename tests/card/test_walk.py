"""The card as it is listed and opened: in order, within itself, and whatever a damaged or hostile one holds."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncd.card.layout import CardFile
from syncd.card.walk import Card, is_gone, reason_of
from syncd.errors import ReachError, UsageError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "CARD"
    folder.mkdir()
    return folder


@pytest.fixture
def card(source: Path) -> Iterator[Card]:
    with closing(Card(os.fsencode(source))) as opened:
        yield opened


def put(source: Path, *names: str) -> None:
    for name in names:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_come_in_order_with_dcim_first_and_files_sorted(source: Path, card: Card) -> None:
    put(source, "b.txt", "AVF_INFO/x", "DCIM/101/b.jpg", "DCIM/101/a.jpg", "DCIM/100/c.jpg", "Z/y")
    found = [(folder.path, [file.name for file in folder.files]) for folder in card.folders()]
    assert found == [
        (b"", [b"b.txt"]),
        (b"DCIM", []),
        (b"DCIM/100", [b"c.jpg"]),
        (b"DCIM/101", [b"a.jpg", b"b.jpg"]),
        (b"AVF_INFO", [b"x"]),
        (b"Z", [b"y"]),
    ]
    assert card.looks_like_a_card


def test_what_computers_left_is_counted_and_not_entered(source: Path, card: Card) -> None:
    put(source, "System Volume Information/a", ".Trashes/b/c", ".Trash-1000/d", ".DS_Store", "DCIM/a.jpg")
    folders = list(card.folders())
    assert [folder.path for folder in folders] == [b"", b"DCIM"]
    assert folders[0].system == 4


def test_what_is_no_file_is_named_with_its_reason(source: Path, card: Card) -> None:
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "fifo")
    (folder,) = card.folders()
    assert sorted((file.name, reason) for file, reason in folder.refused) == [
        (b"fifo", "not copied: it is no regular file"),
        (b"link", "not copied: it is a symbolic link"),
    ]


def test_a_tree_that_never_ends_is_given_up(source: Path, card: Card) -> None:
    deep = source
    for _ in range(70):
        deep = deep / "d"
        deep.mkdir()
    folders = list(card.folders())
    assert len(folders) <= 66
    assert "damaged" in folders[-1].refused[0][1]


def test_nothing_outside_is_opened(source: Path, card: Card) -> None:
    (source / "away").symlink_to("/etc")
    for file in (CardFile(b"away", b"passwd", 1, 0), CardFile(b"..", b"x", 1, 0)):
        with pytest.raises((ReachError, OSError)):
            card.open_file(file)


def test_what_lies_on_the_card_is_told_from_what_lies_beside_it(source: Path, card: Card, tmp_path: Path) -> None:
    put(source, "DCIM/a.jpg")
    put(tmp_path, "CARD-2/a.jpg")
    (tmp_path / "link").symlink_to(source)
    assert card.holds(os.fsencode(source / "DCIM" / "a.jpg"))
    assert card.holds(os.fsencode(tmp_path / "link" / "DCIM"))
    assert card.holds(os.fsencode(source))
    assert not card.holds(os.fsencode(tmp_path / "CARD-2" / "a.jpg"))
    assert not card.is_whole


def test_a_card_that_goes_away_is_noticed(source: Path, card: Card) -> None:
    assert card.is_there()
    source.rename(source.with_name("elsewhere"))
    assert not card.is_there()


def test_the_label_is_the_folder_above_what_cameras_make(source: Path) -> None:
    put(source, "DCIM/100CANON/a.jpg")
    with closing(Card(os.fsencode(source / "DCIM"))) as opened:
        assert opened.label == "CARD"
    with closing(Card(os.fsencode(source), "mine")) as opened:
        assert opened.label == "mine"


def test_what_is_no_folder_is_no_card(source: Path) -> None:
    put(source, "file")
    for name in ("file", "none"):
        with pytest.raises(UsageError, match="cannot be read as a card"):
            Card(os.fsencode(source / name))


@pytest.mark.parametrize(("number", "gone"), [(errno.ENODEV, True), (errno.ENXIO, True), (errno.EIO, False)])
def test_which_errors_speak_of_the_whole_card(number: int, *, gone: bool) -> None:
    error = OSError(number, os.strerror(number))
    assert is_gone(error) is gone
    wrapped = ReachError("'/card/a' cannot be opened")
    wrapped.__cause__ = error
    assert is_gone(wrapped) is gone
    assert "'/card/a'" not in reason_of(wrapped)
