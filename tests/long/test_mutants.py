"""The mutants can still be made: their run is a command of its own, `python -m tests.long.mutants`."""

from __future__ import annotations

import pytest

from tests.long.mutants import MUTANTS, TOP, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code_and_names_tests_that_are_there(mutant: Mutant) -> None:
    text = (TOP / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.before) == 1, "the code has changed: give the mutant its new place"
    assert mutant.before != mutant.after
    for test in mutant.tests:
        file, _, function = test.partition("::")
        assert f"def {function.partition('[')[0]}" in (TOP / file).read_text(encoding="utf-8")


def test_no_two_mutants_have_the_same_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
