"""`check`: everything that could keep syncd from its work, found out without sending anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from syncd import config
from syncd.apikey import read_key
from syncd.card.naming import Template
from syncd.cli.cardplaces import destination_of
from syncd.cli.output import amount, size
from syncd.cli.places import ledger_path
from syncd.daemon.lock import holder_of
from syncd.errors import ConfigError, SyncdError
from syncd.ledger import guard, migrate, reports
from syncd.printable import path_text
from syncd.settings import CardSettings, FolderSettings, Settings
from syncd.watch.filters import Filter
from syncd.watch.health import watch_limit
from syncd.watch.mounts import concerning, current
from syncd.watch.observer import why_polled
from syncd.watch.reach import Root
from syncd.watch.scan import walk

LOW_DISK: Final = 100_000_000
"""Bytes: less free space than this beside the ledger is worth a word."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    text: str
    hint: str = ""


def findings(chosen: Path | None) -> list[Finding]:
    """Look at everything; what cannot be looked at because of something before it is left out."""
    try:
        path = config.find_config(chosen, os.environ)
        settings = config.load(path, os.environ)
    except ConfigError as error:
        problems = error.problems or (error.message,)
        return [Finding(Level.PROBLEM, "configuration", problem, error.hint) for problem in problems]
    found = [Finding(Level.OK, "configuration", str(path))]
    found += [Finding(Level.WARNING, "configuration", warning) for warning in settings.warnings]
    found += _key(settings)
    found += _folders(settings)
    found += _cards(settings)
    found += _ledger(settings)
    return found


def _key(settings: Settings) -> Iterator[Finding]:
    try:
        key = read_key(settings, os.environ)
    except ConfigError as error:
        yield Finding(Level.PROBLEM, "key", error.message, error.hint)
        return
    yield Finding(Level.OK, "key", str(key))
    for warning in key.warnings:
        yield Finding(Level.WARNING, "key", warning)


def _folders(settings: Settings) -> Iterator[Finding]:
    if not settings.folders:
        yield Finding(Level.PROBLEM, "folders", "none is configured", "add a [[folder]] with its path")
    watches = 0
    for folder in settings.folders:
        try:
            with Root(bytes(folder.path)) as root:
                folders, candidates, other = _count(root, folder, settings)
        except (FileNotFoundError, SyncdError) as error:
            text = error.message if isinstance(error, SyncdError) else f"{folder.path} is not there"
            yield Finding(Level.WARNING, "folder", text, "mount its disk or make it; until then it counts as absent")
            continue
        polled = why_polled(folder.watch, concerning(os.path.realpath(bytes(folder.path)), current()))
        watches += 0 if polled else folders
        how = f"polled ({polled})" if polled else "watched by events"
        text = f"{folder.path}: {amount(candidates, 'candidate')}, {other:,} ignored, {how}"
        yield Finding(Level.OK, "folder", text)
    limit = watch_limit()
    if limit is not None and watches > limit * 0.8:
        yield Finding(
            Level.WARNING,
            "watch limit",
            f"{amount(watches, 'folder')} to watch, fs.inotify.max_user_watches is {limit:,}",
            "raise it with sysctl; folders beyond it are polled instead",
        )


def _cards(settings: Settings) -> Iterator[Finding]:
    if settings.card == CardSettings():
        return
    try:
        Template.parse(settings.card.template)
        where = destination_of(settings, None, upload=True)
    except SyncdError as error:
        yield Finding(Level.PROBLEM, "cards", error.message, error.hint)
        return
    yield Finding(Level.OK, "cards", f"copied to {path_text(where)}/{settings.card.template}")


def _count(root: Root, folder: FolderSettings, settings: Settings) -> tuple[int, int, int]:
    others = frozenset(bytes(other.path) for other in settings.folders if other is not folder)
    folders = candidates = ignored = 0
    for listing in walk(root, Filter(folder.exclude), nested=others):
        folders += 1
        candidates += len(listing.files)
        ignored += sum(listing.ignored.values())
    return folders, candidates, ignored


def _ledger(settings: Settings) -> Iterator[Finding]:
    path = ledger_path(settings)
    place = _nearest(path.parent)
    if not os.access(place, os.W_OK):
        yield Finding(Level.PROBLEM, "ledger", f"{place} is not writable for this user", "choose another [ledger] url")
    free = shutil.disk_usage(place).free
    level = Level.WARNING if free < LOW_DISK else Level.OK
    yield Finding(level, "disk", f"{size(free)} free for the ledger in {place}")
    holder = holder_of(path)
    if holder is not None:
        yield Finding(Level.OK, "running", holder)
    try:
        guard.refuse_network_file_system(place)
        if not path.exists() and guard.MarkFile(path).read() is None:
            yield Finding(Level.OK, "ledger", f"{path} will be made by the first sync")
            return
        with migrate.open_for_reading(path) as store:
            counts = reports.status(store)
        yield Finding(Level.OK, "ledger", f"{path}: {amount(counts.photos, 'photo')}, {amount(counts.places, 'place')}")
        damage = guard.integrity(path, thorough=False)
    except SyncdError as error:
        yield Finding(Level.PROBLEM, "ledger", error.message, error.hint)
        return
    if damage:
        yield Finding(
            Level.PROBLEM, "ledger", "; ".join(damage[:3]), "`syncd ledger restore` puts a backup in its place"
        )


def _nearest(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
