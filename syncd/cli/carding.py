"""Joins what an import and a look at a card need: ledger, destinations, the worker that reads dates."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from syncd.card.dating import heads
from syncd.card.destination import Destination
from syncd.card.finishing import Finisher
from syncd.card.importing import Import, Pace
from syncd.card.inventory import Inventory
from syncd.card.looking import Look
from syncd.card.manifest import Manifest
from syncd.card.naming import Template
from syncd.card.report import Finding, Report
from syncd.card.session import Life, clear_away, is_alive
from syncd.card.walk import Card
from syncd.cli.cardplaces import candidates, is_in_memory, nothing_there, refuse_nesting, too_small
from syncd.cli.cardtext import report_json
from syncd.cli.output import message, moment
from syncd.cli.places import ledger_path
from syncd.daemon.lock import InstanceLock
from syncd.errors import LedgerError, LockedError, SyncdError
from syncd.extract.extractor import Extractor, Limits
from syncd.ledger.guard import MarkFile
from syncd.ledger.imports import Imports, Kind, Known, Unless
from syncd.ledger.migrate import open_for_reading, open_for_single_moves, open_ledger
from syncd.ledger.store import Store
from syncd.model import Capture
from syncd.printable import path_json, path_text
from syncd.settings import Settings

_TWIN_LOOK = 0.2
"""Seconds between two looks at whether another process has come to an end of something."""
_AT_ONCE = 3
"""Files that are synced and read back at the same time."""
_LEDGER_PATIENCE = 10.0
"""Seconds that another process may take to make the ledger."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks of an import."""

    to: bytes
    also: tuple[bytes, ...]
    template: Template
    label: str | None
    again: bool
    uploaded: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of a look at a card."""

    uploaded: bool
    thorough: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One card after an import or a look."""

    source: bytes
    label: str
    whole: bool
    """Whether the source is all of what is mounted there."""
    destinations: tuple[bytes, ...]
    report: Report
    manifests: tuple[bytes, ...] = ()
    in_memory: tuple[bytes, ...] = ()
    """Destinations that no disk holds."""


class WorkerDates:
    """Reads captures from the first bytes of photos, through the extraction worker."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    def capture(self, head: bytes) -> Capture:
        """Give the capture; an empty one where there is none, or where the worker cannot be had."""
        capture = Capture()
        for shown in heads(head):
            capture = self._ask(shown)
            if capture.taken_at is not None:
                break
        return capture

    def _ask(self, head: bytes) -> Capture:
        fd = os.memfd_create("syncd-head")
        try:
            os.write(fd, head)
            return self._extractor.extract(fd).capture
        except (OSError, SyncdError):
            return Capture()
        finally:
            os.close(fd)


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Open the ledger beside a daemon that may run; make it where there is none yet."""
    with _opened(ledger_path(settings)) as store:
        yield store


@contextmanager
def open_to_look(settings: Settings) -> Iterator[Store | None]:
    """Open the ledger for reading; None where there is none yet."""
    path = ledger_path(settings)
    if not path.exists() and MarkFile(path).read() is None:
        yield None
        return
    with open_for_reading(path) as store:
        yield store


@dataclass(frozen=True, slots=True)
class _Session:
    """One import that has begun: its number in the ledger, its destinations, and what is taken down of it."""

    token: str
    number: int
    started_at: float
    destinations: tuple[Destination, ...]
    manifests: tuple[Manifest, ...]
    report: Report


def import_card(
    settings: Settings, store: Store, source: bytes, wish: Wish, pace: Pace, stop: threading.Event
) -> Outcome:
    """Import one card, and give what became of it. Raises SyncdError where it cannot begin, or this machine fails."""
    ledger, imports = ledger_path(settings), Imports(store)
    with ExitStack() as stack:
        card = stack.enter_context(closing(Card(source, wish.label)))
        refuse_nesting(card, (wish.to, *wish.also))
        clear_away(imports, ledger, time.time)
        session = _begin(stack, imports, ledger, card, wish)
        inventory = stack.enter_context(Inventory(card, imports.knows_size))
        pace.begins(inventory.files, inventory.bytes, session.destinations)
        session.report.stopped = nothing_there(card, inventory) or too_small(session.destinations, inventory.new_bytes)
        work = Import(
            card=card,
            inventory=inventory,
            destinations=session.destinations,
            imports=imports,
            number=session.number,
            finisher=_finisher(stack, settings, imports, session, (card.label, wish, pace)),
            executor=stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="finish")),
            report=session.report,
            pace=pace,
            candidate=candidates(settings),
            again=wish.again,
            now=time.time,
            stop=stop.is_set,
        )
        try:
            work.run()
            work.settle_twins(lambda: _others_live(imports, ledger, session.number), lambda: stop.wait(_TWIN_LOOK))
        except OSError as error:
            raise SyncdError(
                f"the import of {path_text(source)} was given up: {error.strerror or error}",
                hint="What was verified counts. Put that right, and give the same command again.",
            ) from error
        paths = tuple(one.path for one in session.destinations)
        memory = tuple(filter(is_in_memory, paths))
        outcome = Outcome(source, card.label, card.is_whole, paths, session.report, in_memory=memory)
        written = _write_manifests(session, outcome)
        imports.end(session.number, time.time())
        return replace(outcome, manifests=written)


def _begin(stack: ExitStack, imports: Imports, ledger: Path, card: Card, wish: Wish) -> _Session:
    life = stack.enter_context(Life(ledger))
    kinds = [Kind.COPY, *(Kind.SECOND for _ in wish.also)]
    destinations = tuple(
        stack.enter_context(closing(Destination(path, kind, life.token)))
        for path, kind in zip((wish.to, *wish.also), kinds, strict=True)
    )
    started_at = time.time()
    number = imports.begin(life.token, card.path, card.label, [one.path for one in destinations], started_at)
    head = {"source": path_json(card.path), "label": card.label, "started_at": moment(started_at)}
    manifests = tuple(stack.enter_context(closing(Manifest(one, life.token, head, card.label))) for one in destinations)

    def note(finding: Finding) -> None:
        for manifest in manifests:
            manifest.note(finding)

    below = tuple(one.path.rstrip(b"/") + b"/" for one in destinations)
    report = Report(wants_uploads=wish.uploaded, each=note, below=below)
    return _Session(life.token, number, started_at, destinations, manifests, report)


def _finisher(
    stack: ExitStack, settings: Settings, imports: Imports, session: _Session, wanted: tuple[str, Wish, Pace]
) -> Finisher:
    label, wish, pace = wanted
    extractor = stack.enter_context(Extractor(Limits(settings.extract.time_limit, settings.extract.memory_limit)))
    return Finisher(
        imports=imports,
        number=session.number,
        template=wish.template,
        label=label,
        dater=WorkerDates(extractor),
        unless=Unless.THIS_IMPORT if wish.again else Unless.ANY,
        now=time.time,
        started_at=session.started_at,
        verified=pace.verified,
        pool=stack.enter_context(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="read-back")),
    )


def look_at_card(
    settings: Settings, store: Store | None, source: bytes, pace: Pace, stop: threading.Event, asked: Asked
) -> Outcome:
    """Look at one card, and give where each of its files stands."""
    with closing(Card(source)) as card, Inventory(card) as inventory:
        pace.begins(inventory.files, inventory.bytes, ())
        report = Report(wants_uploads=asked.uploaded, stopped=nothing_there(card, inventory))
        look = Look(
            card=card,
            inventory=inventory,
            known=Imports(store).known if store is not None else lambda _: Known(),
            report=report,
            pace=pace,
            candidate=candidates(settings),
            stop=stop.is_set,
            thorough=asked.thorough,
        )
        look.run()
        return Outcome(source, card.label, card.is_whole, (), report)


def _others_live(imports: Imports, ledger: Path, number: int) -> bool:
    return any(one.number != number and is_alive(ledger, one.token) for one in imports.unfinished())


def _write_manifests(session: _Session, outcome: Outcome) -> tuple[bytes, ...]:
    written: list[bytes] = []
    verdict = report_json(outcome)
    for manifest in session.manifests:
        try:
            written += manifest.write(verdict, session.started_at, time.time())
        except OSError as error:
            message(f"warning: the list of the copies could not be written: {error.strerror}; the copies are safe")
    return tuple(written)


def _opened(path: Path) -> Store:
    """Open the ledger; where there is none yet, make it, which only the holder of the instance lock may.

    Where somebody else holds the lock, a daemon or another import is just making it: that is waited for.
    """
    deadline = time.monotonic() + _LEDGER_PATIENCE
    while True:
        try:
            return open_for_single_moves(path)
        except LedgerError:
            try:
                with InstanceLock(path):
                    open_ledger(path, now=time.time()).close()
            except LockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_TWIN_LOOK)
