"""What the ledger asks of the driver: rows with names, statements that are made of columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from syncd.ledger.plain import Connection, insert, text


@pytest.fixture
def connection() -> Iterator[Connection]:
    with closing(sqlite3.connect(":memory:")) as driver:
        connection = Connection(driver)
        connection.execute(text('CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, "before" TEXT)'))
        connection.execute_each(insert("things", "name", "before"), [{"name": n, "before": "x"} for n in "abc"])
        yield connection


ALL = text("SELECT id, name FROM things ORDER BY id")


def test_a_row_has_its_fields_by_name_and_by_number(connection: Connection) -> None:
    row = connection.execute(ALL).all()[0]
    assert (row.id, row.name, row[1]) == (1, "a", "a")
    assert connection.execute(ALL).scalars() == [1, 2, 3]
    assert [row.name for row in connection.execute(ALL)] == ["a", "b", "c"]
    assert connection.execute(ALL).tuples() == [(1, "a"), (2, "b"), (3, "c")]
    assert list(connection.execute(ALL).slices(2)) == [[(1, "a"), (2, "b")], [(3, "c")]]


def test_a_name_that_comes_twice_is_reached_by_its_number(connection: Connection) -> None:
    row = connection.execute(text("SELECT id, id, name AS class FROM things WHERE id = 1")).one()
    assert tuple(row) == (1, 1, "a")


def test_where_there_is_no_row_there_is_nothing(connection: Connection) -> None:
    none = text("SELECT id FROM things WHERE id = :id")
    assert connection.execute(none, {"id": 9}).first() is None
    assert connection.execute(none, {"id": 9}).scalar() is None
    with pytest.raises(LookupError, match="no row"):
        connection.execute(none, {"id": 9}).scalar_one()
    with pytest.raises(LookupError, match="several rows"):
        connection.execute(ALL).one()


def test_an_insert_tells_its_number_and_a_change_how_many_it_touched(connection: Connection) -> None:
    values = {"before": "y", "name": "d"}
    assert connection.execute(insert("things", *values), values).lastrowid == 4
    assert connection.execute(text("UPDATE things SET name = 'z' WHERE id > 2")).rowcount == 2
