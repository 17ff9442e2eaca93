"""Joins what an import and a look at a card need: ledger, destinations, the worker that reads dates."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from syncd.card.dating import heads
from syncd.card.destination import Destination
from syncd.card.finishing import Finisher
from syncd.card.importing import Import, Pace
from syncd.card.inventory import Inventory
from syncd.card.judging import Candidate
from syncd.card.looking import Look
from syncd.card.manifest import Manifest
from syncd.card.naming import Template
from syncd.card.report import Finding, Report
from syncd.card.session import Life, clear_away, is_alive
from syncd.card.walk import Card
from syncd.cli.cardtext import report_json
from syncd.cli.output import message, moment, size
from syncd.cli.places import ledger_path
from syncd.cli.words import absolute
from syncd.daemon.lock import InstanceLock
from syncd.errors import LedgerError, LockedError, SyncdError, UsageError
from syncd.extract.extractor import Extractor, Limits
from syncd.ledger.guard import MarkFile
from syncd.ledger.imports import Imports, Kind, Known, Unless
from syncd.ledger.migrate import open_for_reading, open_for_single_moves, open_ledger
from syncd.ledger.store import Store
from syncd.model import Capture
from syncd.printable import path_json, path_text
from syncd.settings import Settings
from syncd.watch.filters import Filter
from syncd.watch.mounts import concerning, current
from syncd.watch.reach import split

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


def import_card(
    settings: Settings, store: Store, source: bytes, wish: Wish, pace: Pace, stop: threading.Event
) -> Outcome:
    """Import one card, and give what became of it. Raises SyncdError where it cannot begin."""
    ledger = ledger_path(settings)
    imports = Imports(store)
    with ExitStack() as stack:
        card = stack.enter_context(closing(Card(source, wish.label)))
        _refuse_nesting(card, (wish.to, *wish.also))
        clear_away(imports, ledger, time.time)
        life = stack.enter_context(Life(ledger))
        kinds = [Kind.COPY, *(Kind.SECOND for _ in wish.also)]
        destinations = [
            stack.enter_context(closing(Destination(path, kind, life.token)))
            for path, kind in zip((wish.to, *wish.also), kinds, strict=True)
        ]
        started_at = time.time()
        number = imports.begin(life.token, source, card.label, [one.path for one in destinations], started_at)
        head = {
            "source": path_json(source),
            "label": card.label,
            "started_at": moment(started_at),
        }
        manifests = [stack.enter_context(closing(Manifest(one, life.token, head, card.label))) for one in destinations]
        below = tuple(one.path.rstrip(b"/") + b"/" for one in destinations)
        report = Report(wants_uploads=wish.uploaded, each=_to_all(manifests), below=below)
        inventory = stack.enter_context(Inventory(card, imports.knows_size))
        whole = card.is_whole
        begins(pace, inventory, destinations)
        extractor = stack.enter_context(Extractor(Limits(settings.extract.time_limit, settings.extract.memory_limit)))
        finisher = Finisher(
            imports=imports,
            number=number,
            template=wish.template,
            label=card.label,
            dater=WorkerDates(extractor),
            unless=Unless.THIS_IMPORT if wish.again else Unless.ANY,
            now=time.time,
            started_at=started_at,
            verified=pace.verified,
            pool=stack.enter_context(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="read-back")),
        )
        work = Import(
            card=card,
            inventory=inventory,
            destinations=destinations,
            imports=imports,
            number=number,
            finisher=finisher,
            executor=stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="finish")),
            report=report,
            pace=pace,
            candidate=candidates(settings),
            again=wish.again,
            now=time.time,
            stop=stop.is_set,
        )
        report.stopped = _nothing_there(card, inventory) or _too_small(destinations, inventory.new_bytes)
        work.run()
        work.settle_twins(lambda: _others_live(imports, ledger, number), lambda: stop.wait(_TWIN_LOOK))
        paths = tuple(one.path for one in destinations)
        outcome = Outcome(source, card.label, whole, paths, report, in_memory=tuple(filter(_is_in_memory, paths)))
        written = _write_manifests(manifests, outcome, started_at)
        imports.end(number, time.time())
        return replace(outcome, manifests=written)


def look_at_card(
    settings: Settings, store: Store | None, source: bytes, pace: Pace, stop: threading.Event, asked: Asked
) -> Outcome:
    """Look at one card, and give where each of its files stands."""
    with closing(Card(source)) as card, Inventory(card) as inventory:
        begins(pace, inventory, ())
        report = Report(wants_uploads=asked.uploaded, stopped=_nothing_there(card, inventory))
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


def begins(pace: Pace, inventory: Inventory, destinations: Sequence[Destination]) -> None:
    """Tell the progress what there is to do, where it wants to know."""
    start = getattr(pace, "begins", None)
    if start is not None:
        start(inventory.files, inventory.bytes, destinations)


def destination_of(settings: Settings, to: str | None, *, upload: bool) -> bytes:
    """Give the folder that `--to` names, else the one that is configured. Raises UsageError that says what is wrong."""
    if to is None and settings.card.to is not None:
        to = str(settings.card.to)
    if to is None:
        if len(settings.folders) != 1:
            raise UsageError(
                "--to FOLDER is needed: the configuration has "
                + (f"{len(settings.folders)} folders" if settings.folders else "no folder"),
                hint="name the folder that the photos are to come into, here or as `to` under [card]",
            )
        return bytes(settings.folders[0].path)
    path = absolute(to)
    if not upload:
        return path
    place = _in_a_root(settings, path)
    if place is None:
        folders = ", ".join(path_text(bytes(folder.path)) for folder in settings.folders) or "none is configured"
        raise UsageError(
            f"{path_text(path)} lies in no watched folder, so that nothing in it would ever be uploaded",
            hint=f"name a folder in one of these: {folders}; or add --no-upload if that is what you want",
        )
    root, below = place
    reason = Filter(next(f.exclude for f in settings.folders if bytes(f.path) == root)).folder(below)
    if reason is not None:
        raise UsageError(
            f"{path_text(path)} is ignored ({reason}), so that nothing in it would ever be uploaded",
            hint="name another folder, change `exclude`, or add --no-upload if that is what you want",
        )
    return root.rstrip(b"/") + b"/" + below if below else root


def candidates(settings: Settings) -> Candidate:
    """Give the question whether a file at a path is one that syncd uploads, by folders and patterns."""
    filters = {bytes(folder.path): Filter(folder.exclude) for folder in settings.folders}

    def is_candidate(path: bytes) -> bool:
        place = split(path, list(filters))
        if place is None:
            return False
        judge = filters[place.root]
        return judge.folder(place.folder) is None and judge.file(place.folder, place.name) is None

    return is_candidate


def _in_a_root(settings: Settings, path: bytes) -> tuple[bytes, bytes] | None:
    """Give the innermost watched folder that a path is, or lies in, and what of the path is below it."""
    roots = [bytes(folder.path) for folder in settings.folders]
    for spelled in (path, os.path.realpath(path)):
        if spelled in roots:
            return spelled, b""
        place = split(spelled, roots)
        if place is not None:
            return place.root, place.relative
    return None


def _refuse_nesting(card: Card, destinations: Sequence[bytes]) -> None:
    real = [os.path.realpath(path) for path in destinations]
    for path in destinations:
        if card.holds(path):
            raise UsageError(
                f"the destination {path_text(path)} lies on the card {path_text(card.path)} itself",
                hint="a card is never written to, and a copy on it is none; name a folder elsewhere",
            )
    for first in range(len(real)):
        for second in range(len(real)):
            if first != second and (real[second] + b"/").startswith(real[first].rstrip(b"/") + b"/"):
                raise UsageError(
                    f"the destinations {path_text(destinations[first])} and {path_text(destinations[second])} are one",
                    hint="a second copy is worth its name on another disk: name a folder elsewhere with --also",
                )


def _is_in_memory(path: bytes) -> bool:
    holding = concerning(os.path.realpath(path), current())
    return bool(holding) and holding[0].kind in {"tmpfs", "ramfs"}


def _nothing_there(card: Card, inventory: Inventory) -> str:
    """Say that a folder is empty on which no card is mounted: that says nothing of the card."""
    if inventory.files or inventory.refused or card.is_whole:
        return ""
    return f"there is no file below {path_text(card.path)}, and nothing is mounted there; see whether the card is in"


def _too_small(destinations: Sequence[Destination], needed: int) -> str:
    """Say which destination has no room for what is certainly new; "" where there is enough."""
    wanted: dict[int, int] = {}
    for one in destinations:
        device = os.fstat(one.fd).st_dev
        wanted[device] = wanted.get(device, 0) + needed
        if wanted[device] > one.free():
            return (
                f"{path_text(one.path)} has {size(one.free())} free, {size(wanted[device])} are needed: "
                "nothing was copied. Make room there, or name another destination"
            )
    return ""


def _others_live(imports: Imports, ledger: Path, number: int) -> bool:
    return any(one.number != number and is_alive(ledger, one.token) for one in imports.unfinished())


def _write_manifests(manifests: Sequence[Manifest], outcome: Outcome, started_at: float) -> tuple[bytes, ...]:
    written: list[bytes] = []
    verdict = report_json(outcome)
    for manifest in manifests:
        try:
            written += manifest.write(verdict, started_at, time.time())
        except OSError as error:
            message(f"warning: the list of the copies could not be written: {error.strerror}; the copies are safe")
    return tuple(written)


def _to_all(manifests: Sequence[Manifest]) -> Callable[[Finding], None]:
    def note(finding: Finding) -> None:
        for manifest in manifests:
            manifest.note(finding)

    return note


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
