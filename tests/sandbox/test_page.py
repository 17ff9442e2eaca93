from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import ImageType
from syncd.sandbox.contract import StoredImage
from syncd.sandbox.page import PAGE_SIZE, plain, render
from syncd.sandbox.service import Counts, Holdings
from syncd.sandbox.switches import Switches

IMAGE = StoredImage(
    "568102998803353601", "a.jpg", ImageType.JPEG, "0" * 64, 1000, "Family", None, None, None, None, ("home",), 1.78e9
)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\u202e\r\n&amp;"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(*images: StoredImage, number: int = 1, switches: Switches | None = None) -> str:
    holdings = Holdings(images, ["default"], Counts(requests=3, uploads=2), switches or Switches())
    return render(holdings, number, "http://127.0.0.1:8080/")


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    return tags


def test_the_page_shows_what_an_image_is() -> None:
    image = replace(
        IMAGE,
        datetime_taken="2024-02-29 10:00:00",
        camera_model="Canon EOS R5",
        latitude="52.52",
        longitude="13.405",
    )
    text = parsed(page(image)).text
    for shown in ("a.jpg", "2024-02-29 10:00:00", "Canon EOS R5", "52.52", "13.405", "home", "api", "Family", image.id):
        assert shown in text
    assert "1 image," in text
    assert "Second copies" not in text


def test_second_copies_are_pointed_out() -> None:
    assert "2 images, 0.0 MB" in parsed(page(IMAGE, replace(IMAGE, id="568102998803353603"))).text
    assert "Second copies of the same bytes: 1." in parsed(page(IMAGE, replace(IMAGE, id="568102998803353603"))).text


def test_an_empty_sandbox_says_so() -> None:
    assert "Nothing has arrived yet" in page()


@pytest.mark.parametrize("name", ["name", "camera_model", "datetime_taken", "unique_id", "latitude", "longitude", "id"])
def test_p3_hostile_text_is_inert(name: str) -> None:
    image = replace(IMAGE, latitude="1", longitude="2", tags=(HOSTILE,))
    html = page(replace(image, **{name: HOSTILE}) if name != "id" else image)  # type: ignore[arg-type]  # texts all
    ours = parsed(page(image))
    theirs = parsed(html)
    assert theirs.seen == ours.seen
    assert theirs.attributes == ours.attributes
    assert "onerror" not in theirs.attributes
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "\\u202e" in theirs.text


@given(st.text(st.characters(), max_size=50))
def test_p3_any_text_is_escaped_and_visible(text: str) -> None:
    escaped = plain(text)
    assert escaped.encode("utf-8"), "no surrogates are left"
    inner = escaped.removeprefix("<bdi>").removesuffix("</bdi>")
    assert not set(inner) & set("<>\"'\r\n\x00\x1b\u2028\u202e")


def test_many_images_are_paged() -> None:
    images = [replace(IMAGE, id=str(2**60 + n), name=f"n{n}.jpg") for n in range(2 * PAGE_SIZE + 1)]
    first, last = parsed(page(*images)).text, parsed(page(*images, number=3)).text
    assert "page 1 of 3" in first
    assert "n0.jpg" in first
    assert f"n{PAGE_SIZE}.jpg" not in first
    assert f"n{2 * PAGE_SIZE}.jpg" in last
    assert parsed(page(*images, number=999)).text == last
    assert parsed(page(*images, number=0)).text == first


def test_the_page_shows_the_switches_and_never_the_key() -> None:
    text = parsed(page(switches=Switches(key="sk-secret", credits=7))).text
    assert "credits7" in text
    assert "sk-secret" not in text
    assert "curl -X POST" in text


def test_there_are_no_scripts_and_no_inline_styles() -> None:
    tags = parsed(page(IMAGE))
    assert not {"script", "style", "form", "iframe"} & set(tags.seen)
    assert "style" not in tags.attributes
