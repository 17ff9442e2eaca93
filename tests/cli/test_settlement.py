"""What a person says of the account: the ledger goes on, or is kept aside whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.cli.settlement import adopt_account, begin_anew
from syncd.daemon.lock import InstanceLock
from syncd.daemon.pipeline import OTHER_ACCOUNT
from syncd.errors import LockedError
from syncd.ledger.account import difference
from syncd.ledger.migrate import open_for_reading, open_ledger
from syncd.ledger.plain import text
from syncd.ledger.queue import Queue
from syncd.upload.pace import Gate, held_for_a_person, paused
from tests.fakes.ledgers import make_ledger

URL, KEY, OTHER = "http://127.0.0.1:9", "sk-mavi-one", "sk-mavi-two"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    with make_ledger(tmp_path, photos=2) as made:
        difference(made.store, URL, KEY)
        made.upload(1)
        return made.path


def set_gate(ledger: Path, gate: Gate) -> None:
    with open_ledger(ledger, now=1.0) as store:
        Queue(store).set_gate(gate.to_json())


def gate_of(ledger: Path) -> Gate:
    with open_for_reading(ledger) as store:
        return Gate.from_json(Queue(store).gate())


def test_the_same_account_goes_on_and_the_question_is_answered(ledger: Path) -> None:
    set_gate(ledger, held_for_a_person(Gate(), f"{OTHER_ACCOUNT}: the API key is another one", 5.0))
    adopt_account(ledger, URL, OTHER)
    assert gate_of(ledger).pause is None
    with open_ledger(ledger, now=1.0) as store:
        assert difference(store, URL, OTHER) is None
        assert difference(store, URL, KEY) is not None


def test_another_pause_is_left_as_it_is(ledger: Path) -> None:
    set_gate(ledger, paused(Gate(), "no credits", 5.0))
    adopt_account(ledger, URL, OTHER)
    pause = gate_of(ledger).pause
    assert pause is not None
    assert pause.reason == "no credits"


def test_a_new_account_begins_without_a_ledger_and_the_old_one_is_kept_whole(ledger: Path) -> None:
    kept = begin_anew(ledger)
    assert not ledger.exists()
    assert not ledger.with_name("ledger.db.mark").exists()
    assert kept.with_name(kept.name + ".mark").exists()
    with open_for_reading(kept) as store, store.read() as connection:
        assert connection.execute(text("SELECT image_id FROM entries WHERE id = 1")).scalar() == "7001"
    open_ledger(ledger, now=1.0).close()
    again = begin_anew(ledger)
    assert again != kept
    assert kept.exists()


@pytest.mark.parametrize("change", [lambda ledger: adopt_account(ledger, URL, OTHER), begin_anew], ids=["same", "new"])
def test_beside_a_daemon_nothing_changes(ledger: Path, change: Callable[[Path], object]) -> None:
    before = ledger.read_bytes()
    with InstanceLock(ledger), pytest.raises(LockedError):
        change(ledger)
    assert ledger.read_bytes() == before
