"""The real files of the visible corpus, end to end. Skipped where the corpus is not beside the checkout."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program

TYPES = {"image/jpeg", "image/png", "image/gif", "image/bmp", "image/webp"}
AMBIGUOUS = "invalid-exif.jpg"
"""One file of which the corpus says itself that readers disagree."""


@pytest.fixture
def corpus() -> Path:
    found = Path(__file__).parents[2] / ".." / "shared" / "corpus"
    if not (found / "manifest.tsv").exists():
        pytest.skip("the corpus of real photos is not at ../shared/corpus beside the checkout")
    return found.resolve()


def test_the_corpus_arrives_exactly_once_with_what_its_manifest_says(
    program: Program, server: FaultServer, corpus: Path
) -> None:
    with (corpus / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    for name in manifest:
        (program.library / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(corpus / name, program.library / name)
    ended = program.sync(wait="30s", timeout=50)
    assert ended.code in {0, 3}, ended.err
    listed = program.listed()
    assert not server.account.violations
    assert all(row["state"] in {"uploaded", "unfit"} for row in listed.values())
    assert len(server.uploads) == ended.json["status"]["requests"]
    assert set(server.account.billed().values()) == {1}

    ids = {image.sha256: str(image.id) for image in server.stored}
    for name, row in listed.items():
        digest = hashlib.sha256((program.library / name).read_bytes()).hexdigest()
        assert row["image_id"] == ids.get(digest), name
        assert (row["state"] == "uploaded") == (digest in ids), name
    assert not missing(manifest, listed)
    wrong, values = disagreements(manifest, listed)
    assert len(wrong) <= values / 100, wrong

    assert program.sync().json["uploaded"] == 0
    assert len(server.stored) == len(ids)


def missing(manifest: dict[str, dict[str, str]], listed: dict[str, Any]) -> list[str]:
    """Files that Pillow decodes whole, of a type and size that the service takes, and that were not uploaded."""
    fit = [
        name
        for name, row in manifest.items()
        if row["mime"] in TYPES and row["pillow_load"] == "ok" and 0 < int(row["size"]) <= 20_000_000
    ]
    candidates = [name for name in fit if name in listed]
    return [name for name in candidates if listed[name]["state"] != "uploaded"]


def disagreements(manifest: dict[str, dict[str, str]], listed: dict[str, Any]) -> tuple[list[str], int]:
    """Values that differ from the manifest's, and how many were compared."""
    wrong: list[str] = []
    compared: Counter[str] = Counter()
    for name, row in manifest.items():
        if name not in listed or name.endswith(AMBIGUOUS):
            continue
        found = listed[name]
        pairs: dict[str, tuple[object, object]] = {
            "taken_at": (found["taken_at"] or "", row["datetime"]),
            "model": (found["camera_model"] or "", row["model"]),
            "position": (place(found["latitude"], found["longitude"]), place(row["lat"], row["lon"])),
        }
        for field, (got, wanted) in pairs.items():
            compared[field] += 1
            if got != wanted:
                wrong.append(f"{name}: {field} is {got!r}, wanted {wanted!r}")
    return wrong, compared.total()


def place(latitude: object, longitude: object) -> tuple[float, float] | None:
    """A position to some ten metres."""
    if latitude in {None, ""} or longitude in {None, ""}:
        return None
    return round(float(str(latitude)), 4), round(float(str(longitude)), 4)
