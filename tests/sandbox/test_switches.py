from __future__ import annotations

import math

import pytest

from syncd.sandbox.switches import Switches, change, shown


def test_switches_change_by_name() -> None:
    wanted = {"rate": 2, "latency": 0.5, "credits": 0, "lose_every": 3, "key": "sk-1", "http_statuses": True}
    changed = change(Switches(batch_cap=4), wanted)
    assert changed == Switches(
        rate=2, latency=0.5, credits=0, lose_every=3, key="sk-1", http_statuses=True, batch_cap=4
    )


@pytest.mark.parametrize("name", ["rate", "credits", "lose_every", "fail_every", "key"])
def test_null_turns_a_switch_off(name: str) -> None:
    changed = change(Switches(rate=1, credits=1, lose_every=1, fail_every=1, key="sk-1"), {name: None})
    assert isinstance(changed, Switches)
    assert getattr(changed, name) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0),
        ("rate", -1),
        ("rate", math.inf),
        ("rate", math.nan),
        ("rate", "1"),
        ("rate", True),
        ("latency", -0.1),
        ("latency", 1e9),
        ("latency", None),
        ("credits", -1),
        ("credits", 1.5),
        ("credits", True),
        ("credits", 2**60),
        ("lose_every", 0),
        ("fail_every", "2"),
        ("batch_cap", 0),
        ("batch_cap", None),
        ("indexing_lag", math.nan),
        ("key", ""),
        ("key", "sk-é"),
        ("key", 5),
        ("http_statuses", 1),
        ("http_statuses", None),
        ("colour", "red"),
        ("__class__", 1),
    ],
)
def test_bad_values_are_named_and_nothing_changes(name: str, value: object) -> None:
    problems = change(Switches(), {"credits": 5, name: value})
    assert isinstance(problems, tuple)
    assert len(problems) == 1
    assert name in problems[0]


def test_every_problem_is_said_at_once() -> None:
    problems = change(Switches(), {"rate": 0, "credits": -1, "x": 1})
    assert isinstance(problems, tuple)
    assert len(problems) == 3


def test_the_key_is_not_shown() -> None:
    assert "sk-secret" not in str(shown(Switches(key="sk-secret")))
    assert shown(Switches())["key"] is None
