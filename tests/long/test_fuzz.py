"""A small, fixed part of the fuzz run. The long run is a command: `python -m tests.long.fuzz`."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from syncd.model import Capture
from tests.long import fuzz, mutations

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 2])
def test_e1_wrong_photos_and_names_stay_within_limits_and_act_on_nothing(seed: int) -> None:
    command = [sys.executable, "-m", "tests.long.fuzz", "--seed", str(seed), "--cases", "800", "--seconds", "50"]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-500:]
    assert "800 photos and names" in ended.stdout
    believed = re.search(r"(\d+) were believed in part, (\d+) found unfit", ended.stdout)
    assert believed is not None
    assert all(int(count) > 80 for count in believed.groups()), "the cases are neither all sound nor all broken"


def test_a_case_is_told_by_its_seed_and_number() -> None:
    assert mutations.photo(3, 7) == mutations.photo(3, 7)
    assert mutations.name(3, 7) == mutations.name(3, 7)
    assert len({mutations.photo(3, number)[1] for number in range(50)}) > 40


def test_the_run_finds_what_it_looks_for() -> None:
    with pytest.raises(AssertionError, match="control character"):
        fuzz.check_capture(Capture(camera_model="Canon\r\nX-Injected: 1"))
    with pytest.raises(AssertionError, match="Parameter error"):
        fuzz.check_capture(Capture(camera_model="x" * 201))
    with pytest.raises(UnicodeEncodeError):
        fuzz.check_capture(Capture(camera_model="\udc80"))
    with pytest.raises(fuzz.TooSlowError), fuzz.within(0.05):
        threading.Event().wait(10)
