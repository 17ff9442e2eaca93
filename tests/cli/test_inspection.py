"""`inspect`, for people: every odd file is one block of lines, and none stops the others. (The JSON: whole/.)"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from syncd.extract.samples import write_sample
from syncd.model import Position
from tests.cli.conftest import Home

TAKEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 -- a camera's wall clock has no zone


def test_what_would_be_sent_of_files_for_people_and_programs(home: Home, tmp_path: Path) -> None:
    home.configure('[[rule]]\nmatch = "**"\ntags = ["{year}", "trip"]\nnamespace = "family"\n')
    inside = home.library / "a.jpg"
    write_sample(inside, taken_at=TAKEN, camera_model="Canon EOS R5", position=Position(-12.5, 77.25))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x1b[2J\xff.jpg"))
    odd.write_bytes(b"no picture")
    files = [str(inside), str(tmp_path / "missing.jpg"), str(tmp_path), str(odd)]
    told = home.call("inspect", *files)
    assert told.code == 0
    assert "\x1b" not in told.out
    blocks = told.out.split("\n/")
    assert len(blocks) == 4
    for words in ("2024-05-06 07:08:09", "Canon EOS R5", "-12.5, 77.25", "family", "2024, trip", "fit           yes"):
        assert words in blocks[0]
    assert "not readable  No such file or directory" in blocks[1]
    assert "not readable  a folder" in blocks[2]
    assert "fit           no: not a format" in blocks[3]

    excluded = home.library / "exports" / "b.jpg"
    excluded.parent.mkdir()
    write_sample(excluded)
    (row,) = home.call("inspect", "--json", str(excluded)).json
    assert (row["fit"], row["sha256"] is not None) == (True, True)
    assert "exclude" in row["reason"], "it is a fit photo, and would not be sent"
    (home.library / "link.jpg").symlink_to(inside)
    (row,) = home.call("inspect", "--json", str(home.library / "link.jpg")).json
    assert (row["fit"], "symbolic link" in row["reason"]) == (True, True)

    home.configure(f"[upload]\nmax_file_bytes = {inside.stat().st_size - 1}\n")
    (row,) = home.call("inspect", "--json", str(inside)).json
    assert (row["fit"], row["taken_at"]) == (False, "2024-05-06 07:08:09")
    assert "max_file_bytes" in row["reason"]
    assert list(home.state.iterdir()) == [], "nothing is recorded"
