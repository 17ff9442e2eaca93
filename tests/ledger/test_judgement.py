"""Settings that changed hold for what is known already."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.ledger.judgement import refit, rejudge
from syncd.ledger.plain import Connection, text
from syncd.ledger.queue import Answer, Receipt
from syncd.ledger.sightings import Policy, owe_namespace, owe_orphaned_edits, refresh_withdrawn
from syncd.lifecycle import Outcome, State
from syncd.model import Capture, Labels, PlacePath, Unfit, UnfitCode
from tests.fakes.ledgers import ROOT, Ledger, make_ledger, photo, sighting

READY, UNFIT, UPLOADED = State.READY, State.UNFIT, State.UPLOADED
ONCE, PER_NAMESPACE = Policy(), Policy(per_namespace=True)


class Judged:
    """Rules that look at the path alone."""

    def __init__(self, decide: Callable[[bytes], tuple[str, str | None]], folder: bytes = b"") -> None:
        self._decide = decide
        self._folder = folder

    def of_folder(self, root: bytes, folder: bytes) -> Judged:
        return Judged(self._decide, folder)

    def labels(self, name: bytes, camera_model: str | None) -> Labels:
        namespace, skipped = self._decide(PlacePath(b"", self._folder, name).relative)
        return Labels(namespace, (), skipped)


judge = Judged
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

    def count(path: bytes) -> tuple[str, None]:
        asked.append(path)
        return "default", None

    counting = judge(count)

    seen(ledger)
    rejudge(ledger.store, counting, ONCE, "1", ledger.tick())
    assert len(asked) == 4
    assert rejudge(ledger.store, counting, ONCE, "1", ledger.tick()) == 0
    assert len(asked) == 4
    rejudge(ledger.store, counting, ONCE, "2", ledger.tick())
    assert len(asked) == 8


def test_every_place_is_judged_however_many_there_are(tmp_path: Path) -> None:
    with make_ledger(tmp_path, photos=40) as ledger:
        assert rejudge(ledger.store, judge(lambda _: ("n", "rule 1")), ONCE, "1", ledger.tick(), together=7) == 40
        assert len(withdrawn(ledger)) == 40


def test_the_judge_gets_the_camera_and_the_place_that_is_there(ledger: Ledger) -> None:
    found: list[tuple[bytes, bytes, bytes, str | None]] = []

    class Noting:
        def of_folder(self, root: bytes, folder: bytes) -> Noting:
            self.where = root, folder
            return self

        def labels(self, name: bytes, camera_model: str | None) -> Labels:
            found.append((*self.where, name, camera_model))
            return Labels("default", ())

    gone = sighting(b"gone.jpg", photo(2))
    ledger.see(sighting(b"\xff.jpg", photo(1, capture=Capture(camera_model="Canon")), folder=b"x"), gone)
    ledger.lose(gone)
    rejudge(ledger.store, Noting(), ONCE, "1", ledger.tick())
    assert found == [(b"/photos", b"x", b"\xff.jpg", "Canon")]


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
    ledger.answer(request, Answer(Outcome.NOT_SENT), Receipt(1, READY, "no route"))
    assert 2 not in ledger.states()
    rejudge(ledger.store, PRIVATE_AT_HOME, ONCE, "1", ledger.tick())
    assert ledger.due() == [2]


FOLDERS, NAMESPACES = (b"a", b"b"), ("default", "one", "two")
FATES = ("ready", "uploaded", "unanswered", "sending", "not sent")


@dataclass(frozen=True)
class Seen:
    """What a random ledger has seen: which photo at which place, and what became of it then."""

    folder: bytes
    name: bytes
    number: int
    picture: int
    damaged: bool
    fate: str


SEEN = st.builds(
    Seen,
    st.sampled_from(FOLDERS),
    st.sampled_from((b"1.jpg", b"2.jpg")),
    st.integers(1, 8),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from(FATES),
)
PLACES = st.tuples(st.sampled_from(FOLDERS), st.sampled_from((b"1.jpg", b"2.jpg")))


def edited(places: list[tuple[bytes, bytes]], number: int) -> list[Seen]:
    """Tell of a photo at two places that is edited at the first, and maybe also elsewhere, while it is sent in vain."""
    first, second, *others = places
    return [
        Seen(*first, number, number, damaged=False, fate="sending"),
        Seen(*second, number, number, damaged=False, fate="ready"),
        *(Seen(*place, number + 50, number, damaged=False, fate="ready") for place in (first, *others)),
        Seen(b"c", b"9.jpg", 100, 100, damaged=False, fate="not sent"),
    ]


STORIES = st.builds(edited, st.lists(PLACES, min_size=2, max_size=4, unique=True), st.integers(1, 3))
HISTORIES = st.lists(STORIES | SEEN.map(lambda seen: [seen]), min_size=1, max_size=6)
DECIDES = st.dictionaries(
    PLACES,
    st.tuples(st.sampled_from(NAMESPACES), st.sampled_from((None, None, "rule 1"))),
)


def judged_by(decides: dict[tuple[bytes, bytes], tuple[str, str | None]]) -> Judged:
    def decide(path: bytes) -> tuple[str, str | None]:
        folder, _, name = path.partition(b"/")
        return decides.get((folder, name), ("default", None))

    return Judged(decide)


def happen(ledger: Ledger, seen: Seen, under_way: list[tuple[int, int]]) -> None:
    """Have a photo seen; `under_way` are the requests that were not answered yet, each with its entry."""
    damage = Unfit(UnfitCode.DAMAGED, "cut") if seen.damaged and seen.number % 3 == 0 else None
    ledger.see(sighting(seen.name, photo(seen.number, picture=seen.picture, unfit=damage), folder=seen.folder))
    due = ledger.due()
    if seen.fate == "not sent" and under_way:
        request, entry_id = under_way.pop()
        ledger.answer(request, Answer(Outcome.NOT_SENT), Receipt(entry_id, READY, "no route"))
    elif seen.fate == "uploaded" and due:
        ledger.upload(due[0])
    elif seen.fate == "unanswered" and due:
        ledger.leave_unanswered(due[0])
    elif seen.fate == "sending" and due:
        under_way.append((ledger.claim(due[0]), due[0]))


def one_by_one(connection: Connection, rules: Judged, policy: Policy, now: float) -> int:
    """Judge again without any art: a photo after the other, a place after the other."""
    changed = 0
    for photo_id in connection.execute(text("SELECT id FROM photos ORDER BY id")).scalars():
        rows = connection.execute(PRESENT, {"photo_id": photo_id}).all()
        found = [(row, rules.of_folder(ROOT, row.folder).labels(row.name, None)) for row in rows]
        others = [(row, labels) for row, labels in found if (row.namespace, row.unwanted) != standing(labels)]
        for row, labels in others:
            values = {"namespace": labels.namespace, "unwanted": labels.skipped, "place_id": row.id}
            connection.execute(CHANGE, values)
        for _, labels in found:
            if policy.per_namespace and labels.skipped is None:
                owe_namespace(connection, photo_id, labels.namespace, now)
        refresh_withdrawn(connection, photo_id)
        if others:
            owe_orphaned_edits(connection, photo_id, now)
        changed += len(others)
    return changed


def standing(labels: Labels) -> tuple[str, str | None]:
    return labels.namespace, labels.skipped


PRESENT = text("""
    SELECT places.*, folders.path AS folder FROM places JOIN folders ON folders.id = places.folder_id
    WHERE photo_id = :photo_id AND gone_at IS NULL ORDER BY places.id
""")
CHANGE = text("UPDATE places SET namespace = :namespace, unwanted = :unwanted WHERE id = :place_id")


def contents(connection: Connection) -> list[list[tuple[object, ...]]]:
    """Give all that judging may change. Numbers of entries and of rows of history say no more than their order."""
    return [
        connection.execute(text(sql)).tuples()
        for sql in (
            "SELECT * FROM places ORDER BY id",
            "SELECT id, edit_of FROM photos ORDER BY id",
            """SELECT photo_id, namespace, state, reason, withdrawn, due_at, lane, order_at, group_key, size, image_id
               FROM entries ORDER BY photo_id, namespace""",
            """SELECT photo_id, namespace, at, "before", "after", history.reason FROM history
               JOIN entries ON entries.id = entry_id ORDER BY photo_id, namespace, history.id""",
        )
    ]


class _UndoneError(Exception):
    pass


@settings(max_examples=80)
@given(HISTORIES, DECIDES, DECIDES, st.booleans(), st.booleans(), st.sampled_from((1, 3)))
def test_all_at_once_comes_to_the_same_as_one_by_one(
    histories: list[list[Seen]],
    before: dict[tuple[bytes, bytes], tuple[str, str | None]],
    after: dict[tuple[bytes, bytes], tuple[str, str | None]],
    once_before: bool,  # noqa: FBT001 -- drawn
    once_after: bool,  # noqa: FBT001 -- drawn
    together: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder, make_ledger(Path(folder)) as ledger:
        under_way: list[tuple[int, int]] = []
        for each in itertools.chain(*histories):
            happen(ledger, each, under_way)
        for round_, (rules, once) in enumerate(((judged_by(before), once_before), (judged_by(after), once_after))):
            policy, now = ONCE if once else PER_NAMESPACE, ledger.tick()
            with contextlib.suppress(_UndoneError), ledger.store.write() as connection:
                changed = one_by_one(connection, rules, policy, now)
                expected = contents(connection)
                raise _UndoneError
            assert rejudge(ledger.store, rules, policy, str(round_), now, together=together) == changed
            with ledger.store.read() as connection:
                assert contents(connection) == expected
        ledger.assert_whole()


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
