CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE facts (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);

CREATE TABLE photos (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	picture_digest TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	type TEXT, 
	taken_at TEXT, 
	taken_from TEXT, 
	offset_minutes INTEGER, 
	offset_from TEXT, 
	camera_model TEXT, 
	model_from TEXT, 
	latitude REAL, 
	longitude REAL, 
	position_from TEXT, 
	dropped TEXT, 
	unfit_code TEXT, 
	unfit_detail TEXT, 
	edit_of INTEGER, 
	seen_at REAL NOT NULL, 
	CONSTRAINT pk_photos PRIMARY KEY (id), 
	CONSTRAINT fk_photos_edit_of FOREIGN KEY(edit_of) REFERENCES photos (id), 
	CONSTRAINT uq_photos_digest UNIQUE (digest)
);

CREATE INDEX ix_photos_edit_of ON photos (edit_of) WHERE edit_of IS NOT NULL;

CREATE INDEX ix_photos_size ON photos (size);

CREATE TABLE requests (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	marker TEXT NOT NULL, 
	marked INTEGER NOT NULL, 
	namespace TEXT NOT NULL, 
	sent_at REAL NOT NULL, 
	completing_at REAL, 
	answered_at REAL, 
	outcome TEXT, 
	status INTEGER, 
	code TEXT, 
	message TEXT, 
	files INTEGER NOT NULL, 
	bytes INTEGER NOT NULL, 
	lookups INTEGER DEFAULT 0 NOT NULL, 
	lookup_at REAL, 
	CONSTRAINT ck_requests_outcome CHECK (outcome IS NULL OR outcome IN ('stored', 'rejected', 'throttled', 'paused', 'unanswered', 'not sent', 'changed')), 
	CONSTRAINT uq_requests_marker UNIQUE (marker)
);

CREATE INDEX ix_requests_lookup_at ON requests (lookup_at) WHERE lookup_at IS NOT NULL;

CREATE INDEX ix_requests_sent_at ON requests (sent_at);

CREATE TABLE roots (
	id INTEGER NOT NULL, 
	path BLOB NOT NULL, 
	text TEXT NOT NULL, 
	device INTEGER, 
	first_scan_at REAL, 
	last_scan_at REAL, 
	absent TEXT, 
	absent_since REAL, 
	dropped INTEGER DEFAULT 0 NOT NULL, 
	held TEXT, 
	held_at REAL, 
	released INTEGER DEFAULT 0 NOT NULL, 
	watch TEXT, 
	trouble TEXT, 
	last_trouble TEXT, 
	last_trouble_at REAL, 
	missed INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_roots PRIMARY KEY (id), 
	CONSTRAINT uq_roots_path UNIQUE (path)
);

CREATE TABLE entries (
	id INTEGER NOT NULL, 
	photo_id INTEGER NOT NULL, 
	namespace TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT, 
	withdrawn INTEGER DEFAULT 0 NOT NULL, 
	due_at REAL NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	lane INTEGER NOT NULL, 
	arrived_at REAL NOT NULL, 
	order_at REAL NOT NULL, 
	group_key TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	split INTEGER, 
	omit TEXT, 
	image_id TEXT, 
	uploaded_at REAL, 
	sent_metadata TEXT, 
	CONSTRAINT pk_entries PRIMARY KEY (id), 
	CONSTRAINT ck_entries_uploaded_has_an_id CHECK ((state = 'uploaded') = (image_id IS NOT NULL)), 
	CONSTRAINT ck_entries_state CHECK (state IN ('ready', 'sending', 'uploaded', 'unanswered', 'refused', 'unfit')), 
	CONSTRAINT fk_entries_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id)
);

CREATE INDEX ix_entries_arrivals ON entries (lane, arrived_at, id, due_at) WHERE state = 'ready' AND withdrawn = 0;

CREATE INDEX ix_entries_backlog ON entries (lane, order_at, id, due_at) WHERE state = 'ready' AND withdrawn = 0;

CREATE INDEX ix_entries_due ON entries (due_at) WHERE state = 'ready' AND withdrawn = 0;

CREATE INDEX ix_entries_group ON entries (group_key, namespace, split, omit, order_at, id, due_at, size) WHERE state = 'ready' AND withdrawn = 0;

CREATE INDEX ix_entries_state ON entries (state, withdrawn);

CREATE INDEX ix_entries_waiting ON entries (arrived_at, id, due_at) WHERE state = 'ready' AND withdrawn = 0;

CREATE UNIQUE INDEX uq_entries_image_id ON entries (image_id) WHERE image_id IS NOT NULL;

CREATE UNIQUE INDEX uq_entries_photo_id_namespace ON entries (photo_id, namespace);

CREATE TABLE folders (
	id INTEGER NOT NULL, 
	root_id INTEGER NOT NULL, 
	path BLOB NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_folders PRIMARY KEY (id), 
	CONSTRAINT fk_folders_root_id FOREIGN KEY(root_id) REFERENCES roots (id)
);

CREATE UNIQUE INDEX uq_folders_root_id_path ON folders (root_id, path);

CREATE TABLE ignored (
	root_id INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	files INTEGER NOT NULL, 
	CONSTRAINT pk_ignored PRIMARY KEY (root_id, reason), 
	CONSTRAINT fk_ignored_root_id FOREIGN KEY(root_id) REFERENCES roots (id)
)
 WITHOUT ROWID

;

CREATE TABLE aside (
	folder_id INTEGER NOT NULL, 
	name BLOB NOT NULL, 
	text TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	since REAL NOT NULL, 
	CONSTRAINT pk_aside PRIMARY KEY (folder_id, name), 
	CONSTRAINT ck_aside_reason CHECK (reason IN ('unsettled', 'unreadable')), 
	CONSTRAINT fk_aside_folder_id FOREIGN KEY(folder_id) REFERENCES folders (id)
)
 WITHOUT ROWID

;

CREATE TABLE history (
	id INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	at REAL NOT NULL, 
	"before" TEXT, 
	"after" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (id), 
	CONSTRAINT fk_history_entry_id FOREIGN KEY(entry_id) REFERENCES entries (id)
);

CREATE INDEX ix_history_entry_id ON history (entry_id);

CREATE TABLE places (
	id INTEGER NOT NULL, 
	folder_id INTEGER NOT NULL, 
	name BLOB NOT NULL, 
	text TEXT NOT NULL, 
	photo_id INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	mtime_ns INTEGER NOT NULL, 
	ctime_ns INTEGER NOT NULL, 
	inode INTEGER NOT NULL, 
	device INTEGER NOT NULL, 
	namespace TEXT NOT NULL, 
	unwanted TEXT, 
	seen_at REAL NOT NULL, 
	gone_at REAL, 
	CONSTRAINT pk_places PRIMARY KEY (id), 
	CONSTRAINT fk_places_folder_id FOREIGN KEY(folder_id) REFERENCES folders (id), 
	CONSTRAINT fk_places_photo_id FOREIGN KEY(photo_id) REFERENCES photos (id)
);

CREATE INDEX ix_places_photo_id ON places (photo_id);

CREATE UNIQUE INDEX uq_places_present ON places (folder_id, name) WHERE gone_at IS NULL;

CREATE TABLE sent (
	request_id INTEGER NOT NULL, 
	entry_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	wire_name TEXT NOT NULL, 
	CONSTRAINT pk_sent PRIMARY KEY (request_id, entry_id), 
	CONSTRAINT fk_sent_entry_id FOREIGN KEY(entry_id) REFERENCES entries (id), 
	CONSTRAINT fk_sent_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
)
 WITHOUT ROWID

;

CREATE INDEX ix_sent_entry_id ON sent (entry_id);

CREATE TABLE imports (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	token TEXT NOT NULL, 
	source BLOB NOT NULL, 
	text TEXT NOT NULL, 
	label TEXT NOT NULL, 
	destinations TEXT NOT NULL, 
	started_at REAL NOT NULL, 
	ended_at REAL, 
	CONSTRAINT uq_imports_token UNIQUE (token)
);

CREATE TABLE copies (
	id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	head TEXT NOT NULL, 
	quick TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	path BLOB NOT NULL, 
	text TEXT NOT NULL, 
	mtime_ns INTEGER, 
	ctime_ns INTEGER, 
	inode INTEGER, 
	device INTEGER, 
	verified_at REAL, 
	CONSTRAINT pk_copies PRIMARY KEY (id), 
	CONSTRAINT ck_copies_kind CHECK (kind IN ('copy', 'second', 'found')), 
	CONSTRAINT ck_copies_verified_was_looked_at CHECK (verified_at IS NULL OR inode IS NOT NULL), 
	CONSTRAINT fk_copies_import_id FOREIGN KEY(import_id) REFERENCES imports (id)
);

CREATE INDEX ix_copies_digest ON copies (digest);

CREATE INDEX ix_copies_size_head ON copies (size, head);

CREATE INDEX ix_copies_unverified ON copies (import_id) WHERE verified_at IS NULL;

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
WHERE places.gone_at IS NULL AND entries.image_id IS NOT NULL;

INSERT INTO alembic_version VALUES ('0001');
