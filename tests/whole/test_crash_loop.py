"""A few of the steps of crash_loop, those where most is at stake. The whole loop is a command of its own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.fault_server import FaultServer
from tests.whole import tracer
from tests.whole.crash_loop import Call, Stage, prepared, strike_of, turning_points


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    reason = tracer.unavailable()
    if reason is not None:
        pytest.skip(reason)
    with FaultServer() as server:
        yield prepared(tmp_path_factory.mktemp("crashes"), server, "first")


@pytest.fixture(scope="module")
def steps(stage: Stage) -> list[Call]:
    stage.set_up()
    assert stage.traced(tracer.Strike(0, "kill")).code == 0
    return stage.steps()


def step(steps: Sequence[Call], moment: str) -> int:
    """Find a moment of the first request, or before it, among the steps."""
    answer = next(call.number for call in steps if call.name == "recvfrom")
    sends = [call.number for call in steps if call.name == "sendto" and call.number < answer]

    def synced_before(number: int) -> int:
        return max(call.number for call in steps if call.number < number and call.name == "fdatasync")

    def after_the_answer(name: str) -> int:
        return next(call.number for call in steps if call.number > answer and call.name == name)

    def first(name: str, part: str) -> int:
        return next(call.number for call in steps if call.name == name and part in call.target)

    return {
        "the lock is written": first("pwrite64", ".lock"),
        "the ledger's file is made": first("openat", "ledger.db"),
        "the ledger is made": first("unlink", "-journal"),
        "the mark is made": first("pwrite64", ".mark"),
        "the claim becomes durable": synced_before(sends[0]),
        "the request begins": sends[0],
        "completing becomes durable": synced_before(sends[-1]),
        "the last bytes leave": sends[-1],
        "the answer comes": answer,
        "the ids are recorded": after_the_answer("pwrite64"),
        "the ids become durable": after_the_answer("fdatasync"),
    }[moment]


def struck(stage: Stage, steps: Sequence[Call], moment: str, strike: str) -> list[str]:
    stage.set_up()
    ended = stage.traced(strike_of(strike, step(steps, moment)))
    if strike in {"kill", "power"}:
        assert ended.code == tracer.STRUCK
    return stage.faults_after(ended, strike)


@pytest.mark.parametrize("moment", ["the mark is made", "the request begins", "the last bytes leave"])
def test_b2_killed_at_a_step_nothing_is_sent_twice_or_lost(stage: Stage, steps: list[Call], moment: str) -> None:
    assert not struck(stage, steps, moment, "kill")


def test_b16_killed_while_the_ledger_is_made_it_starts_again(stage: Stage, steps: list[Call]) -> None:
    assert not struck(stage, steps, "the ledger is made", "kill")


@pytest.mark.parametrize("moment", ["the answer comes", "the ids become durable"])
def test_b3_a_power_cut_that_takes_all_that_was_not_synced(stage: Stage, steps: list[Call], moment: str) -> None:
    assert not struck(stage, steps, moment, "power")


@pytest.mark.parametrize(
    ("moment", "strike"),
    [
        ("the lock is written", "ENOSPC"),
        ("the ledger's file is made", "ENOSPC+"),
        ("the claim becomes durable", "EIO"),
        ("completing becomes durable", "ENOSPC"),
        ("the ids are recorded", "ENOSPC+"),
        ("the ids become durable", "EIO+"),
    ],
)
def test_d2_a_write_or_sync_of_the_ledger_fails(stage: Stage, steps: list[Call], moment: str, strike: str) -> None:
    assert not struck(stage, steps, moment, strike)


def test_b2_a_power_cut_in_the_middle_of_a_recovery(tmp_path: Path) -> None:
    if (reason := tracer.unavailable()) is not None:
        pytest.skip(reason)
    with FaultServer() as server:
        recovering = prepared(tmp_path, server, "recovery")
        recovering.set_up()
        assert recovering.traced(tracer.Strike(0, "kill")).code == 0
        found = next(call.number for call in recovering.steps() if call.name == "recvfrom")
        recovering.set_up()
        assert recovering.traced(strike_of("power", found + 1)).code == tracer.STRUCK
        assert not recovering.faults_after(recovering.traced(tracer.Strike(0, "kill")), "power")


def test_b3_the_intent_is_on_the_disk_before_the_body_and_before_its_end(stage: Stage, steps: list[Call]) -> None:
    begins, ends = step(steps, "the request begins"), step(steps, "the last bytes leave")
    assert begins < ends
    for number in (begins, ends):
        assert is_synced(steps[: number - 1]), "something of the ledger was in no durable log when bytes left"
    stage.set_up()
    assert stage.traced(strike_of("power", ends)).code == tracer.STRUCK
    with closing(sqlite3.connect(stage.program.ledger)) as ledger:
        completing = [at for (at,) in ledger.execute("SELECT completing_at FROM requests")]
    assert any(completing), (
        "nothing of it is left after a power cut at the last bytes: neither intent nor completing_at"
    )


def is_synced(steps: Sequence[Call]) -> bool:
    """Whether what was written last to the WAL was synced after it."""
    names = [call.name for call in steps if call.target.endswith("-wal") and call.name in {"pwrite64", "fdatasync"}]
    return bool(names) and names[-1] == "fdatasync"


def test_the_turning_points_of_a_row_of_writes_are_its_ends() -> None:
    row = [Call(number, 0, "pwrite64", "wal") for number in range(1, 8)]
    around = [Call(0, 0, "openat", "wal"), *row, Call(8, 0, "fdatasync", "wal")]
    assert [call.number for call in turning_points(around)] == [0, 1, 2, 7, 8]


WRITER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"aaaa", 0)
os.fsync(fd)
for text, offset in (b"bbbb", 0), (b"cc", 6), (b"d", 20):
    os.pwrite(fd, text, offset)
"""


@pytest.mark.parametrize(
    ("at", "strike", "code", "left"),
    [
        (0, "kill", 0, b"bbbb\0\0cc" + b"\0" * 12 + b"d"),
        (6, "kill", tracer.STRUCK, b"bbbb\0\0cc"),
        (6, "power", tracer.STRUCK, b"aaaa"),
        (3, "power", tracer.STRUCK, b""),
        (5, "ENOSPC", 1, b"bbbb"),
    ],
)
def test_the_tracer_strikes_at_the_call_and_a_power_cut_takes_what_was_not_synced(
    tmp_path: Path, at: int, strike: str, code: int, left: bytes
) -> None:
    if (reason := tracer.unavailable()) is not None:
        pytest.skip(reason)
    file = tmp_path / "file"
    command = ["--below", str(tmp_path), "--log", str(tmp_path / "log"), "--at", str(at), "--strike", strike, "--"]
    writer = [sys.executable, "-c", WRITER, str(file)]
    ended = subprocess.run([sys.executable, tracer.__file__, *command, *writer], check=False, capture_output=True)
    assert ended.returncode == code, ended.stderr
    assert file.read_bytes() == left
