from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ConfigError
from syncd.model import EXTENSIONS
from syncd.watch.filters import Filter, Ignored

PLAIN = Filter([])


@pytest.mark.parametrize(
    "name",
    [
        *(b"IMG_0001." + spelling for e in sorted(EXTENSIONS) for spelling in (e.encode(), e.upper().encode())),
        b"IMG_0001.JpEg",
        b"a.b.c.jpg",
        b"two words.jpg",
        b"\xff\xfe.jpg",
        b"new\nline.jpg",
        b"-rf.jpg",
        b"~sketch.jpg",
        b"IMG~2.jpg",
        b"tmp.jpg",
        b"x.tmp.jpg",
        b"IMG.heic.jpg",
    ],
)
def test_candidates_by_name(name: bytes) -> None:
    assert PLAIN.file(b"2024", name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b".hidden.jpg", Ignored.HIDDEN),
        (b".jpg", Ignored.HIDDEN),
        (b"._IMG_0001.JPG", Ignored.HIDDEN),
        (b".DS_Store", Ignored.HIDDEN),
        (b".IMG_0001.JPG.Xa09bZ", Ignored.TEMPORARY),
        (b".IMG_0001.jpg.~1a2b3c", Ignored.TEMPORARY),
        (b".syncthing.IMG_0001.jpg.tmp", Ignored.TEMPORARY),
        (b"~syncthing~IMG_0001.jpg.tmp", Ignored.TEMPORARY),
        (b".goutputstream-ABCDEF", Ignored.TEMPORARY),
        (b".nfs000000000001", Ignored.TEMPORARY),
        (b".fuse_hidden0001", Ignored.TEMPORARY),
        (b".pending-1700000000-IMG.jpg", Ignored.TEMPORARY),
        (b".trashed-1700000000-IMG.jpg", Ignored.TEMPORARY),
        (b".~lock.letter.odt#", Ignored.TEMPORARY),
        (b"~$letter.jpg", Ignored.TEMPORARY),
        (b"a.jpg~", Ignored.TEMPORARY),
        (b"a.jpg.part", Ignored.TEMPORARY),
        (b"a.jpg.crdownload", Ignored.TEMPORARY),
        (b"a.jpg.partial", Ignored.TEMPORARY),
        (b"a.jpg.TMP", Ignored.TEMPORARY),
        (b"a.jpg.!sync", Ignored.TEMPORARY),
        (b"a.HEIC", Ignored.UNSUPPORTED_IMAGE),
        (b"a.tif", Ignored.UNSUPPORTED_IMAGE),
        (b"a.TIFF", Ignored.UNSUPPORTED_IMAGE),
        (b"a.cr3", Ignored.UNSUPPORTED_IMAGE),
        (b"a.Nef", Ignored.UNSUPPORTED_IMAGE),
        (b"a.dng", Ignored.UNSUPPORTED_IMAGE),
        (b"a.MOV", Ignored.VIDEO),
        (b"a.m2ts", Ignored.VIDEO),
        (b"a.xmp", Ignored.SIDECAR),
        (b"a.jpg.xmp", Ignored.SIDECAR),
        (b"a.AAE", Ignored.SIDECAR),
        (b"a.THM", Ignored.SIDECAR),
        (b"notes.txt", Ignored.OTHER),
        (b"Thumbs.db", Ignored.OTHER),
        (b"jpg", Ignored.OTHER),
        (b"README", Ignored.OTHER),
        (b"a.", Ignored.OTHER),
        (b"a.jpgx", Ignored.OTHER),
        (b"xjpg", Ignored.OTHER),
    ],
)
def test_ignored_by_name(name: bytes, reason: Ignored) -> None:
    assert PLAIN.file(b"", name) is reason
    said = PLAIN.why(b"", name)
    assert said is not None
    assert str(reason) in said


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        (b"", None),
        (b"2024/May", None),
        (b"Trash", None),
        (b"x.jpg", None),
        (b"@eaDir", Ignored.SYSTEM),
        (b"2024/@EADIR/IMG.JPG", Ignored.SYSTEM),
        (b"#recycle", Ignored.SYSTEM),
        (b"$RECYCLE.BIN/S-1-5", Ignored.SYSTEM),
        (b"System Volume Information", Ignored.SYSTEM),
        (b"lost+found", Ignored.SYSTEM),
        (b"a/.thumbnails/b", Ignored.SYSTEM),
        (b".Trash-1000/files", Ignored.SYSTEM),
        (b".Trashes", Ignored.SYSTEM),
        (b"__MACOSX", Ignored.SYSTEM),
        (b".stversions/2024", Ignored.SYSTEM),
        (b".hidden", Ignored.HIDDEN),
        (b"2024/.git/x", Ignored.HIDDEN),
    ],
)
def test_folders(folder: bytes, reason: Ignored | None) -> None:
    assert PLAIN.folder(folder) is reason
    assert (PLAIN.why(folder, b"a.jpg") is None) is (reason is None)


@pytest.mark.parametrize(
    ("exclude", "folder", "name", "excluded"),
    [
        (["*.tmp.jpg"], b"2024", b"a.tmp.jpg", True),
        (["*.tmp.jpg"], b"2024", b"a.jpg", False),
        (["/a.jpg"], b"", b"a.jpg", True),
        (["/a.jpg"], b"2024", b"a.jpg", False),
        (["2024/*.jpg"], b"2024", b"a.jpg", True),
        (["2024/*.jpg"], b"x/2024", b"a.jpg", False),
        (["**/small-*"], b"a/b", b"small-1.jpg", True),
        (["*.jpg", "!keep*.jpg"], b"a", b"keep1.jpg", False),
        (["*.jpg", "!keep*.jpg"], b"a", b"drop.jpg", True),
        (["# a comment", "", "*.png"], b"a", b"x.png", True),
        (["\\#1.jpg"], b"", b"#1.jpg", True),
        (["\u00e9t\u00e9*"], b"", "\u00e9t\u00e91.jpg".encode(), True),
        (["b\u00e4r?.jpg"], b"", "b\u00e4r\u00f6.jpg".encode(), True),
        (["x*"], b"", b"x\xff\n.jpg", True),
    ],
)
def test_patterns_on_files(exclude: list[str], folder: bytes, name: bytes, excluded: bool) -> None:  # noqa: FBT001
    chosen = Filter(exclude)
    assert chosen.file(folder, name) is (Ignored.EXCLUDED if excluded else None)
    said = chosen.why(folder, name)
    assert (said is not None) is excluded


@pytest.mark.parametrize(
    ("exclude", "folder", "excluded"),
    [
        (["**/exports/"], b"exports", True),
        (["**/exports/"], b"a/exports", True),
        (["**/exports/"], b"a/exports/deep/er", True),
        (["**/exports/"], b"a/export", False),
        (["exports"], b"a/exports", True),
        (["/exports/"], b"a/exports", False),
        (["Private/", "!Private/keep/"], b"Private/keep", True),
    ],
)
def test_patterns_on_folders(exclude: list[str], folder: bytes, excluded: bool) -> None:  # noqa: FBT001
    assert Filter(exclude).folder(folder) is (Ignored.EXCLUDED if excluded else None)


def test_why_names_the_pattern_and_the_folder_that_decide() -> None:
    chosen = Filter(["*.png", "**/exports/"])
    said = chosen.why(b"2024/exports/web", b"a.jpg")
    assert said == "ignored by its folder '2024/exports': excluded by your pattern '**/exports/'"
    assert chosen.why(b"2024", b"\x1b.png") == "ignored by its name '\\x1b.png': excluded by your pattern '*.png'"
    assert chosen.why(b"2024", b"a.jpg") is None


def test_a_broad_negation_does_not_bring_back_trash_and_halves() -> None:
    chosen = Filter(["*", "!*/", "!*.jpg"])
    assert chosen.file(b"", b"a.jpg") is None
    assert chosen.file(b"", b"a.png") is Ignored.EXCLUDED
    assert chosen.file(b"", b".pending-1-a.jpg") is Ignored.TEMPORARY
    assert chosen.folder(b".Trash-1000") is Ignored.SYSTEM


def test_a_pattern_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        Filter(["*.png", "!", "a"])
    assert caught.value.problems == ("exclude: '!' is not a gitignore pattern",)


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_every_name_gets_one_answer_and_why_agrees(name: bytes) -> None:
    chosen = Filter(["*.png", "a*"])
    reason = chosen.file(b"x", name)
    assert (reason is None) is (chosen.why(b"x", name) is None)
    if reason is None:
        assert name.rpartition(b".")[2].lower().decode() in EXTENSIONS
        assert not name.startswith(b".")


@given(st.lists(st.sampled_from([b"a", b".b", b"@eaDir", b"exports", b"c d"]), min_size=1, max_size=5))
def test_a_folder_is_ignored_exactly_if_a_walk_would_not_pass(parts: list[bytes]) -> None:
    chosen = Filter(["exports/"])
    steps = [chosen.subfolder(b"/".join(parts[:depth])) for depth in range(1, len(parts) + 1)]
    assert chosen.folder(b"/".join(parts)) is next((reason for reason in steps if reason), None)


def test_fast_enough_for_a_million_names() -> None:
    names = [b"IMG_%06d.JPG" % number for number in range(20_000)]
    began = time.process_time()
    for name in names:
        PLAIN.file(b"2024/05", name)
    assert time.process_time() - began < 0.2, "a million names would take more than 10 s"
