"""The plain script that an API's documentation leads to, to compare with: naive.py URL FOLDER STATE

For each file: SHA-256, EXIF with piexif, a look into SQLite, requests.post(files=...), insert and commit.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from pathlib import Path

import piexif
import requests


def main() -> None:
    url, folder, state = sys.argv[1:4]
    ledger = sqlite3.connect(Path(state) / "naive.db")
    ledger.execute("CREATE TABLE IF NOT EXISTS done (sha TEXT PRIMARY KEY, path TEXT, taken TEXT, id INTEGER)")
    for path in sorted(Path(folder).rglob("*.jpg")):
        content = path.read_bytes()
        sha = hashlib.sha256(content).hexdigest()
        taken = piexif.load(str(path))["Exif"].get(piexif.ExifIFD.DateTimeOriginal, b"").decode()
        if ledger.execute("SELECT 1 FROM done WHERE sha = ?", (sha,)).fetchone():
            continue
        with path.open("rb") as file:
            files = {"files": (path.name, file, "image/jpeg")}
            response = requests.post(f"{url}/upload_img", files=files, timeout=60)
        response.raise_for_status()
        image_id = response.json()["data"][0]["id"]
        ledger.execute("INSERT INTO done VALUES (?, ?, ?, ?)", (sha, str(path), taken, image_id))
        ledger.commit()


if __name__ == "__main__":
    main()
