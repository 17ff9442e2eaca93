"""Statements that are written as text go to SQLite's driver as they are: a fifth of the time that Core takes for one.

A photo costs some thirty statements on its way. Core compiles, caches, names and types each result anew; a text with
named parameters is what the driver understands by itself. Transactions, connections and errors stay SQLAlchemy's.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound
from sqlalchemy.sql import ClauseElement

_NAMED = sqlite.dialect(paramstyle="named")
_MOST_STATEMENTS: Final = 500
_rows: dict[str, Any] = {}
"""For each statement what makes its rows: the program has a hundred or so."""


def plain(statement: ClauseElement, columns: list[str] | None = None) -> TextClause:
    """Write a statement of Core as text, once and for all; `columns`: those that an insert sets."""
    return text(str(statement.compile(dialect=_NAMED, column_keys=columns)))


class PlainConnection(Connection):
    """A connection that hands text to the driver."""

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        """Execute a statement; a text answers like a CursorResult, as far as the ledger asks."""
        if type(statement) is TextClause and not options and (parameters is None or isinstance(parameters, dict)):
            if not self.in_transaction():
                self.begin()
            return PlainResult(self, statement.text, parameters or {})
        return super().execute(statement, parameters, **options)


class PlainResult:
    """The rows of a statement, read as they are asked for; fields by name or number."""

    def __init__(self, connection: Connection, statement: str, parameters: Mapping[str, Any]) -> None:
        self._statement = statement
        self._parameters = parameters
        driver: Any = connection.connection.driver_connection
        try:
            self._cursor: sqlite3.Cursor = driver.execute(statement, parameters)
        except sqlite3.Error as error:
            raise self._translated(error) from error
        if self._cursor.description is not None:
            self._cursor.row_factory = _rows.get(statement) or _row_factory(statement, self._cursor.description)

    @property
    def rowcount(self) -> int:
        """How many rows a change touched."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int:
        """The number of the row that an insert made."""
        return self._cursor.lastrowid or 0

    def __iter__(self) -> Iterator[Any]:
        while (row := self._next()) is not None:
            yield row

    def all(self) -> list[Any]:
        """Give all rows."""
        try:
            return self._cursor.fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def first(self) -> Any:
        """Give the first row, None where there is none."""
        row = self._next()
        self._cursor.close()
        return row

    def one(self) -> Any:
        """Give the only row."""
        rows = self.all()
        if not rows:
            raise NoResultFound("no row where one is expected")
        if len(rows) > 1:
            raise MultipleResultsFound("several rows where one is expected")
        return rows[0]

    def scalar(self) -> Any:
        """Give the first field of the first row, None where there is none."""
        row = self.first()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Give the first field of the only row."""
        return self.one()[0]

    def scalars(self) -> Scalars:
        """Give the first field of each row."""
        return Scalars(self)

    def _next(self) -> Any:
        try:
            return self._cursor.fetchone()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> BaseException:
        return DBAPIError.instance(self._statement, None, error, sqlite3.Error)


class Scalars:
    """The first field of each row."""

    def __init__(self, result: PlainResult) -> None:
        self._result = result

    def __iter__(self) -> Iterator[Any]:
        return (row[0] for row in self._result)

    def all(self) -> list[Any]:
        """Give all of them."""
        return [row[0] for row in self._result.all()]


def _row_factory(statement: str, description: Any) -> Any:
    # A name that Python keeps for itself, or that comes twice, is reached by its number.
    make_class: Any = namedtuple  # noqa: PYI024  (its fields are SQL's)
    make = make_class("Row", [column[0] for column in description], rename=True)._make

    def factory(_cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Any:
        return make(values)

    if len(_rows) < _MOST_STATEMENTS:
        _rows[statement] = factory
    return factory
