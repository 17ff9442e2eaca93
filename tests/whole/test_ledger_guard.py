"""Only one process works on a ledger, and only on one that can be believed: an empty one would pay for all again."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from pathlib import Path

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program


def test_b6_a_second_process_ends_and_says_who_works(program: Program, server: FaultServer) -> None:
    program.photo("a.jpg")
    running = program.start("run")
    server.wait_for_stored(1, 20)
    for command in ("sync", "run"):
        refused = program.call(command)
        assert refused.code == 75
        assert f"pid {running.pid}: syncd run" in refused.err
    assert f"pid {running.pid}" in program.call("check").out
    program.ledger.with_name("ledger.db.lock").unlink()
    refused = program.call("sync")
    assert refused.code == 75
    assert f"pid {running.pid}" in refused.err, "the ledger itself is locked, too"
    backup = program.home / "backup.db"
    assert program.call("ledger", "backup", str(backup)).code == 0
    assert backup.stat().st_mode & 0o077 == 0
    running.send(signal.SIGTERM)
    assert running.wait(10).code == 0
    assert program.sync().code == 0
    assert len(server.uploads) == 1


def test_b7_a_ledger_that_is_gone_emptied_older_or_damaged_uploads_nothing(
    program: Program, server: FaultServer
) -> None:
    for number in range(20):
        program.photo(f"{number}.jpg", taken_at=None)
    program.photo("first.jpg")
    assert program.sync().code == 0
    older = keep(program, "older")
    program.photo("second.jpg")
    assert program.sync().code == 0
    good = keep(program, "good")
    sent = len(server.uploads)

    def refused(words: str, *commands: str) -> None:
        for command in commands or ("sync",):
            ended = program.call(command)
            assert ended.code == 78, ended.err
            assert words in ended.err
            assert "->" in ended.err, "it says what to do"
        put_back(program, good)

    for path in program.ledger.parent.glob("ledger.db*"):
        if not path.name.endswith((".mark", ".lock")):
            path.unlink()
    refused("gone, or empty, although there was one", "sync", "run")

    program.ledger.write_bytes(b"")
    refused("gone, or empty, although there was one")

    put_back(program, older)
    refused("is older than the one used last")

    damage(program.ledger)
    refused("damaged")

    program.ledger.write_bytes(b"\x00" * program.ledger.stat().st_size)
    refused("ledger")

    assert len(server.uploads) == sent
    assert program.sync().code == 0
    assert len(server.uploads) == sent


def test_b7_a_lost_or_older_ledger_comes_back_and_nothing_is_paid_for_twice(
    program: Program, server: FaultServer
) -> None:
    program.photo("first.jpg")
    assert program.sync().code == 0
    backup = program.home / "backup.db"
    assert program.call("ledger", "backup", str(backup)).code == 0
    program.photo("second.jpg")
    assert program.sync().code == 0
    export = program.home / "export.jsonl"
    export.write_text(program.call("ledger", "export").out)
    sent = len(server.uploads)

    for path in program.ledger.parent.glob("ledger.db*"):
        if not path.name.endswith((".mark", ".lock")):
            path.unlink()
    assert "`syncd ledger restore`" in program.sync().err
    restored = program.call("ledger", "restore", str(backup))
    assert restored.code == 0, restored.err
    assert "it knows 1 request, and 2 were made" in restored.out
    ended = program.sync()
    assert (ended.code, ended.json["status"]["entries"]["unanswered"]) == (3, 1)
    assert ended.json["status"]["in_doubt_since"] is not None
    assert "the doubt about the ledger is over" in program.call("ledger", "adopt", str(export)).out

    damage(program.ledger)
    assert program.sync().code == 78
    rebuilt = program.call("ledger", "import", str(export))
    assert rebuilt.code == 0, rebuilt.err
    assert "2 photos adopted as uploaded" in rebuilt.out
    assert program.sync().json["status"]["entries"]["uploaded"] == 2
    assert len(server.uploads) == sent
    assert {row["image_id"] for row in program.listed().values()} == {str(image.id) for image in server.stored}


def keep(program: Program, name: str) -> Path:
    """Copy the ledger without its mark, as a backup by hand does when nothing runs."""
    folder = program.home / name
    folder.mkdir()
    for path in program.ledger.parent.glob("ledger.db*"):
        if not path.name.endswith((".mark", ".lock")):
            shutil.copy2(path, folder)
    return folder


def put_back(program: Program, kept: Path) -> None:
    for path in program.ledger.parent.glob("ledger.db*"):
        if not path.name.endswith((".mark", ".lock")):
            path.unlink()
    for path in kept.iterdir():
        shutil.copy2(path, program.ledger.parent)


def damage(ledger: Path) -> None:
    """Overwrite the pages of a table that every start reads."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    fd = os.open(ledger, os.O_WRONLY)
    os.pwrite(fd, os.urandom(size), (page - 1) * size)
    os.close(fd)
