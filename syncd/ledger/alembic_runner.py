"""Run Alembic inside one transaction, from the migrations that travel with the package."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy
from alembic.config import Config
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from alembic import command
from syncd.ledger.plain import Connection, text
from syncd.ledger.store import opened


def configuration() -> Config:
    """Find the migrations: beside this file in an installed package, at the top level in a checkout."""
    here = Path(__file__).parent
    top = here if (here / "alembic.ini").exists() else here.parent.parent
    config = Config(str(top / "alembic.ini"))
    config.set_main_option("script_location", str(top / "alembic"))
    return config


@contextmanager
def upgrading(ledger: Path, to: str = "head") -> Iterator[Connection]:
    """Bring a ledger to a revision, and let the block do more in the same transaction: durable when it ends.

    The errors of the driver leave as they are: the store knows what they mean.
    """
    with transaction(ledger) as connection:
        config = configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        driver: Any = connection.connection.driver_connection
        yield Connection(driver)


@contextmanager
def transaction(ledger: Path) -> Iterator[sqlalchemy.Connection]:
    """One transaction of SQLAlchemy on the ledger, begun as the store begins one that writes."""
    engine = create_engine("sqlite://", creator=lambda: opened(ledger), poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def on_begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()


def tables() -> str:
    """Write down, as SQL, what all migrations together make of an empty ledger (`tables.sql`)."""
    with TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.db"
        ledger.touch()
        with upgrading(ledger) as connection:
            made = connection.execute(_MADE).scalars()
            (revision,) = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    statements = [*made, f"INSERT INTO alembic_version VALUES ('{revision}')"]  # noqa: S608  (ours)
    return "".join(f"{statement};\n\n" for statement in statements).rstrip("\n") + "\n"


_MADE = text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY rowid")

if __name__ == "__main__":
    sys.stdout.write(tables())
