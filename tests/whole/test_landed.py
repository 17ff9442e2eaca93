"""A ledger that an earlier landed version made opens with this one, and its photos stay uploaded.

`ledger/landed/REVISION.db.gz` was written by that version itself, from `photos.tar.gz` in /srv/photographer/library:
three photos stored, one whose answer was lost, an empty file, a copy. One more photo lies there that it never saw.
"""

from __future__ import annotations

import gzip
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from syncd.ledger.migrate import REVISION
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program

LANDED = Path(__file__).parents[1] / "ledger" / "landed"
STORED = {"568102998803361794", "568102998803365892", "568102998803357697"}


@pytest.mark.parametrize("revision", sorted(path.name.partition(".")[0] for path in LANDED.glob("*.db.gz")))
def test_its_photos_are_still_uploaded_and_nothing_is_sent_twice(
    program: Program, server: FaultServer, revision: str
) -> None:
    program.ledger.parent.mkdir(parents=True, exist_ok=True)
    program.ledger.write_bytes(gzip.decompress((LANDED / f"{revision}.db.gz").read_bytes()))
    with tarfile.open(LANDED / "photos.tar.gz") as photos:
        photos.extractall(program.library.parent, filter="data")
    (program.library.parent / "photos").replace(program.library)
    server.account._next_id = max(map(int, STORED))  # it is the same service, three photos later
    assert program.call("ledger", "account", "--same").code == 0
    ended = program.sync()
    assert [image.file_name.partition("-")[0] for image in server.stored] == ["owed"], "only what it never saw is sent"
    assert ended.json["status"]["entries"]["uploaded"] == len(STORED) + 1
    assert ended.json["status"]["entries"]["unanswered"] == 1
    with closing(sqlite3.connect(program.ledger)) as ledger:
        ids = {row[0] for row in ledger.execute("SELECT image_id FROM entries WHERE image_id IS NOT NULL")}
        assert ids > STORED
        assert ledger.execute("SELECT version_num FROM alembic_version").fetchone() == (REVISION,)
