"""The words of the daemon are told apart, and those that need a person are marked."""

from __future__ import annotations

from syncd.daemon.voice import Said


def test_the_event_names_are_distinct_and_fit_for_a_log() -> None:
    assert len({said.value for said in Said}) == len(Said)
    assert all(said.value == said.value.strip().lower() and said.value.isascii() for said in Said)


def test_what_needs_a_person() -> None:
    assert {said for said in Said if said.needs_a_person} == {
        Said.REFUSED, Said.UNANSWERED, Said.UNFIT, Said.UNREADABLE, Said.ABSENT, Said.PAUSED, Said.WATCH, Said.HELD,
    }  # fmt: skip
