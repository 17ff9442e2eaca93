"""A finished file gets its name by three ways, and none of them overwrites."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.card.placing import (
    Rename,
    link_and_unlink,
    open_folder,
    place,
    rename_exclusively,
    reserve_and_rename,
    sync_folder,
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def refuses(number: int) -> Rename:
    def way(source_folder: int, source: bytes, folder: int, name: bytes) -> None:
        raise OSError(number, os.strerror(number))

    return way


WAYS = [rename_exclusively, link_and_unlink, reserve_and_rename]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_gives_the_name_and_takes_the_first_one(tmp_path: Path, folder: int, way: Rename) -> None:
    (tmp_path / "part").write_bytes(b"whole")
    way(folder, b"part", folder, b"name")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"name": b"whole"}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_overwrites(tmp_path: Path, folder: int, way: Rename) -> None:
    (tmp_path / "part").write_bytes(b"whole")
    (tmp_path / "name").write_bytes(b"somebody's own")
    with pytest.raises(FileExistsError):
        way(folder, b"part", folder, b"name")
    assert (tmp_path / "name").read_bytes() == b"somebody's own"
    assert (tmp_path / "part").read_bytes() == b"whole"


def test_a_reservation_goes_where_the_rename_fails(tmp_path: Path, folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        reserve_and_rename(folder, b"nothing", folder, b"name")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "ways",
    [
        (refuses(errno.EINVAL), link_and_unlink, refuses(errno.EIO)),
        (refuses(errno.ENOSYS), refuses(errno.EPERM), reserve_and_rename),
    ],
)
def test_what_a_file_system_has_not_is_done_in_another_way(
    tmp_path: Path, folder: int, ways: tuple[Rename, Rename, Rename]
) -> None:
    (tmp_path / "part").write_bytes(b"whole")
    place(folder, b"part", folder, b"name", ways)
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize("number", [errno.EXDEV, errno.ENOSPC, errno.EIO])
def test_what_is_really_wrong_is_not_tried_in_another_way(folder: int, number: int) -> None:
    with pytest.raises(OSError) as failed:
        place(folder, b"part", folder, b"name", (refuses(number), refuses(errno.EPERM), refuses(errno.EPERM)))
    assert failed.value.errno == number


def test_folders_are_made_and_links_in_them_not_followed(tmp_path: Path, folder: int) -> None:
    fd = open_folder(folder, b"a/b/c", make=True)
    sync_folder(fd)
    os.close(fd)
    assert (tmp_path / "a/b/c").is_dir()
    with pytest.raises(FileNotFoundError):
        open_folder(folder, b"a/x", make=False)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic link"):
        open_folder(folder, b"link/b", make=True)
