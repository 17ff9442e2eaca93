"""What NetworkManager says of the network, and what follows where nobody can be asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from syncd.daemon.metered import COMMANDS, Metered, ask_network_manager
from syncd.daemon.voice import Said
from tests.fakes.voice import FakeVoice


def printing(text: str) -> Sequence[str]:
    return ("printf", "%s", text)


MISSING = ("syncd-no-such-tool",)


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([printing("u 1\n")], True),
        ([printing("u 3\n")], True),
        ([printing("u 0\n")], False),
        ([printing("u 2\n")], False),
        ([printing("u 4\n")], False),
        ([MISSING, printing("(<uint32 1>,)")], True),
        ([MISSING, printing("(<uint32 4>,)")], False),
        ([printing("nonsense 1")], None),
        ([("false",)], None),
        ([MISSING], None),
        ([], None),
    ],
)
def test_what_it_answers(commands: Sequence[Sequence[str]], expected: bool | None) -> None:  # noqa: FBT001 -- a table
    assert ask_network_manager(commands) is expected


def test_a_bus_that_hangs_is_a_bus_that_says_nothing() -> None:
    assert ask_network_manager([("sleep", "30")], within=0.05) is None


def test_both_tools_are_asked_for_the_same_property() -> None:
    for command in COMMANDS:
        assert "Metered" in command
        assert any("org.freedesktop.NetworkManager" in word for word in command)
        assert "--system" in command


class Network:
    def __init__(self, *answers: bool | None) -> None:
        self._answers = list(answers)
        self.asked = threading.Semaphore(0)

    def ask(self) -> bool | None:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.asked.release()
        return answer


def test_the_first_answer_is_there_at_once_and_later_ones_follow() -> None:
    voice = FakeVoice()
    network = Network(True, False)
    changes = threading.Semaphore(0)
    with Metered(voice, network.ask, every=0.01, changed=changes.release) as metered:
        for _ in range(3):
            assert network.asked.acquire(timeout=10)
        assert not metered.is_metered()
        assert changes.acquire(timeout=10)
        assert changes.acquire(timeout=10)
    assert not changes.acquire(blocking=False), "once for each change, not for each answer"
    assert voice.details(Said.NETWORK) == [
        "the network is metered: uploads wait",
        "the network is not metered any more",
    ]
    with Metered(voice, Network(True).ask, every=3600.0) as metered:
        assert metered.is_metered()


def test_that_nobody_can_be_asked_is_said_once_and_holds_nothing_up() -> None:
    voice = FakeVoice()
    network = Network(None)
    with Metered(voice, network.ask, every=0.01) as metered:
        for _ in range(5):
            assert network.asked.acquire(timeout=10)
        assert not metered.is_metered()
    assert voice.count(Said.NETWORK) == 1
