from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import ImageType
from syncd.upload.names import new_marker, wire_name

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        (b"IMG_0001.JPG", "IMG_0001"),
        (b"IMG-0001.JPG", "IMG-0001"),
        (b"two words (3).jpeg", "two_words_3"),
        ("Zürich Été.png".encode(), "Zurich_Ete"),
        ("日本.jpg".encode(), "photo"),
        (b"\xff\xfe\x80.jpg", "photo"),
        (b"a\r\nX-Evil: 1.jpg", "a_X-Evil_1"),
        (b'a"b;c.jpg', "a_b_c"),
        (b"\x1b[31mred.jpg", "31mred"),
        (b"-rf.jpg", "rf"),
        (b".hidden", "hidden"),
        (b"a.b.c.jpg", "a_b_c"),
        (b"no extension", "no_extension"),
        (b"=cmd.jpg", "cmd"),
        (b"", "photo"),
        (b"../../etc/passwd.jpg", "etc_passwd"),
        (b"x" * 250 + b".jpg", "x" * 60),
    ],
)
def test_n1_wire_name_is_plain_ascii(name: bytes, stem: str) -> None:
    assert wire_name(name, DIGEST, ImageType.JPEG) == f"{stem}-0123456789ab.jpg"


def test_the_extension_follows_the_content() -> None:
    assert wire_name(b"really-a-png.jpg", DIGEST, ImageType.PNG).endswith("-0123456789ab.png")


@given(st.binary(max_size=300), st.sampled_from(ImageType))
def test_n1_any_name_is_safe_and_short(name: bytes, kind: ImageType) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,59}-0123456789ab\.[a-z]+", wire_name(name, DIGEST, kind))


def test_a_marker_has_sixteen_digits_of_what_it_was_given() -> None:
    assert new_marker(bytes(range(8))) == "syncd-0001020304050607"
    assert new_marker(bytes(range(16))) == "syncd-0001020304050607"


def test_a_marker_needs_enough_randomness() -> None:
    with pytest.raises(ValueError, match="8 random bytes"):
        new_marker(b"1234567")
