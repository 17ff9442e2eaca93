"""Reading back what lies on the medium: by O_DIRECT where that works, else past a dropped cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from syncd.card.medium import CHUNK, Way, read_back


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, CHUNK, CHUNK + 1, 2 * CHUNK + 4096])
def test_every_size_is_read_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "copy"
    path.write_bytes(content)
    counted: list[int] = []
    found = read_back(os.fsencode(path), head=1000, went=counted.append)
    assert found.digest == hashlib.sha256(content).hexdigest()
    assert (found.size, found.head) == (size, content[:1000])
    assert sum(counted) == size


def test_a_name_is_below_the_folder_that_is_open(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"x")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read_back(b"copy", at=fd).size == 1
    finally:
        os.close(fd)


def test_where_there_is_no_direct_reading_the_cache_is_dropped() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        pytest.skip("there is no file system in memory here")
    path = memory / f"syncd-test-{os.getpid()}"
    path.write_bytes(b"abc")
    try:
        found = read_back(os.fsencode(path))
    finally:
        path.unlink()
    assert found.digest == hashlib.sha256(b"abc").hexdigest()
    assert found.way in {Way.DROPPED, Way.DIRECT}, "newer kernels let tmpfs take O_DIRECT"


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        read_back(os.fsencode(tmp_path / "link"))
