from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from syncd.watch.hints import HintBatch, Hints

ROOT, OTHER = b"/photos", b"/other"


def quick(capacity: int = 50_000) -> Hints:
    return Hints(capacity, linger=0.0)


def test_nothing_comes_after_the_timeout() -> None:
    assert quick().take(0.01) == HintBatch()
    assert not quick().take(0.0)


def test_what_is_hinted_twice_is_taken_once() -> None:
    hints = quick()
    for _ in range(3):
        hints.file(ROOT, b"/photos/a.jpg")
        hints.folder(ROOT, b"/photos/x")
    assert hints.take(0) == HintBatch(frozenset({b"/photos/a.jpg"}), frozenset({b"/photos/x"}))
    assert not hints.take(0)


def test_a_folder_covers_what_is_below_it() -> None:
    hints = quick()
    hints.file(ROOT, b"/photos/x/y/a.jpg")
    hints.folder(ROOT, b"/photos/x")
    hints.folder(ROOT, b"/photos/x/y")
    hints.file(ROOT, b"/photos/x2/b.jpg")
    assert hints.take(0) == HintBatch(frozenset({b"/photos/x2/b.jpg"}), frozenset({b"/photos/x"}))


def test_a_rescan_covers_its_root_and_no_other() -> None:
    hints = quick()
    hints.file(ROOT, b"/photos/a.jpg")
    hints.file(OTHER, b"/other/b.jpg")
    hints.rescan(ROOT)
    hints.file(ROOT, b"/photos/c.jpg")
    hints.folder(ROOT, b"/photos/d")
    assert hints.take(0) == HintBatch(frozenset({b"/other/b.jpg"}), frozenset(), frozenset({ROOT}))
    hints.file(ROOT, b"/photos/e.jpg")
    assert hints.take(0).files == {b"/photos/e.jpg"}


def test_w17_too_many_hints_become_a_rescan_of_their_root() -> None:
    hints = quick(capacity=100)
    hints.file(OTHER, b"/other/b.jpg")
    for number in range(100_000):
        hints.file(ROOT, b"/photos/%d.jpg" % number)
    assert hints.take(0) == HintBatch(frozenset({b"/other/b.jpg"}), frozenset(), frozenset({ROOT}))


def test_wake_ends_the_wait_and_is_not_lost() -> None:
    hints = Hints(linger=30.0)
    hints.wake()
    began = time.monotonic()
    assert not hints.take(30.0)
    hints.file(ROOT, b"/photos/a.jpg")
    waker = threading.Timer(0.05, hints.wake)
    waker.start()
    assert hints.take(30.0).files
    waker.join()
    assert time.monotonic() - began < 10


def test_a_stream_that_never_goes_quiet_does_not_hold_the_batch_back() -> None:
    hints = Hints(linger=0.05)
    stop = threading.Event()

    def stream() -> None:
        number = 0
        while not stop.is_set():
            hints.file(ROOT, b"/photos/%d.jpg" % (number % 1000))
            number += 1

    writer = threading.Thread(target=stream)
    writer.start()
    began = time.monotonic()
    try:
        assert hints.take(30.0).files
        assert time.monotonic() - began < 10
    finally:
        stop.set()
        writer.join()


@given(st.lists(st.tuples(st.sampled_from("fdr"), st.sampled_from([b"/a", b"/a/b", b"/a/b/c", b"/d", b"/d/e"]))))
def test_every_hint_is_covered_by_what_is_taken(given_hints: list[tuple[str, bytes]]) -> None:
    hints = quick(capacity=3)
    for kind, path in given_hints:
        if kind == "r":
            hints.rescan(ROOT)
        else:
            (hints.file if kind == "f" else hints.folder)(ROOT, ROOT + path)
    batch = hints.take(0)
    for _, path in given_hints:
        covered = any((ROOT + path + b"/").startswith(folder + b"/") for folder in batch.folders)
        assert ROOT in batch.rescan or covered or ROOT + path in batch.files
