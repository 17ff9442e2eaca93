"""A folder held against lists: our own, MHL v1.x and ASC MHL v2 of other programs, and hostile ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import xxhash

from syncd.card.checking import State, check, read_manifest
from syncd.errors import UsageError

CONTENT = b"the bytes of a photo"


def states(manifest: Path) -> list[State]:
    folder, lines = read_manifest(manifest)
    return [one.state for one in check(folder, lines, lambda _: None)]


def mhl(folder: Path, element: str, value: str, name: str = "a.jpg") -> Path:
    path = folder / "list.mhl"
    size = len(CONTENT)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<hashlist version="1.1"><creatorinfo/>'
        f"<hash><file>{name}</file><size>{size}</size><{element}>{value}</{element}></hash></hashlist>",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("xxhash64be", xxhash.xxh64(CONTENT).hexdigest()),
        ("xxhash64", xxhash.xxh64(CONTENT).digest()[::-1].hex()),
        ("md5", hashlib.md5(CONTENT).hexdigest().upper()),
        ("sha1", hashlib.sha1(CONTENT).hexdigest()),
    ],
)
def test_media_hash_lists_of_other_programs(tmp_path: Path, element: str, value: str) -> None:
    (tmp_path / "a.jpg").write_bytes(CONTENT)
    manifest = mhl(tmp_path, element, value)
    assert states(manifest) == [State.SAME]
    (tmp_path / "a.jpg").write_bytes(CONTENT[::-1])
    assert states(manifest) == [State.CHANGED]
    (tmp_path / "a.jpg").unlink()
    assert states(manifest) == [State.MISSING]


def test_a_list_of_the_asc(tmp_path: Path) -> None:
    (tmp_path / "Clips").mkdir()
    (tmp_path / "Clips" / "a.mov").write_bytes(CONTENT)
    inside = tmp_path / "ascmhl"
    inside.mkdir()
    path = inside / "0001_tmp.mhl"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<hashlist version="2.0" xmlns="urn:ASC:MHL:v2.0"><hashes>'
        f'<hash><path size="{len(CONTENT)}">Clips/a.mov</path><xxh64 action="original">'
        f"{xxhash.xxh64(CONTENT).hexdigest()}</xxh64></hash></hashes></hashlist>",
        encoding="utf-8",
    )
    assert states(path) == [State.SAME]


def test_a_hash_that_nobody_here_computes_is_not_called_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(CONTENT)
    assert states(mhl(tmp_path, "c4", "c4abc")) == [State.UNKNOWN]


@pytest.mark.parametrize("name", ["../outside.jpg", "/etc/passwd", "a/../../b"])
def test_a_list_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    assert states(mhl(tmp_path, "md5", "0", name)) == [State.UNREADABLE]
    ours = tmp_path / "list.json"
    ours.write_text(json.dumps({"format": "syncd import 1", "files": [{"path": name, "size": 1, "sha256": "0"}]}))
    assert states(ours) == [State.UNREADABLE]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no list",
        b"[]",
        b'{"format": "other", "files": []}',
        b'{"format": "syncd import 1"}',
        b'{"format": "syncd import 1", "files": [{"path": 1}]}',
        b"[" * 100_000,
        b"<html/>",
        b"<hashlist>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><hashlist>&b;</hashlist>',
        b"<hashlist><hash><file>a</file><size>many</size></hash></hashlist>",
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="manifest"):
        read_manifest(path)
