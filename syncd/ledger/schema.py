"""The tables of the ledger, as the newest migration leaves them.

Times are seconds since the epoch (UTC) as REAL, unless a column says otherwise. Names of files are BLOBs, because they
are bytes; the column `text` beside them is for people who look with sqlite3.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BLOB,
    REAL,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from syncd.lifecycle import Outcome, State

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: type[State | Outcome]) -> str:
    return f"{column} IN ({', '.join(repr(v.value) for v in values)})"


_OWED = text("state = 'ready' AND withdrawn = 0")

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON
)

roots = Table(
    "roots",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", BLOB, nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("device", Integer),  # st_dev of the last scan; a hint for "absent"
    Column("first_scan_at", REAL),  # end of the first whole scan: what comes later is an arrival (lane 1)
    Column("last_scan_at", REAL),
    Column("absent", Text),  # why the root cannot be believed at the moment; NULL: it is there
    Column("absent_since", REAL),
    Column("dropped", Integer, nullable=False, server_default=text("0")),  # 1: not in the configuration any more
    Column("held", Text),  # why nothing of it is taken in before a person says so; NULL: it is
    Column("held_at", REAL),
    Column("released", Integer, nullable=False, server_default=text("0")),  # 1: a person did, for its next whole scan
    Column("watch", Text),  # how the daemon that runs watches it: "events", or why it is polled
    Column("trouble", Text),  # what is wrong with its watching now; NULL: nothing
    Column("last_trouble", Text),
    Column("last_trouble_at", REAL),
    Column("missed", Integer, nullable=False, server_default=text("0")),  # files that a rescan alone found, ever
)

ignored = Table(
    "ignored",
    metadata,
    Column("root_id", Integer, ForeignKey("roots.id"), primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("files", Integer, nullable=False),  # at the last scan
    sqlite_with_rowid=False,
)

folders = Table(
    "folders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", Integer, ForeignKey("roots.id"), nullable=False),
    Column("path", BLOB, nullable=False),  # below the root; empty for the root itself
    Column("text", Text, nullable=False),
    Index("uq_folders_root_id_path", "root_id", "path", unique=True),
)

photos = Table(
    "photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256, hex
    Column("picture_digest", Text, nullable=False),  # XXH3-128 without metadata, hex
    Column("size", Integer, nullable=False),  # bytes
    Column("type", Text),
    Column("taken_at", Text),  # YYYY-MM-DD HH:MM:SS, the camera's wall clock
    Column("taken_from", Text),
    Column("offset_minutes", Integer),  # east of UTC
    Column("offset_from", Text),
    Column("camera_model", Text),
    Column("model_from", Text),
    Column("latitude", REAL),  # decimal degrees
    Column("longitude", REAL),
    Column("position_from", Text),
    Column("dropped", Text),  # JSON: [[field, tag, reason], ...]; NULL: nothing was dropped
    Column("unfit_code", Text),
    Column("unfit_detail", Text),
    Column("edit_of", Integer, ForeignKey("photos.id")),  # a metadata-only edit of that photo: known, not owed
    Column("seen_at", REAL, nullable=False),
    Index("ix_photos_edit_of", "edit_of", sqlite_where=text("edit_of IS NOT NULL")),
    Index("ix_photos_size", "size"),
)

places = Table(
    "places",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("folder_id", Integer, ForeignKey("folders.id"), nullable=False),
    Column("name", BLOB, nullable=False),
    Column("text", Text, nullable=False),
    Column("photo_id", Integer, ForeignKey("photos.id"), nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("ctime_ns", Integer, nullable=False),
    Column("inode", Integer, nullable=False),
    Column("device", Integer, nullable=False),
    Column("namespace", Text, nullable=False),  # by the rules when last judged; decided anew at each claim
    Column("unwanted", Text),  # why the rules keep it from being uploaded; NULL: wanted
    Column("seen_at", REAL, nullable=False),
    Column("gone_at", REAL),
    Index("uq_places_present", "folder_id", "name", unique=True, sqlite_where=text("gone_at IS NULL")),
    Index("ix_places_photo_id", "photo_id"),
)

aside = Table(
    "aside",
    metadata,
    Column("folder_id", Integer, ForeignKey("folders.id"), primary_key=True),
    Column("name", BLOB, primary_key=True),
    Column("text", Text, nullable=False),
    Column("reason", Text, nullable=False),  # unsettled, unreadable
    Column("detail", Text, nullable=False),
    Column("since", REAL, nullable=False),
    CheckConstraint("reason IN ('unsettled', 'unreadable')", name="reason"),
    sqlite_with_rowid=False,
)

entries = Table(
    "entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("photo_id", Integer, ForeignKey("photos.id"), nullable=False),
    Column("namespace", Text, nullable=False),  # '' with copies = "once"
    Column("state", Text, nullable=False),
    Column("reason", Text),  # of the last move, where there is one
    Column("withdrawn", Integer, nullable=False, server_default=text("0")),  # 1: no present, wanted place; 2: all held
    Column("due_at", REAL, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("lane", Integer, nullable=False),  # 1 arrivals, 2 backlog
    Column("arrived_at", REAL, nullable=False),
    Column("order_at", REAL, nullable=False),  # capture time as if it were UTC, else mtime
    Column("group_key", Text, nullable=False),  # equal where the capture's part of the metadata is equal
    Column("size", Integer, nullable=False),
    Column("split", Integer),  # most files in a request, after one with this entry was rejected
    Column("omit", Text),  # JSON: metadata fields that the service refused for it
    Column("image_id", Text),
    Column("uploaded_at", REAL),
    Column("sent_metadata", Text),  # JSON: what was sent with it last
    Index("uq_entries_photo_id_namespace", "photo_id", "namespace", unique=True),
    Index("uq_entries_image_id", "image_id", unique=True, sqlite_where=text("image_id IS NOT NULL")),
    Index("ix_entries_state", "state", "withdrawn"),
    # The queue is asked at every turn: each of these gives its order, and whether an entry is due, without the table.
    Index("ix_entries_backlog", "lane", "order_at", "id", "due_at", sqlite_where=_OWED),
    Index("ix_entries_arrivals", "lane", "arrived_at", "id", "due_at", sqlite_where=_OWED),
    Index("ix_entries_waiting", "arrived_at", "id", "due_at", sqlite_where=_OWED),
    Index("ix_entries_due", "due_at", sqlite_where=_OWED),
    Index(
        "ix_entries_group",
        *("group_key", "namespace", "split", "omit", "order_at", "id", "due_at", "size"),
        sqlite_where=_OWED,
    ),
    CheckConstraint(_one_of("state", State), name="state"),
    CheckConstraint("(state = 'uploaded') = (image_id IS NOT NULL)", name="uploaded_has_an_id"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("marker", Text, nullable=False, unique=True),
    Column("marked", Integer, nullable=False),  # 1: the marker went out as a tag
    Column("namespace", Text, nullable=False),
    Column("sent_at", REAL, nullable=False),  # intent: committed before the first byte leaves
    Column("completing_at", REAL),  # committed before the last bytes leave: from here on it may have been stored
    Column("answered_at", REAL),
    Column("outcome", Text),  # NULL: not known yet
    Column("status", Integer),
    Column("code", Text),
    Column("message", Text),
    Column("files", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("lookups", Integer, nullable=False, server_default=text("0")),
    Column("lookup_at", REAL),  # when the next look-up of an unanswered request is due
    Index("ix_requests_sent_at", "sent_at"),
    Index("ix_requests_lookup_at", "lookup_at", sqlite_where=text("lookup_at IS NOT NULL")),
    CheckConstraint("outcome IS NULL OR " + _one_of("outcome", Outcome), name="outcome"),
    sqlite_autoincrement=True,
)

sent = Table(
    "sent",
    metadata,
    Column("request_id", Integer, ForeignKey("requests.id"), primary_key=True),
    Column("entry_id", Integer, ForeignKey("entries.id"), primary_key=True),
    Column("position", Integer, nullable=False),  # order of the `files` parts, from 0
    Column("wire_name", Text, nullable=False),
    Index("ix_sent_entry_id", "entry_id"),
    sqlite_with_rowid=False,
)

history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("entry_id", Integer, ForeignKey("entries.id"), nullable=False),
    Column("at", REAL, nullable=False),
    Column("before", Text),  # NULL: the entry was made
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_history_entry_id", "entry_id"),
)

imports = Table(
    "imports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", Text, nullable=False, unique=True),  # part of the names of its temporary files
    Column("source", BLOB, nullable=False),
    Column("text", Text, nullable=False),
    Column("label", Text, nullable=False),  # of the card, made printable
    Column("destinations", Text, nullable=False),  # JSON: absolute paths, surrogate escapes for what is not UTF-8
    Column("started_at", REAL, nullable=False),
    Column("ended_at", REAL),  # NULL: under way, or it died
    sqlite_autoincrement=True,
)

copies = Table(
    "copies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("import_id", Integer, ForeignKey("imports.id"), nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256, hex
    Column("head", Text, nullable=False),  # XXH3-128 of the first bytes, hex: a hint, never a proof
    Column("quick", Text, nullable=False),  # XXH64 of all bytes, big-endian hex: what media hash lists hold
    Column("size", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # copy, second, found
    Column("path", BLOB, nullable=False),  # absolute
    Column("text", Text, nullable=False),
    Column("mtime_ns", Integer),  # the look at the copy when it was verified
    Column("ctime_ns", Integer),
    Column("inode", Integer),
    Column("device", Integer),
    Column("verified_at", REAL),  # NULL: the name was chosen, nothing is promised yet
    Index("ix_copies_digest", "digest"),
    Index("ix_copies_size_head", "size", "head"),
    Index("ix_copies_unverified", "import_id", sqlite_where=text("verified_at IS NULL")),
    CheckConstraint("kind IN ('copy', 'second', 'found')", name="kind"),
    CheckConstraint("verified_at IS NULL OR inode IS NOT NULL", name="verified_was_looked_at"),
)

IMAGE_IDS_VIEW: Final = """
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
