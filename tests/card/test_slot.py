"""Where a device is mounted and what its label is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.card.slot import label_of, mount_point
from syncd.errors import NotNowError, UsageError


def test_what_is_no_block_device_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError):
            mount_point(path, patience=0)


def test_a_device_on_which_something_is_mounted_is_found_and_another_is_waited_for() -> None:
    number = Path("/").stat().st_dev
    device = next(
        (path for path in Path("/dev").iterdir() if path.is_block_device() and path.stat().st_rdev == number), None
    )
    if device is None:
        pytest.skip("no device of /dev holds the root file system here")
    assert mount_point(device, patience=0).startswith(b"/")
    other = next((path for path in Path("/dev").glob("loop[0-9]*") if path.is_block_device()), None)
    if other is None:
        pytest.skip("there is no device on which nothing is mounted")
    with pytest.raises(NotNowError, match="not mounted"):
        mount_point(other, patience=0)


def test_labels_are_read_as_udev_writes_them(tmp_path: Path) -> None:
    device = next((path for path in sorted(Path("/dev").glob("loop[0-9]*")) if path.is_block_device()), None)
    if device is None:
        pytest.skip("there is no block device here")
    (tmp_path / "EOS\\x20\\xc3\\xa9\\x2f..").symlink_to(device)
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    assert label_of(device.stat().st_rdev, tmp_path) in {"EOS é/..", None}
    assert label_of(os.makedev(250, 250), tmp_path) is None
    assert label_of(1, tmp_path / "none") is None
