"""The pipeline of syncd over fakes: a real ledger and real files, and everything else under the test's hand."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from syncd.daemon.dispatch import Dispatch
from syncd.daemon.intake import Intake
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.rest import Idle
from syncd.daemon.windows import Windows
from syncd.errors import ReachError
from syncd.ledger.holds import Holds
from syncd.ledger.lookups import Lookups
from syncd.ledger.migrate import open_ledger
from syncd.ledger.plain import text
from syncd.ledger.queue import Queue
from syncd.ledger.reports import set_aside
from syncd.ledger.sightings import Policy, Sightings
from syncd.ledger.store import Store
from syncd.ledger.territory import Territory
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State
from syncd.model import Look, PlacePath
from syncd.rules import Rules
from syncd.settings import (
    Copies,
    FolderSettings,
    LedgerSettings,
    OnMetadataEdit,
    RuleSettings,
    Settings,
    UploadSettings,
)
from syncd.watch.filters import Filter
from syncd.watch.reach import Root
from syncd.watch.settle import Settling
from tests.fakes.clock import FakeClock
from tests.fakes.executor import StepExecutor
from tests.fakes.ledgers import write_empty
from tests.fakes.reader import FakeReader, photo_bytes
from tests.fakes.service import FakeService
from tests.fakes.voice import FakeVoice

MONTH = 30 * 24 * 3600.0
UNPACED = UploadSettings(pace=None, batch_files=4, in_flight=1)
"""One request a turn, so that a test sees each answer before the next request leaves."""


class FakeOpener:
    """Opens as syncd does, but for the places that it is told to refuse."""

    def __init__(self) -> None:
        self.refuses: Callable[[PlacePath], bool] = lambda place: False
        self.opened = 0

    def open_photo(self, place: PlacePath) -> tuple[int, Look]:
        if self.refuses(place):
            raise ReachError(f"{place.name!r} cannot be opened")
        with Root(place.root) as root:
            found = root.open_photo(place)
        self.opened += 1
        return found


@dataclass(slots=True)
class Rig:
    """One ledger and what is built over it. `restart` builds all of it again over the same ledger."""

    folder: Path
    upload: UploadSettings = UNPACED
    rules: tuple[RuleSettings, ...] = ()
    folders: tuple[FolderSettings, ...] = ()
    clock: FakeClock = field(default_factory=lambda: FakeClock(time.time() + MONTH))
    service: FakeService = field(default_factory=FakeService)
    voice: FakeVoice = field(default_factory=FakeVoice)
    reader: FakeReader = field(default_factory=FakeReader)
    opener: FakeOpener = field(default_factory=FakeOpener)
    executor: Executor = field(default_factory=StepExecutor)
    settle: float = 2.0
    make_queue: Callable[[Store], Queue] = Queue
    on_metadata_edit: OnMetadataEdit = OnMetadataEdit.KEEP
    metered: bool = False
    wake: threading.Event = field(default_factory=threading.Event)
    """Set by what is recorded and what is answered."""
    store: Store = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        if not self.folders:
            self.root.mkdir(exist_ok=True)
            self.folders = (FolderSettings(self.root),)
        if not self.ledger.exists():
            write_empty(self.ledger)
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def root(self) -> Path:
        return self.folder / "photos"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def intake(self) -> Intake:
        return self.pipeline.intake

    @property
    def dispatch(self) -> Dispatch:
        return self.pipeline.dispatch

    @property
    def queue(self) -> Queue:
        return self.pipeline.queue

    def open(self) -> None:
        upload = replace(self.upload, on_metadata_edit=self.on_metadata_edit)
        settings = Settings(
            source=self.folder / "config.toml",
            ledger=LedgerSettings(f"sqlite:///{self.ledger}"),
            upload=upload,
            folders=self.folders,
            rules=self.rules,
        )
        self.store = open_ledger(self.ledger, now=self.clock.now())
        policy = Policy(
            per_namespace=upload.copies is Copies.PER_NAMESPACE,
            keep_metadata_edits=self.on_metadata_edit is OnMetadataEdit.KEEP,
        )
        rules = Rules.compile(self.folders, self.rules)
        territory = Territory(self.store)
        filters = {bytes(each.path): Filter(each.exclude) for each in self.folders}
        queue = self.make_queue(self.store)
        intake = Intake(
            territory=territory,
            sightings=Sightings(self.store, territory, policy),
            holds=Holds(self.store),
            filters=filters,
            reader=self.reader,
            rules=rules,
            settling=Settling(self.settle),
            max_file_bytes=upload.max_file_bytes,
            clock=self.clock,
            voice=self.voice,
            stop=threading.Event(),
            recorded=self.wake.set,
        )
        dispatch = Dispatch(
            queue=queue,
            lookups=Lookups(self.store),
            rules=rules,
            settings=upload,
            as_utc=False,
            sender=self.service,
            opener=self.opener,
            executor=self.executor,
            clock=self.clock,
            voice=self.voice,
            rng=random.Random(4),
            look_again=intake.look_again,
            intake_busy=intake.is_busy,
            answered=self.wake.set,
            shut=Windows(upload, Wishes(self.store).person_pause, lambda: self.metered).shut,
        )
        self.pipeline = Pipeline(
            settings=settings,
            store=self.store,
            queue=queue,
            territory=territory,
            rules=rules,
            policy=policy,
            filters=filters,
            intake=intake,
            dispatch=dispatch,
            clock=self.clock,
            voice=self.voice,
        )
        self.pipeline.prepare(None)

    def close(self) -> None:
        self.store.close()

    def restart(self) -> None:
        """End without any farewell, and start again over the same ledger."""
        self.close()
        self.open()

    def write(self, relative: str, content: bytes) -> Path:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def place(self, relative: str) -> PlacePath:
        folder, _, name = relative.rpartition("/")
        return PlacePath(bytes(self.root), folder.encode(), name.encode())

    def scan(self) -> None:
        for root in self.pipeline.roots:
            self.intake.scan(root)

    def let_settle(self, seconds: float = 10.0) -> None:
        """Let time pass, and look again at what waited."""
        self.clock.advance(seconds)
        self.intake.settle()

    def aside(self) -> dict[str, str]:
        """Give what is set aside, and why."""
        return {place.relative.decode(): reason for place, reason, _ in set_aside(self.store)}

    def pump(self, most: int = 200) -> Idle:
        """Send until there is a reason to rest; look-ups and all."""
        for _ in range(most):
            idle = self.dispatch.turn()
            if idle is not None and not self.dispatch.in_flight:
                return idle
        raise AssertionError(f"the dispatch is still at work after {most} turns")

    def drain(self, most: int = 400) -> Idle:
        """Send, letting time pass whenever nothing may leave before later, until nothing is owed any more."""
        idle = self.pump()
        for _ in range(most):
            if idle.until is None:
                return idle
            self.clock.advance(max(0.01, idle.until - self.clock.now()))
            self.intake.settle()
            idle = self.pump()
        raise AssertionError(f"not at rest after {most} waits: {idle}")

    def rows(self, query: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(text(query), values or {}).all())

    def states(self) -> dict[str, State]:
        """Give the state of the entry at each present place, by the place's path below its root."""
        rows = self.rows("""
            SELECT folders.text AS folder, places.text AS name, entries.state FROM places
            JOIN folders ON folders.id = places.folder_id JOIN photos ON photos.id = places.photo_id
            JOIN entries ON entries.photo_id = coalesce(photos.edit_of, photos.id) WHERE places.gone_at IS NULL
        """)
        return {f"{row.folder}/{row.name}".lstrip("/"): State(row.state) for row in rows}

    def count(self, state: State) -> int:
        return int(self.rows("SELECT count(*) FROM entries WHERE state = :state", {"state": state})[0][0])


def copy_of_ledger(source: Path, target: Path) -> None:
    """Put a ledger that was made before into a folder, because making one takes a while."""
    for suffix in ("", ".mark"):
        shutil.copyfile(source.with_name(source.name + suffix), target.with_name(target.name + suffix))


def digests(contents: Iterable[bytes]) -> set[str]:
    import hashlib  # noqa: PLC0415

    return {hashlib.sha256(content).hexdigest() for content in contents}


def photos(rig: Rig, count: int, *, alike: bool = False, prefix: str = "p") -> list[Path]:
    """Write so many photos and have them scanned; with `alike` they would send the same metadata."""
    paths = [
        rig.write(f"{prefix}{n:04d}.jpg", photo_bytes(f"{prefix}{n}", taken=None if alike else n)) for n in range(count)
    ]
    rig.scan()
    return paths


def files_of(rig: Rig) -> list[int]:
    """How many files each request had."""
    return [len(names) for _, names, _ in rig.service.requests]


def set_up(rig: Rig, **upload: Any) -> None:
    rig.upload = replace(rig.upload, **upload)
    rig.restart()


def another_can_write(rig: Rig, within: float = 5.0) -> bool:
    """Tell whether a thread that is not this one gets to write to the ledger."""
    written = threading.Event()

    def write() -> None:
        with rig.store.write():
            written.set()

    threading.Thread(target=write, daemon=True).start()
    if written.wait(within):
        return True
    rig.store._writer.lock = threading.RLock()  # else nobody could close it
    return False
