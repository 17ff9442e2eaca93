"""What a person says of the account: the ledger goes on with it, or another one begins."""

from __future__ import annotations

from pathlib import Path

from syncd.daemon.clock import SystemClock
from syncd.daemon.lock import InstanceLock
from syncd.daemon.pipeline import OTHER_ACCOUNT
from syncd.ledger.account import keep
from syncd.ledger.adoption import Adopted, end_doubt
from syncd.ledger.doubt import doubt
from syncd.ledger.exchange import adopt
from syncd.ledger.guard import MarkFile
from syncd.ledger.migrate import open_for_single_moves, open_ledger
from syncd.ledger.outcomes import OutcomeFile
from syncd.ledger.queue import Queue
from syncd.ledger.restore import PutBack, put_aside, rebuild, restore
from syncd.upload.pace import Gate, released


def adopt_account(ledger: Path, base_url: str, key: str) -> None:
    """Go on with this address and key, and end the pause that asked about them. Raises LockedError beside a daemon."""
    with InstanceLock(ledger), open_ledger(ledger, now=SystemClock().now()) as store:
        keep(store, base_url, key)
        queue = Queue(store)
        gate = Gate.from_json(queue.gate())
        if gate.pause is not None and gate.pause.reason.startswith(OTHER_ACCOUNT):
            queue.set_gate(released(gate).to_json())


def put_back(ledger: Path, source: Path, *, complete: bool) -> PutBack:
    """Put a backup in the ledger's place. Raises LockedError beside a daemon."""
    with InstanceLock(ledger):
        return restore(ledger, source, complete=complete, now=SystemClock().now())


def make_of_export(ledger: Path, source: Path, *, complete: bool) -> tuple[PutBack, Adopted]:
    """Make a ledger from an export where there is none, or a damaged one. Raises LockedError beside a daemon."""
    with InstanceLock(ledger):
        return rebuild(ledger, source, complete=complete, now=SystemClock().now())


def adopt_export(ledger: Path, source: Path) -> Adopted:
    """Add what an export knows to the ledger. Raises LockedError beside a daemon."""
    now = SystemClock().now()
    with InstanceLock(ledger), open_ledger(ledger, now=now) as store:
        return adopt(store, source, now)


def believe(ledger: Path, *, resend: bool) -> int | None:
    """End the doubt about a ledger that was put back; give how many photos are owed again, None: there was no doubt.

    Raises LockedError beside a daemon.
    """
    now = SystemClock().now()
    with InstanceLock(ledger), open_ledger(ledger, now=now) as store, store.write() as connection:
        return None if doubt(connection) is None else end_doubt(connection, now, resend=resend)


def begin_anew(ledger: Path) -> Path:
    """Put the ledger of the account before aside, whole; give where it is kept. Raises LockedError beside a daemon."""
    with InstanceLock(ledger):
        open_for_single_moves(ledger).close()
        beside = (MarkFile(ledger).path, OutcomeFile(ledger).path)
        kept = put_aside(ledger, "account-until", beside=beside)
        assert kept is not None, "it was opened just now"  # noqa: S101
        return kept
