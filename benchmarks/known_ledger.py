"""Write the ledger that a first run over a folder would leave, from a walk alone: known_ledger.py FOLDER LEDGER

Every photo below the folder is known at its place with its true look, and uploaded; its digest is made up. With it the
cost of a run that finds nothing new can be measured without waiting for a first run over a million files.
`--bare N` makes N files of a few bytes first: their bytes are never read.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from syncd.ledger.migrate import open_ledger
from syncd.ledger.rows import signed

A_FOLDER = 1000
PHOTO = """INSERT INTO photos (id, digest, picture_digest, size, type, seen_at) VALUES (?, ?, ?, ?, 'jpg', 1)"""
PLACE = """INSERT INTO places (folder_id, name, text, photo_id, size, mtime_ns, ctime_ns, inode, device, namespace,
                               seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'default', 1)"""
ENTRY = """INSERT INTO entries (id, photo_id, namespace, state, due_at, lane, arrived_at, order_at, group_key, size,
                                image_id, uploaded_at, sent_metadata)
           VALUES (?, ?, '', 'uploaded', 1, 2, 1, 1, ?, ?, ?, 2, '{"unique_id": "default", "tags": []}')"""


def make_bare(folder: Path, count: int) -> None:
    for start in range(0, count, A_FOLDER):
        below = folder / f"{start // A_FOLDER:05d}"
        below.mkdir(parents=True)
        for number in range(start, min(count, start + A_FOLDER)):
            fd = os.open(below / f"IMG_{number:07d}.jpg", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, b"x")
            os.close(fd)


def walk(folder: bytes, below: bytes = b"") -> Iterator[tuple[bytes, os.DirEntry[bytes]]]:
    inner = []
    for entry in os.scandir(os.path.join(folder, below) if below else folder):
        if entry.is_dir(follow_symlinks=False):
            inner.append(entry.name)
        else:
            yield below, entry
    for name in inner:
        yield from walk(folder, os.path.join(below, name) if below else name)


def write(folder: Path, ledger: Path) -> int:
    open_ledger(ledger, now=time.time()).close()
    root = bytes(folder)
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        device = signed(folder.stat().st_dev)
        connection.execute(
            "INSERT INTO roots (id, path, text, device, first_scan_at, last_scan_at) VALUES (1, ?, ?, ?, 1, 1)",
            (root, os.fsdecode(root), device),
        )
        connection.execute("INSERT INTO facts VALUES ('checked_at', ?)", (json.dumps(time.time()),))
        folders: dict[bytes, int] = {}
        number = 0
        for below, entry in walk(root):
            if below not in folders:
                folders[below] = len(folders) + 1
                connection.execute(
                    "INSERT INTO folders VALUES (?, 1, ?, ?)", (folders[below], below, os.fsdecode(below))
                )
            number += 1
            look = entry.stat(follow_symlinks=False)
            connection.execute(PHOTO, (number, f"{number:064x}", f"{number:032x}", look.st_size))
            connection.execute(
                PLACE,
                (
                    folders[below],
                    entry.name,
                    os.fsdecode(entry.name),
                    number,
                    look.st_size,
                    signed(look.st_mtime_ns),
                    signed(look.st_ctime_ns),
                    signed(look.st_ino),
                    signed(look.st_dev),
                ),
            )
            connection.execute(
                ENTRY, (number, number, f"{number:016x}", look.st_size, str(5681029988 * 10**9 + number))
            )
    connection.close()
    return number


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--bare", type=int, default=0)
    given = parser.parse_args()
    if given.bare:
        make_bare(given.folder, given.bare)
    count = write(given.folder.absolute(), given.ledger)
    print(f"{count} photos, {given.ledger.stat().st_size / max(1, count):.0f} bytes of ledger a photo")
