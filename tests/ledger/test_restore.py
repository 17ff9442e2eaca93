from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import LedgerError
from syncd.ledger import reports
from syncd.ledger.adoption import end_doubt
from syncd.ledger.doubt import REASON
from syncd.ledger.exchange import adopt, export
from syncd.ledger.guard import Mark, MarkFile
from syncd.ledger.migrate import backup, open_ledger
from syncd.ledger.queue import Answer, Receipt
from syncd.ledger.restore import rebuild, restore
from syncd.ledger.sightings import Recorded
from syncd.lifecycle import Outcome, State
from syncd.model import Look, Photo, Unfit, UnfitCode
from tests.fakes.ledgers import ROOT, START, Ledger, make_ledger, photo, sighting

BEFORE = int((START - 3600) * 1e9)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def opened(path: Path, now: float) -> Ledger:
    ledger = Ledger(open_ledger(path, now=now), now=now)
    ledger.territory.configure([ROOT])
    return ledger


def old_file(seen: Photo) -> Look:
    return Look(seen.size, BEFORE, BEFORE, 7, 1)


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """A ledger with 6 photos, of which 1 and 2 are uploaded, and whose root was scanned whole."""
    with make_ledger(home, photos=6) as made:
        made.territory.scanned(ROOT, 1, {}, made.tick())
        made.upload(1, 2)
        yield made


def write_export(ledger: Ledger, path: Path) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in export(ledger.store, ledger.now)))
    return path


def keep(ledger: Ledger) -> Path:
    target = ledger.path.with_name("backup.db")
    backup(ledger.path, target)
    return target


def states(ledger: Ledger) -> list[State]:
    return list(ledger.states().values())


def test_b7_an_older_backup_holds_what_may_have_been_uploaded_since(ledger: Ledger, home: Path) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    lost = photo(50)
    ledger.see(sighting(b"seen after the backup.jpg", lost))
    ledger.upload(7)
    ledger.store.close()

    back = restore(ledger.path, kept, complete=False, now=ledger.tick())
    assert (back.known, back.made, back.in_doubt) == (1, 3, True)
    assert back.kept is not None
    with closing(sqlite3.connect(back.kept)) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (3,)

    with opened(ledger.path, ledger.tick()) as put_back:
        assert states(put_back) == [State.UPLOADED] * 2 + [State.UNANSWERED] * 4
        assert put_back.due() == []
        came = put_back.see(
            sighting(b"seen after the backup.jpg", lost, look=old_file(lost)),
            sighting(b"IMG_0001.jpg", photo(1), look=old_file(photo(1))),
        )
        assert came == [Recorded.DOUBTFUL, Recorded.KNOWN]
        assert states(put_back)[-1] is State.UNANSWERED
        put_back.territory.scanned(ROOT, 1, {}, put_back.tick())
        new = Look(1000, int(put_back.now * 1e9), int(put_back.now * 1e9), 8, 1)
        assert put_back.see(sighting(b"new.jpg", photo(60), look=new)) == [Recorded.OWED]
        assert put_back.due() == [8], "what is made after it was put back cannot have been uploaded before"
        for number, mtime, ctime in ((80, put_back.now + 10**6, put_back.now), (81, put_back.now, START - 10)):
            look = Look(1000, int(mtime * 1e9), int(ctime * 1e9), number, 1)
            assert put_back.see(sighting(b"%d.jpg" % number, photo(number), look=look)) == [Recorded.DOUBTFUL]
        late = sighting(b"could not be read before.jpg", photo(61), look=old_file(photo(61)))
        assert put_back.see(late) == [Recorded.DOUBTFUL]
        assert reports.status(put_back.store).doubt is not None
        assert put_back.claim(8) == 4, "the numbers of the requests that were lost are not used again"
        put_back.assert_whole()


def test_a_backup_that_is_complete_is_not_doubted(ledger: Ledger) -> None:
    kept = keep(ledger)
    ledger.see(sighting(b"another.jpg", photo(9)))
    ledger.store.close()
    back = restore(ledger.path, kept, complete=False, now=ledger.tick())
    assert not back.in_doubt
    with opened(ledger.path, ledger.tick()) as put_back:
        assert states(put_back) == [State.UPLOADED] * 2 + [State.READY] * 4


def test_a_request_under_way_in_the_backup_may_have_been_completed_after_it(ledger: Ledger) -> None:
    ledger.claim(3)
    kept = keep(ledger)
    ledger.store.close()
    assert not restore(ledger.path, kept, complete=False, now=ledger.tick()).in_doubt
    with opened(ledger.path, ledger.tick()) as put_back:
        assert put_back.queue.recover(put_back.tick()) == (1, 0)
        assert put_back.lookups.due(put_back.now) is not None, "its marker is known: it is looked up"


def test_the_journal_of_a_ledger_that_died_is_not_rolled_back_into_the_backup(ledger: Ledger) -> None:
    kept = keep(ledger)
    ledger.store.close()
    journal = ledger.path.with_name(f"{ledger.path.name}-journal")
    journal.write_bytes(b"what SQLite would take for this ledger's own")
    came = restore(ledger.path, kept, complete=False, now=ledger.tick())
    assert not journal.exists()
    assert came.kept is not None
    assert came.kept.with_name(f"{came.kept.name}-journal").exists()


def test_without_a_mark_nobody_knows_what_is_missing(ledger: Ledger, home: Path) -> None:
    kept = keep(ledger)
    ledger.store.close()
    elsewhere = home / "new machine" / "ledger.db"
    elsewhere.parent.mkdir()
    back = restore(elsewhere, kept, complete=False, now=ledger.tick())
    assert (back.made, back.in_doubt, back.kept) == (None, True, None)
    back = restore(home / "moved.db", kept, complete=True, now=ledger.tick())
    assert not back.in_doubt
    with opened(home / "moved.db", ledger.tick()) as moved:
        assert moved.due() == [6, 5, 4, 3]


def test_complete_is_not_believed_against_the_mark(ledger: Ledger) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    ledger.store.close()
    with pytest.raises(LedgerError, match="it knows 1 requests, and more were made"):
        restore(ledger.path, kept, complete=True, now=ledger.tick())
    with opened(ledger.path, ledger.tick()) as untouched:
        assert states(untouched).count(State.UPLOADED) == 3
    assert not list(ledger.path.parent.glob("*.restoring*"))


def make_another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE a (b)")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_bytes(b"no database, but long enough to be one" * 100), "cannot be used"),
        (lambda path: None, "there is no such file"),
        (make_another_database, "is no ledger"),
    ],
    ids=["garbage", "missing", "another database"],
)
def test_what_is_no_backup_changes_nothing(
    ledger: Ledger, home: Path, write: Callable[[Path], object], said: str
) -> None:
    source = home / "source.db"
    write(source)
    ledger.store.close()
    before = ledger.path.read_bytes()
    with pytest.raises(LedgerError, match=said):
        restore(ledger.path, source, complete=False, now=ledger.tick())
    assert ledger.path.read_bytes() == before
    assert not list(home.glob("*.restoring*"))


def test_a_backup_of_another_ledger_is_refused(ledger: Ledger, home: Path) -> None:
    (home / "other").mkdir()
    with make_ledger(home / "other", photos=1) as other:
        kept = keep(other)
    ledger.store.close()
    MarkFile(ledger.path).write(Mark("0" * 16, 1))
    with pytest.raises(LedgerError, match="another ledger"):
        restore(ledger.path, kept, complete=False, now=ledger.tick())


def test_a_person_ends_the_doubt(ledger: Ledger) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    ledger.store.close()
    restore(ledger.path, kept, complete=False, now=ledger.tick())
    with opened(ledger.path, ledger.tick()) as put_back:
        put_back.see(sighting(b"IMG_0004.jpg", photo(4), look=old_file(photo(4))))
        with put_back.store.write() as connection:
            assert end_doubt(connection, put_back.tick(), resend=False) == 0
        assert put_back.due() == []
        assert put_back.see(sighting(b"old.jpg", photo(70), look=old_file(photo(70)))) == [Recorded.OWED]
        with put_back.store.write() as connection:
            assert end_doubt(connection, put_back.tick(), resend=True) == 4
        assert len(put_back.due()) == 5
        put_back.assert_whole()


def test_putting_the_same_backup_back_twice_does_not_make_it_complete(ledger: Ledger, home: Path) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    ledger.store.close()
    for _ in range(2):
        back = restore(ledger.path, kept, complete=False, now=ledger.tick())
        assert (back.known, back.made, back.in_doubt) == (1, 2, True)
    for path in home.glob("ledger.db*"):
        if path.suffix != ".mark":
            path.unlink()
    assert restore(ledger.path, kept, complete=False, now=ledger.tick()).in_doubt
    MarkFile(ledger.path).path.unlink()
    for _ in range(3):
        assert restore(ledger.path, kept, complete=False, now=ledger.tick()).in_doubt, "also where nobody knows"
    with opened(ledger.path, ledger.tick()) as put_back:
        assert put_back.due() == []


def test_what_is_unknown_once_stays_so_in_backups_and_exports(ledger: Ledger, home: Path) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    ledger.store.close()
    restore(ledger.path, kept, complete=False, now=ledger.tick())
    with opened(ledger.path, ledger.tick()) as put_back:
        doubtful = write_export(put_back, home / "doubtful.jsonl")
        backup(put_back.path, home / "doubtful.db")
        came = adopt(put_back.store, doubtful, put_back.tick())
        assert not came.doubt_ended, "it does not know them either"
    assert restore(ledger.path, home / "doubtful.db", complete=False, now=ledger.tick()).in_doubt
    for path in home.glob("ledger.db*"):
        path.unlink()
    back, _ = rebuild(ledger.path, doubtful, complete=False, now=ledger.tick())
    assert back.in_doubt
    with opened(ledger.path, ledger.tick()) as rebuilt:
        assert rebuilt.see(sighting(b"IMG_0003.jpg", photo(3), look=old_file(photo(3)))) == [Recorded.KNOWN]
        assert rebuilt.due() == []


def test_an_old_ledger_that_lies_in_its_place_can_be_gone_on_with(ledger: Ledger) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    ledger.store.close()
    kept.replace(ledger.path)
    with pytest.raises(LedgerError, match="is older than the one used last") as raised:
        open_ledger(ledger.path, now=ledger.tick())
    assert "`syncd ledger restore` with this file" in raised.value.hint
    assert restore(ledger.path, ledger.path, complete=False, now=ledger.tick()).in_doubt
    with opened(ledger.path, ledger.tick()) as put_back:
        assert put_back.due() == []


def test_an_edit_of_a_photo_in_doubt_is_not_lost(ledger: Ledger) -> None:
    kept = keep(ledger)
    ledger.upload(6)
    ledger.store.close()
    restore(ledger.path, kept, complete=False, now=ledger.tick())
    with opened(ledger.path, ledger.tick()) as put_back:
        edited = sighting(b"IMG_0003.jpg", photo(30, picture=3), look=old_file(photo(30)))
        assert put_back.see(edited) == [Recorded.EDIT]
        with put_back.store.write() as connection:
            end_doubt(connection, put_back.tick(), resend=True)
        owed = {
            row.digest
            for row in put_back.rows("""
            SELECT digest FROM entries JOIN photos ON photos.id = photo_id WHERE state = 'ready' AND withdrawn = 0
        """)
        }
        assert photo(30).digest in owed
        assert photo(3).digest not in owed, "its bytes are gone"


def test_a_newer_export_settles_a_restored_backup_without_a_person(ledger: Ledger, home: Path) -> None:
    kept = keep(ledger)
    ledger.upload(3)
    ledger.see(sighting(b"seen after.jpg", photo(50)))
    ledger.upload(7)
    ledger.leave_unanswered(4)
    newer = write_export(ledger, home / "export.jsonl")
    ledger.store.close()
    restore(ledger.path, kept, complete=False, now=ledger.tick())
    with opened(ledger.path, ledger.tick()) as put_back:
        came = adopt(put_back.store, newer, put_back.tick())
        assert (came.uploaded, came.doubt_ended, came.conflicts) == (2, True, 0)
        assert put_back.states() == {
            1: State.UPLOADED,
            2: State.UPLOADED,
            3: State.UPLOADED,
            4: State.UNANSWERED,
            5: State.READY,
            6: State.READY,
            7: State.UPLOADED,
        }
        assert put_back.see(sighting(b"seen after.jpg", photo(50))) == [Recorded.KNOWN]
        ids = {row.photo_id: row.image_id for row in put_back.rows("SELECT * FROM entries WHERE image_id IS NOT NULL")}
        assert ids == {1: "7001", 2: "7002", 3: "7003", 7: "7007"}
        assert reports.status(put_back.store).doubt is None


def test_b7_a_lost_ledger_is_rebuilt_from_an_export_and_pays_for_nothing_twice(ledger: Ledger, home: Path) -> None:
    ledger.see(sighting(b"IMG_0001.jpg", photo(10, picture=1)))
    ledger.leave_unanswered(3, lookup_at=ledger.now + 60)
    ledger.lose(sighting(b"IMG_0002.jpg", photo(2)))
    kept = write_export(ledger, home / "export.jsonl")
    ledger.store.close()
    for path in home.glob("ledger.db*"):
        if path.suffix != ".mark":
            path.unlink()

    back, came = rebuild(ledger.path, kept, complete=False, now=ledger.tick())
    assert (back.in_doubt, back.known, back.made) == (False, 2, 2)
    assert (came.uploaded, came.unanswered) == (2, 1)
    with opened(ledger.path, ledger.tick()) as rebuilt:
        seen = [sighting(b"IMG_%04d.jpg" % n, photo(n)) for n in range(2, 7)]
        came_of = rebuilt.see(sighting(b"IMG_0001.jpg", photo(10, picture=1)), *seen)
        assert came_of == [Recorded.EDIT, Recorded.KNOWN, Recorded.KNOWN, *[Recorded.OWED] * 3]
        pending = rebuilt.lookups.due(rebuilt.now)
        assert pending is not None
        assert [name for _, name in pending.missing] == ["photo-000000000003.jpg"]
        rows = rebuilt.rows(
            "SELECT digest, image_id FROM photos JOIN entries ON photo_id = photos.id WHERE image_id > ''"
        )
        assert {tuple(row) for row in rows} == {(photo(1).digest, "7001"), (photo(2).digest, "7002")}
        request = rebuilt.claim(4)
        assert request == 3


def test_an_export_older_than_the_last_upload_leaves_a_doubt(ledger: Ledger, home: Path) -> None:
    kept = write_export(ledger, home / "export.jsonl")
    ledger.upload(3)
    ledger.store.close()
    ledger.path.write_bytes(b"damaged beyond any hope" * 1000)
    back, _ = rebuild(ledger.path, kept, complete=False, now=ledger.tick())
    assert (back.in_doubt, back.known, back.made) == (True, 1, 2)
    with opened(ledger.path, ledger.tick()) as rebuilt:
        came = rebuilt.see(*(sighting(b"IMG_%04d.jpg" % n, photo(n), look=old_file(photo(n))) for n in range(1, 7)))
        assert came == [Recorded.KNOWN] * 2 + [Recorded.DOUBTFUL] * 4
        assert rebuilt.rows("SELECT DISTINCT reason FROM entries WHERE state = 'unanswered'") == [(REASON,)]


def test_a_whole_ledger_is_never_replaced_by_an_export(ledger: Ledger, home: Path) -> None:
    kept = write_export(ledger, home / "export.jsonl")
    ledger.store.close()
    with pytest.raises(LedgerError, match="whole ledger"):
        rebuild(ledger.path, kept, complete=False, now=ledger.tick())


def test_an_id_that_two_photos_claim_is_nobodys_reason_to_send_again(ledger: Ledger, home: Path) -> None:
    kept = write_export(ledger, home / "export.jsonl")
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    lines[1]["entries"][0]["image_id"], lines[3]["entries"] = "7009", lines[2]["entries"]
    lines[4]["sha256"] = photo(99).digest
    lines[4]["entries"] = lines[2]["entries"]
    kept.write_text("".join(json.dumps(line) + "\n" for line in lines))
    came = adopt(ledger.store, kept, ledger.tick())
    assert (came.conflicts, came.uploaded) == (3, 0)
    assert ledger.states()[3] is State.UNANSWERED
    assert ledger.see(sighting(b"99.jpg", photo(99))) == [Recorded.KNOWN]
    assert ledger.due() == [6, 5, 4]


def test_an_adopted_id_settles_photos_in_every_state(ledger: Ledger, home: Path) -> None:
    ledger.see(sighting(b"unfit.jpg", photo(7), unfit=Unfit(UnfitCode.TOO_LARGE, "by a setting")))
    ledger.answer(ledger.claim(4), Answer(Outcome.REJECTED), Receipt(4, State.REFUSED, "bad"))
    ledger.leave_unanswered(5, lookup_at=ledger.now)
    kept = write_export(ledger, home / "export.jsonl")
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    for number in (3, 4, 5, 7):
        entry = lines[number]["entries"][0]
        entry |= {"state": "uploaded", "image_id": str(8000 + number), "uploaded_at": "2026-11-24T12:00:00Z"}
    kept.write_text("".join(json.dumps(line) + "\n" for line in lines))
    came = adopt(ledger.store, kept, ledger.tick())
    assert (came.uploaded, came.known, came.conflicts) == (4, 2, 0)
    assert [state for state in states(ledger) if state is not State.UPLOADED] == [State.READY]
    assert ledger.lookups.next_due() is None
    assert adopt(ledger.store, kept, ledger.tick()).uploaded == 0
    ledger.assert_whole()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines.pop(), "not whole: it has 5 photos, and should have 6"),
        (lambda lines: lines.pop(0), "no export that this version"),
        (lambda lines: lines[2].update(sha256="x"), "line 3 of .* sha256"),
        (lambda lines: lines[2].update(type="tiff"), "'tiff' is not a valid ImageType"),
        (lambda lines: lines[2].update(taken_at="yesterday"), "line 3"),
        (lambda lines: lines[2].update(unfit_code="ugly"), "line 3"),
        (lambda lines: lines[2]["entries"][0].update(image_id="'; DROP"), "image_id"),
        (lambda lines: lines[2]["entries"][0].pop("image_id"), "image_id None does not fit the state uploaded"),
        (lambda lines: lines[2]["entries"][0].update(state="maybe"), "the state 'maybe' is none"),
        (lambda lines: lines[2]["entries"][0].update(sent={}), "sent is {}"),
        (lambda lines: lines[2]["entries"][0].update(uploaded_at="soon"), "uploaded_at is 'soon'"),
        (lambda lines: lines[2]["entries"][0].update(requests=[{"marker": 1}]), "is none"),
        (lambda lines: lines[2].update(entries=3), "entries is no list"),
        (lambda lines: lines.insert(0, {"syncd_export": 99}), "no export that this version"),
    ],
)
def test_a_damaged_export_changes_nothing(
    ledger: Ledger, home: Path, change: Callable[[list[dict[str, Any]]], object], said: str
) -> None:
    kept = write_export(ledger, home / "export.jsonl")
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    change(lines)
    kept.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = ledger.rows("SELECT * FROM entries"), ledger.rows("SELECT * FROM photos")
    with pytest.raises(LedgerError, match=said):
        adopt(ledger.store, kept, ledger.tick())
    assert (ledger.rows("SELECT * FROM entries"), ledger.rows("SELECT * FROM photos")) == before


def test_an_export_can_be_read_by_a_person_and_holds_every_name(ledger: Ledger, home: Path) -> None:
    ledger.see(sighting(b"\xff\n\x1b[31m.jpg", photo(1), folder=b"a b"))
    lines = write_export(ledger, home / "export.jsonl").read_text("ascii").splitlines()
    assert json.loads(lines[0]).keys() >= {"syncd_export", "ledger", "requests", "photos", "exported_at", "account"}
    first = json.loads(lines[1])
    assert first["sha256"] == photo(1).digest
    assert [os.fsencode(path) for path in first["paths"]] == [
        b"/photos/IMG_0001.jpg",
        b"/photos/a b/\xff\n\x1b[31m.jpg",
    ]
    assert (first["entries"][0]["state"], first["entries"][0]["image_id"]) == ("uploaded", "7001")
    assert len(lines) == 7
