"""What is mounted where, and which file systems tell of changes. Read from /proc/self/mountinfo (see proc(5)).

inotify(7) reports what this machine does to a file system. What a server or another program behind a network or FUSE
file system does, it does not report: such folders are polled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")
_SILENT: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "davfs", "9p", "virtiofs"),
        *("vboxsf", "vmhgfs", "prl_fs", "drvfs", "lustre", "gfs2", "ocfs2", "orangefs", "pvfs2", "beegfs", "gpfs"),
    }
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of this process's view. The number tells a new mount at the same point from the old one."""

    number: int
    device: str
    point: bytes
    kind: str

    @property
    def silent(self) -> bool:
        """Whether changes can happen there of which inotify says nothing. Overlays do tell."""
        return self.kind in _SILENT or self.kind == "fuse" or self.kind.startswith(("fuse.", "fuseblk"))


def parse(mountinfo: bytes) -> list[Mount]:
    """Read the lines of a mountinfo file; what does not look like one is left out."""
    mounts = []
    for line in mountinfo.split(b"\n"):
        before, _, after = line.partition(b" - ")
        fields, kinds = before.split(b" "), after.split(b" ")
        if len(fields) >= 5 and fields[0].isdigit() and kinds[0]:
            point = _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), fields[4])
            mounts.append(Mount(int(fields[0]), fields[2].decode(), point, kinds[0].decode("utf-8", "replace")))
    return mounts


def concerning(real_root: bytes, mounts: Sequence[Mount]) -> tuple[Mount, ...]:
    """Return the mount that a folder (an absolute path without links) lies on, then those below it."""
    holding: Mount | None = None
    below = []
    prefix = real_root.rstrip(b"/") + b"/"
    for mount in mounts:
        point = mount.point.rstrip(b"/") + b"/"
        if prefix.startswith(point):
            # Later lines cover earlier ones at the same point.
            if holding is None or len(mount.point) >= len(holding.point):
                holding = mount
        elif point.startswith(prefix):
            below.append(mount)
    return (holding, *below) if holding else tuple(below)


def current() -> list[Mount]:
    """Return the mounts as they are now; none where /proc is not mounted."""
    try:
        return parse(_MOUNTINFO.read_bytes())
    except OSError:
        return []
