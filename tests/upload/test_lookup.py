"""When an unanswered request is looked up, and which hits are believed."""

from __future__ import annotations

import pytest

from syncd.upload.lookup import DISTANCES, Found, Missing, adopt, fingerprint_digits, next_lookup

DIGITS, OTHER = "0123456789ab", "fedcba987654"
NAME, OTHER_NAME = f"IMG_1-{DIGITS}.jpg", f"IMG_2-{OTHER}.png"


@pytest.mark.parametrize(("done", "minutes"), [(0, 1), (1, 5), (2, 30), (3, 180), (4, 1440), (5, 4320), (6, None)])
def test_look_ups_come_at_growing_distances_and_then_no_more(done: int, minutes: int | None) -> None:
    at = next_lookup(done, 1000.0, 60.0)
    assert at == (None if minutes is None else 1000.0 + minutes * 60.0)


def test_there_are_six() -> None:
    assert DISTANCES == (1, 5, 30, 180, 1440, 4320)


@pytest.mark.parametrize(
    ("found", "held", "adopted"),
    [
        ([], (), {}),
        ([Found("7", f"IMG_1-{DIGITS}")], (), {1: "7"}),
        ([Found("7", NAME)], (), {1: "7"}),
        ([Found("7", f"IMG_1-{DIGITS.upper()}.JPG")], (), {1: "7"}),
        ([Found("7", f"upload/2024/{DIGITS}")], (), {1: "7"}),
        ([Found("7", "IMG_1")], (), {}),
        ([Found("7", f"IMG_1-{DIGITS[:-1]}")], (), {}),
        ([Found("7", f"IMG_1-{DIGITS}")], ("7",), {}),
        ([Found("7", f"x-{DIGITS}"), Found("8", f"x-{DIGITS}")], ("7",), {1: "8"}),
        ([Found("7", f"x-{DIGITS}"), Found("8", f"x-{DIGITS}")], (), {1: "7"}),
        ([Found("8", f"y-{OTHER}"), Found("7", f"x-{DIGITS}")], (), {1: "7", 2: "8"}),
        ([Found("7", f"{DIGITS}{OTHER}")], (), {1: "7"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_hit_counts_by_the_digits_of_its_name_and_an_id_only_once(
    found: list[Found], held: tuple[str, ...], adopted: dict[int, str]
) -> None:
    assert adopt([Missing(1, NAME), Missing(2, OTHER_NAME)], found, held) == adopted


def test_the_digits_stand_before_the_extension() -> None:
    assert fingerprint_digits(NAME) == DIGITS
    assert fingerprint_digits(f"photo-{OTHER}.webp") == OTHER
