"""What the ledger keeps of imports: planned names, verified copies, and what is known of some bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.ledger.imports import Fingerprints, Hint, Imports, Intended, Kind, Unless, counts_for
from syncd.lifecycle import State
from syncd.model import Look
from tests.fakes.ledgers import Ledger, make_ledger, photo, sighting

LOOK = Look(1000, 5, 2**63 + 5, 2**64 - 2, 2**63)
"""Inodes are unsigned, and times go beyond 2262: SQLite's integers are neither."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path) as made:
        yield made


@pytest.fixture
def imports(ledger: Ledger) -> Imports:
    return Imports(ledger.store)


def prints(number: int, head: str = "h") -> Fingerprints:
    return Fingerprints(photo(number).digest, "q", head, 1000)


def intended(number: int, *, kind: Kind = Kind.COPY, unless: Unless = Unless.ANY, to: bytes = b"/photos") -> Intended:
    return Intended(kind, to + b"/%d.jpg" % number, to, prints(number), unless)


def begun(imports: Imports, token: str = "t", destinations: tuple[bytes, ...] = (b"/photos",)) -> int:
    return imports.begin(token, b"/card", "CARD", destinations, 1.0)


def test_a_copy_counts_only_once_it_is_verified(imports: Imports) -> None:
    number = begun(imports)
    (copy,) = imports.plan(number, [intended(1)])
    assert copy is not None
    assert [one.look for one in imports.known(prints(1).digest).copies] == [None]
    assert [one.number for one in imports.unverified(number)] == [copy]
    imports.verified({copy: LOOK}, 2.0)
    (known,) = imports.known(prints(1).digest).copies
    assert known.look == LOOK
    assert known.path == b"/photos/1.jpg"
    assert imports.unverified(number) == []


def test_of_two_imports_one_copies_the_same_bytes(imports: Imports) -> None:
    first, second = begun(imports, "one"), begun(imports, "two")
    assert imports.plan(first, [intended(1)]) != [None]
    assert imports.plan(second, [intended(1)]) == [None]
    assert imports.plan(second, [intended(1, unless=Unless.THIS_IMPORT)]) != [None]
    assert imports.plan(second, [intended(1, unless=Unless.THIS_IMPORT)]) == [None]
    assert imports.plan(second, [intended(1, unless=Unless.NEVER)]) != [None]


def test_a_second_copy_is_needless_only_where_one_lies_at_that_destination(imports: Imports) -> None:
    number = begun(imports)
    assert imports.plan(number, [intended(1)]) != [None]
    assert imports.plan(number, [intended(1, kind=Kind.SECOND, to=b"/backup")]) != [None]
    assert imports.plan(number, [intended(1, kind=Kind.SECOND, to=b"/backup")]) == [None]
    assert imports.plan(number, [intended(1, kind=Kind.SECOND, to=b"/backup2")]) != [None]


@pytest.mark.parametrize(
    ("kind", "path", "wanted", "below", "counts"),
    [
        (Kind.COPY, b"/elsewhere/a", Kind.COPY, b"/photos", True),
        (Kind.FOUND, b"/elsewhere/a", Kind.COPY, b"/photos", True),
        (Kind.SECOND, b"/photos/a", Kind.COPY, b"/photos", False),
        (Kind.COPY, b"/backup/a", Kind.SECOND, b"/backup/", True),
        (Kind.SECOND, b"/backup-old/a", Kind.SECOND, b"/backup", False),
    ],
)
def test_which_copies_count(kind: Kind, path: bytes, wanted: Kind, below: bytes, *, counts: bool) -> None:
    assert counts_for(kind, path, wanted, below) is counts


def test_a_planned_copy_can_get_another_name_and_be_forgotten(imports: Imports) -> None:
    number = begun(imports)
    (copy,) = imports.plan(number, [intended(1)])
    assert copy is not None
    imports.rename(copy, b"/photos/1-2.jpg")
    assert imports.unverified(number)[0].path == b"/photos/1-2.jpg"
    imports.forget([copy])
    assert imports.known(prints(1).digest).copies == ()
    imports.forget([])


def test_what_is_verified_is_neither_renamed_nor_forgotten(imports: Imports) -> None:
    (copy,) = imports.plan(begun(imports), [intended(1)])
    assert copy is not None
    imports.verified({copy: LOOK}, 2.0)
    imports.rename(copy, b"/photos/other")
    imports.forget([copy])
    assert imports.known(prints(1).digest).copies[0].path == b"/photos/1.jpg"


def test_an_import_is_unfinished_until_it_has_ended(imports: Imports) -> None:
    name = b"/photos/\xff"
    number = begun(imports, "t", (name, b"/backup"))
    (one,) = imports.unfinished()
    assert (one.number, one.token, one.destinations) == (number, "t", (name, b"/backup"))
    imports.end(number, 3.0)
    assert imports.unfinished() == []


def test_size_and_head_are_hints(ledger: Ledger, imports: Imports) -> None:
    assert imports.hint(1000, "h") == Hint(copied=False, seen=False)
    assert not imports.knows_size(1000)
    imports.plan(begun(imports), [intended(1)])
    assert imports.hint(1000, "h") == Hint(copied=True, seen=False)
    assert imports.hint(1001, "h") == Hint(copied=False, seen=False)
    assert imports.hint(1000, "other") == Hint(copied=False, seen=False)
    assert imports.knows_size(1000)
    ledger.see(sighting(b"a.jpg", photo(7, size=77)))
    assert imports.knows_size(77)
    assert imports.hint(77, "h") == Hint(copied=False, seen=True)


def test_known_tells_places_and_uploads(ledger: Ledger, imports: Imports) -> None:
    seen = sighting(b"a.jpg", photo(1))
    ledger.see(seen)
    known = imports.known(photo(1).digest)
    assert known.is_photo
    assert [place.path for place in known.places] == [b"/photos/a.jpg"]
    assert [(upload.state, upload.image_id) for upload in known.uploads] == [(State.READY, None)]
    ledger.upload(1)
    assert imports.known(photo(1).digest).uploads[0].image_id == "7001"
    ledger.lose(seen)
    known = imports.known(photo(1).digest)
    assert known.places == ()
    assert known.uploads[0].state == State.UPLOADED


def test_what_the_rules_keep_back_is_withdrawn(ledger: Ledger, imports: Imports) -> None:
    ledger.see(replace(sighting(b"a.jpg", photo(1)), unwanted="rule 1 skips it"))
    assert imports.known(photo(1).digest).uploads[0].state == "withdrawn"


def test_a_file_that_lay_there_can_be_adopted(imports: Imports) -> None:
    number = begun(imports)
    imports.adopt(number, b"/photos/\xfe.jpg", prints(1), LOOK, 2.0)
    (copy,) = imports.known(prints(1).digest).copies
    assert (copy.kind, copy.path, copy.look) == (Kind.FOUND, b"/photos/\xfe.jpg", LOOK)


def test_the_ledger_refuses_a_verified_copy_that_nobody_looked_at(ledger: Ledger, imports: Imports) -> None:
    imports.plan(begun(imports), [intended(1)])
    with closing(sqlite3.connect(ledger.path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE copies SET verified_at = 1")


def test_copies_that_were_found_not_to_serve_keep_nobody_from_making_another(imports: Imports) -> None:
    number = begun(imports)
    (copy,) = imports.plan(number, [intended(1)])
    assert copy is not None
    imports.verified({copy: LOOK}, 2.0)
    assert imports.plan(number, [intended(1)]) == [None]
    assert imports.plan(number, [replace(intended(1), besides=frozenset({copy}))]) != [None]
