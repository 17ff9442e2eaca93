"""The lists beside the copies: what stands in them, and what no XML can hold."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

from syncd.card.destination import Destination
from syncd.card.layout import CardFile
from syncd.card.manifest import Manifest
from syncd.card.report import Finding, Standing
from syncd.ledger.imports import Fingerprints, Kind


def finding(folder: Path, name: bytes, standing: Standing = Standing.COPIED) -> Finding:
    prints = Fingerprints("d" * 64, "0123456789abcdef", "h" * 32, 5)
    path = os.fsencode(folder) + b"/2024/" + name
    return Finding(CardFile(b"DCIM", name, 5, 1_714_815_012_000_000_000), standing, "", prints, (path,))


def written(folder: Path, *findings: Finding, label: str = "CARD") -> list[Path]:
    with (
        closing(Destination(os.fsencode(folder), Kind.COPY, "token")) as destination,
        closing(Manifest(destination, "token", {"label": label}, label)) as manifest,
    ):
        for one in findings:
            manifest.note(one)
        paths = manifest.write({"safe_to_format": True}, 1_714_815_012.0, 1_714_815_099.0)
    return [Path(os.fsdecode(path)) for path in paths]


def test_both_lists_name_every_copy_with_its_hash(tmp_path: Path) -> None:
    as_json, as_mhl = written(tmp_path, finding(tmp_path, b"a<&>.jpg"), finding(tmp_path, b"b.jpg", Standing.KNOWN))
    found = json.loads(as_json.read_bytes())
    assert found["format"] == "syncd import 1"
    assert found["verdict"] == {"safe_to_format": True}
    assert [row["path"] for row in found["files"]] == ["2024/a<&>.jpg", "2024/b.jpg"]
    assert found["files"][0]["sha256"] == "d" * 64
    tree = ET.parse(as_mhl).getroot()
    assert tree.attrib == {"version": "1.1"}
    (first, _) = tree.findall("hash")
    assert [(child.tag, child.text) for child in first] == [
        ("file", "2024/a<&>.jpg"),
        ("size", "5"),
        ("lastmodificationdate", "2024-05-04T09:30:12Z"),
        ("xxhash64be", "0123456789abcdef"),
        ("hashdate", "2024-05-04T09:31:39Z"),
    ]
    assert [child.tag for child in tree.find("creatorinfo") or ()] == [
        "name", "username", "hostname", "tool", "startdate", "finishdate",
    ]  # fmt: skip


def test_names_that_xml_cannot_hold_stand_in_the_json_alone(tmp_path: Path) -> None:
    as_json, as_mhl = written(tmp_path, finding(tmp_path, b"\xff.jpg"), finding(tmp_path, b"\x1b.jpg"))
    assert len(json.loads(as_json.read_bytes())["files"]) == 2
    assert ET.parse(as_mhl).getroot().findall("hash") == []
    assert b"<!-- 2 more" in as_mhl.read_bytes()


def test_an_import_that_copied_nothing_leaves_no_list(tmp_path: Path) -> None:
    assert written(tmp_path, finding(tmp_path, b"a.jpg", Standing.KNOWN)) == []
    assert written(tmp_path, finding(tmp_path, b"a.jpg", Standing.UNREADABLE)) == []
    assert list(tmp_path.iterdir()) == []


def test_lists_of_the_same_moment_do_not_overwrite_each_other_and_hostile_labels_stay_names(tmp_path: Path) -> None:
    for _ in range(2):
        for path in written(tmp_path, finding(tmp_path, b"a.jpg"), label="../../etc/\x1b"):
            assert path.parent == tmp_path
            assert path.exists()
    assert len(list(tmp_path.iterdir())) == 4
