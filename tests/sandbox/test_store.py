from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import NotNowError, SetupError
from syncd.model import ImageType
from syncd.sandbox.contract import FilePart, StoredImage
from syncd.sandbox.form import ArrivedFile
from syncd.sandbox.store import Store

UNNAMED = StoredImage(
    "", "ü\u202e.jpg", ImageType.JPEG, "ab" * 32, 3, "default", None, "Canon", "1.5", "2", ("a", "b"), 1_780_000_000.5
)


def arrived(store: Store, content: bytes = b"abc") -> tuple[ArrivedFile, StoredImage]:
    path = store.incoming / f"{len(list(store.incoming.iterdir()))}.part"
    path.write_bytes(content)
    return ArrivedFile(FilePart("a.jpg", "image/jpeg", len(content), content), "ab" * 32, path), UNNAMED


def test_images_survive_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "sandbox")
    first = store.add([arrived(store, b"one"), arrived(store, b"two")])
    store.name("Family")
    store.close()
    again = Store(tmp_path / "new" / "sandbox")
    assert again.images() == first
    assert again.namespaces() == ["Family", "default"]
    assert [again.path(image).read_bytes() for image in first] == [b"one", b"two"]
    third = again.add([arrived(again)])
    assert int(third[0].id) > int(first[1].id)
    again.close()


def test_ids_rise_over_a_restart_even_when_the_clock_went_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (image,) = store.add([arrived(store)])
    store.close()
    store = Store(tmp_path)
    file, unnamed = arrived(store)
    (later,) = store.add([(file, replace(unnamed, created_at=0.0))])
    assert int(later.id) > int(image.id)
    store.close()


@pytest.mark.parametrize("cut", [1, 5, 50])
def test_a_line_that_was_cut_by_a_crash_is_taken_back(tmp_path: Path, cut: int) -> None:
    store = Store(tmp_path)
    first = store.add([arrived(store)])
    store.add([arrived(store), arrived(store)])
    store.close()
    index = tmp_path / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-cut])
    store = Store(tmp_path)
    assert store.images() == first, "all or nothing"
    store.add([arrived(store)])
    store.close()
    store = Store(tmp_path)
    assert len(store.images()) == 2
    store.close()


@pytest.mark.parametrize("line", ["{", "[]", '{"images": [{}]}', '{"images": [1]}', '{"other": 1}', "\x00\x00"])
def test_a_damaged_index_is_said_and_not_swallowed(tmp_path: Path, line: str) -> None:
    (tmp_path / "index.jsonl").write_text(line + "\n" + json.dumps({"unique_id": "a"}) + "\n")
    with pytest.raises(SetupError, match=r"Line 1 of .*index\.jsonl is damaged") as caught:
        Store(tmp_path)
    assert caught.value.hint


def test_only_one_sandbox_uses_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(NotNowError, match="Another sandbox"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot use the folder"):
        Store(tmp_path / "file" / "below")


def test_uploads_that_never_ended_are_removed_at_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    arrived(store)
    store.close()
    store = Store(tmp_path)
    assert not list(store.incoming.iterdir())
    store.close()


def test_when_one_file_cannot_be_kept_none_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good, bad = arrived(store), arrived(store)
    bad[0].path.unlink()
    with pytest.raises(OSError, match="No such file"):
        store.add([good, bad])
    assert store.images() == []
    assert not list((tmp_path / "images").iterdir())
    assert (tmp_path / "index.jsonl").read_bytes() == b""
    store.close()


def test_nobody_else_may_look(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.close()
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    assert (tmp_path / "s" / "index.jsonl").stat().st_mode & 0o077 == 0
