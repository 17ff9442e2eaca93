from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.errors import LedgerError
from syncd.ledger.decisions import Verdict, resolve
from syncd.ledger.outcomes import ROOM, Answer, Kept, OutcomeFile, Receipt
from syncd.ledger.queue import Queue, Settlement
from syncd.ledger.store import Store
from syncd.lifecycle import Outcome, State
from tests.fakes.ledgers import OPEN_GATE, Ledger, make_ledger
from tests.watch import namespace

STORED = Answer(Outcome.STORED, 200, "0000", None, None)


def kept(request_id: int, *receipts: Receipt, ledger_id: str = "one") -> Kept:
    return Kept(ledger_id, request_id, STORED, receipts, 12.5)


def test_what_is_kept_comes_back_in_order_and_the_room_stays(tmp_path: Path) -> None:
    outcomes = OutcomeFile(tmp_path / "ledger.db")
    assert outcomes.kept() == []
    outcomes.make_room()
    assert outcomes.path.stat().st_size == ROOM
    assert outcomes.path.stat().st_mode & 0o777 == 0o600
    one = kept(1, Receipt(1, State.UPLOADED, "image id 7", "7"))
    two = kept(2, Receipt(2, State.READY, "caf\u00e9\udcff", due_at=3.0, split=2, omit=frozenset({"tags"})))
    outcomes.keep(one)
    outcomes.keep(two)
    assert OutcomeFile(tmp_path / "ledger.db").kept() == [one, two]
    assert outcomes.path.stat().st_size == ROOM
    outcomes.clear()
    outcomes.make_room()
    assert outcomes.kept() == []
    assert outcomes.path.stat().st_size == ROOM


@pytest.mark.parametrize("cut", [1, 20, 120])
def test_half_a_line_is_none(tmp_path: Path, cut: int) -> None:
    outcomes = OutcomeFile(tmp_path / "ledger.db")
    outcomes.make_room()
    outcomes.keep(kept(1))
    whole = outcomes.path.read_bytes().index(b"\n") + 1
    outcomes.keep(kept(2))
    end = outcomes.path.read_bytes().index(b"\n", whole)
    with outcomes.path.open("r+b") as file:
        file.seek(end - cut)
        file.write(bytes(cut + 1))
    assert outcomes.kept() == [kept(1)]
    outcomes.keep(kept(3))
    assert outcomes.kept() == [kept(1), kept(3)]


def test_without_room_there_is_no_start(tmp_path: Path) -> None:
    outcomes = OutcomeFile(tmp_path / "not there" / "ledger.db")
    with pytest.raises(LedgerError, match=r"ledger\.db\.outcomes cannot be written: No such file"):
        outcomes.make_room()


def keep_answer(ledger: Ledger, request: int, *receipts: Receipt) -> str:
    """Have a request settled while the ledger cannot be written; give what was said."""
    with Store(ledger.path, query_only=True) as blocked, pytest.raises(LedgerError) as raised:
        Queue(blocked).settle([Settlement(request, STORED, receipts)], OPEN_GATE, ledger.tick())
    return raised.value.message


def stored(*entries: int) -> list[Receipt]:
    return [Receipt(i, State.UPLOADED, f"image id {7000 + i}", str(7000 + i)) for i in entries]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path, photos=4) as made:
        made.queue.replay(made.tick())
        yield made


def test_b11_an_answer_without_room_is_kept_and_recorded_before_recovery(ledger: Ledger) -> None:
    first, second = ledger.claim(1, 2), ledger.claim(3)
    for request in (first, second):
        ledger.queue.completing(request, ledger.tick())
    said = keep_answer(ledger, first, *stored(1, 2))
    assert said.endswith(f"the answer to request {first} is kept in {ledger.path}.outcomes, for the next start")
    keep_answer(ledger, second, *stored(3))
    assert ledger.states()[1] is State.SENDING
    assert ledger.queue.replay(ledger.tick()) == (3, None)
    assert ledger.queue.recover(ledger.tick()) == (0, 0)
    assert ledger.states() == {**dict.fromkeys((1, 2, 3), State.UPLOADED), 4: State.READY}
    assert ledger.queue.replay(ledger.tick()) == (0, None), "it is recorded once"
    ledger.assert_whole()


def test_b11_what_can_be_kept_nowhere_is_said(ledger: Ledger) -> None:
    request = ledger.claim(1, 2)
    outcomes = OutcomeFile(ledger.path)
    outcomes.path.unlink()
    outcomes.path.mkdir()
    said = keep_answer(ledger, request, *stored(1, 2))
    assert "could not be kept either" in said
    assert said.endswith("entry 1: image 7001, entry 2: image 7002")


def test_what_was_settled_meanwhile_stays_as_it_is(ledger: Ledger) -> None:
    request = ledger.claim(1, 2)
    keep_answer(ledger, request, *stored(1, 2))
    ledger.queue.completing(request, ledger.tick())
    assert ledger.queue.recover(ledger.tick()) == (2, 0), "by a version that knew of no such file"
    assert ledger.queue.replay(ledger.tick()) == (0, None)
    assert ledger.states()[1] is State.UNANSWERED


def test_an_id_that_a_person_gave_to_another_photo_meanwhile_stops_nothing(ledger: Ledger) -> None:
    other = ledger.leave_unanswered(4)
    assert other
    request = ledger.claim(1, 2)
    keep_answer(ledger, request, *stored(1, 2))
    assert resolve(ledger.store, 4, Verdict.STORED, "7001", ledger.tick())
    assert ledger.queue.replay(ledger.tick()) == (2, None)
    assert ledger.states() == {1: State.UNANSWERED, 2: State.UPLOADED, 3: State.READY, 4: State.UPLOADED}
    ledger.assert_whole()


def test_answers_of_another_ledger_are_put_aside_not_believed(ledger: Ledger) -> None:
    outcomes = OutcomeFile(ledger.path)
    outcomes.keep(kept(1, *stored(1), ledger_id="another"))
    count, aside = ledger.queue.replay(ledger.tick())
    assert count == 0
    assert aside is not None
    assert b"7001" in aside.read_bytes()
    assert outcomes.kept() == []
    assert outcomes.path.stat().st_size == ROOM
    assert State.UPLOADED not in ledger.states().values()


FULL = """
import errno, os, pathlib, subprocess
from syncd.errors import LedgerError
from syncd.ledger.decisions import Verdict, resolve
from syncd.lifecycle import State
from tests.fakes.rig import Rig
home = pathlib.Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", home], check=True)
rig = Rig(home)
from tests.fakes.reader import photo_bytes
for number in range(4):
    rig.write(f"{number}.jpg", photo_bytes(str(number)))
rig.scan()
filler = home / "filler"
def fill():
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
completing = rig.queue.completing
def complete_and_fill(request_id, now):
    completing(request_id, now)
    fill()
rig.queue.completing = complete_and_fill
try:
    while rig.dispatch.turn() is None:
        pass
    print("settled")
except LedgerError as error:
    print(error.exit_code, "kept in" in error.message, "full" in error.message, "Free some space" in error.hint)
print([row.state for row in rig.rows("SELECT state FROM entries")], len(rig.service.stored))
filler.unlink()
del rig.queue.completing
rig.restart()
rig.drain()
print(rig.count(State.UPLOADED), rig.count(State.UNANSWERED), set(rig.service.billed().values()))
rows = rig.rows("SELECT image_id, digest FROM entries JOIN photos ON photos.id = photo_id")
print({tuple(row) for row in rows} == {(image.id, image.digest) for image in rig.service.stored})
"""


def test_b11_the_disk_is_full_when_ids_are_to_be_recorded(tmp_path: Path) -> None:
    assert namespace.run(FULL, str(tmp_path)).splitlines() == [
        "75 True True True",
        "['sending', 'sending', 'sending', 'sending'] 4",
        "4 0 {1}",
        "True",
    ]
