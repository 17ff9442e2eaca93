"""What a person says of the account: the ledger goes on with it, or another one begins."""

from __future__ import annotations

import time
from pathlib import Path

from syncd.daemon.clock import SystemClock
from syncd.daemon.lock import InstanceLock
from syncd.daemon.pipeline import OTHER_ACCOUNT
from syncd.ledger.account import keep
from syncd.ledger.guard import MarkFile
from syncd.ledger.migrate import open_for_single_moves, open_ledger
from syncd.ledger.outcomes import OutcomeFile
from syncd.ledger.queue import Queue
from syncd.upload.pace import Gate, released


def adopt_account(ledger: Path, base_url: str, key: str) -> None:
    """Go on with this address and key, and end the pause that asked about them. Raises LockedError beside a daemon."""
    with InstanceLock(ledger), open_ledger(ledger, now=SystemClock().now()) as store:
        keep(store, base_url, key)
        queue = Queue(store)
        gate = Gate.from_json(queue.gate())
        if gate.pause is not None and gate.pause.reason.startswith(OTHER_ACCOUNT):
            queue.set_gate(released(gate).to_json())


def begin_anew(ledger: Path) -> Path:
    """Put the ledger of the account before aside, whole; give where it is kept. Raises LockedError beside a daemon."""
    with InstanceLock(ledger):
        open_for_single_moves(ledger).close()
        kept = _unused(ledger.with_name(f"{ledger.name}.account-until-{time.strftime('%Y%m%d-%H%M%S')}"))
        for suffix in ("-wal", "-shm", ""):
            part = ledger.with_name(ledger.name + suffix)
            if part.exists():
                part.rename(kept.with_name(kept.name + suffix))
        for beside in (MarkFile(ledger).path, OutcomeFile(ledger).path):
            if beside.exists():
                beside.rename(kept.with_name(kept.name + beside.suffix))
        return kept


def _unused(path: Path) -> Path:
    """Give the path, or one beside it: a ledger that was put aside in the same second must not be replaced."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
