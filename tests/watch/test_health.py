from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from syncd.watch.health import ECHO_WITHIN, Fault, Vitals, diagnose, limit_reached
from syncd.watch.mounts import Mount

ROOT = b"/photos"
DISK = Mount(21, "8:1", b"/photos", "ext4")
WELL = Vitals(identity_then=(1, 2), identity_now=(1, 2), mounts_then=(DISK,), mounts_now=(DISK,))


def faults(vitals: Vitals) -> list[Fault]:
    return [problem.fault for problem in diagnose(ROOT, vitals)]


def test_nothing_is_wrong() -> None:
    assert faults(WELL) == []
    assert faults(replace(WELL, watches=5, folders=5, silent_for=ECHO_WITHIN - 1, refused={})) == []
    assert faults(replace(WELL, watches=6, folders=5)) == []


@pytest.mark.parametrize(
    ("vitals", "expected"),
    [
        (replace(WELL, dead_threads=("dispatcher",)), [Fault.DEAD]),
        (replace(WELL, dead_threads=("reader",), silent_for=99.0), [Fault.DEAD]),
        (replace(WELL, identity_now=None, dead_threads=("emitter",)), [Fault.ABSENT]),
        (replace(WELL, identity_now=(1, 3)), [Fault.REPLACED]),
        (replace(WELL, identity_now=(9, 2), mounts_now=()), [Fault.REPLACED]),
        (replace(WELL, mounts_now=(replace(DISK, number=22),)), [Fault.REMOUNTED]),
        (replace(WELL, silent_for=ECHO_WITHIN), [Fault.DEAF]),
        (replace(WELL, overflows=1), [Fault.OVERFLOW]),
        (replace(WELL, watches=3, folders=5), [Fault.UNWATCHED]),
        (replace(WELL, refused={errno.ENOSPC: 21}, watches=3, folders=5), [Fault.LIMIT]),
        (replace(WELL, refused={errno.EACCES: 1}), []),
        (replace(WELL, dead_threads=("emitter",), overflows=2), [Fault.DEAD, Fault.OVERFLOW]),
    ],
)
def test_what_is_wrong(vitals: Vitals, expected: list[Fault]) -> None:
    assert faults(vitals) == expected


def test_a_limit_is_named_with_the_command_that_raises_it() -> None:
    watches, instances = limit_reached(ROOT, errno.ENOSPC), limit_reached(ROOT, errno.EMFILE)
    assert "max_user_watches" in watches.detail
    assert "sysctl" in watches.hint
    assert "max_user_instances" in instances.hint


def test_a_problem_shows_its_root_without_letting_it_act() -> None:
    (problem,) = diagnose(b"/\x1b[2J\xff", replace(WELL, overflows=1))
    assert str(problem).isprintable()
