"""Who makes progress, who is idle and said so, and who hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from syncd.daemon.vigil import Vigil, WatchedSender
from syncd.model import RequestMetadata
from syncd.upload.body import SendFile
from syncd.upload.replies import Hit, Reply, SearchFailed, Stored
from tests.fakes.clock import FakeClock


def test_a_worker_is_overdue_when_it_is_not_heard_of_within_what_it_said_and_patience() -> None:
    clock = FakeClock(0.0)
    vigil = Vigil(clock.monotonic, patience=5.0)
    vigil.progress("a")
    vigil.progress("idle", within=60.0)
    clock.advance(5.0)
    assert vigil.overdue() == []
    clock.advance(0.1)
    assert [str(one) for one in vigil.overdue()] == ["a has made no progress for 5 s"]
    vigil.progress("a")
    assert vigil.overdue() == []
    clock.advance(60.0)
    assert {one.worker for one in vigil.overdue()} == {"a", "idle"}
    vigil.ended("a")
    vigil.ended("never heard of")
    assert {one.worker for one in vigil.overdue()} == {"idle"}


class StuckSender:
    """Tells, from inside a request, who is watched; fails where it is told to."""

    def __init__(self, inside: Callable[[], None]) -> None:
        self.inside = inside

    def send(
        self,
        metadata: RequestMetadata,
        files: Sequence[SendFile],
        *,
        completing: Callable[[], None],
        leaving: Callable[[], None] | None = None,
        left: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> Reply:
        self.inside()
        return Stored(("1",))

    def search(self, marker: str, unique_id: str | None) -> tuple[Hit, ...] | SearchFailed:
        self.inside()
        return ()


@pytest.mark.parametrize("what", ["send", "search"])
def test_a_request_is_watched_from_its_begin_to_its_end_and_each_piece_is_progress(what: str) -> None:
    clock = FakeClock(0.0)
    vigil = Vigil(clock.monotonic, patience=1.0)
    watched = WatchedSender(vigil, step=10.0, hold_back=lambda size: size / 100)
    found: list[list[str]] = []

    def inside() -> None:
        clock.advance(11.0)
        found.append([one.worker for one in vigil.overdue()])
        assert watched.passing(500) == 5.0
        clock.advance(15.9)
        found.append([one.worker for one in vigil.overdue()])
        clock.advance(0.2)
        found.append([one.worker for one in vigil.overdue()])
        raise OSError("as it may be")

    watched.sender = lambda: StuckSender(inside)
    calls: dict[str, Callable[[], object]] = {
        "send": lambda: watched.send(RequestMetadata("default"), (), completing=lambda: None),
        "search": lambda: watched.search("syncd-0", None),
    }
    with pytest.raises(OSError, match="as it may be"):
        calls[what]()
    assert found[:2] == [[], []]
    assert found[2][0].startswith("the sending thread")
    assert vigil.overdue() == []
