"""The first ledger."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "photos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("picture_digest", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("taken_at", sa.Text(), nullable=True),
        sa.Column("taken_from", sa.Text(), nullable=True),
        sa.Column("offset_minutes", sa.Integer(), nullable=True),
        sa.Column("offset_from", sa.Text(), nullable=True),
        sa.Column("camera_model", sa.Text(), nullable=True),
        sa.Column("model_from", sa.Text(), nullable=True),
        sa.Column("latitude", sa.REAL(), nullable=True),
        sa.Column("longitude", sa.REAL(), nullable=True),
        sa.Column("position_from", sa.Text(), nullable=True),
        sa.Column("dropped", sa.Text(), nullable=True),
        sa.Column("unfit_code", sa.Text(), nullable=True),
        sa.Column("unfit_detail", sa.Text(), nullable=True),
        sa.Column("edit_of", sa.Integer(), nullable=True),
        sa.Column("seen_at", sa.REAL(), nullable=False),
        sa.ForeignKeyConstraint(["edit_of"], ["photos.id"], name=op.f("fk_photos_edit_of")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        sa.UniqueConstraint("digest", name=op.f("uq_photos_digest")),
    )
    op.create_index(
        "ix_photos_edit_of", "photos", ["edit_of"], unique=False, sqlite_where=sa.text("edit_of IS NOT NULL")
    )
    op.create_index("ix_photos_size", "photos", ["size"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("marked", sa.Integer(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.REAL(), nullable=False),
        sa.Column("completing_at", sa.REAL(), nullable=True),
        sa.Column("answered_at", sa.REAL(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("lookups", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lookup_at", sa.REAL(), nullable=True),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('stored', 'rejected', 'throttled', 'paused', 'unanswered', 'not sent', 'changed')",
            name=op.f("ck_requests_outcome"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sa.UniqueConstraint("marker", name=op.f("uq_requests_marker")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_requests_lookup_at", "requests", ["lookup_at"], unique=False, sqlite_where=sa.text("lookup_at IS NOT NULL")
    )
    op.create_index("ix_requests_sent_at", "requests", ["sent_at"], unique=False)
    op.create_table(
        "roots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.BLOB(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("device", sa.Integer(), nullable=True),
        sa.Column("first_scan_at", sa.REAL(), nullable=True),
        sa.Column("last_scan_at", sa.REAL(), nullable=True),
        sa.Column("absent", sa.Text(), nullable=True),
        sa.Column("absent_since", sa.REAL(), nullable=True),
        sa.Column("dropped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.Text(), nullable=True),
        sa.Column("held_at", sa.REAL(), nullable=True),
        sa.Column("released", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("watch", sa.Text(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("last_trouble", sa.Text(), nullable=True),
        sa.Column("last_trouble_at", sa.REAL(), nullable=True),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roots")),
        sa.UniqueConstraint("path", name=op.f("uq_roots_path")),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("withdrawn", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.REAL(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("arrived_at", sa.REAL(), nullable=False),
        sa.Column("order_at", sa.REAL(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("split", sa.Integer(), nullable=True),
        sa.Column("omit", sa.Text(), nullable=True),
        sa.Column("image_id", sa.Text(), nullable=True),
        sa.Column("uploaded_at", sa.REAL(), nullable=True),
        sa.Column("sent_metadata", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'uploaded') = (image_id IS NOT NULL)", name=op.f("ck_entries_uploaded_has_an_id")),
        sa.CheckConstraint(
            "state IN ('ready', 'sending', 'uploaded', 'unanswered', 'refused', 'unfit')", name=op.f("ck_entries_state")
        ),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_entries_photo_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index(
        "ix_entries_arrivals",
        "entries",
        ["lane", "arrived_at", "id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready' AND withdrawn = 0"),
    )
    op.create_index(
        "ix_entries_backlog",
        "entries",
        ["lane", "order_at", "id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready' AND withdrawn = 0"),
    )
    op.create_index(
        "ix_entries_due", "entries", ["due_at"], unique=False, sqlite_where=sa.text("state = 'ready' AND withdrawn = 0")
    )
    op.create_index(
        "ix_entries_group",
        "entries",
        ["group_key", "namespace", "split", "omit", "order_at", "id", "due_at", "size"],
        unique=False,
        sqlite_where=sa.text("state = 'ready' AND withdrawn = 0"),
    )
    op.create_index("ix_entries_state", "entries", ["state", "withdrawn"], unique=False)
    op.create_index(
        "ix_entries_waiting",
        "entries",
        ["arrived_at", "id", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready' AND withdrawn = 0"),
    )
    op.create_index(
        "uq_entries_image_id", "entries", ["image_id"], unique=True, sqlite_where=sa.text("image_id IS NOT NULL")
    )
    op.create_index("uq_entries_photo_id_namespace", "entries", ["photo_id", "namespace"], unique=True)
    op.create_table(
        "folders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.BLOB(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name=op.f("fk_folders_root_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
    )
    op.create_index("uq_folders_root_id_path", "folders", ["root_id", "path"], unique=True)
    op.create_table(
        "ignored",
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name=op.f("fk_ignored_root_id")),
        sa.PrimaryKeyConstraint("root_id", "reason", name=op.f("pk_ignored")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "aside",
        sa.Column("folder_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.BLOB(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("since", sa.REAL(), nullable=False),
        sa.CheckConstraint("reason IN ('unsettled', 'unreadable')", name=op.f("ck_aside_reason")),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name=op.f("fk_aside_folder_id")),
        sa.PrimaryKeyConstraint("folder_id", "name", name=op.f("pk_aside")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.REAL(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_history_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index("ix_history_entry_id", "history", ["entry_id"], unique=False)
    op.create_table(
        "places",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("folder_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.BLOB(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("mtime_ns", sa.Integer(), nullable=False),
        sa.Column("ctime_ns", sa.Integer(), nullable=False),
        sa.Column("inode", sa.Integer(), nullable=False),
        sa.Column("device", sa.Integer(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("unwanted", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.REAL(), nullable=False),
        sa.Column("gone_at", sa.REAL(), nullable=True),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name=op.f("fk_places_folder_id")),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_places_photo_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_places")),
    )
    op.create_index("ix_places_photo_id", "places", ["photo_id"], unique=False)
    op.create_index(
        "uq_places_present", "places", ["folder_id", "name"], unique=True, sqlite_where=sa.text("gone_at IS NULL")
    )
    op.create_table(
        "sent",
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("wire_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_sent_entry_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_sent_request_id")),
        sa.PrimaryKeyConstraint("request_id", "entry_id", name=op.f("pk_sent")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sent_entry_id", "sent", ["entry_id"], unique=False)
    op.create_table(
        "imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("source", sa.BLOB(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("destinations", sa.Text(), nullable=False),
        sa.Column("started_at", sa.REAL(), nullable=False),
        sa.Column("ended_at", sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("token", name=op.f("uq_imports_token")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "copies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("quick", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.BLOB(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("mtime_ns", sa.Integer(), nullable=True),
        sa.Column("ctime_ns", sa.Integer(), nullable=True),
        sa.Column("inode", sa.Integer(), nullable=True),
        sa.Column("device", sa.Integer(), nullable=True),
        sa.Column("verified_at", sa.REAL(), nullable=True),
        sa.CheckConstraint("kind IN ('copy', 'second', 'found')", name=op.f("ck_copies_kind")),
        sa.CheckConstraint("verified_at IS NULL OR inode IS NOT NULL", name=op.f("ck_copies_verified_was_looked_at")),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f("fk_copies_import_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copies")),
    )
    op.create_index("ix_copies_digest", "copies", ["digest"], unique=False)
    op.create_index("ix_copies_size_head", "copies", ["size", "head"], unique=False)
    op.create_index(
        "ix_copies_unverified", "copies", ["import_id"], unique=False, sqlite_where=sa.text("verified_at IS NULL")
    )
    op.execute(IMAGE_IDS)


IMAGE_IDS = """
CREATE VIEW image_ids (path, image_id, namespace, uploaded_at) AS
SELECT roots.text || CASE roots.text WHEN '/' THEN '' ELSE '/' END
           || CASE folders.text WHEN '' THEN '' ELSE folders.text || '/' END || places.text,
       entries.image_id,
       json_extract(entries.sent_metadata, '$.unique_id'),
       strftime('%Y-%m-%dT%H:%M:%SZ', entries.uploaded_at, 'unixepoch')
FROM places
JOIN folders ON folders.id = places.folder_id
JOIN roots ON roots.id = folders.root_id
JOIN photos ON photos.id = places.photo_id
JOIN entries ON entries.photo_id = coalesce(photos.edit_of, photos.id)
WHERE places.gone_at IS NULL AND entries.image_id IS NOT NULL
"""
