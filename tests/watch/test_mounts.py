from __future__ import annotations

import os

import pytest

from syncd.watch.mounts import Mount, concerning, current, parse

MOUNTINFO = b"""\
21 1 0:19 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 21 8:1 / /mnt/My\\040Photos\\134x rw shared:5 master:2 - fuseblk /dev/sda1 rw,user_id=0
31 21 0:40 / /srv/nas rw - nfs4 nas:/photos rw
32 31 0:41 / /srv/nas/inner rw - tmpfs tmpfs rw
33 21 0:42 / /srv rw - btrfs /dev/sdb rw
34 33 0:43 / /srv/nas rw - cifs //nas/photos rw
nonsense
40 21 0:44 / /srv/na rw - overlay overlay rw
"""


def test_parse_unescapes_and_leaves_nonsense_out() -> None:
    mounts = parse(MOUNTINFO)
    assert [mount.number for mount in mounts] == [21, 30, 31, 32, 33, 34, 40]
    assert mounts[1] == Mount(30, "8:1", b"/mnt/My Photos\\x", "fuseblk")


@pytest.mark.parametrize(
    ("root", "numbers"),
    [
        (b"/home/u/Pictures", [21]),
        (b"/mnt/My Photos\\x/2024", [30]),
        (b"/srv/nas", [34, 32]),
        (b"/srv/nas/2024", [34]),
        (b"/srv/na/2024", [40]),
        (b"/srv", [33, 31, 32, 34, 40]),
        (b"/", [21, 30, 31, 32, 33, 34, 40]),
    ],
)
def test_the_mount_a_folder_lies_on_and_those_below(root: bytes, numbers: list[int]) -> None:
    assert [mount.number for mount in concerning(root, parse(MOUNTINFO))] == numbers


@pytest.mark.parametrize(
    ("kind", "silent"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuseblk", "vboxsf")),
        *((kind, False) for kind in ("ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "vfat", "exfat", "ntfs3")),
    ],
)
def test_w13_which_file_systems_give_no_events(kind: str, silent: bool) -> None:  # noqa: FBT001 - a column
    assert Mount(1, "0:1", b"/", kind).silent is silent


def test_the_mounts_of_this_process() -> None:
    assert concerning(os.fsencode(os.path.realpath("/")), current())
