"""Run Alembic inside a transaction that is already open, from the migrations that travel with the package."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection

from alembic import command


def configuration() -> Config:
    """Find the migrations: beside this file in an installed package, at the top level in a checkout."""
    here = Path(__file__).parent
    top = here if (here / "alembic.ini").exists() else here.parent.parent
    config = Config(str(top / "alembic.ini"))
    config.set_main_option("script_location", str(top / "alembic"))
    return config


def upgrade(connection: Connection, to: str = "head") -> None:
    """Bring the ledger behind the connection to a revision, as a part of the connection's transaction."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
