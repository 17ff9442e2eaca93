"""What is owed, as a stream for whoever counts requests, and how fast requests left lately. Nothing here changes it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from syncd.ledger.plain import Connection, Row, text
from syncd.ledger.rows import wall
from syncd.ledger.store import Store
from syncd.model import Capture, PlacePath, Position


@dataclass(frozen=True, slots=True)
class Outlook:
    """An owed entry, with what decides which others it can share a request with."""

    entry_id: int
    namespace: str
    """The key of copies = "per-namespace"; "" otherwise."""
    size: int
    split: int | None
    omit: frozenset[str]
    capture: Capture
    """Without where its values come from."""
    places: tuple[PlacePath, ...]
    """Present ones, first seen first."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is owed in numbers: photos, their bytes, and requests if labels and bytes do not keep any apart."""

    photos: int
    bytes: int
    requests: int


def estimate(store: Store, batch_files: int) -> Estimate:
    """Count what is owed from an index alone."""
    with store.read() as connection:
        row = connection.execute(_ESTIMATE, {"files": max(1, batch_files)}).one()
    return Estimate(row.photos, row.bytes, row.requests)


def owed(store: Store) -> Iterator[Outlook]:
    """Give every owed entry, the latest capture first; streamed."""
    with store.read() as arrivals, store.read() as backlog:
        lanes = [_lane(arrivals, 1), _lane(backlog, 2)]
        for _, rows in groupby(heapq.merge(*lanes, key=_latest_first), key=lambda row: row.entry_id):
            yield _outlook(sorted(rows, key=lambda row: (row.seen_at, row.place_id)))


def sent_lately(store: Store, most: int = 200) -> list[tuple[float, float | None]]:
    """Give when the last requests left, in their order, and since when the oldest entry in each was known."""
    with store.read() as connection:
        rows = connection.execute(_LATELY, {"most": most}).all()
    return [(row.sent_at, row.waiting_since) for row in reversed(rows)]


def sent_since(store: Store, since: float) -> int:
    """Count the files that were, or may have been, stored since a time: what a daily budget has paid for."""
    with store.read() as connection:
        return int(connection.execute(_SENT_SINCE, {"since": since}).scalar_one())


def _lane(connection: Connection, lane: int) -> Iterator[Row]:
    yield from connection.execute(_OWED, {"lane": lane})


def _latest_first(row: Row) -> tuple[float, int]:
    return -row.order_at, -row.entry_id


def _outlook(rows: Sequence[Row]) -> Outlook:
    row = rows[0]
    return Outlook(
        entry_id=row.entry_id,
        namespace=row.namespace,
        size=row.size,
        split=row.split,
        omit=frozenset(json.loads(row.omit)) if row.omit else frozenset(),
        capture=Capture(
            taken_at=wall(row.taken_at),
            offset_minutes=row.offset_minutes,
            camera_model=row.camera_model,
            position=None if row.latitude is None else Position(row.latitude, row.longitude),
        ),
        places=tuple(PlacePath(each.root, each.folder, each.name) for each in rows),
    )


_ESTIMATE = text("""
    SELECT coalesce(sum(photos), 0) AS photos, coalesce(sum(bytes), 0) AS bytes,
           coalesce(sum((photos + least - 1) / least), 0) AS requests
    FROM (SELECT count(*) AS photos, sum(size) AS bytes, min(:files, coalesce(split, :files)) AS least
          FROM entries INDEXED BY ix_entries_group WHERE state = 'ready' AND withdrawn = 0
          GROUP BY group_key, namespace, split, omit)
""")
_OWED = text("""
    SELECT entries.id AS entry_id, entries.namespace, entries.size, entries.split, entries.omit, entries.order_at,
           photos.taken_at, photos.offset_minutes, photos.camera_model, photos.latitude, photos.longitude,
           roots.path AS root, folders.path AS folder, places.name, places.seen_at, places.id AS place_id
    FROM entries INDEXED BY ix_entries_backlog
    CROSS JOIN photos ON photos.id = entries.photo_id
    CROSS JOIN places ON places.photo_id = entries.photo_id AND places.gone_at IS NULL
    CROSS JOIN folders ON folders.id = places.folder_id
    CROSS JOIN roots ON roots.id = folders.root_id AND NOT roots.dropped
    WHERE entries.state = 'ready' AND entries.withdrawn = 0 AND entries.lane = :lane
    ORDER BY entries.order_at DESC, entries.id DESC
""")
_LATELY = text("""
    SELECT sent_at, (SELECT min(entries.arrived_at) FROM sent JOIN entries ON entries.id = sent.entry_id
                     WHERE sent.request_id = requests.id) AS waiting_since
    FROM requests ORDER BY requests.id DESC LIMIT :most
""")
_SENT_SINCE = text("""
    SELECT coalesce(sum(files), 0) FROM requests
    WHERE sent_at >= :since AND (outcome IS NULL OR outcome IN ('stored', 'unanswered'))
""")
