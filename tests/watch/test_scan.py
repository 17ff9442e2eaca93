from __future__ import annotations

import errno
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.model import Look, PlacePath
from syncd.watch.filters import Filter, Ignored
from syncd.watch.reach import Root
from syncd.watch.scan import Absence, FolderListing, _Content, _Walk, never, presence, walk
from tests.watch import namespace


def scan(
    home: Path,
    exclude: Sequence[str] = (),
    *,
    nested: frozenset[bytes] = frozenset(),
    stop: Callable[[], bool] = never,
    below: bytes = b"",
) -> list[FolderListing]:
    with Root(os.fsencode(home)) as root:
        return list(walk(root, Filter(exclude), nested=nested, stop=stop, below=below))


def found(listings: list[FolderListing]) -> set[bytes]:
    return {(listing.folder + b"/" + name).lstrip(b"/") for listing in listings for name in listing.files}


def ignored(listings: list[FolderListing]) -> dict[Ignored, int]:
    total: Counter[Ignored] = Counter()
    for listing in listings:
        total.update(listing.ignored)
    return dict(total)


def make(home: Path, *relatives: str) -> None:
    for relative in relatives:
        path = home / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def entries_on_disk(home: bytes) -> int:
    """Count by other means than the walk: all that is neither a folder nor a link to one."""
    count = 0
    for folder, folders, files in os.walk(home, followlinks=False):
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118 - bytes
        count += len(files)
        assert all(os.path.isdir(os.path.join(folder, name)) for name in linked)  # noqa: PTH112, PTH118 - bytes
    return count


def test_lists_each_folder_once_parents_first_sorted(tmp_path: Path) -> None:
    make(tmp_path, "b/2.jpg", "b/a/3.jpg", "a/1.jpg", "top.jpg", "c/empty/x.txt")
    listings = scan(tmp_path)
    assert [listing.folder for listing in listings] == [b"", b"a", b"b", b"b/a", b"c", b"c/empty"]
    assert [listing.subfolders for listing in listings] == [3, 0, 1, 0, 1, 0]
    assert found(listings) == {b"top.jpg", b"a/1.jpg", b"b/2.jpg", b"b/a/3.jpg"}
    assert ignored(listings) == {Ignored.OTHER: 1}


def test_the_stamp_is_the_look_of_the_file(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(5, 1_234_567_890_123_456_789))
    (listing,) = scan(tmp_path)
    with Root(os.fsencode(tmp_path)) as root:
        assert Look(*listing.files[b"a.jpg"]) == root.look(PlacePath(os.fsencode(tmp_path), b"", b"a.jpg"))
    assert listing.files[b"a.jpg"][1] == 1_234_567_890_123_456_789


def test_counts_add_up_to_what_lies_on_disk(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.heic", "c.mov", "d.xmp", "e.txt", ".f.jpg", "g.jpg.part", "h.png")
    make(tmp_path, "@eaDir/a.jpg/SYNO.jpg", "@eaDir/x.txt", ".cache/1.jpg", "exports/1.jpg", "exports/deep/2.mov")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "linked-folder").symlink_to(tmp_path / "exports")
    (tmp_path / "exports" / "up").symlink_to(tmp_path)
    (tmp_path / "exports" / "link.jpg").symlink_to(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "fifo.jpg")
    listings = scan(tmp_path, ["exports/", "h.*"])
    counts = ignored(listings)
    assert counts == {
        Ignored.UNSUPPORTED_IMAGE: 1,
        Ignored.VIDEO: 1,
        Ignored.SIDECAR: 1,
        Ignored.OTHER: 1,
        Ignored.HIDDEN: 2,
        Ignored.TEMPORARY: 1,
        Ignored.SYSTEM: 2,
        Ignored.EXCLUDED: 4,
        Ignored.SYMLINK: 3,
        Ignored.SPECIAL: 1,
    }
    assert found(listings) == {b"a.jpg"}
    assert len(found(listings)) + sum(counts.values()) == entries_on_disk(os.fsencode(tmp_path))


NAMES = [b"a.jpg", b"b.PNG", b"c.txt", b".d.jpg", b"\xff.jpg", b"n\n.gif", b"x.mp4", b"@eaDir", b"sub", b"deep", b".h"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_lies_there_the_counts_add_up(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    home = os.fsencode(tmp_path_factory.mktemp("tree"))
    folders = [home]
    for _ in range(data.draw(st.integers(0, 20))):
        folder = data.draw(st.sampled_from(folders))
        path = folder + b"/" + data.draw(st.sampled_from(NAMES))
        if os.path.lexists(path):
            continue
        kind = data.draw(st.sampled_from(["file", "folder", "link", "folder link", "fifo"]))
        if kind == "folder":
            os.mkdir(path)  # noqa: PTH102 - bytes
            folders.append(path)
        elif kind == "file":
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            os.symlink(data.draw(st.sampled_from(folders)) if kind == "folder link" else b"none", path)  # noqa: PTH211 - bytes
    listings = scan(Path(os.fsdecode(home)), ["deep/"])
    assert len(found(listings)) + sum(ignored(listings).values()) == entries_on_disk(home)
    assert len({listing.folder for listing in listings}) == len(listings) == len(folders)


def test_n1_names_that_are_no_text(tmp_path: Path) -> None:
    names = {b"\xff\xfe.jpg", b"new\nline.jpg", b"esc\x1b[2J.jpg", b"-rf.jpg", b"x" * 251 + b".jpg", b"=cmd.jpg"}
    folder = os.fsencode(tmp_path) + b"/\xe4\n"
    os.mkdir(folder)  # noqa: PTH102 - bytes
    for name in names:
        os.close(os.open(folder + b"/" + name, os.O_CREAT | os.O_WRONLY))
    assert found(scan(tmp_path)) == {b"\xe4\n/" + name for name in names}


def test_n2_links_fifos_sockets_and_loops(tmp_path: Path) -> None:
    home, outside = tmp_path / "photos", tmp_path / "outside"
    make(home, "in/a.jpg")
    make(outside, "secret.jpg")
    (home / "file.jpg").symlink_to(outside / "secret.jpg")
    (home / "folder").symlink_to(outside)
    (home / "in" / "loop").symlink_to(home)
    os.mkfifo(home / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "s.jpg"))
        listings = scan(home)
    assert found(listings) == {b"in/a.jpg"}
    assert ignored(listings) == {Ignored.SYMLINK: 1, Ignored.SPECIAL: 2}


def test_n2_a_folder_swapped_for_a_link_is_not_entered(tmp_path: Path) -> None:
    home, outside = tmp_path / "photos", tmp_path / "outside"
    make(home, "a/a.jpg", "b/b.jpg")
    make(outside, "secret.jpg")
    with Root(os.fsencode(home)) as root:
        walking = walk(root, Filter([]))
        assert next(walking).folder == b""
        (home / "a").rename(tmp_path / "moved")
        (home / "a").symlink_to(outside)
        assert found(list(walking)) == {b"b/b.jpg"}


def test_n2_a_folder_mounted_inside_itself(tmp_path: Path) -> None:
    make(tmp_path, "a/b/1.jpg")
    (tmp_path / "a" / "loop").mkdir()
    script = """
import os, subprocess, sys
from syncd.watch.filters import Filter
from syncd.watch.reach import Root
from syncd.watch.scan import walk
home = sys.argv[1]
subprocess.run(["mount", "--rbind", home, home + "/a/loop"], check=True)
with Root(os.fsencode(home)) as root:
    for listing in walk(root, Filter([])):
        print(os.fsdecode(listing.folder), sorted(listing.files), bool(listing.error))
"""
    said = namespace.run(script, str(tmp_path)).splitlines()
    assert said == [" [] False", "a [] False", "a/b [b'1.jpg'] False", "a/loop [] True"]


def test_other_roots_inside_are_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/b/2.jpg", "a2/3.jpg", ".h/x/4.jpg")
    nested = frozenset({os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / ".h" / "x") + b"/", b"/elsewhere"})
    listings = scan(tmp_path, nested=nested)
    assert [listing.folder for listing in listings] == [b"", b".h", b"a2"]
    assert ignored(listings) == {}


def test_only_below_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/b/2.jpg", "c/3.jpg", ".h/x/4.jpg")
    assert found(scan(tmp_path, below=b"a")) == {b"a/1.jpg", b"a/b/2.jpg"}
    assert scan(tmp_path, below=b"gone") == []
    (hidden,) = scan(tmp_path, below=b".h/x")
    assert (hidden.reason, hidden.ignored) == (Ignored.HIDDEN, {Ignored.HIDDEN: 1})


def test_a_folder_that_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    with Root(os.fsencode(tmp_path)) as root:
        walking = walk(root, Filter([]))
        next(walking)
        (tmp_path / "a" / "1.jpg").unlink()
        (tmp_path / "a").rmdir()
        assert [listing.folder for listing in walking] == [b"b"]


def test_a_stopped_walk_ends_and_never_lists_half_a_folder(tmp_path: Path) -> None:
    make(tmp_path, *(f"a/{number}.jpg" for number in range(1200)), "b/1.jpg")
    asked: list[bool] = []

    def in_the_middle_of_a() -> bool:
        asked.append(True)
        return len(asked) == 2

    assert [listing.folder for listing in scan(tmp_path, stop=in_the_middle_of_a)] == [b""]
    assert scan(tmp_path, stop=lambda: True) == scan(tmp_path)[:1]


def test_a_tree_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    depth, name = 300, b"d" * 100
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(depth):
            for relative in (name, b"zz"):
                os.mkdir(relative, dir_fd=fd)
            os.close(os.open(b"a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
            deeper = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = deeper
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
        most = 0
        with Root(os.fsencode(tmp_path)) as root:
            files, folders = 0, []
            for listing in walk(root, Filter([])):
                most = max(most, len(os.listdir("/proc/self/fd")) - before)  # noqa: PTH208 - a count
                assert listing.error is None
                files += len(listing.files)
                folders.append(listing.folder)
        assert files == depth
        assert len(folders) == len(set(folders)) == 2 * depth + 1
        assert most < 100
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
    finally:
        os.close(fd)
        shutil.rmtree(tmp_path / os.fsdecode(name))


class Untold:
    """A name in a folder of a file system that does not list what it is: whoever asks looks at the disk."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name = name
        self._error = error

    def is_file(self, *, follow_symlinks: bool) -> bool:
        raise self._error


@pytest.mark.parametrize("reason", [None, Ignored.HIDDEN])
def test_a_name_that_the_disk_does_not_tell_of_ends_no_scan(tmp_path: Path, reason: Ignored | None) -> None:
    make(tmp_path, "good.jpg")
    content = _Content()
    with Root(os.fsencode(tmp_path)) as root, os.scandir(tmp_path) as entries:
        untold: list[Any] = [Untold("bad.jpg", OSError(errno.EIO, "I/O")), Untold("b", PermissionError(13, "no"))]
        _Walk(root, Filter(()), frozenset(), never)._look_at([*untold, *entries], b"", reason, content)
    assert list(content.files) == ([b"good.jpg"] if reason is None else [])
    assert content.ignored[Ignored.UNREADABLE] == 2
    assert content.error == "2 of its files could not be looked at: no", "so that nothing counts as gone"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_an_error_not_an_absence(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a").chmod(0)
    try:
        listings = scan(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)
    assert [(listing.folder, bool(listing.error)) for listing in listings] == [
        (b"", False),
        (b"a", True),
        (b"b", False),
    ]


def test_b15_a_root_that_is_there(tmp_path: Path) -> None:
    home = os.fsencode(tmp_path)
    device = tmp_path.stat().st_dev
    assert presence(home, None, False) is None
    make(tmp_path, "a.jpg")
    assert presence(home, device, True) is None


@pytest.mark.parametrize("left", [[], ["lost+found/"], [".Trash-1000/", ".nomount", "@eaDir/", "lost+found/"]])
def test_b15_an_empty_root_where_photos_were_is_absent(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    absent = presence(os.fsencode(tmp_path), None, True)
    assert absent is not None
    assert absent.absence is Absence.EMPTY
    assert "mounted" in str(absent)
    assert presence(os.fsencode(tmp_path), None, False) is None


def test_b15_missing_or_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "file")
    (tmp_path / "broken").symlink_to("nowhere")
    for name, expected in [("gone", Absence.MISSING), ("broken", Absence.MISSING), ("file", Absence.NOT_A_FOLDER)]:
        absent = presence(os.fsencode(tmp_path / name), None, False)
        assert absent is not None
        assert absent.absence is expected


def test_b15_another_device_counts_unless_a_known_photo_is_still_there(tmp_path: Path) -> None:
    make(tmp_path, "stray.txt", "2024/a.jpg")
    home, other = os.fsencode(tmp_path), tmp_path.stat().st_dev + 1
    assert presence(home, other, False) is None
    assert presence(home, other, True, sample=[b"2024/gone.jpg", b"2024/a.jpg"]) is None
    for sample in ([b"2024/gone.jpg"], []):
        absent = presence(home, other, True, sample=sample)
        assert absent is not None
        assert absent.absence is Absence.OTHER_DEVICE


def test_b15_an_unmounted_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    script = """
import os, subprocess, sys
from syncd.watch.scan import presence
disk = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
open(disk + "/a.jpg", "w").close()
device = os.stat(disk).st_dev
print(presence(os.fsencode(disk), device, True, sample=[b"a.jpg"]))
subprocess.run(["umount", disk], check=True)
print(presence(os.fsencode(disk), device, True, sample=[b"a.jpg"]).absence)
open(disk + "/written meanwhile.jpg", "w").close()
print(presence(os.fsencode(disk), device, True, sample=[b"a.jpg"]).absence)
"""
    assert namespace.run(script, str(tmp_path / "disk")).splitlines() == [
        "None",
        "empty",
        "on another device than before",
    ]
