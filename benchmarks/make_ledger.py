"""Write a ledger of N photos as years of use would leave it: python benchmarks/make_ledger.py 1000000 LEDGER --owed 0.1

Every photo has a place, an entry and a history; the uploaded ones a request for each ten. Made with SQL in one go, so
that a million takes half a minute. `--root` names the folder that the places lie in; no files are made.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time
from pathlib import Path

from syncd.ledger.migrate import open_ledger

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
A_FOLDER = 1000

STEPS = (
    "INSERT INTO roots (id, path, text, device, first_scan_at, last_scan_at) VALUES (1, :root, :text, 1, 1, 1)",
    NUMBERS
    + """INSERT INTO folders (id, root_id, path, text)
         SELECT i, 1, CAST(printf('%04d', i) AS BLOB), printf('%04d', i) FROM n WHERE i <= 1 + :count / :a_folder""",
    NUMBERS
    + """INSERT INTO photos (id, digest, picture_digest, size, type, taken_at, taken_from, camera_model, seen_at)
         SELECT i, printf('%064x', i * 2654435761), printf('%032x', i), 20000 + i % 1000, 'jpg',
                strftime('%Y-%m-%d %H:%M:%S', 1600000000 + i * 50, 'unixepoch'), 'EXIF:DateTimeOriginal', 'Camera', 1
         FROM n""",
    NUMBERS
    + """INSERT INTO places (id, folder_id, name, text, photo_id, size, mtime_ns, ctime_ns, inode, device, namespace,
                            seen_at)
         SELECT i, 1 + i / :a_folder, CAST(printf('IMG_%07d.jpg', i) AS BLOB), printf('IMG_%07d.jpg', i), i,
                20000 + i % 1000, i, i, i, 1, 'default', 1 FROM n""",
    NUMBERS
    + """INSERT INTO entries (id, photo_id, namespace, state, due_at, lane, arrived_at, order_at, group_key, size,
                             image_id, uploaded_at, sent_metadata)
         SELECT i, i, '', CASE WHEN i <= :owed THEN 'ready' ELSE 'uploaded' END, 1, 2, 1, 1600000000 + i * 50,
                printf('%016x', i), 20000 + i % 1000, CASE WHEN i > :owed THEN printf('5681029988%d', i) END,
                CASE WHEN i > :owed THEN 2 END, CASE WHEN i > :owed THEN '{"unique_id": "default", "tags": []}' END
         FROM n""",
    NUMBERS
    + """INSERT INTO requests (id, marker, marked, namespace, sent_at, completing_at, answered_at, outcome, status,
                              code, files, bytes)
         SELECT i, printf('syncd-%016x', i), 1, 'default', i, i, i, 'stored', 200, '0000', 10, 200000
         FROM n WHERE i <= (:count - :owed) / 10""",
    NUMBERS
    + """INSERT OR IGNORE INTO sent (request_id, entry_id, position, wire_name)
         SELECT 1 + (i - :owed - 1) / 10, i, i % 10, printf('IMG_%07d-%012x.jpg', i, i) FROM n
         WHERE i > :owed AND 1 + (i - :owed - 1) / 10 <= (:count - :owed) / 10""",
    NUMBERS
    + """INSERT INTO history (entry_id, at, "before", "after", reason)
         SELECT i, 1, NULL, 'ready', 'seen' FROM n""",
    """INSERT INTO history (entry_id, at, "before", "after", reason)
       SELECT id, 2, 'ready', 'sending', 'request 1, marker syncd-0000000000000001' FROM entries
       WHERE state = 'uploaded'""",
    """INSERT INTO history (entry_id, at, "before", "after", reason)
       SELECT id, 3, 'sending', 'uploaded', 'image id ' || image_id FROM entries WHERE state = 'uploaded'""",
)


def make(count: int, ledger: Path, *, owed: float, root: str) -> None:
    open_ledger(ledger, now=time.time()).close()
    values = {"count": count, "owed": int(count * owed), "root": os.fsencode(root), "text": root, "a_folder": A_FOLDER}
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for step in STEPS:
            connection.execute(step, values)
        # The check of the day is done, as it would be in years of use.
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('checked_at', ?)", (str(time.time()),))
    connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--owed", type=float, default=0.1, help="share of the photos that wait to be sent")
    parser.add_argument("--root", default="/photos")
    given = parser.parse_args()
    began = time.monotonic()
    make(given.count, given.ledger, owed=given.owed, root=given.root)
    size = given.ledger.stat().st_size
    print(
        f"{given.count} photos, {size / 1e6:.0f} MB, {size / given.count:.0f} bytes a photo, "
        f"{time.monotonic() - began:.1f} s"
    )
