from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from syncd.errors import ReachError
from syncd.model import Look, PlacePath
from syncd.watch.reach import Root, split


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "2024" / "May").mkdir(parents=True)
    (folder / "2024" / "May" / "a.jpg").write_bytes(b"picture")
    (folder / "top.jpg").write_bytes(b"top")
    return folder


def place(home: Path, relative: bytes) -> PlacePath:
    folder, _, name = relative.rpartition(b"/")
    return PlacePath(os.fsencode(home), folder, name)


def read(root: Root, where: PlacePath) -> bytes:
    fd, look = root.open_photo(where)
    try:
        seen = os.fstat(fd)
        assert look == Look(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev)
        return os.read(fd, 100)
    finally:
        os.close(fd)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def outcome(root: Root, where: PlacePath) -> str:
    """Open a place in a thread of its own, because the fault that is looked for is to wait for ever."""
    said: list[str] = []

    def attempt() -> None:
        try:
            os.close(root.open_photo(where)[0])
            said.append("opened")
        except (ReachError, FileNotFoundError) as error:
            said.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(5)
    assert said, "opening it blocks"
    return said[0]


@pytest.mark.parametrize(("relative", "content"), [(b"top.jpg", b"top"), (b"2024/May/a.jpg", b"picture")])
def test_opens_and_looks_at_a_regular_file(home: Path, relative: bytes, content: bytes) -> None:
    with Root(os.fsencode(home)) as root:
        assert read(root, place(home, relative)) == content
        look = root.look(place(home, relative))
        assert look is not None
        assert look.size == len(content)


def test_the_descriptor_cannot_be_written_and_does_not_survive_exec(home: Path) -> None:
    with Root(os.fsencode(home)) as root:
        fd, _ = root.open_photo(place(home, b"top.jpg"))
        try:
            assert not os.get_inheritable(fd)
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(fd, b"x")
        finally:
            os.close(fd)


def test_a_root_may_be_a_link_to_a_folder(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)
    with Root(os.fsencode(link)) as root:
        assert read(root, place(link, b"2024/May/a.jpg")) == b"picture"
        assert (root.device, root.inode) == (home.stat().st_dev, home.stat().st_ino)


def test_n1_names_that_are_no_text(home: Path) -> None:
    strange = [b"\xff\xfe.jpg", b"new\nline.jpg", b"esc\x1b[2J.jpg", b"-rf.jpg", b"x" * 251 + b".jpg", b" .jpg"]
    with Root(os.fsencode(home)) as root:
        for name in strange:
            (home / os.fsdecode(name)).write_bytes(name[:5])
            assert read(root, place(home, name)) == name[:5]


def test_n1_a_message_shows_a_name_without_letting_it_act(home: Path) -> None:
    name = b"\x1b[2J\xff\xe2\x80\xae.jpg"
    os.mkfifo(os.fsencode(home) + b"/" + name)
    with Root(os.fsencode(home)) as root:
        said = outcome(root, place(home, name))
    assert said.isprintable()
    assert "\\x1b[2J" in said


def test_n2_a_link_to_a_file_outside_is_not_opened(home: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (home / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with Root(os.fsencode(home)) as root:
        assert "symbolic link" in outcome(root, place(home, b"link.jpg"))
        assert root.look(place(home, b"link.jpg")) is None


def test_n2_a_folder_that_is_a_link_is_not_passed(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (home / "2024" / "June").symlink_to(outside)
    with Root(os.fsencode(home)) as root:
        assert "symbolic link" in outcome(root, place(home, b"2024/June/secret.jpg"))
        assert root.look(place(home, b"2024/June/secret.jpg")) is None
        with pytest.raises(FileNotFoundError):
            root.open_folder(b"2024/June")


def test_n2_a_folder_swapped_for_a_link_after_the_root_was_opened(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"secret")
    with Root(os.fsencode(home)) as root:
        assert read(root, place(home, b"2024/May/a.jpg")) == b"picture"
        (home / "2024" / "May").rename(home / "2024" / "moved")
        (home / "2024" / "May").symlink_to(outside)
        assert "symbolic link" in outcome(root, place(home, b"2024/May/a.jpg"))


SWAPPED = """
import os, sys
from syncd.errors import ReachError
from syncd.model import PlacePath
from syncd.watch.reach import Root

home, secret = sys.argv[1:]


def swap(event, arguments):
    # Python tells of an open before it happens: this is the last moment there is.
    if event == "open" and arguments[0] == b"top.jpg":
        os.remove(home + "/top.jpg")
        os.symlink(secret, home + "/top.jpg")


sys.addaudithook(swap)
with Root(home.encode()) as root:
    try:
        print(os.read(root.open_photo(PlacePath(home.encode(), b"", b"top.jpg"))[0], 10))
    except ReachError as error:
        print(error.message)
"""


def test_n2_a_file_swapped_for_a_link_at_the_last_moment(home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    command = [sys.executable, "-c", SWAPPED, str(home), str(secret)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (home / "top.jpg").is_symlink()
    assert "it has become a symbolic link" in ended.stdout
    assert "secret" not in ended.stdout


@pytest.mark.parametrize("relative", [b"../secret.jpg", b"2024/../../secret.jpg", b"./top.jpg", b"2024//a.jpg", b".."])
def test_n2_dots_do_not_lead_out_of_the_root(home: Path, tmp_path: Path, relative: bytes) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    with Root(os.fsencode(home)) as root:
        assert "not a path below a root" in outcome(root, place(home, relative))
        with pytest.raises(ReachError):
            root.look(place(home, relative))


def test_n2_a_fifo_named_jpg_does_not_block(home: Path) -> None:
    os.mkfifo(home / "fifo.jpg")
    with Root(os.fsencode(home)) as root:
        assert "a FIFO" in outcome(root, place(home, b"fifo.jpg"))
        assert root.look(place(home, b"fifo.jpg")) is None


def test_n2_a_fifo_is_not_even_opened(home: Path) -> None:
    os.mkfifo(home / "fifo.jpg")
    with Root(os.fsencode(home)) as root:
        assert "a FIFO" in outcome(root, place(home, b"fifo.jpg"))
        # A writer that does not wait finds a reader only if someone holds it open, or has left it open.
        with pytest.raises(OSError, match="No such device or address"):
            os.open(home / "fifo.jpg", os.O_WRONLY | os.O_NONBLOCK)


def test_n2_a_socket_named_jpg(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "s.jpg"))
        with Root(os.fsencode(home)) as root:
            assert "a socket" in outcome(root, place(home, b"s.jpg"))
            assert root.look(place(home, b"s.jpg")) is None


def test_n2_a_device_is_not_opened() -> None:
    with Root(b"/dev") as root:
        assert "a device" in outcome(root, PlacePath(b"/dev", b"", b"zero"))
        assert root.look(PlacePath(b"/dev", b"", b"zero")) is None


def test_n2_a_folder_named_jpg(home: Path) -> None:
    (home / "folder.jpg").mkdir()
    with Root(os.fsencode(home)) as root:
        assert "a folder" in outcome(root, place(home, b"folder.jpg"))


@pytest.mark.parametrize("relative", [b"gone.jpg", b"gone/a.jpg", b"2024/gone/a.jpg"])
def test_what_is_not_there(home: Path, relative: bytes) -> None:
    with Root(os.fsencode(home)) as root:
        assert root.look(place(home, relative)) is None
        with pytest.raises(FileNotFoundError):
            root.open_photo(place(home, relative))


def test_a_file_where_a_folder_was(home: Path) -> None:
    with Root(os.fsencode(home)) as root:
        assert root.look(place(home, b"top.jpg/a.jpg")) is None
        with pytest.raises(ReachError, match="no folder"):
            root.open_photo(place(home, b"top.jpg/a.jpg"))


def test_what_cannot_be_known_is_not_called_gone(home: Path) -> None:
    with Root(os.fsencode(home)) as root, pytest.raises(ReachError, match="too long"):
        root.look(place(home, b"x" * 300 + b".jpg"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_what_to_do(home: Path) -> None:
    (home / "top.jpg").chmod(0)
    with Root(os.fsencode(home)) as root, pytest.raises(ReachError, match="Permission denied") as caught:
        root.open_photo(place(home, b"top.jpg"))
    assert "readable" in caught.value.hint


def test_a_root_that_is_not_there_or_no_folder(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Root(os.fsencode(home / "gone"))
    with pytest.raises(ReachError, match="Not a directory"):
        Root(os.fsencode(home / "top.jpg"))
    with pytest.raises(ReachError, match="not a path"):
        Root(b"a\0b")


def test_no_descriptor_is_left_open(home: Path) -> None:
    os.mkfifo(home / "fifo.jpg")
    before = open_descriptors()
    with Root(os.fsencode(home)) as root:
        for relative in (b"2024/May/a.jpg", b"fifo.jpg", b"gone/a.jpg", b"2024/gone.jpg", b"../x", b"top.jpg/x"):
            outcome(root, place(home, relative))
            root.holds(relative)
    assert open_descriptors() == before


A, B, C = b"/home/u/Pictures", b"/home/u/Pictures/Phone", b"/srv"


@pytest.mark.parametrize(
    ("path", "roots", "expected"),
    [
        (A + b"/a.jpg", [A, B, C], PlacePath(A, b"", b"a.jpg")),
        (A + b"/2024/May/a.jpg", [A, B, C], PlacePath(A, b"2024/May", b"a.jpg")),
        (B + b"/a.jpg", [A, B, C], PlacePath(B, b"", b"a.jpg")),
        (B + b"/a.jpg", [B, A, C], PlacePath(B, b"", b"a.jpg")),
        (B + b"2/a.jpg", [A, B, C], PlacePath(A, b"Phone2", b"a.jpg")),
        (A, [A, B], None),
        (B, [A, B], None),
        (A + b"/", [A], None),
        (b"/home/u/a.jpg", [A, B, C], None),
        (b"/srv/\xff\n/a.jpg", [A, C], PlacePath(C, b"\xff\n", b"a.jpg")),
        (b"/a/b.jpg", [b"/"], PlacePath(b"/", b"a", b"b.jpg")),
        (b"/srv/a.jpg", [b"/", C], PlacePath(C, b"", b"a.jpg")),
        (b"/srv/a.jpg", [b"/srv/"], PlacePath(b"/srv/", b"", b"a.jpg")),
        (b"/srv/a.jpg", [], None),
    ],
)
def test_the_innermost_root_owns_a_path(path: bytes, roots: list[bytes], expected: PlacePath | None) -> None:
    assert split(path, roots) == expected
    if expected is not None:
        assert expected.path == path
