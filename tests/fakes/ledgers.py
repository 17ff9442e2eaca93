"""Ledgers with photos in them, built without files and without a network: real SQLite, made-up photos.

ledger = make_ledger(tmp_path)
ledger.see(sighting(b"a.jpg", photo(1)))
request = ledger.claim(1)
ledger.store_all(request, 1)
"""

from __future__ import annotations

import functools
import hashlib
import secrets
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from syncd.ledger.lookups import Lookups
from syncd.ledger.migrate import open_ledger
from syncd.ledger.plain import text
from syncd.ledger.queue import Answer, Claim, Queue, Receipt, Settlement
from syncd.ledger.sightings import Policy, Recorded, Sighting, Sightings
from syncd.ledger.store import Store
from syncd.ledger.territory import Territory
from syncd.lifecycle import Outcome, State, may_move
from syncd.model import Capture, ImageType, Look, Photo, PlacePath, RequestMetadata, Unfit
from syncd.upload.batches import group_key

ROOT = b"/photos"
START = 1_700_000_000.0
OPEN_GATE: Mapping[str, Any] = {}


def photo(
    number: int,
    *,
    picture: int | None = None,
    size: int = 1000,
    capture: Capture | None = None,
    unfit: Unfit | None = None,
) -> Photo:
    """Make up a photo. Equal numbers are equal bytes; equal `picture` numbers are the same picture."""
    shown = hashlib.md5(str(number if picture is None else picture).encode()).hexdigest()
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Photo(digest, shown, size, None if unfit else ImageType.JPEG, capture or Capture(), unfit)


def sighting(
    name: bytes,
    seen: Photo,
    *,
    root: bytes = ROOT,
    folder: bytes = b"",
    namespace: str = "default",
    unwanted: str | None = None,
    look: Look | None = None,
    order_at: float = 1000.0,
    unfit: Unfit | None = None,
) -> Sighting:
    """Make up that a photo was seen at a place."""
    return Sighting(
        place=PlacePath(root, folder, name),
        look=look or Look(seen.size, 1_000, 1_000, abs(hash(name)) % 10_000, 1),
        photo=seen,
        unfit=unfit or seen.unfit,
        namespace=namespace,
        unwanted=unwanted,
        order_at=order_at,
        group_key=group_key(seen.capture),
    )


@dataclass(slots=True)
class Ledger:
    """An open ledger, all that works on it, and a clock that goes on by a second with each use of `tick`."""

    store: Store
    policy: Policy = field(default_factory=Policy)
    now: float = START
    territory: Territory = field(init=False)
    sightings: Sightings = field(init=False)
    queue: Queue = field(init=False)
    lookups: Lookups = field(init=False)

    def __post_init__(self) -> None:
        self.territory = Territory(self.store)
        self.sightings = Sightings(self.store, self.territory, self.policy)
        self.queue = Queue(self.store)
        self.lookups = Lookups(self.store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    @property
    def path(self) -> Path:
        return self.store.path

    def with_policy(self, policy: Policy) -> Ledger:
        """Give the same ledger under other settings."""
        return Ledger(self.store, policy, self.now)

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def see(self, *seen: Sighting) -> list[Recorded]:
        return self.sightings.record(seen, self.tick())

    def lose(self, *places: Sighting) -> int:
        return self.sightings.gone([s.place for s in places], self.tick())

    def claim(self, *entry_ids: int, namespace: str = "default", marked: bool = True, tags: Sequence[str] = ()) -> int:
        """Commit the intent to send entries in one request; give its number."""
        marker = "syncd-" + secrets.token_hex(8)
        sent_tags = (*tags, marker) if marked else tuple(tags)
        files = tuple((entry_id, f"photo-{entry_id:012x}.jpg", 1000) for entry_id in entry_ids)
        claim = Claim(marker, marked, RequestMetadata(namespace, tags=sent_tags), files)
        return self.queue.claim([claim], self.tick())[0]

    def answer(self, request_id: int, answer: Answer, *receipts: Receipt) -> None:
        self.queue.settle([Settlement(request_id, answer, receipts)], OPEN_GATE, self.tick())

    def store_all(self, request_id: int, *entry_ids: int) -> None:
        """Settle a request: each entry got an image id (its number and 7000)."""
        receipts = [Receipt(i, State.UPLOADED, f"image id {7000 + i}", str(7000 + i)) for i in entry_ids]
        self.answer(request_id, Answer(Outcome.STORED, 200, "0000"), *receipts)

    def upload(self, *entry_ids: int, namespace: str = "default") -> None:
        self.store_all(self.claim(*entry_ids, namespace=namespace), *entry_ids)

    def leave_unanswered(self, *entry_ids: int, lookup_at: float | None = None, marked: bool = True) -> int:
        """Send entries and get no answer; give the request's number."""
        request_id = self.claim(*entry_ids, marked=marked)
        self.queue.completing(request_id, self.tick())
        receipts = [Receipt(i, State.UNANSWERED, "no answer") for i in entry_ids]
        self.answer(request_id, Answer(Outcome.UNANSWERED, message="no answer", lookup_at=lookup_at), *receipts)
        return request_id

    def due(self) -> list[int]:
        """Give the entries that may be sent now, in the order of the queue."""
        return self.queue.head("newest", self.now, limit=1_000_000)

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(text(sql), values).all())

    def states(self) -> dict[int, State]:
        return {row.id: State(row.state) for row in self.rows("SELECT id, state FROM entries ORDER BY id")}

    def moves(self, entry_id: int) -> list[tuple[str | None, str]]:
        found = self.rows('SELECT "before", "after" FROM history WHERE entry_id = :e ORDER BY id', e=entry_id)
        return [(row.before, row.after) for row in found]

    def assert_whole(self) -> None:
        """Assert what is always true of a ledger: each history is a chain of legal moves that ends at the state."""
        for entry_id, state in self.states().items():
            moves = self.moves(entry_id)
            assert moves, f"entry {entry_id} has no history"
            assert moves[0][0] is None, f"entry {entry_id} has no first move"
            assert moves[0][1] in {State.READY, State.UNFIT}
            for (_, after), (before, to) in pairwise(moves):
                assert before == after, f"entry {entry_id}: a gap in {moves}"
                assert may_move(State(after), State(to)), f"entry {entry_id}: an illegal move in {moves}"
            assert moves[-1][1] == state, f"entry {entry_id} is {state}, its history says {moves}"


def make_ledger(
    folder: Path, *, photos: int = 0, roots: Sequence[bytes] = (ROOT,), policy: Policy | None = None
) -> Ledger:
    """Make a ledger `ledger.db` in a folder, with so many READY entries (numbers 1 to `photos`) at places of ROOT."""
    ledger = Ledger(open_ledger(write_empty(folder / "ledger.db"), now=START), policy or Policy())
    ledger.territory.configure(roots)
    if photos:
        ledger.see(*(sighting(b"IMG_%04d.jpg" % n, photo(n), order_at=1000.0 + n) for n in range(1, photos + 1)))
    return ledger


def write_empty(path: Path) -> Path:
    """Write a ledger without photos, with a number of its own; quicker than to migrate one."""
    path.write_bytes(_empty())
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'ledger_id'", (f'"{secrets.token_hex(8)}"',))
    return path


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        open_ledger(path, now=START).close()
        return path.read_bytes()


def looked_at(seen: Sighting, look: Look) -> Sighting:
    """Give the sighting with another look."""
    return replace(seen, look=look)


def backlog(ledger: Ledger, *numbers: int) -> None:
    """Photos seen in the first scan, with the capture time as their order."""
    ledger.see(*(sighting(b"%d.jpg" % n, photo(n), order_at=float(n)) for n in numbers))


def end_first_scan(ledger: Ledger) -> None:
    ledger.territory.scanned(ROOT, 1, {}, ledger.tick())


def commits(path: Path) -> int:
    """Count the transactions in the log of a ledger (sqlite.org/fileformat2.html#walformat): frames that end one."""
    log = path.with_name(path.name + "-wal").read_bytes()
    frame = 24 + int.from_bytes(log[8:12], "big")
    return sum(log[at + 4 : at + 8] != bytes(4) for at in range(32, len(log), frame))
