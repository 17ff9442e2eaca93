"""The composition root: builds everything from the settings, and joins it."""

from __future__ import annotations

import os
import random
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.apikey import ApiKey
from syncd.cli.atneed import ClientAtNeed
from syncd.cli.places import ledger_path
from syncd.cli.signals import Signals
from syncd.daemon.checksums import Checksums
from syncd.daemon.clock import SystemClock
from syncd.daemon.dispatch import Dispatch
from syncd.daemon.intake import Intake
from syncd.daemon.lock import InstanceLock
from syncd.daemon.metered import Metered
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.turnstile import LEAD, Turnstile, real_pause
from syncd.daemon.vigil import INTAKE, Vigil, WatchedSender
from syncd.daemon.voice import Voice
from syncd.daemon.windows import Windows
from syncd.extract.extractor import Extractor, Limits
from syncd.ledger.holds import Holds
from syncd.ledger.lookups import Lookups
from syncd.ledger.migrate import open_ledger
from syncd.ledger.queue import Queue
from syncd.ledger.sightings import Policy, Sightings
from syncd.ledger.territory import Territory
from syncd.ledger.wishes import Wishes
from syncd.model import Look, PlacePath
from syncd.rules import Rules
from syncd.settings import Clock as WhichClock
from syncd.settings import Copies, OnMetadataEdit, OnMetered, Settings
from syncd.upload.throttle import Throttle
from syncd.watch.filters import Filter
from syncd.watch.reach import Root
from syncd.watch.settle import Settling

if TYPE_CHECKING:
    from syncd.upload.client import Client
    from syncd.watch.hints import Hints
    from syncd.watch.observer import Watcher
    from syncd.watch.tripwire import Tripwire


class FreshRoots:
    """Opens each photo through its root as it is at this moment: a disk may have come or gone since the last one."""

    def open_photo(self, place: PlacePath) -> tuple[int, Look]:
        """Open a regular file below its root; the caller closes it."""
        with Root(place.root) as root:
            return root.open_photo(place)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A pipeline, and what of its parts others must reach."""

    pipeline: Pipeline
    client: ClientAtNeed
    metered: Metered


@contextmanager
def pipeline(settings: Settings, key: ApiKey | None, voice: Voice, signals: Signals) -> Iterator[Pipeline]:
    """Build everything over the ledger of these settings, as the holder of its instance lock; close it in reverse.

    Without a key nothing can be sent: for a dry run.
    """
    with InstanceLock(ledger_path(settings)) as lock, assembled(settings, key, voice, signals, lock) as joined:
        yield joined.pipeline


@contextmanager
def assembled(
    settings: Settings,
    key: ApiKey | None,
    voice: Voice,
    signals: Signals,
    lock: InstanceLock,
    vigil: Vigil | None = None,
) -> Iterator[Assembly]:
    """Do the same where the caller holds the instance lock. `vigil` hears of the progress of every thread."""
    os.umask(0o077)
    # A core would hold the key, and lie about wherever the system puts it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path = ledger_path(settings)
    clock = SystemClock()
    vigil = vigil or Vigil(clock.monotonic)
    api = settings.api
    # A name is looked up without any time limit of ours: a minute is for that.
    throttle = Throttle(settings.upload.bandwidth, clock.monotonic)
    watched = WatchedSender(vigil, api.connect_timeout + api.answer_timeout + 60.0, throttle.delay)
    with ExitStack() as stack:
        store = stack.enter_context(open_ledger(path, now=clock.now()))
        lock.cover()
        checksums = Checksums()
        limits = Limits(settings.extract.time_limit, settings.extract.memory_limit)
        extractor = stack.enter_context(Extractor(limits, noted=checksums.note))
        client = stack.enter_context(ClientAtNeed(lambda: _client(settings, key, watched.passing, checksums.of)))
        if api.proxy or api.ca_file:
            client.client()  # what cannot be used is said now, not with the first photo
        watched.sender = client.client
        executor = stack.enter_context(ThreadPoolExecutor(settings.upload.in_flight, thread_name_prefix="send"))
        # Whoever is in a hurry (a second Ctrl-C) does not wait for answers: the next start knows them as unanswered.
        stack.callback(client.abandon, complete=True)
        metered = Metered(voice, changed=signals.wake.set)
        if settings.upload.metered is OnMetered.WAIT:
            stack.enter_context(metered)
        windows = Windows(settings.upload, Wishes(store).person_pause, metered.is_metered)
        rules = Rules.compile(settings.folders, settings.rules)
        policy = Policy(
            per_namespace=settings.upload.copies is Copies.PER_NAMESPACE,
            keep_metadata_edits=settings.upload.on_metadata_edit is OnMetadataEdit.KEEP,
        )
        territory = Territory(store)
        filters = {bytes(folder.path): Filter(folder.exclude) for folder in settings.folders}
        queue = Queue(store)
        halt = threading.Event()
        intake = Intake(
            territory=territory,
            sightings=Sightings(store, territory, policy),
            holds=Holds(store),
            filters=filters,
            reader=extractor,
            rules=rules,
            settling=Settling(settings.watch.settle),
            max_file_bytes=settings.upload.max_file_bytes,
            clock=clock,
            voice=voice,
            stop=halt,
            recorded=signals.wake.set,
            progress=lambda within: vigil.progress(INTAKE, within + 3 * settings.extract.time_limit),
        )
        dispatch = Dispatch(
            queue=queue,
            lookups=Lookups(store),
            rules=rules,
            settings=settings.upload,
            as_utc=settings.extract.clock is WhichClock.UTC,
            sender=watched,
            opener=FreshRoots(),
            executor=executor,
            clock=clock,
            voice=voice,
            rng=random.Random(),  # noqa: S311  (jitter, no secret)
            look_again=intake.look_again,
            intake_busy=intake.is_busy,
            answered=signals.wake.set,
            shut=windows.shut,
            turnstile=Turnstile(clock.monotonic, real_pause, lead=LEAD),
        )
        joined = Pipeline(
            settings=settings,
            store=store,
            queue=queue,
            territory=territory,
            rules=rules,
            policy=policy,
            filters=filters,
            intake=intake,
            dispatch=dispatch,
            clock=clock,
            voice=voice,
        )
        joined.prepare(key.reveal() if key else None)
        yield Assembly(joined, client, metered)


def watching(settings: Settings) -> tuple[Hints, Watcher]:
    """Build the watcher of all folders, and the hints that it gives."""
    from syncd.watch.hints import Hints
    from syncd.watch.observer import WatchedRoot, Watcher

    hints = Hints()
    paths = frozenset(bytes(folder.path) for folder in settings.folders)
    roots = [
        WatchedRoot(
            path=bytes(folder.path),
            mode=folder.watch,
            filters=Filter(folder.exclude),
            nested=paths - {bytes(folder.path)},
        )
        for folder in settings.folders
    ]
    return hints, Watcher(roots, hints)


def alarm(settings: Settings, signals: Signals) -> Tripwire:
    """Build what wakes the way out when another command writes to the ledger: each change goes to its log first."""
    from syncd.watch.tripwire import Tripwire

    # Where the ledger is a link, SQLite keeps the log beside the file itself.
    ledger = ledger_path(settings).resolve()
    return Tripwire(ledger.with_name(f"{ledger.name}-wal"), signals.wake.set)


def _client(
    settings: Settings, key: ApiKey | None, passing: Callable[[int], float], checksum_of: Callable[[str], str | None]
) -> Client:
    from syncd.upload.client import Client, ClientSettings

    api = settings.api
    reached = ClientSettings(api.base_url, api.connect_timeout, api.answer_timeout, api.proxy, api.ca_file)
    return Client(reached, key.reveal if key else str, passing=passing, checksum_of=checksum_of)
