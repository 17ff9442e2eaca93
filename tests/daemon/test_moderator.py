"""Repeating faults are said a few times, then counted; what happens to a photo is always said."""

from __future__ import annotations

from syncd.daemon.moderator import ALL, SAME, WINDOW, Moderator
from syncd.daemon.voice import Said
from tests.fakes.clock import FakeClock
from tests.fakes.voice import FakeVoice


def test_the_same_fault_is_said_a_few_times_then_counted_and_said_again_later() -> None:
    clock, voice = FakeClock(0.0), FakeVoice()
    moderator = Moderator(voice, clock.monotonic)
    for number in range(500):
        moderator.say(Said.NOT_SENT, b"/p/%d.jpg" % number, "not sent: no route to host")
        clock.advance(1.0)
    assert voice.count(Said.NOT_SENT) == SAME
    clock.advance(WINDOW)
    moderator.say(Said.UPLOADED, b"/p/x.jpg", "image id 1")
    assert voice.details(Said.NOT_SENT)[-1] == (
        f"not sent: no route to host (and {500 - SAME} times more like it in the last minutes)"
    )
    moderator.say(Said.NOT_SENT, b"/p/0.jpg", "not sent: no route to host")
    assert voice.count(Said.NOT_SENT) == SAME + 2
    assert moderator.counts[Said.NOT_SENT] == 501


def test_faults_that_differ_are_bounded_all_together() -> None:
    voice = FakeVoice()
    moderator = Moderator(voice, FakeClock(0.0).monotonic)
    for number in range(10 * ALL):
        moderator.say(Said.UNREADABLE, b"/p", f"reason {number}")
    assert voice.count(Said.UNREADABLE) == ALL


def test_a_photo_that_changes_state_is_always_said() -> None:
    voice = FakeVoice()
    moderator = Moderator(voice, FakeClock(0.0).monotonic)
    for said in (Said.UPLOADED, Said.REFUSED, Said.UNANSWERED, Said.UNFIT):
        for _ in range(2 * ALL):
            moderator.say(said, b"/p", "the same")
        assert voice.count(said) == 2 * ALL


def test_nothing_is_said_of_a_fault_that_was_said_in_full() -> None:
    clock, voice = FakeClock(0.0), FakeVoice()
    moderator = Moderator(voice, clock.monotonic)
    moderator.say(Said.WATCH, b"/p", "deaf")
    clock.advance(2 * WINDOW)
    moderator.say(Said.UPLOADED, b"/p", "")
    assert voice.count(Said.WATCH) == 1
