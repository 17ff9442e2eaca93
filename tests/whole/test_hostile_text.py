"""What photos and names of files say acts on no terminal, log, page or program that reads of it."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.request import urlopen

import pytest

from syncd.sandbox.server import Sandbox
from tests.extract.pictures import chunk, exif, exif_segment, jpeg_with, png_with, text, xmp, xmp_segment
from tests.fakes.program import Ended, Program
from tests.long.mutations import PAYLOADS

ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
TEXTS = {"IFD0": (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298), "inner": (0x9003, 0x9004, 0x9011, 0x9286)}
"""Every text of EXIF that a camera or an editor writes: description, make, model, software, dates, artist, comment."""


def hostile_photo(payload: str, number: int) -> tuple[str, bytes]:
    """Make a photo that says it in all its texts: of EXIF, of XMP, of a PNG, by turns."""
    raw = payload.encode("utf-8", "surrogatepass")
    ifd0, inner = ([text(tag, raw + b"\0") for tag in tags] for tags in TEXTS.values())
    block = exif(ifd0, inner, [text(1, raw + b"\0"), text(3, raw + b"\0")])
    escaped = payload.replace("&", "&amp;").replace("<", "&lt;").encode("utf-8", "replace").decode()
    packet = xmp(f"<tiff:Model>{escaped}</tiff:Model>", f"<exif:DateTimeOriginal>{escaped}</exif:DateTimeOriginal>")
    different = b"%04d" % number
    return (
        (f"{number}-exif.jpg", jpeg_with(exif_segment(block), b"\xff\xfe\0\x06" + different)),
        (f"{number}-xmp.jpg", jpeg_with(xmp_segment(packet), b"\xff\xfe\0\x06" + different)),
        (f"{number}.png", png_with(chunk(b"eXIf", block), chunk(b"tEXt", b"Comment\0" + raw + different))),
    )[number % 3]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "sandbox", port=0) as running:
        yield running


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.pictures += [value or "" for name, value in attrs if name == "src"]


def acts(ended: Ended) -> list[str]:
    """Give the lines of what was printed that would act on a terminal."""
    lines = (ended.out + ended.err).split("\n")
    return [line for line in lines if set(map(unicodedata.category, line)) & ACTING]


def test_p3_texts_of_photos_and_names_are_inert_wherever_they_are_shown(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "home").mkdir()
    with Program(tmp_path / "home", sandbox.base_url) as program:
        program.write_config(
            folders=[{"tags": ["{folder}"]}], rules=[{"match": "{trip}/**/*", "tags": ["{trip}", "{camera}"]}]
        )
        paths = []
        for number, payload in enumerate(PAYLOADS):
            name = payload.encode("utf-8", "surrogatepass").replace(b"/", b"_").replace(b"\0", b"_")[:200]
            file, content = hostile_photo(payload, number)
            path = bytes(program.library) + b"/" + name + b"/" + name[:100] + file.encode()
            Path(os.fsdecode(path)).parent.mkdir()
            Path(os.fsdecode(path)).write_bytes(content)
            paths.append(path)
        synced = program.call("--log-level", "debug", "sync", "--wait", "5s")
        assert synced.code == 0, synced.err[-2000:]
        assert len(sandbox.stored()) == len(paths)
        lines = synced.err.splitlines()
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines), (
            "a name broke a line of the log"
        )

        listed, inspected = program.call("list", "--json"), program.call("inspect", "--json", "--", *paths)
        why = [program.call("why", "--json", "--", path) for path in paths[2:3]]
        for ended in (listed, inspected, *why):
            assert ended.out.isascii()
            assert ended.json
        assert sum(row["camera_model"] is not None for row in listed.json) > len(paths) / 3, "the texts did travel"
        exported = program.call("ledger", "export").out
        assert exported.isascii()
        assert [json.loads(line) for line in exported.splitlines() if line]

        shown = [synced, *(program.call(*words) for words in (["status"], ["list"], ["inspect", "--", *paths]))]
        shown += [program.call("why", "--", path) for path in paths[2:3]]
        shown += [program.call("demo", str(program.library), timeout=60)]
        for ended in shown:
            assert ended.code == 0, ended.err[-2000:]
            assert not acts(ended)
        assert "\\x1b[31m" in shown[2].out, "and is shown all the same"

    with urlopen(sandbox.page_url) as answered:
        page = Page()
        page.feed(answered.read().decode("utf-8"))
        assert "default-src 'none'" in answered.headers["Content-Security-Policy"]
    assert not page.elements & {"script", "iframe", "style", "object", "svg"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(re.fullmatch(r"/sandbox/images/\d+", source) for source in page.pictures), page.pictures
