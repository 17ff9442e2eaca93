"""Where a card is mounted, and what its label is, by the device and never by what a path or a label says."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from syncd.errors import NotNowError, UsageError
from syncd.printable import printable
from syncd.watch import mounts

_LABELS: Final = Path("/dev/disk/by-label")
_ESCAPE: Final = re.compile(r"\\x([0-9a-f]{2})")
_BETWEEN_LOOKS: Final = 0.5


def mount_point(device: Path, *, patience: float, stop: Callable[[], bool] = lambda: False) -> bytes:
    """Give the place at which a block device is mounted; wait so many seconds for somebody to mount it.

    Raises UsageError where it is no block device, NotNowError where it is not mounted in time.
    """
    number = _device_number(device)
    deadline = time.monotonic() + patience
    while True:
        points = [mount.point for mount in mounts.current() if mount.device == number]
        if points:
            return points[0]
        if stop() or time.monotonic() > deadline:
            raise NotNowError(
                f"{printable(str(device))} is not mounted", hint="mount it, or name the folder it is mounted at"
            )
        time.sleep(_BETWEEN_LOOKS)


def label_of(device: int, labels: Path = _LABELS) -> str | None:
    """Give the label of the file system on a device (st_dev), as udev read it; None where it has none."""
    try:
        for link in labels.iterdir():
            seen = link.stat()
            if stat.S_ISBLK(seen.st_mode) and seen.st_rdev == device:
                return _unescaped(link.name)
    except OSError:
        return None
    return None


def _unescaped(name: str) -> str:
    r"""Read a name as udev writes it: \xNN for bytes that a name of a link does not bear."""
    raw = _ESCAPE.sub(lambda found: os.fsdecode(bytes([int(found[1], 16)])), name)
    return os.fsencode(raw).decode("utf-8", "surrogateescape")


def _device_number(device: Path) -> str:
    try:
        seen = device.stat()
    except OSError as error:
        raise UsageError(f"{printable(str(device))} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISBLK(seen.st_mode):
        raise UsageError(
            f"{printable(str(device))} is no block device", hint="name a partition, like /dev/sdb1, or a mounted folder"
        )
    return f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}"
