"""How the migrations reach the ledger: through syncd's own transaction, or with `-x ledger=FILE` for a developer."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from alembic import context
from syncd.ledger.alembic_runner import transaction
from syncd.ledger.schema import metadata


def migrate(connection: Connection) -> None:
    """Run inside the transaction of the connection: SQLite's DDL is transactional when the driver lets it be."""
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


shared = context.config.attributes.get("connection")
if shared is not None:
    migrate(shared)
else:
    ledger = context.get_x_argument(as_dictionary=True).get("ledger")
    if not ledger:
        raise SystemExit("name the ledger: alembic -x ledger=/path/to/a/copy/of/ledger.db ...")
    with transaction(Path(ledger)) as own:
        migrate(own)
