"""The tables in the code are the tables that the migrations make, and they refuse what can never be true."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from syncd.errors import LedgerError
from syncd.ledger import schema
from syncd.ledger.migrate import REVISION
from syncd.ledger.plain import text
from syncd.ledger.store import Store
from syncd.lifecycle import Outcome, State
from tests.fakes.ledgers import Ledger, make_ledger, photo, sighting


def described(path: Path) -> dict[tuple[str, str], str]:
    """Give each table, index and view with its SQL, without what has no meaning: blanks, quotes, order of keys."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {(kind, name): plain(sql) for kind, name, sql in rows if name not in {"alembic_version", "sqlite_sequence"}}


def plain(sql: str) -> str:
    words = re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", re.sub(r'["`]', "", sql)).strip())
    inside, _, behind = words.rpartition(")")
    columns, *constraints = inside.split(",CONSTRAINT ")
    return " / ".join([columns, *sorted(constraints), behind])


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    with make_ledger(tmp_path) as ledger:
        return ledger.path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A database made of the tables in the code."""
    path = tmp_path / "written.db"
    engine = create_engine(f"sqlite:///{path}")
    schema.metadata.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(schema.IMAGE_IDS_VIEW)
    return path


def test_migrations_and_tables_have_not_drifted_apart(migrated: Path, written: Path) -> None:
    of_migrations, of_code = described(migrated), described(written)
    assert of_migrations.keys() == of_code.keys()
    for what, sql in of_code.items():
        assert of_migrations[what] == sql, what


def test_alembic_sees_no_drift_either(migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == REVISION
    engine.dispose()


def test_the_words_of_the_model_are_those_that_the_ledger_takes(migrated: Path) -> None:
    tables = described(migrated)
    for state in State:
        assert repr(state.value) in tables["table", "entries"]
    for outcome in Outcome:
        assert repr(outcome.value) in tables["table", "requests"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET state = 'lost' WHERE id = 1",
        "UPDATE entries SET state = 'uploaded' WHERE id = 1",
        "UPDATE entries SET image_id = '5' WHERE id = 1",
        "UPDATE entries SET image_id = (SELECT image_id FROM entries WHERE id = 2), state = 'uploaded' WHERE id = 1",
        "UPDATE entries SET photo_id = 2 WHERE id = 1",
        "UPDATE entries SET photo_id = 99 WHERE id = 1",
        "UPDATE photos SET digest = (SELECT digest FROM photos WHERE id = 2) WHERE id = 1",
        "UPDATE requests SET outcome = 'perhaps' WHERE id = 1",
        "INSERT INTO aside SELECT folder_id, name, text, 'bored', '', 0 FROM places LIMIT 1",
        "INSERT INTO places SELECT 99, folder_id, name, text, photo_id, 1, 1, 1, 1, 1, '', NULL, 0, NULL FROM places",
        "INSERT INTO history VALUES (99, 99, 0, NULL, 'ready', '')",
        "INSERT INTO folders VALUES (99, 99, x'61', 'a')",
    ],
)
def test_what_can_never_be_true_is_refused(tmp_path: Path, change: str) -> None:
    with make_ledger(tmp_path, photos=2) as ledger:
        ledger.upload(2)
        with pytest.raises(LedgerError, match="refused a change"), ledger.store.write() as connection:
            connection.execute(text(change))
        ledger.assert_whole()


def test_the_number_of_a_request_is_never_used_again(tmp_path: Path) -> None:
    # The mark beside the ledger counts requests: one that came back would look like an older ledger.
    with make_ledger(tmp_path, photos=1) as ledger:
        first = ledger.claim(1)
        with ledger.store.write() as connection:
            connection.execute(text("UPDATE entries SET state = 'ready'"))
            connection.execute(text("DELETE FROM sent"))
            connection.execute(text("DELETE FROM requests"))
        assert ledger.claim(1) > first


def view(store: Store) -> list[tuple[str, str, str]]:
    with store.read() as connection:
        rows = connection.execute(text("SELECT path, image_id, namespace, uploaded_at FROM image_ids ORDER BY path"))
        return [(row.path, row.image_id, row.namespace) for row in rows]


def test_the_view_maps_each_present_path_to_its_image_id(ledger: Ledger) -> None:
    gone = sighting(b"gone.jpg", photo(1))
    ledger.see(sighting(b"a.jpg", photo(1)), sighting(b"\xff\n.jpg", photo(1), folder=b"deep/er"), gone)
    ledger.see(sighting(b"owed.jpg", photo(2)))
    ledger.upload(1, namespace="family")
    ledger.see(sighting(b"a.jpg", photo(3, picture=1)))
    ledger.lose(gone)
    assert view(ledger.store) == [
        ("/photos/a.jpg", "7001", "family"),
        (r"/photos/deep/er/\xff\x0a.jpg", "7001", "family"),
    ]


def test_the_view_knows_the_root_of_the_file_system(tmp_path: Path) -> None:
    with make_ledger(tmp_path, roots=[b"/"]) as ledger:
        ledger.see(sighting(b"a.jpg", photo(1), root=b"/"), sighting(b"b.jpg", photo(1), root=b"/", folder=b"x"))
        ledger.upload(1)
        assert [path for path, _, _ in view(ledger.store)] == ["/a.jpg", "/x/b.jpg"]
