"""How the ledger speaks to SQLite: statements that stand in the source as text, through the standard library's driver.

SQLAlchemy describes the tables (`schema`), and Alembic makes and changes them with it (`alembic_runner`); both are
imported where a migration is due, and nowhere else. To import them costs 0.2 s and 15 MB, half of what any command
needs to start; and of the thirty statements that a photo costs, Core takes five times as long for each.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Final, NewType

Statement = NewType("Statement", str)
"""SQL with named parameters (`:name`)."""
Row = Any
"""One row of an answer: a named tuple of the columns that the statement names."""

_MOST_STATEMENTS: Final = 500
_rows: dict[str, Callable[[tuple[Any, ...]], Row]] = {}
"""For each statement what makes its rows: the program has a hundred or so."""


def text(sql: str) -> Statement:
    """Take a text of this program as a statement. What comes from outside is bound as a parameter, never joined in."""
    return Statement(sql)


@cache
def insert(table: str, *columns: str, unless_known: bool = False) -> Statement:
    """Make the statement that inserts a row with these columns; `unless_known`: nothing, where a key is taken."""
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(f":{column}" for column in columns)
    unless = " ON CONFLICT DO NOTHING" if unless_known else ""
    return Statement(f"INSERT INTO {table} ({names}) VALUES ({values}){unless}")  # noqa: S608  (names of our own tables)


class Connection:
    """A connection to the ledger. Transactions are the store's; errors are the driver's, until they leave the store."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self.driver = driver

    def execute(self, statement: Statement, parameters: Mapping[str, Any] | None = None) -> Result:
        """Execute one statement."""
        return Result(self.driver.execute(statement, parameters or {}), statement)

    def execute_each(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute a statement once for each row."""
        self.driver.executemany(statement, rows)


class Result:
    """The rows of a statement, read as they are asked for; fields by name or number."""

    def __init__(self, cursor: sqlite3.Cursor, statement: str) -> None:
        self._cursor = cursor
        self._statement = statement

    @property
    def rowcount(self) -> int:
        """How many rows a change touched."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int:
        """The number of the row that an insert made."""
        return self._cursor.lastrowid or 0

    def __iter__(self) -> Iterator[Row]:
        return map(self._make(), self._cursor)

    def all(self) -> list[Row]:
        """Give all rows."""
        rows = self._cursor.fetchall()
        return list(map(self._make(), rows)) if rows else rows

    def tuples(self) -> list[tuple[Any, ...]]:
        """Give all rows without names for their fields: in a third of the time, where there are many."""
        return self._cursor.fetchall()

    def slices(self, length: int) -> Iterator[list[tuple[Any, ...]]]:
        """Give all rows as tuples, so many at a time."""
        while rows := self._cursor.fetchmany(length):
            yield rows

    def first(self) -> Row | None:
        """Give the first row, None where there is none."""
        row = self._cursor.fetchone()
        self._cursor.close()
        return None if row is None else self._make()(row)

    def one(self) -> Row:
        """Give the only row."""
        rows = self._cursor.fetchmany(2)
        self._cursor.close()
        if len(rows) != 1:
            raise LookupError(f"{'no row' if not rows else 'several rows'} where one is expected")
        return self._make()(rows[0])

    def scalar(self) -> Any:
        """Give the first field of the first row, None where there is none."""
        row = self._cursor.fetchone()
        self._cursor.close()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Give the first field of the only row."""
        return self.one()[0]

    def scalars(self) -> list[Any]:
        """Give the first field of each row."""
        return [row[0] for row in self.tuples()]

    def _make(self) -> Callable[[tuple[Any, ...]], Row]:
        return _rows.get(self._statement) or _row_maker(self._statement, self._cursor.description)


def _row_maker(statement: str, description: Any) -> Callable[[tuple[Any, ...]], Row]:
    # A name that Python keeps for itself, or that comes twice, is reached by its number.
    make_class: Any = namedtuple  # noqa: PYI024  (its fields are SQL's)
    make = partial(tuple.__new__, make_class("Row", [column[0] for column in description], rename=True))
    if len(_rows) < _MOST_STATEMENTS:
        _rows[statement] = make
    return make
