"""What is read ahead: how much of it at once, and that nothing stays open."""

from __future__ import annotations

import os

import pytest

from syncd.errors import WorkerError
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig


def test_a_halt_in_the_middle_gives_up_what_is_open_and_the_next_scan_finds_it(rig: Rig) -> None:
    for number in range(40):
        rig.write(f"{number}.jpg", photo_bytes(str(number)))
    rig.reader.meanwhile = rig.intake.halt
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    assert rig.intake.scan(bytes(rig.root)) is None
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - names are enough
    assert rig.reader.reads == 1
    rig.reader.meanwhile = None
    rig.restart()
    rig.scan()
    assert len(rig.states()) == 40


def test_a_reader_that_fails_leaves_nothing_open(rig: Rig) -> None:
    for number in range(5):
        rig.write(f"{number}.jpg", photo_bytes(str(number)))
    rig.reader.meanwhile = none_can_be_had
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    with pytest.raises(WorkerError):
        rig.scan()
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - names are enough


def none_can_be_had() -> None:
    raise WorkerError("no worker can be had")


def test_of_large_files_the_next_is_begun_before_one_is_waited_for_and_no_more(rig: Rig) -> None:
    places = [rig.place(f"{number}.jpg") for number in range(4)]
    for place in places:
        rig.write(place.name.decode(), photo_bytes(place.name.decode(), more="x" * 1_500_000))
    begun: list[int] = []
    rig.reader.meanwhile = lambda: begun.append(rig.reader.begun)
    rig.intake.look_at(places)
    rig.intake.flush()
    assert begun == [2, 3, 4, 4]
    assert set(rig.states()) == {f"{number}.jpg" for number in range(4)}
