"""What a file on a card is by its name, and which files stay together."""

from __future__ import annotations

import pytest

from syncd.card.layout import CardFile, Rank, groups, is_card, is_system_file, is_system_folder, rank, stem


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (b"IMG_0001.JPG", Rank.PHOTO),
        (b"a.webp", Rank.PHOTO),
        (b"IMG_0001.CR3", Rank.RAW),
        (b"x.NEF", Rank.RAW),
        (b"IMG.HEIC", Rank.RAW),
        (b"MVI_1.MP4", Rank.VIDEO),
        (b"00001.MTS", Rank.VIDEO),
        (b"R0001.WAV", Rank.SOUND),
        (b"GX01.LRV", Rank.COMPANION),
        (b"IMG.XMP", Rank.COMPANION),
        (b"MVI.THM", Rank.COMPANION),
        (b"._IMG_0001.JPG", Rank.COMPANION),
        (b"INDEX", Rank.COMPANION),
        (b"odd.\xff", Rank.COMPANION),
    ],
)
def test_ranks(name: bytes, what: Rank) -> None:
    assert rank(name) is what


def files(*names: bytes, folder: bytes = b"DCIM/100") -> list[CardFile]:
    return [CardFile(folder, name, 1, 0) for name in sorted(names)]


def test_companions_share_a_stem_whatever_its_case_and_the_photo_comes_first() -> None:
    found = list(groups(files(b"IMG_1.CR3", b"img_1.jpg", b"IMG_1.CR3.xmp", b"IMG_1.WAV", b"IMG_10.JPG")))
    assert [[file.name for file in group.files] for group in found] == [
        [b"img_1.jpg", b"IMG_1.CR3", b"IMG_1.WAV", b"IMG_1.CR3.xmp"],
        [b"IMG_10.JPG"],
    ]
    assert found[0].stem == b"img_1"


@pytest.mark.parametrize(
    ("names", "folder", "keeps"),
    [
        ((b"IMG_1.JPG",), b"DCIM/100CANON", False),
        ((b"IMG_1.XMP",), b"DCIM/100CANON", True),
        ((b"IMG_1.XMP", b"IMG_1.JPG"), b"DCIM/100CANON", False),
        ((b"00000.MTS",), b"PRIVATE/AVCHD/BDMV/STREAM", True),
        ((b"C0001.MP4",), b"private/M4ROOT/CLIP", True),
        ((b"README.TXT",), b"", True),
        ((b"photo.jpg",), b"", False),
    ],
)
def test_what_keeps_its_folders(names: tuple[bytes, ...], folder: bytes, *, keeps: bool) -> None:
    (group,) = groups(files(*names, folder=folder))
    assert group.keeps_folders is keeps


@pytest.mark.parametrize(
    ("name", "beside", "own"),
    [
        (b"a.b.jpg", (), b"a.b"),
        (b"noext", (), b"noext"),
        (b".hidden", (), b".hidden"),
        (b"a.jpg.xmp", (b"a.jpg",), b"a"),
        (b"a.jpg.xmp", (), b"a.jpg"),
        (b"..", (), b".."),
    ],
)
def test_stems(name: bytes, beside: tuple[bytes, ...], own: bytes) -> None:
    assert stem(name, beside) == own


def test_what_a_camera_wrote_and_what_a_computer_left() -> None:
    assert is_card([b"dcim"])
    assert is_card([b"PRIVATE", b"x"])
    assert not is_card([b"Documents"])
    assert is_system_folder(b"System Volume Information")
    assert is_system_folder(b".Trash-1000")
    assert not is_system_folder(b"LOST.DIR"), "Android keeps rescued photos there"
    assert is_system_file(b"Thumbs.db")
    assert not is_system_file(b"IMG.JPG")
