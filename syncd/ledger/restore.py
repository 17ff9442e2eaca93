"""Put another file in the ledger's place: a backup, or a ledger rebuilt from an export. By the holder of the lock.

Whatever was uploaded after the backup is not in it. The mark beside the ledger says how many requests were made, so it
is known whether something is missing, though not what; then the ledger is in doubt (see doubt).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.errors import LedgerError
from syncd.ledger.adoption import Adopted
from syncd.ledger.doubt import Doubt, begin_doubt, doubt
from syncd.ledger.exchange import Header, adopt, read_header
from syncd.ledger.guard import Mark, MarkFile, integrity, refuse_network_file_system, requests_made
from syncd.ledger.migrate import backup, migrate, revision
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store, fact, set_fact

_COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite would take for a part of whatever ledger lies beside it."""
_PARTS = (*_COMPANIONS, "")


@dataclass(frozen=True, slots=True)
class PutBack:
    """What came of putting a ledger back."""

    kept: Path | None
    """Where the ledger before it lies now."""
    known: int
    """Requests that it knows."""
    made: int | None
    """Requests that were made; None: unknown."""
    in_doubt: bool


def restore(ledger: Path, source: Path, *, complete: bool, now: float) -> PutBack:
    """Put a backup in the ledger's place. `complete`: a person says that nothing was uploaded after it.

    Raises LedgerError, and changes nothing, where the backup is damaged, of a newer schema or of another ledger, or
    where the mark says that it is not complete.
    """
    refuse_network_file_system(ledger.resolve().parent)
    found = integrity(source, thorough=True) if source.is_file() else ["there is no such file"]
    if found:
        raise LedgerError(f"the backup {source} cannot be used: {'; '.join(found[:3])}", hint="Nothing was changed.")
    fresh = _fresh(ledger, source)
    backup(source, fresh)
    try:
        with Store(fresh) as store:
            _refuse_what_is_no_ledger(store, source)
            migrate(store, now)
            with store.write() as connection:
                connection.execute(_MAY_BE_STORED)
                own = Mark(str(fact(connection, "ledger_id")), requests_made(connection))
                about = _doubt(connection, ledger, own, complete=complete, now=now)
                mark = Mark(own.ledger_id, requests_made(connection))
    except BaseException:
        _remove(fresh)
        raise
    return _put_in_place(ledger, fresh, mark, about, own.requests)


def rebuild(ledger: Path, source: Path, *, complete: bool, now: float) -> tuple[PutBack, Adopted]:
    """Make a ledger from an export, where there is none that could be used. Raises LedgerError, as `restore` does."""
    refuse_network_file_system(ledger.resolve().parent)
    if ledger.exists() and ledger.stat().st_size > 0 and not integrity(ledger, thorough=True):
        raise LedgerError(
            f"there is a whole ledger at {ledger} already",
            hint="`syncd ledger adopt` adds what an export knows to it.",
        )
    header = read_header(source)
    ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = _fresh(ledger, source)
    fresh.touch(mode=0o600)
    try:
        with Store(fresh) as store:
            migrate(store, now)
            with store.write() as connection:
                _be(connection, header)
            adopted = adopt(store, source, now)
            with store.write() as connection:
                if header.doubt is not None:
                    begin_doubt(connection, header.doubt)
                own = Mark(header.ledger_id, header.requests)
                about = _doubt(connection, ledger, own, complete=complete, now=now)
                mark = Mark(own.ledger_id, requests_made(connection))
    except BaseException:
        _remove(fresh)
        raise
    return _put_in_place(ledger, fresh, mark, about, header.requests), adopted


def put_aside(ledger: Path, why: str, *, beside: tuple[Path, ...] = ()) -> Path | None:
    """Rename a ledger with all that belongs to it, and the files beside it that are named; None where there is none."""
    if not ledger.exists():
        return None
    kept = _unused(ledger.with_name(f"{ledger.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}"))
    for suffix in _PARTS:
        part = ledger.with_name(ledger.name + suffix)
        if part.exists():
            part.rename(kept.with_name(kept.name + suffix))
    for other in beside:
        if other.exists():
            other.rename(kept.with_name(kept.name + other.suffix))
    return kept


def _doubt(connection: Connection, ledger: Path, own: Mark, *, complete: bool, now: float) -> Doubt | None:
    """Find out whether requests are missing, and doubt the ledger if so. None: it is complete."""
    mark = MarkFile(ledger).read()
    if mark is not None and mark.ledger_id != own.ledger_id:
        raise LedgerError(
            "that is a copy of another ledger than the one that was used here",
            hint=f"Nothing was changed. If it is the right one all the same, delete {MarkFile(ledger).path} first.",
        )
    requests_before, doubt_before = _before(ledger, own.ledger_id)
    made = None if mark is None else max(mark.requests, own.requests, requests_before)
    for inherited in (doubt_before, doubt(connection)):
        # Another backup does not answer what is unknown since the first one was put back.
        if inherited is not None and made is not None:
            made = None if inherited.made is None else max(made, inherited.made)
    if complete and made is not None and made > own.requests:
        raise LedgerError(
            f"it is not complete: it knows {own.requests} requests, and more were made, or may have been ({made})",
            hint="Nothing was changed. Without --complete, what may have been uploaded since is held, not sent again; "
            "`syncd ledger believe` ends that.",
        )
    in_doubt = not complete and (made is None or made > own.requests or doubt(connection) is not None)
    # Numbers of requests that were made once are not used again: an answer kept beside the ledger may name one. Where
    # nobody knows how many there were, one is left out, so that this backup is not taken for complete next time.
    connection.execute(_SEQUENCE, {"made": own.requests + in_doubt if made is None else made})
    if not in_doubt:
        return None
    about = Doubt(now, own.requests, made)
    begin_doubt(connection, about)
    return about


def _put_in_place(ledger: Path, fresh: Path, mark: Mark, about: Doubt | None, known: int) -> PutBack:
    kept = put_aside(ledger, "before")
    for suffix in _COMPANIONS:
        ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
    fresh.replace(ledger)
    _sync_folder(ledger.parent)
    MarkFile(ledger).write(mark)
    return PutBack(kept, known, known if about is None else about.made, about is not None)


def _refuse_what_is_no_ledger(store: Store, source: Path) -> None:
    with store.read() as connection:
        if revision(connection) is None or fact(connection, "ledger_id") is None:
            raise LedgerError(f"{source} is no ledger of syncd", hint="Nothing was changed.")


def _be(connection: Connection, header: Header) -> None:
    """Have a new ledger take the place of the one that was exported."""
    set_fact(connection, "ledger_id", header.ledger_id)
    account: dict[str, Any] | None = header.account
    set_fact(connection, "account", account)


def _before(ledger: Path, ledger_id: str) -> tuple[int, Doubt | None]:
    """Tell what the ledger that is there now says, as far as it can be read and is the same one: requests, doubt."""
    with suppress(LedgerError), Store(ledger, query_only=True, busy_seconds=1.0) as store, store.read() as connection:
        if str(fact(connection, "ledger_id")) == ledger_id:
            return requests_made(connection), doubt(connection)
    return 0, None


def _fresh(ledger: Path, source: Path) -> Path:
    fresh = ledger.with_name(ledger.name + ".restoring")
    if source.resolve() == fresh.resolve():
        raise LedgerError(f"{source} is left from a restore that did not end", hint="Rename it first.")
    _remove(fresh)
    return fresh


def _remove(fresh: Path) -> None:
    for suffix in _PARTS:
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


def _unused(path: Path) -> Path:
    """Give the path, or one beside it: a ledger that was put aside in the same second must not be replaced."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


_MAY_BE_STORED = text("""
    UPDATE requests SET completing_at = sent_at
    WHERE outcome IS NULL AND completing_at IS NULL AND id IN (
        SELECT request_id FROM sent JOIN entries ON entries.id = sent.entry_id WHERE entries.state = 'sending')
""")
_SEQUENCE = text("""
    INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq)
    SELECT (SELECT rowid FROM sqlite_sequence WHERE name = 'requests'), 'requests',
           max(:made, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'requests'), 0))
""")
