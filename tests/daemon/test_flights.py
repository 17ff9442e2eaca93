"""Requests under way: how they are made, and how they come back. Real ledger and files, no network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from syncd.lifecycle import State
from syncd.upload.replies import Reply
from tests.fakes.executor import StepExecutor
from tests.fakes.rig import UNPACED, Rig, photos
from tests.fakes.service import FakeService

P = ParamSpec("P")
T = TypeVar("T")
OPEN = Path("/proc/self/fd")
HOUR = 3600.0


def test_an_error_of_one_request_does_not_keep_the_others_from_being_settled(tmp_path: Path) -> None:
    class Broken(FakeService):
        def send(self, *args: Any, **more: Any) -> Reply:
            if not self.requests:
                super().send(*args, **more)
                raise RuntimeError("a defect")
            return super().send(*args, **more)

    executor = StepExecutor(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=2), service=Broken(), executor=executor) as rig:
        photos(rig, 2)
        rig.dispatch.turn()
        executor.step()
        executor.step()
        with pytest.raises(RuntimeError, match="defect"):
            rig.dispatch.turn()
        assert rig.count(State.UPLOADED) == 1
        assert rig.count(State.SENDING) == 1
        rig.restart()
        assert rig.count(State.UNANSWERED) == 1, "its body was complete: it may be stored"


def test_no_file_is_closed_under_a_request_that_is_under_way_when_the_next_cannot_be_made(tmp_path: Path) -> None:
    class Spent(StepExecutor):
        submitted = 0

        def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
            self.submitted += 1
            if self.submitted > 1:
                raise RuntimeError("can't start new thread")
            return super().submit(fn, *args, **kwargs)

    executor = Spent(inline=False)
    with Rig(tmp_path, upload=replace(UNPACED, in_flight=3), executor=executor) as rig:
        photos(rig, 3)
        with pytest.raises(RuntimeError, match="new thread"):
            rig.dispatch.turn()
        assert executor.step()
        rig.dispatch.finish(None)
        assert rig.count(State.UPLOADED) == 1, "the file was still open, and is closed once"
        left = sum(fd.is_symlink() and fd.readlink().is_relative_to(rig.root) for fd in OPEN.iterdir())
        assert left <= 1, "open is at most that of which nobody knows whether it will still be sent"
        rig.restart()
        assert rig.count(State.READY) == 2
