"""The tree of errors is the one that its docstring draws, and every error leads to its exit code."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from syncd import errors
from syncd.errors import ConfigError, LockedError, SyncdError


def drawn() -> dict[str, tuple[str | None, int | None]]:
    """The tree in the docstring: name of the class -> its parent, and the exit code beside it (None: none is said)."""
    tree: dict[str, tuple[str | None, int | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([│├└─ ]*)(\w+Error)\b(.*)", line)
        if found is None:
            continue
        indent, name, said = len(found[1]), found[2], re.search(r"exit (\d+)", found[3])
        above = [(depth, other) for depth, other in above if depth < indent]
        tree[name] = (above[-1][1] if above else None, int(said[1]) if said else None)
        above.append((indent, name))
    return tree


def classes() -> dict[str, type[SyncdError]]:
    return {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SyncdError)
    }


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    real = {name: kind.__bases__[0].__name__ for name, kind in classes().items() if kind is not SyncdError}
    assert {name: parent for name, (parent, _) in drawn().items() if parent is not None} == real
    assert drawn()["SyncdError"] == (None, None)


def test_the_exit_codes_in_the_docstring_are_the_exit_codes() -> None:
    tree = drawn()
    for name, kind in classes().items():
        above = name
        while tree[above][1] is None and tree[above][0] is not None:
            above = tree[above][0] or ""
        assert kind.exit_code == (tree[above][1] or 1), name


def test_every_error_has_one_parent_and_says_what_it_is_for() -> None:
    for kind in classes().values():
        assert kind.__doc__
        assert all(len(after.__bases__) == 1 for after, _ in pairwise(kind.__mro__[:-2]))


@pytest.mark.parametrize("kind", classes().values(), ids=classes())
def test_an_error_says_what_happened_and_what_to_do(kind: type[SyncdError]) -> None:
    error = kind("the disk is full", hint="free some space")
    assert (str(error), error.message, error.hint) == ("the disk is full", "the disk is full", "free some space")
    assert kind("no more is known").hint == ""
    assert isinstance(error, SyncdError)


def test_a_configuration_error_has_all_problems() -> None:
    assert ConfigError("two things", problems=["one", "two"]).problems == ("one", "two")
    assert LockedError.exit_code == 75
