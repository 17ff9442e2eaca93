"""Settings that changed are applied to what is known already: rules to places, the size limit to entries.

Without this a folder of 300,000 known photos would have to be read again for a new `skip`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from syncd.ledger.doubt import doubt, doubt_entry
from syncd.ledger.moves import move
from syncd.ledger.plain import Connection, text
from syncd.ledger.rows import capture_of
from syncd.ledger.sightings import Policy, owe_namespace, owe_orphaned_edits, refresh_withdrawn, too_large
from syncd.ledger.store import Store, fact, set_fact
from syncd.lifecycle import State
from syncd.model import Capture, Labels, PlacePath

Judge = Callable[[PlacePath, Capture], Labels]
_SLICE: Final = 2000


def rejudge(store: Store, judge: Judge, policy: Policy, fingerprint: str, now: float) -> int:
    """Judge every present place by the rules, if they are others than last time. Give how many places changed."""
    with store.read() as connection:
        if fact(connection, "rules") == fingerprint:
            return 0
    changed = 0
    last = 0
    while True:
        with store.write() as connection:
            rows = connection.execute(_PLACES, {"after": last, "slice": _SLICE}).all()
            if not rows:
                set_fact(connection, "rules", fingerprint)
                return changed
            last = rows[-1].place_id
            changed += sum(_judge_again(connection, row, judge, policy, now) for row in rows)


def refit(store: Store, max_file_bytes: int, now: float) -> int:
    """Apply another size limit to the entries that wait, if it is another than last time. Give how many moved."""
    with store.write() as connection:
        if fact(connection, "max_file_bytes") == max_file_bytes:
            return 0
        moved = 0
        in_doubt = doubt(connection) is not None
        for row in connection.execute(_FIT_NOW, {"most": max_file_bytes}).all():
            moved += move(connection, row.id, State.UNFIT, State.READY, "max_file_bytes was raised", now)
            if in_doubt:
                doubt_entry(connection, row.id, now)
        for row in connection.execute(_UNFIT_NOW, {"most": max_file_bytes}).all():
            moved += move(connection, row.id, State.READY, State.UNFIT, str(too_large(row.size, max_file_bytes)), now)
        set_fact(connection, "max_file_bytes", max_file_bytes)
        return moved


def _judge_again(connection: Connection, row: Any, judge: Judge, policy: Policy, now: float) -> bool:
    labels = judge(PlacePath(row.root, row.folder, row.name), capture_of(row))
    if policy.per_namespace and labels.skipped is None:
        # Also where the labels are the same: before, copies = "once" may have owed nothing for this namespace.
        owe_namespace(connection, row.photo_id, labels.namespace, now)
    if (labels.namespace, labels.skipped) == (row.namespace, row.unwanted):
        refresh_withdrawn(connection, row.photo_id)
        return False
    values = {"place_id": row.place_id, "namespace": labels.namespace, "unwanted": labels.skipped}
    connection.execute(_JUDGED, values)
    refresh_withdrawn(connection, row.photo_id)
    owe_orphaned_edits(connection, row.photo_id, now)
    return True


_PLACES = text("""
    SELECT places.id AS place_id, places.photo_id, places.name, places.namespace, places.unwanted,
           folders.path AS folder, roots.path AS root, photos.*
    FROM places
    JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    JOIN photos ON photos.id = places.photo_id
    WHERE places.id > :after AND places.gone_at IS NULL
    ORDER BY places.id LIMIT :slice
""")
_JUDGED = text("UPDATE places SET namespace = :namespace, unwanted = :unwanted WHERE id = :place_id")
_FIT_NOW = text("""
    SELECT entries.id FROM entries JOIN photos ON photos.id = entries.photo_id
    WHERE entries.state = 'unfit' AND photos.unfit_code IS NULL AND entries.size <= :most
""")
_UNFIT_NOW = text("SELECT id, size FROM entries WHERE state = 'ready' AND size > :most")
