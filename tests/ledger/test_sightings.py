"""What a sighting owes: one photo, one entry, wherever and however often it is seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.ledger.decisions import Verdict, resolve
from syncd.ledger.queue import Answer, Receipt
from syncd.ledger.sightings import Policy, Recorded
from syncd.ledger.store import set_fact
from syncd.lifecycle import Outcome, State
from syncd.model import Look, Unfit, UnfitCode
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

PER_NAMESPACE = Policy(per_namespace=True)
READY, UPLOADED = State.READY, State.UPLOADED


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path) as made:
        yield made


def withdrawn(ledger: Ledger) -> list[int]:
    return [row.id for row in ledger.rows("SELECT id FROM entries WHERE withdrawn = 1 ORDER BY id")]


def test_a_new_photo_is_owed(ledger: Ledger) -> None:
    assert ledger.see(sighting(b"a.jpg", photo(1))) == [Recorded.OWED]
    assert ledger.states() == {1: READY}
    assert ledger.moves(1) == [(None, READY)]
    assert ledger.due() == [1]


def test_an_unfit_photo_is_known_and_never_due(ledger: Ledger) -> None:
    unfit = Unfit(UnfitCode.EMPTY, "0 bytes")
    assert ledger.see(sighting(b"a.jpg", photo(1, unfit=unfit))) == [Recorded.UNFIT]
    assert ledger.states() == {1: State.UNFIT}
    assert ledger.due() == []
    assert ledger.rows("SELECT reason FROM entries")[0].reason == "empty: 0 bytes"


@pytest.mark.parametrize("uploaded", [False, True])
def test_b8_copies_renames_links_and_twin_names_cost_nothing(ledger: Ledger, uploaded: bool) -> None:  # noqa: FBT001
    nfc = unicodedata.normalize("NFC", "Zürich.jpg").encode()
    nfd = unicodedata.normalize("NFD", "Zürich.jpg").encode()
    first = sighting(nfc, photo(1), look=Look(1000, 1, 1, 42, 1))
    ledger.see(first)
    if uploaded:
        ledger.upload(1)
    again = [
        sighting(nfd, photo(1)),
        sighting(b"copy of it.jpg", photo(1), folder=b"deep/er"),
        sighting(b"hard link.jpg", photo(1), look=Look(1000, 1, 1, 42, 1)),
        sighting(b"other card.jpg", photo(1), look=Look(1000, 5, 5, 43, 2)),
    ]
    assert set(ledger.see(*again)) == {Recorded.KNOWN}
    ledger.lose(first)
    assert ledger.see(sighting(b"renamed.jpg", photo(1))) == [Recorded.KNOWN]
    assert len(ledger.states()) == 1
    assert len(ledger.due()) == (0 if uploaded else 1)
    assert len(ledger.rows("SELECT * FROM places WHERE gone_at IS NULL")) == 5


def test_b9_replaced_bytes_are_a_new_photo_with_the_same_size_and_time_too(ledger: Ledger) -> None:
    look = Look(1000, 7, 7, 42, 1)
    ledger.see(sighting(b"IMG_0001.JPG", photo(1), look=look))
    ledger.upload(1)
    assert ledger.see(sighting(b"IMG_0001.JPG", photo(2), look=look)) == [Recorded.OWED]
    assert ledger.states() == {1: UPLOADED, 2: READY}
    places = ledger.rows("SELECT photo_id, gone_at IS NULL AS present FROM places ORDER BY id")
    assert [(row.photo_id, row.present) for row in places] == [(1, 0), (2, 1)]


def test_b9_a_look_at_the_same_photo_again_is_kept(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), look=Look(1000, 1, 2, 3, 4)))
    ledger.see(sighting(b"a.jpg", photo(1), look=Look(1000, 5, 6, 7, 8)))
    assert ledger.territory.known_looks(ROOT, b"") == {b"a.jpg": (1000, 5, 6, 7)}


@pytest.mark.parametrize(
    "look",
    [
        Look(1000, -5, -(2**61), 2**64 - 1, 2**63 + 5),
        Look(1000, 2**63 + 7, 2**63 - 1, 2**63, 0),
    ],
)
def test_looks_of_64_bits_come_back_as_they_were(ledger: Ledger, look: Look) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), look=look))
    expected = (look.size, look.mtime_ns, look.ctime_ns, look.inode)
    assert ledger.territory.known_looks(ROOT, b"") == {b"a.jpg": expected}


def test_a_metadata_only_edit_is_known_and_not_owed(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.upload(1)
    assert ledger.see(sighting(b"a.jpg", photo(2, picture=1))) == [Recorded.EDIT]
    assert ledger.see(sighting(b"copy.jpg", photo(2, picture=1))) == [Recorded.EDIT]
    assert ledger.see(sighting(b"a.jpg", photo(3, picture=1))) == [Recorded.EDIT]
    assert ledger.states() == {1: UPLOADED}


def test_a_metadata_only_edit_is_owed_where_the_settings_say_so(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.upload(1)
    strict = ledger.with_policy(Policy(keep_metadata_edits=False))
    assert strict.see(sighting(b"a.jpg", photo(2, picture=1))) == [Recorded.OWED]


def test_an_edit_of_what_was_not_sent_takes_its_place(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    assert ledger.see(sighting(b"a.jpg", photo(2, picture=1))) == [Recorded.OWED]
    assert ledger.due() == [2]
    assert withdrawn(ledger) == [1]


def test_the_same_picture_at_another_place_is_no_edit(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.upload(1)
    assert ledger.see(sighting(b"b.jpg", photo(2, picture=1))) == [Recorded.OWED]


@pytest.mark.parametrize("outcome", ["not sent", "refused", "dismissed", "sent again", "recovered"])
def test_an_edit_is_owed_after_all_when_its_original_was_never_stored(ledger: Ledger, outcome: str) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    request = ledger.claim(1)
    assert ledger.see(sighting(b"a.jpg", photo(2, picture=1))) == [Recorded.EDIT]
    match outcome:
        case "not sent":
            ledger.answer(request, Answer(Outcome.CHANGED), Receipt(1, READY, "changed while it was sent"))
        case "refused":
            ledger.answer(request, Answer(Outcome.REJECTED), Receipt(1, State.REFUSED, "no"))
        case "recovered":
            assert ledger.queue.recover(ledger.tick()) == (0, 1)
        case _:
            ledger.answer(request, Answer(Outcome.UNANSWERED), Receipt(1, State.UNANSWERED, "silence"))
            assert 2 not in ledger.states()
            verdict = Verdict.DISMISS if outcome == "dismissed" else Verdict.RESEND
            assert resolve(ledger.store, 1, verdict, None, ledger.tick())
    assert ledger.states()[2] is READY
    assert ledger.due() == [2]
    ledger.assert_whole()


def test_an_edit_that_comes_back_after_its_original_was_dismissed_is_owed(ledger: Ledger) -> None:
    edit = sighting(b"a.jpg", photo(2, picture=1))
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.leave_unanswered(1)
    ledger.see(edit)
    ledger.lose(edit)
    resolve(ledger.store, 1, Verdict.DISMISS, None, ledger.tick())
    assert ledger.due() == []
    assert ledger.see(edit) == [Recorded.OWED]
    assert ledger.due() == [2]


def test_an_owed_edit_that_is_too_large_is_unfit(ledger: Ledger) -> None:
    with ledger.store.write() as connection:
        set_fact(connection, "max_file_bytes", 2000)
    ledger.see(sighting(b"a.jpg", photo(1)))
    request = ledger.claim(1)
    ledger.see(sighting(b"a.jpg", photo(2, picture=1, size=2001)))
    ledger.answer(request, Answer(Outcome.NOT_SENT), Receipt(1, READY, "no route"))
    assert ledger.states()[2] is State.UNFIT
    ledger.assert_whole()


def test_an_original_that_lies_elsewhere_too_is_sent_itself(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)), sighting(b"b.jpg", photo(1)))
    request = ledger.claim(1)
    ledger.see(sighting(b"a.jpg", photo(2, picture=1)))
    ledger.answer(request, Answer(Outcome.NOT_SENT), Receipt(1, READY, "no route"))
    assert ledger.states() == {1: READY}
    ledger.lose(sighting(b"b.jpg", photo(1)))
    assert ledger.due() == [2]


def test_a_photo_that_is_gone_is_withdrawn_and_comes_back(ledger: Ledger) -> None:
    seen = sighting(b"a.jpg", photo(1))
    ledger.see(seen)
    assert ledger.lose(seen) == 1
    assert ledger.due() == []
    assert ledger.queue.next_due() is None
    assert ledger.lose(seen) == 0
    ledger.see(sighting(b"elsewhere.jpg", photo(1)))
    assert ledger.due() == [1]


def test_a_skipped_place_is_withdrawn_until_a_wanted_one_appears(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), unwanted="rule 3"))
    assert ledger.due() == []
    assert withdrawn(ledger) == [1]
    ledger.see(sighting(b"b.jpg", photo(1)))
    assert ledger.due() == [1]


def test_per_namespace_owes_one_entry_to_each(tmp_path: Path) -> None:
    with make_ledger(tmp_path, policy=PER_NAMESPACE) as ledger:
        ledger.see(sighting(b"a.jpg", photo(1), namespace="home"))
        ledger.see(sighting(b"b.jpg", photo(1), namespace="home"))
        ledger.see(sighting(b"c.jpg", photo(1), namespace="o'brien\"s"))
        assert [row.namespace for row in ledger.rows("SELECT namespace FROM entries")] == ["home", "o'brien\"s"]
        ledger.lose(sighting(b"c.jpg", photo(1)))
        assert ledger.due() == [1]


def test_once_to_per_namespace_owes_nothing_for_what_was_sent(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), namespace="home"))
    ledger.upload(1, namespace="home")
    now = ledger.with_policy(PER_NAMESPACE)
    assert now.see(sighting(b"a.jpg", photo(1), namespace="home")) == [Recorded.KNOWN]
    assert now.see(sighting(b"b.jpg", photo(1), namespace="work")) == [Recorded.OWED]
    assert ledger.states() == {1: UPLOADED, 2: READY}


def test_once_to_per_namespace_does_not_send_what_was_owed_twice(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), namespace="home"))
    now = ledger.with_policy(PER_NAMESPACE)
    assert now.see(sighting(b"a.jpg", photo(1), namespace="home")) == [Recorded.KNOWN]
    assert ledger.states() == {1: READY}
    assert now.see(sighting(b"b.jpg", photo(1), namespace="work")) == [Recorded.OWED]
    assert [row.namespace for row in ledger.rows("SELECT namespace FROM entries ORDER BY id")] == ["home", "work"]


def test_per_namespace_to_once_owes_nothing_new(tmp_path: Path) -> None:
    with make_ledger(tmp_path, policy=PER_NAMESPACE) as ledger:
        ledger.see(sighting(b"a.jpg", photo(1), namespace="home"))
        ledger.upload(1, namespace="home")
        assert ledger.with_policy(Policy()).see(sighting(b"b.jpg", photo(1), namespace="work")) == [Recorded.KNOWN]


NASTY = [
    b"\xff\xfe.jpg",
    b"new\nline.jpg",
    b"\x1b[31mred.jpg",
    b"-rf",
    b"=cmd|'/c calc'!A1.jpg",
    b"x" * 255,
    b"a'b\".jpg",
]


@pytest.mark.parametrize("name", NASTY)
def test_n1_names_survive_byte_for_byte(ledger: Ledger, name: bytes) -> None:
    folder = b"in/" + name
    ledger.see(sighting(name, photo(1), folder=folder))
    assert set(ledger.territory.known_looks(ROOT, folder)) == {name}
    assert ledger.territory.folders_below(ROOT) == [folder]
    [owed] = ledger.queue.mates(1, ledger.now, limit=5)
    assert [(p.folder, p.name) for p in owed.places] == [(folder, name)]
    [shown] = ledger.rows("SELECT text FROM places")
    assert shown.text.isprintable()
    assert ledger.lose(sighting(name, photo(1), folder=folder)) == 1
