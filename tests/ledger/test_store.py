"""The connection to the ledger: what it says when another program is in the way."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from syncd.errors import BusyError
from syncd.ledger.migrate import open_ledger
from syncd.ledger.store import Store, connect, set_fact


def test_w15_a_ledger_that_another_program_holds_is_not_now_and_no_broken_setup(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, now=0.0).close()
    with closing(connect(path, "rw")) as other, Store(path, busy_seconds=0.05) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError) as caught, store.write() as connection:
            set_fact(connection, "x", 1)
        assert caught.value.exit_code == 75, "the service manager tries again"
        other.execute("ROLLBACK")
        with store.write() as connection:
            set_fact(connection, "x", 1)
