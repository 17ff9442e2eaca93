"""What waits to be sent, in its order, and which photos could share a request with it. Only asked, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from syncd.ledger.plain import Connection, text
from syncd.ledger.rows import Owed, capture_of, group_by_photo
from syncd.ledger.store import Store
from syncd.model import ImageType, PlacePath


class Waiting:
    """The READY entries of a ledger, as the plan asks for them: a few at a time, in an order that an index gives."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def view(self) -> AbstractContextManager[None]:
        """Have all that this thread asks within be answered from one view of the ledger."""
        return self._store.view()

    def head(self, order: str, now: float, *, oldest: bool = False, limit: int = 1) -> list[int]:
        """Give the entries that come first: arrivals newest first, then the backlog by `order` ("newest", "oldest").

        With `oldest` the longest waiting come first, whatever their lane, so that nothing waits for ever.
        """
        with self._store.read() as connection:
            if oldest:
                return list(connection.execute(_WAITING, {"now": now, "limit": limit}).scalars())
            found = list(connection.execute(_ARRIVALS, {"now": now, "limit": limit}).scalars())
            if len(found) < limit:
                backlog = _BACKLOG_OLDEST if order == "oldest" else _BACKLOG_NEWEST
                found += connection.execute(backlog, {"now": now, "limit": limit - len(found)}).scalars()
            return found

    def small_ones(self, order: str, now: float, *, size: int, limit: int) -> list[int]:
        """Give entries of at most so many bytes among the few thousand that come first, in their order."""
        backlog = _SMALL_OLDEST if order == "oldest" else _SMALL_NEWEST
        values = {"now": now, "size": size, "limit": limit}
        with self._store.read() as connection:
            found = list(connection.execute(_SMALL_ARRIVALS, values).scalars())
            return (found + list(connection.execute(backlog, values).scalars()))[:limit]

    def has_arrived_since(self, at: float, now: float) -> bool:
        """Tell whether a photo that is due arrived (lane 1) after a moment."""
        with self._store.glance() as connection:
            return connection.execute(_ARRIVED_SINCE, {"at": at, "now": now}).first() is not None

    def mates(self, entry_id: int, now: float, *, limit: int) -> list[Owed]:
        """Give an entry and the due ones whose capture gives the same metadata, the entry itself first.

        Nothing where the entry itself is not due (any more).
        """
        with self._store.read() as connection:
            head = connection.execute(_HEAD, {"entry_id": entry_id, "now": now}).first()
            if head is None:
                return []
            rows = [head]
            if head.has_mates and limit > 1:
                rows += connection.execute(_MATES, {**_alike(head), "now": now, "limit": limit - 1}).all()
            by_photo = _places_of(connection, [row.photo_id for row in rows])
            return [_owed(row, by_photo.get(row.photo_id, [])) for row in rows]

    def largest_mates(self, entry_id: int, now: float, *, most: int, among: int) -> int:
        """Sum the bytes of the largest, at most so many, of an entry and its mates."""
        with self._store.read() as connection:
            head = connection.execute(_HEAD, {"entry_id": entry_id, "now": now}).first()
            if head is None:
                return 0
            values = {**_alike(head), "now": now, "limit": among}
            sizes = [head.size, *connection.execute(_SIZES, values).scalars()]
        return sum(sorted(sizes, reverse=True)[:most])

    def neighbours(self, head: Owed, now: float, *, within: float, limit: int) -> list[Owed]:
        """Give due entries with the same camera that are near an entry in capture time, the latest first.

        From so many seconds (`within`) before it to the end of the chain after it: as long as the next one is never
        farther than that from the one before. At most `limit`.
        """
        with self._store.read() as connection:
            row = connection.execute(_HEAD, {"entry_id": head.entry_id, "now": now}).first()
            if row is None:
                return []
            values = {**_alike(row), "now": now, "camera": row.camera_model, "limit": limit}
            before = {**values, "from": row.order_at - within, "to": row.order_at}
            later = _chain(connection, values, row.order_at, within)
            rows = [*reversed(later), *connection.execute(_EARLIER, before)]
            by_photo = _places_of(connection, [one.photo_id for one in rows])
            return [_owed(one, by_photo.get(one.photo_id, [])) for one in rows]

    def next_due(self) -> float | None:
        """Tell when the next entry is due (it may be in the past); None when nothing is owed."""
        with self._store.glance() as connection:
            found: float | None = connection.execute(_NEXT_DUE).scalar()
        return found


def _places_of(connection: Connection, photos: Sequence[int]) -> dict[int, list[PlacePath]]:
    if len(photos) == 1:
        return group_by_photo(connection.execute(_PLACES_OF_ONE, {"photo_id": photos[0]}).all())
    return group_by_photo(connection.execute(_PLACES_OF, {"photos": json.dumps(photos)}).all())


def _chain(connection: Connection, values: Mapping[str, Any], start: float, within: float) -> list[Any]:
    """Give the entries after a moment, as long as none is farther than `within` from the one before."""
    span = 8 * within
    while True:
        rows = connection.execute(_LATER, {**values, "from": start, "to": start + span}).all()
        chain: list[Any] = []
        reached = start
        for row in rows:
            if row.order_at - reached > within:
                return chain
            reached = row.order_at
            chain.append(row)
        if reached < start + span - within or len(rows) == values["limit"] or not within:
            return chain
        span *= 4


def _alike(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("group_key", "namespace", "split", "omit", "entry_id")}


def _owed(row: Any, places: Sequence[Any]) -> Owed:
    return Owed(
        entry_id=row.entry_id,
        photo_id=row.photo_id,
        namespace=row.namespace,
        digest=row.digest,
        size=row.size,
        type=ImageType(row.type),
        capture=capture_of(row),
        places=tuple(places),
        attempts=row.attempts,
        split=row.split,
        omit=frozenset(json.loads(row.omit)) if row.omit else frozenset(),
        group_key=row.group_key,
        arrived_at=row.arrived_at,
        order_at=row.order_at,
    )


# Each names its index: without statistics SQLite takes a general one, and sorts the whole library at each turn.
_ARRIVALS = text("""
    SELECT id FROM entries INDEXED BY ix_entries_arrivals
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 1 AND due_at <= :now
    ORDER BY arrived_at DESC, id DESC LIMIT :limit
""")
_ARRIVED_SINCE = text("""
    SELECT 1 FROM entries INDEXED BY ix_entries_arrivals
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 1 AND arrived_at > :at AND due_at <= :now LIMIT 1
""")
_BACKLOG_NEWEST = text("""
    SELECT id FROM entries INDEXED BY ix_entries_backlog
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
    ORDER BY order_at DESC, id DESC LIMIT :limit
""")
_BACKLOG_OLDEST = text("""
    SELECT id FROM entries INDEXED BY ix_entries_backlog
    WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
    ORDER BY order_at, id LIMIT :limit
""")
_SMALL_ARRIVALS = text("""
    SELECT id FROM (
        SELECT id, size FROM entries INDEXED BY ix_entries_arrivals
        WHERE state = 'ready' AND withdrawn = 0 AND lane = 1 AND due_at <= :now
        ORDER BY arrived_at DESC, id DESC LIMIT 2000)
    WHERE size <= :size LIMIT :limit
""")
_SMALL_NEWEST = text("""
    SELECT id FROM (
        SELECT id, size FROM entries INDEXED BY ix_entries_backlog
        WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
        ORDER BY order_at DESC, id DESC LIMIT 2000)
    WHERE size <= :size LIMIT :limit
""")
_SMALL_OLDEST = text("""
    SELECT id FROM (
        SELECT id, size FROM entries INDEXED BY ix_entries_backlog
        WHERE state = 'ready' AND withdrawn = 0 AND lane = 2 AND due_at <= :now
        ORDER BY order_at, id LIMIT 2000)
    WHERE size <= :size LIMIT :limit
""")
_WAITING = text("""
    SELECT id FROM entries INDEXED BY ix_entries_waiting
    WHERE state = 'ready' AND withdrawn = 0 AND due_at <= :now
    ORDER BY arrived_at, id LIMIT :limit
""")
_NEXT_DUE = text("""
    SELECT due_at FROM entries INDEXED BY ix_entries_due
    WHERE state = 'ready' AND withdrawn = 0 ORDER BY due_at LIMIT 1
""")
_OWED_COLUMNS = """
    SELECT entries.id AS entry_id, entries.photo_id, entries.namespace, entries.attempts, entries.split, entries.omit,
           entries.group_key, entries.arrived_at, entries.order_at, photos.*
"""
_HAS_MATES = """
    EXISTS (
        SELECT 1 FROM entries AS mate INDEXED BY ix_entries_group
        WHERE mate.state = 'ready' AND mate.withdrawn = 0 AND mate.due_at <= :now
          AND mate.group_key = entries.group_key AND mate.namespace = entries.namespace
          AND mate.split IS entries.split AND mate.omit IS entries.omit AND mate.id <> entries.id) AS has_mates
"""
_HEAD = text(f"""
    {_OWED_COLUMNS}, {_HAS_MATES}
    FROM entries JOIN photos ON photos.id = entries.photo_id
    WHERE entries.id = :entry_id AND state = 'ready' AND withdrawn = 0 AND due_at <= :now
""")
_MATES = text(f"""
    {_OWED_COLUMNS}
    FROM entries INDEXED BY ix_entries_group CROSS JOIN photos ON photos.id = entries.photo_id
    WHERE state = 'ready' AND withdrawn = 0 AND due_at <= :now AND group_key = :group_key AND namespace = :namespace
      AND split IS :split AND omit IS :omit AND entries.id <> :entry_id
    ORDER BY order_at DESC, entries.id DESC LIMIT :limit
""")
_SIZES = text("""
    SELECT size FROM entries INDEXED BY ix_entries_group
    WHERE state = 'ready' AND withdrawn = 0 AND due_at <= :now AND group_key = :group_key AND namespace = :namespace
      AND split IS :split AND omit IS :omit AND id <> :entry_id
    ORDER BY order_at DESC, id DESC LIMIT :limit
""")
_NEAR = f"""
    {_OWED_COLUMNS}
    FROM entries INDEXED BY ix_entries_backlog CROSS JOIN photos ON photos.id = entries.photo_id
    WHERE state = 'ready' AND withdrawn = 0 AND lane IN (1, 2) AND due_at <= :now AND namespace = :namespace
      AND split IS :split AND omit IS :omit AND entries.id <> :entry_id
      AND photos.camera_model IS :camera AND photos.taken_at IS NOT NULL
"""
_EARLIER = text(f"{_NEAR} AND order_at >= :from AND order_at <= :to ORDER BY order_at DESC, entries.id LIMIT :limit")
_LATER = text(f"{_NEAR} AND order_at > :from AND order_at <= :to ORDER BY order_at, entries.id LIMIT :limit")
_PLACES = """
    SELECT places.photo_id, roots.path AS root, folders.path AS folder, places.name
    FROM places JOIN folders ON folders.id = places.folder_id JOIN roots ON roots.id = folders.root_id
    WHERE places.photo_id {which} AND places.gone_at IS NULL AND NOT roots.dropped
    ORDER BY places.seen_at, places.id
"""
_PLACES_OF_ONE = text(_PLACES.format(which="= :photo_id"))
_PLACES_OF = text(_PLACES.format(which="IN (SELECT value FROM json_each(:photos))"))
