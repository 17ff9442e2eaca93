"""Settings that changed hold for what is known already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.ledger import judgement
from syncd.ledger.judgement import Judge, refit, rejudge
from syncd.ledger.sightings import Policy
from syncd.lifecycle import State
from syncd.model import Capture, Labels, PlacePath, Unfit, UnfitCode
from tests.fakes.ledgers import Ledger, make_ledger, photo, sighting

READY, UNFIT, UPLOADED = State.READY, State.UNFIT, State.UPLOADED
ONCE, PER_NAMESPACE = Policy(), Policy(per_namespace=True)


def judge(decide: Callable[[bytes], tuple[str, str | None]]) -> Judge:
    def labels(place: PlacePath, capture: Capture) -> Labels:
        namespace, skipped = decide(place.relative)
        return Labels(namespace, (), skipped)

    return labels


WANTED = judge(lambda _: ("default", None))
PRIVATE_AT_HOME = judge(lambda path: ("default", "rule 1" if path.startswith(b"private/") else None))
BY_FOLDER = judge(lambda path: (path.partition(b"/")[0].decode(), None))


def withdrawn(ledger: Ledger) -> list[int]:
    return [row.id for row in ledger.rows("SELECT id FROM entries WHERE withdrawn = 1 ORDER BY id")]


def seen(ledger: Ledger) -> None:
    ledger.see(
        sighting(b"a.jpg", photo(1), folder=b"private"),
        sighting(b"b.jpg", photo(2), folder=b"public"),
        sighting(b"both.jpg", photo(3), folder=b"private"),
        sighting(b"both.jpg", photo(3), folder=b"public"),
    )


def test_a_skip_added_today_holds_for_what_was_seen_yesterday_and_ends_with_its_rule(ledger: Ledger) -> None:
    seen(ledger)
    assert rejudge(ledger.store, PRIVATE_AT_HOME, ONCE, "1", ledger.tick()) == 2
    assert withdrawn(ledger) == [1]
    assert set(ledger.due()) == {2, 3}
    (row,) = ledger.rows("SELECT unwanted FROM places WHERE photo_id = 1")
    assert row.unwanted == "rule 1"
    assert rejudge(ledger.store, WANTED, ONCE, "2", ledger.tick()) == 2
    assert withdrawn(ledger) == []


def test_the_same_rules_are_not_applied_again(ledger: Ledger) -> None:
    asked: list[bytes] = []

    def counting(place: PlacePath, capture: Capture) -> Labels:
        asked.append(place.name)
        return Labels("default", ())

    seen(ledger)
    rejudge(ledger.store, counting, ONCE, "1", ledger.tick())
    assert len(asked) == 4
    assert rejudge(ledger.store, counting, ONCE, "1", ledger.tick()) == 0
    assert len(asked) == 4
    rejudge(ledger.store, counting, ONCE, "2", ledger.tick())
    assert len(asked) == 8


def test_every_place_is_judged_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "_SLICE", 7)
    with make_ledger(tmp_path, photos=40) as ledger:
        assert rejudge(ledger.store, judge(lambda _: ("n", "rule 1")), ONCE, "1", ledger.tick()) == 40
        assert len(withdrawn(ledger)) == 40


def test_the_judge_gets_the_capture_and_the_place_that_is_there(ledger: Ledger) -> None:
    found: list[tuple[PlacePath, Capture]] = []

    def noting(place: PlacePath, capture: Capture) -> Labels:
        found.append((place, capture))
        return Labels("default", ())

    gone = sighting(b"gone.jpg", photo(2))
    ledger.see(sighting(b"\xff.jpg", photo(1, capture=Capture(camera_model="Canon")), folder=b"x"), gone)
    ledger.lose(gone)
    rejudge(ledger.store, noting, ONCE, "1", ledger.tick())
    assert found == [(PlacePath(b"/photos", b"x", b"\xff.jpg"), Capture(camera_model="Canon"))]


def test_a_second_namespace_owes_nothing_by_default(ledger: Ledger) -> None:
    seen(ledger)
    ledger.upload(1, 2, 3)
    rejudge(ledger.store, BY_FOLDER, ONCE, "1", ledger.tick())
    assert ledger.states() == {1: UPLOADED, 2: UPLOADED, 3: UPLOADED}


def test_with_copies_per_namespace_each_namespace_is_owed_and_none_twice(ledger: Ledger) -> None:
    seen(ledger)
    ledger.upload(3, namespace="private")
    per_namespace = ledger.with_policy(PER_NAMESPACE)
    rejudge(per_namespace.store, BY_FOLDER, PER_NAMESPACE, "1", ledger.tick())
    found = {(row.photo_id, row.namespace, row.state) for row in ledger.rows("SELECT * FROM entries")}
    assert found == {
        (1, "private", "ready"), (2, "public", "ready"), (3, "private", "uploaded"), (3, "public", "ready"),
    }  # fmt: skip
    ledger.assert_whole()


def test_an_edit_whose_original_is_now_kept_at_home_is_owed(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1), folder=b"public"), sighting(b"a.jpg", photo(1), folder=b"private"))
    request = ledger.claim(1)
    ledger.see(sighting(b"a.jpg", photo(2, picture=1), folder=b"public"))
    from syncd.ledger.queue import Answer, Receipt  # noqa: PLC0415 -- this test alone answers by hand
    from syncd.lifecycle import Outcome  # noqa: PLC0415

    ledger.answer(request, Answer(Outcome.NOT_SENT), Receipt(1, READY, "no route"))
    assert 2 not in ledger.states()
    rejudge(ledger.store, PRIVATE_AT_HOME, ONCE, "1", ledger.tick())
    assert ledger.due() == [2]


def test_another_size_limit_holds_for_what_waits(ledger: Ledger) -> None:
    damaged = Unfit(UnfitCode.DAMAGED, "cut")
    ledger.see(
        sighting(b"small.jpg", photo(1, size=1000)),
        sighting(b"large.jpg", photo(2, size=5000)),
        sighting(b"broken.jpg", photo(3, size=1000, unfit=damaged)),
        sighting(b"sent.jpg", photo(4, size=5000)),
    )
    ledger.upload(4)
    assert refit(ledger.store, 2000, ledger.tick()) == 1
    assert ledger.states() == {1: READY, 2: UNFIT, 3: UNFIT, 4: UPLOADED}
    assert "5,000 bytes" in ledger.rows("SELECT reason FROM entries WHERE id = 2")[0].reason
    assert refit(ledger.store, 2000, ledger.tick()) == 0
    assert refit(ledger.store, 5000, ledger.tick()) == 1
    assert ledger.states() == {1: READY, 2: READY, 3: UNFIT, 4: UPLOADED}
    assert set(ledger.due()) == {1, 2}
    ledger.assert_whole()


def test_what_is_being_sent_is_left_alone(ledger: Ledger) -> None:
    ledger.see(sighting(b"large.jpg", photo(1, size=5000)))
    ledger.claim(1)
    assert refit(ledger.store, 2000, ledger.tick()) == 0
    assert ledger.states() == {1: State.SENDING}
