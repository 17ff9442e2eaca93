"""Bring the ledger to the schema of this program: at start, by the holder of the instance lock, after a backup."""

from __future__ import annotations

import secrets
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from syncd.errors import LedgerError, ledger_error
from syncd.ledger.guard import Mark, MarkFile, integrity, refuse_network_file_system, requests_made
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store, connect, fact, set_fact

REVISION: Final = "0001"
"""The migration that this program was written for."""
TABLES: Final = Path(__file__).with_name("tables.sql")
"""What the migrations leave, as `python -m syncd.ledger.alembic_runner` writes it down."""
QUICK_CHECK_BYTES = 32_000_000
"""Up to this size a ledger is checked at every start; a larger one once a day."""


def open_ledger(path: Path, *, now: float) -> Store:
    """Open the ledger as the holder of the instance lock: make it, check it, migrate it. Raises LedgerError.

    What must be refused is refused before anything is written to it.
    """
    _make(path, file=False)
    refuse_network_file_system(path.resolve().parent)
    mark_file = MarkFile(path)
    mark = mark_file.read()
    _refuse_a_missing_ledger(path, mark)
    checked = False
    if path.exists():
        _finish_what_died(path)
        checked = _examine(path, mark, now)
    else:
        _make(path, file=True)
    store = Store(path)
    try:
        migrate(store, now)
        if checked:
            with store.write() as connection:
                set_fact(connection, "checked_at", now)
        if mark is None:
            _mark(store, mark_file)
    except BaseException:
        store.close()
        raise
    return store


def open_for_reading(path: Path) -> Store:
    """Open the ledger for a command that only reads. It is neither made nor migrated. Raises LedgerError.

    Like the holder of the lock it refuses one that is not the ledger used last: what it tells would not be true.
    """
    return _open_as_it_is(path, query_only=True)


def open_for_single_moves(path: Path) -> Store:
    """Open the ledger for a command that moves single entries beside a running daemon. Raises LedgerError."""
    return _open_as_it_is(path, query_only=False)


def _open_as_it_is(path: Path, *, query_only: bool) -> Store:
    mark_file = MarkFile(path)
    mark = mark_file.read()  # before the ledger: the mark is written after it, and so is never ahead of it
    _refuse_a_missing_ledger(path, mark)
    if not path.exists():
        raise LedgerError(f"there is no ledger at {path} yet", hint="`syncd sync` or `syncd run` makes it.")
    store = Store(path, query_only=query_only)
    try:
        with store.read() as connection:
            found = revision(connection)
        _refuse_a_newer_one(path, found)
        _refuse_an_older_one(path, found)
        if mark is not None:
            _compare_while_it_is_written(store, mark_file, mark, found)
    except BaseException:
        store.close()
        raise
    return store


def _compare_while_it_is_written(store: Store, mark_file: MarkFile, mark: Mark, found: str | None) -> None:
    """Compare as the holder of the lock does, and once more: a daemon may have been writing the mark just then."""
    try:
        _compare_with_mark(store, mark, found)
    except LedgerError:
        again = mark_file.read()
        if again is not None:
            _compare_with_mark(store, again, found)


def revision(connection: Connection) -> str | None:
    """Give the migration that the ledger is at; None for one without any table."""
    try:
        value = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if value is None else str(value)


def migrate(store: Store, now: float) -> None:
    """Make the tables, or apply the migrations that are missing, in one transaction; those after a backup.

    Does nothing at the newest.
    """
    with store.read() as connection:
        before = revision(connection)
    if before == REVISION:
        return
    _refuse_a_newer_one(store.path, before)
    if before is None:
        _make_tables(store, now)
        return
    backup(store.path, store.path.with_name(f"{store.path.name}.before-{REVISION}"))
    from syncd.ledger.alembic_runner import upgrading  # noqa: PLC0415  (half a second that only a migration pays)

    with store.changing_tables(), upgrading(store.path):
        pass


def _make_tables(store: Store, now: float) -> None:
    """Give a new ledger the tables that all migrations together would leave: written down, for that takes no time."""
    with store.write() as connection:
        for statement in TABLES.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        set_fact(connection, "ledger_id", secrets.token_hex(8))
        set_fact(connection, "made_at", now)


def backup(source: Path, target: Path) -> None:
    """Copy the ledger to `target` with SQLite's backup interface: right also while it is in use."""
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with closing(connect(source, "ro")) as origin, closing(connect(partial, "rw")) as copy:
            origin.backup(copy)
            # One file, that leaves no others beside it when it is looked at.
            copy.execute("PRAGMA journal_mode=DELETE")
        partial.replace(target)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise LedgerError(
            f"the ledger {source} could not be copied to {target}: {error}",
            hint="Check free space and permissions there.",
        ) from error


def _make(path: Path, *, file: bool) -> None:
    """Make the folder of the ledger, or its empty file."""
    try:
        if file:
            path.touch(mode=0o600)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ledger_error(
            error,
            f"the ledger {path} cannot be made: {error.strerror}",
            hint="Its folder must exist, be writable for this user and have free space; nothing was lost.",
        ) from error


def _finish_what_died(path: Path) -> None:
    """Let SQLite undo a transaction from before the ledger was in WAL mode: who reads alone cannot, and fails."""
    if not path.with_name(path.name + "-journal").exists():
        return
    try:
        with closing(connect(path, "rw")) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(
            f"the ledger {path} cannot be used: {error}",
            hint="Its folder must be writable for this user, and its file a ledger; nothing was uploaded.",
        ) from error


def _examine(path: Path, mark: Mark | None, now: float) -> bool:
    """Refuse a ledger that is damaged, of a newer schema, or not the one of the mark. Writes nothing.

    Tell whether this was the check of the day.
    """
    with Store(path, query_only=True) as store:
        with store.read() as connection:
            found = revision(connection)
            checked_at = None if found is None else fact(connection, "checked_at")
        recently = checked_at is not None and 0 <= now - checked_at < 24 * 3600
        if not recently or path.stat().st_size <= QUICK_CHECK_BYTES:
            _refuse_a_damaged_one(path)
        _refuse_a_newer_one(path, found)
        if mark is not None:
            _compare_with_mark(store, mark, found)
    return not recently


def _refuse_a_damaged_one(path: Path) -> None:
    found = integrity(path, thorough=False)
    if found:
        raise LedgerError(
            f"the ledger {path} is damaged: {'; '.join(found[:3])}",
            hint="Nothing was uploaded. `syncd ledger restore` puts a backup in its place, "
            "`syncd ledger import` an export.",
        )


def _refuse_a_missing_ledger(path: Path, mark: Mark | None) -> None:
    if mark is None or (path.exists() and path.stat().st_size > 0):
        return
    raise LedgerError(
        f"the ledger {path} is gone, or empty, although there was one ({mark.requests} requests)",
        hint="Put it back, with `syncd ledger restore` (a backup) or `syncd ledger import` (an export). "
        "Only if you want everything uploaded, and billed, again: "
        f"delete {MarkFile(path).path} and start again.",
    )


def _refuse_a_newer_one(path: Path, found: str | None) -> None:
    if found is not None and found > REVISION:
        raise LedgerError(
            f"the ledger {path} was made by a newer version of syncd (schema {found}, this one knows {REVISION})",
            hint="Install that version again, or put the backup made before the upgrade back.",
        )


def _refuse_an_older_one(path: Path, found: str | None) -> None:
    if found != REVISION:
        raise LedgerError(
            f"the ledger {path} was made by an earlier version (schema {found or 'none'}, wanted {REVISION})",
            hint="`syncd sync` or `syncd run` brings it up to date, after a backup.",
        )


def _mark(store: Store, mark_file: MarkFile) -> None:
    with store.read() as connection:
        mark_file.write(Mark(str(fact(connection, "ledger_id")), requests_made(connection)))


def _compare_with_mark(store: Store, mark: Mark, found: str | None) -> None:
    with store.read() as connection:
        ledger_id = None if found is None else fact(connection, "ledger_id")
        requests = 0 if found is None else requests_made(connection)
    if mark.ledger_id != ledger_id:
        what = "is not the one that was used here before"
    elif mark.requests > requests:
        what = f"is older than the one used last: it knows {requests} requests, {mark.requests} were made"
    else:
        return
    age = time.strftime("%Y-%m-%d %H:%M", time.localtime(store.path.stat().st_mtime))
    raise LedgerError(
        f"the ledger {store.path} (changed {age}) {what}",
        hint="Put the newest one back. If it is lost: `syncd ledger restore` with this file goes on with it, and holds "
        "what may have been uploaded since. Only if you want that uploaded, and billed, again: "
        f"delete {MarkFile(store.path).path} and start again.",
    )
