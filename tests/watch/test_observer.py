from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from syncd.watch.filters import Filter
from syncd.watch.health import ECHO_WITHIN, Fault
from syncd.watch.hints import HintBatch, Hints
from syncd.watch.mounts import Mount
from syncd.watch.observer import ECHO_EVERY, WatchedRoot, Watcher, WatchMode
from tests.watch import namespace


class Watched:
    """A watched folder, and all that was hinted at since `forget`."""

    def __init__(self, home: Path, root: WatchedRoot | None = None, hints: Hints | None = None) -> None:
        self.home = home
        self.root = os.fsencode(home)
        self.hints = hints or Hints(linger=0.0)
        self.watcher = Watcher([root or WatchedRoot(self.root)], self.hints)
        self.files: set[bytes] = set()
        self.folders: set[bytes] = set()
        self.rescans = 0
        self.watcher.start()

    def path(self, relative: str | bytes) -> bytes:
        return self.root + b"/" + os.fsencode(relative)

    def covered(self, relative: str | bytes) -> bool:
        path = self.path(relative)
        below_a_folder = any((path + b"/").startswith(folder + b"/") for folder in self.folders)
        return self.rescans > 0 or path in self.files or below_a_folder

    def until(self, what: Callable[[], bool], within: float = 10.0) -> None:
        deadline = time.monotonic() + within
        while not what():
            rest = deadline - time.monotonic()
            assert rest > 0, f"not hinted at: files {self.files}, folders {self.folders}, rescans {self.rescans}"
            self.add(self.hints.take(rest))

    def add(self, batch: HintBatch) -> None:
        self.files |= batch.files
        self.folders |= batch.folders
        self.rescans += self.root in batch.rescan

    def until_all(self, names: Iterable[str | bytes]) -> None:
        for name in names:
            self.until(partial(self.covered, name))

    def hears(self, name: str = "proof.jpg") -> None:
        """Prove that events still arrive: everything before it has arrived as well."""
        (self.home / name).write_bytes(b"x")
        self.until(lambda: self.path(name) in self.files)

    def forget(self) -> None:
        self.hears("before.jpg")
        self.files, self.folders, self.rescans = set(), set(), 0

    def faults(self, now: float | None = None) -> list[Fault]:
        return [problem.fault for problem in self.watcher.check(time.monotonic() if now is None else now)]

    def healed(self) -> None:
        """Assert that the observer was built anew: a rescan is asked for, and events arrive."""
        self.until(lambda: self.rescans > 0)
        self.files.clear()
        self.hears("healed.jpg")
        assert self.faults() == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "2024" / "May").mkdir(parents=True)
    (folder / "2024" / "May" / "old.jpg").write_bytes(b"old")
    return folder


@pytest.fixture
def watched(home: Path) -> Iterator[Watched]:
    this = Watched(home)
    yield this
    this.watcher.stop()


def observer_of(watched: Watched) -> Any:
    """The observer; Any, because these tests reach into what watchdog does not publish."""
    observer = watched.watcher._watches[watched.root].observer
    assert observer is not None
    return observer


def group_of(watched: Watched) -> Any:
    (group,) = observer_of(watched)._groups()
    return group


def test_new_changed_moved_linked_and_gone_files(watched: Watched, tmp_path: Path) -> None:
    home = watched.home
    (home / "new.jpg").write_bytes(b"1")
    os.link(home / "2024" / "May" / "old.jpg", home / "linked.jpg")
    (tmp_path / "outside.jpg").write_bytes(b"2")
    (tmp_path / "outside.jpg").rename(home / "moved in.jpg")
    watched.until_all(["new.jpg", "linked.jpg", "moved in.jpg"])
    watched.forget()
    (home / "2024" / "May" / "old.jpg").write_bytes(b"changed")
    (home / "new.jpg").rename(home / "2024" / "renamed.jpg")
    (home / "linked.jpg").unlink()
    (home / "moved in.jpg").rename(tmp_path / "outside.jpg")
    watched.until_all(["2024/May/old.jpg", "new.jpg", "2024/renamed.jpg", "linked.jpg", "moved in.jpg"])
    assert watched.rescans == 0
    assert not watched.folders


def test_w11_a_bulk_copy_a_tree_moved_in_and_folders_made_at_once(watched: Watched, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(600):
        path = source / f"{number % 6}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    shutil.copytree(source, watched.home / "copied")
    source.rename(watched.home / "moved")
    deep = watched.home / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    (deep / "deep.jpg").write_bytes(b"x")
    watched.until_all(f"copied/{number % 6}/{number}.jpg" for number in range(600))
    watched.until_all(f"moved/{number % 6}/{number}.jpg" for number in range(600))
    watched.until_all(["a/b/c/d/deep.jpg"])
    watched.forget()
    late = ["copied/3/late.jpg", "moved/3/late.jpg", "a/b/c/d/late.jpg"]
    for name in late:
        (watched.home / name).write_bytes(b"x")
    watched.until_all(late)
    assert not watched.folders


def test_w11_rsync_writes_beside_and_renames(watched: Watched) -> None:
    partial = watched.home / "2024" / ".a.jpg.Xy12Zz"
    partial.write_bytes(b"x")
    partial.rename(watched.home / "2024" / "a.jpg")
    watched.until(lambda: watched.path("2024/a.jpg") in watched.files)


def test_w14_our_own_reading_is_no_hint(watched: Watched) -> None:
    watched.forget()
    for _ in range(20):
        (watched.home / "2024" / "May" / "old.jpg").read_bytes()
        os.listdir(watched.home / "2024")  # noqa: PTH208 - a read of the folder
    (watched.home / "2024" / "May" / "old.jpg").chmod(0o600)
    watched.hears()
    assert watched.files <= {watched.path("before.jpg"), watched.path("proof.jpg")}
    assert not watched.folders


def test_n1_names_that_are_no_text(watched: Watched) -> None:
    names = [b"\xff\xfe.jpg", b"new\nline.jpg", b"\x1b[2J.jpg"]
    for name in names:
        os.close(os.open(watched.path(name), os.O_CREAT | os.O_WRONLY))
    watched.until_all(names)
    assert not watched.folders


def test_a_root_that_is_a_link_is_hinted_at_by_its_own_path(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    watched = Watched(tmp_path / "link")
    try:
        watched.hears()
        (home / "2024" / "a.jpg").write_bytes(b"x")
        watched.until(lambda: watched.path("2024/a.jpg") in watched.files)
        other = tmp_path / "other"
        other.mkdir()
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to(other)
        assert watched.faults() == [Fault.REPLACED]
        watched.healed()
        assert (other / "healed.jpg").exists()
    finally:
        watched.watcher.stop()


def test_ignored_folders_and_other_roots_get_no_watches(home: Path) -> None:
    for name in ("@eaDir/x", ".git", "exports/deep", "inner/a"):
        (home / name).mkdir(parents=True)
    inner = os.fsencode(home / "inner")
    root = WatchedRoot(os.fsencode(home), filters=Filter(["exports/"]), nested=frozenset({inner}))
    watched = Watched(home, root)
    try:
        assert observer_of(watched).watches() == 3
        (home / "new" / "@eaDir" / "x").mkdir(parents=True)
        watched.until(lambda: watched.covered("new"))
        watched.hears()
        assert observer_of(watched).watches() == 4 == observer_of(watched).kernel_watches()
    finally:
        watched.watcher.stop()


def test_w1_a_handler_that_fails_asks_for_a_rescan_and_lives(home: Path) -> None:
    class Failing(Hints):
        broken = True

        def file(self, root: bytes, path: bytes) -> None:
            if self.broken:
                raise MemoryError
            super().file(root, path)

    hints = Failing(linger=0.0)
    watched = Watched(home, hints=hints)
    try:
        (home / "a.jpg").write_bytes(b"x")
        watched.until(lambda: watched.rescans > 0)
        hints.broken = False
        watched.hears()
        assert watched.faults() == []
    finally:
        watched.watcher.stop()


def test_w1_a_dead_dispatcher_is_noticed(watched: Watched) -> None:
    observer_of(watched)._observer.stop()
    observer_of(watched)._observer.join()
    assert watched.faults() == [Fault.DEAD]
    watched.healed()


def test_w2_a_dead_reader_is_noticed(watched: Watched) -> None:
    reader = observer_of(watched)._observer._inotify_fd

    reader.stopped_event.set()
    (watched.home / "a.jpg").write_bytes(b"x")
    reader.join(10)
    assert watched.faults() == [Fault.DEAD]
    watched.healed()


def test_w2_a_dead_emitter_is_noticed(watched: Watched) -> None:
    (emitter,) = observer_of(watched)._observer.emitters
    emitter.stop()
    emitter.join(10)
    assert watched.faults() == [Fault.DEAD]
    watched.healed()


def test_w3_a_root_deleted_and_made_again(watched: Watched) -> None:
    shutil.rmtree(watched.home)
    watched.until(lambda: watched.rescans > 0)
    assert watched.faults() == [Fault.ABSENT]
    assert watched.faults() == [Fault.ABSENT]
    watched.add(watched.hints.take(0))
    watched.rescans = 0
    watched.home.mkdir()
    assert watched.faults() == []
    watched.healed()


def test_w4_a_root_renamed_and_another_in_its_place(watched: Watched) -> None:
    watched.home.rename(watched.home.with_name("elsewhere"))
    watched.home.mkdir()
    assert watched.faults() == [Fault.REPLACED]
    watched.healed()


def test_w5_a_folder_moved_out_is_let_go_and_may_come_back(watched: Watched, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (watched.home / "2024").rename(outside)
    watched.until(lambda: watched.covered("2024"))
    deadline = time.monotonic() + 10
    while observer_of(watched).kernel_watches() != 1 and time.monotonic() < deadline:
        watched.hears()
    assert (observer_of(watched).watches(), observer_of(watched).kernel_watches()) == (1, 1)
    watched.forget()
    outside.rename(watched.home / "2024")
    watched.until(lambda: watched.covered("2024/May/old.jpg"))
    watched.forget()
    (watched.home / "2024" / "May" / "new.jpg").write_bytes(b"x")
    watched.until(lambda: watched.covered("2024/May/new.jpg"))
    assert observer_of(watched).kernel_watches() == 3


def test_w5_a_folder_replaced_while_its_old_watch_lives(watched: Watched, tmp_path: Path) -> None:
    for turn in range(3):
        (watched.home / "2024").rename(tmp_path / f"outside{turn}")
        (watched.home / "2024" / "May").mkdir(parents=True)
        watched.hears(f"{turn}.jpg")
    shutil.rmtree(watched.home / "2024")
    watched.hears()
    assert observer_of(watched).dead_threads() == []


def test_w10_an_overflow_of_the_queue_asks_for_a_rescan(watched: Watched) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip("the queue of this machine takes long to fill")
    watched.forget()
    with group_of(watched)._lock:
        for _ in range(limit // 3 + 1000):
            fd = os.open(watched.path("a.jpg"), os.O_CREAT | os.O_WRONLY)
            os.close(fd)
            os.unlink(watched.path("a.jpg"))  # noqa: PTH108 - bytes
    watched.until(lambda: watched.rescans > 0)
    assert watched.faults() == [Fault.OVERFLOW]
    assert watched.faults() == []
    (watched.home / "2024" / "May" / "after.jpg").write_bytes(b"x")
    watched.until(lambda: watched.path("2024/May/after.jpg") in watched.files)


def test_the_echo_comes_and_its_absence_is_noticed(watched: Watched) -> None:
    now = time.monotonic()
    assert watched.faults(now) == []
    handler = watched.watcher._watches[watched.root].handler
    assert handler is not None
    deadline = now + 10
    while handler.echoed_at is None:
        assert time.monotonic() < deadline, "opening the root gives no echo"
        watched.hears()
    assert watched.faults(now + ECHO_EVERY - 1) == []
    assert handler.echoed_at is not None, "not asked for again so soon"
    assert watched.faults(now + ECHO_WITHIN * 2) == []
    # Everybody lives, but the watch on the root is gone: what W6 leaves behind where no mount shows it.
    group = group_of(watched)
    with group._lock:
        group._remove_callbacks([group._active_callbacks_by_path[watched.root]])
    handler.echoed_at = time.monotonic()
    assert watched.faults(now + 100) == []
    assert watched.faults(now + 100 + ECHO_WITHIN) == [Fault.DEAF]
    watched.healed()


def test_one_root_after_the_other_is_asked_for_an_echo(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("a", "b", "c")]
    for root in roots:
        root.mkdir()
    watcher = Watcher([WatchedRoot(bytes(root)) for root in roots], Hints())
    watcher.start()
    try:
        assert watcher.prove(10.0) == []
        begun = time.monotonic()
        asked: list[list[bytes]] = []
        for look in range(1, 8):
            watcher.check(begun + 10.0 * look)
            asked.append([path for path, watch in watcher._watches.items() if watch.poked_at == begun + 10.0 * look])
            for watch in watcher._watches.values():
                assert watch.handler is not None
                watch.handler.echoed_at = begun  # it has come
    finally:
        watcher.stop()
    in_turn = [[bytes(root)] for root in roots]
    assert asked == [[], *in_turn, *in_turn]


def test_folders_without_a_watch_are_noticed_after_a_scan(watched: Watched) -> None:
    watched.watcher.scanned(watched.root, 3)
    assert watched.faults() == []
    group = group_of(watched)
    with group._lock:
        group._remove_callbacks([group._active_callbacks_by_path[watched.path("2024/May")]])
    watched.watcher.scanned(watched.root, 3)
    assert watched.faults() == [Fault.UNWATCHED]
    watched.healed()


def test_a_root_that_is_not_there_at_the_start(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "later")
    try:
        assert watched.faults() == [Fault.ABSENT]
        assert watched.watcher.polled() == {}
        (tmp_path / "later").mkdir()
        assert watched.faults() == []
        watched.healed()
    finally:
        watched.watcher.stop()


@pytest.mark.parametrize(
    ("mode", "kind", "polled"),
    [
        (WatchMode.AUTO, "nfs4", "nfs4 gives no events"),
        (WatchMode.AUTO, "fuse.sshfs", "fuse.sshfs gives no events"),
        (WatchMode.AUTO, "overlay", None),
        (WatchMode.EVENTS, "nfs4", None),
        (WatchMode.POLL, "ext4", "set to poll"),
    ],
)
def test_w13_what_is_polled(home: Path, mode: WatchMode, kind: str, polled: str | None) -> None:
    path = os.fsencode(home)
    mounts = [Mount(1, "0:1", b"/", "ext4"), Mount(2, "0:2", path + b"/2024", kind)]
    watcher = Watcher([WatchedRoot(path, mode)], Hints(), mounts=lambda: mounts)
    watcher.start()
    try:
        assert watcher.polled() == ({path: polled} if polled else {})
        assert watcher.check(time.monotonic()) == []
    finally:
        watcher.stop()


def test_nothing_is_left_behind(home: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count

    before, threads = descriptors(), threading.active_count()
    watched = Watched(home)
    for _ in range(10):
        watched.watcher.rebuild(watched.root)
    watched.until(lambda: watched.rescans > 0)
    watched.hears()
    watched.watcher.stop()
    watched.watcher.stop()
    assert (descriptors(), threading.active_count()) == (before, threads)


def test_a_reader_stopped_before_it_began_leaves_nothing_open(watched: Watched) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    reader = observer_of(watched)._observer._inotify_fd
    reader.stopped_event.set()
    watched.hears()
    reader.join(10)
    reader._is_reading = True
    watched.watcher.stop()
    assert len(os.listdir("/proc/self/fd")) == before - 3  # noqa: PTH208 - a count


BEGIN = """
import os, subprocess, time
from syncd.watch.hints import Hints
from syncd.watch.observer import Watcher, WatchedRoot
home = os.fsencode(sys.argv[1])
hints = Hints(linger=0.0)
watcher = Watcher([WatchedRoot(home)], hints)
def look(ahead=0):
    problems = watcher.check(time.monotonic() + ahead)
    print([problem.fault.name for problem in problems], sorted(watcher.polled().values()))
def heard(relative):
    hints.take(0)
    open(home + b"/" + relative, "w").close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if home + b"/" + relative in hints.take(1).files:
            return True
    return False
"""


def test_w6_a_root_unmounted_and_mounted_again(tmp_path: Path) -> None:
    script = """
mount = lambda: subprocess.run(["mount", "-t", "tmpfs", "none", home], check=True)
mount()
watcher.start()
print(heard(b"a.jpg"))
subprocess.run(["umount", home], check=True)
look()
print(home in hints.take(1).rescan)
mount()
look()
print(home in hints.take(1).rescan, heard(b"b.jpg"))
look()
watcher.stop()
"""
    assert namespace.run(BEGIN + script, str(tmp_path)).splitlines() == [
        "True",
        "['REPLACED'] []",
        "True",
        "['REPLACED'] []",
        "True True",
        "[] []",
    ]


def test_w7_something_mounted_inside(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    script = """
watcher.start()
subprocess.run(["mount", "-t", "tmpfs", "none", home + b"/disk"], check=True)
look()
print(home in hints.take(1).rescan, heard(b"disk/a.jpg"))
watcher.stop()
"""
    assert namespace.run(BEGIN + script, str(tmp_path)).splitlines() == ["['REMOUNTED'] []", "True True"]


def test_w8_w12_the_limit_on_watches_leads_to_polling_until_it_is_raised(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / str(number)).mkdir()
    script = """
def limit(count):
    with open("/proc/sys/user/max_inotify_watches", "w") as setting:
        setting.write(str(count))
limit(10)
watcher.start()
look()
limit(100)
look()
look(ahead=601)
print(watcher._watches[home].observer.kernel_watches(), heard(b"29/a.jpg"))
for number in range(30, 150):
    os.mkdir(home + b"/%d" % number)
deadline = time.monotonic() + 10
while not watcher._watches[home].observer.notes.refused and time.monotonic() < deadline:
    hints.take(0.1)
look()
watcher.stop()
"""
    polled = "['the limit on watches is reached']"
    assert namespace.run(BEGIN + script, str(tmp_path)).splitlines() == [
        f"['LIMIT'] {polled}",
        f"['LIMIT'] {polled}",
        "[] []",
        "31 True",
        f"['LIMIT'] {polled}",
    ]


def test_the_limit_on_instances_leads_to_polling(tmp_path: Path) -> None:
    script = """
with open("/proc/sys/user/max_inotify_instances", "w") as setting:
    setting.write("0")
watcher.start()
look()
watcher.stop()
"""
    said = namespace.run(BEGIN + script, str(tmp_path)).splitlines()
    assert said == ["['LIMIT'] ['the limit on watches is reached']"]


def test_w9_a_root_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as outside:
        Path(outside).chmod(0o755)
        home = Path(outside) / "photos"
        (home / "open").mkdir(parents=True)
        home.chmod(0o711)
        script = BEGIN + "watcher.start()\nlook()\nwatcher.stop()\n"
        said = namespace.run_as_nobody(script, str(home)).splitlines()
        assert said == ["['REFUSED'] ['it cannot be watched']"]
        home.chmod(0o755)
        for number in range(3):
            (home / str(number)).mkdir(mode=0o700)
        script = BEGIN + "watcher.start()\nlook()\nprint(watcher._watches[home].observer.notes.refused[13])\n"
        assert namespace.run_as_nobody(script, str(home)).splitlines() == ["[] []", "3"]
