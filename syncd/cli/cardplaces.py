"""Where an import may copy to, and what is uploaded of it: what the configuration and the disks say of folders."""

from __future__ import annotations

import os
from collections.abc import Sequence

from syncd.card.destination import Destination
from syncd.card.inventory import Inventory
from syncd.card.judging import Candidate
from syncd.card.walk import Card
from syncd.cli.output import size
from syncd.cli.words import absolute
from syncd.errors import UsageError
from syncd.printable import path_text
from syncd.settings import Settings
from syncd.watch.filters import Filter
from syncd.watch.mounts import concerning, current
from syncd.watch.reach import split


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


def refuse_nesting(card: Card, destinations: Sequence[bytes]) -> None:
    """Raise UsageError where a destination lies on the card itself, or in another destination."""
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


def is_in_memory(path: bytes) -> bool:
    """Tell whether what lies at a path is gone when the machine goes off."""
    holding = concerning(os.path.realpath(path), current())
    return bool(holding) and holding[0].kind in {"tmpfs", "ramfs"}


def nothing_there(card: Card, inventory: Inventory) -> str:
    """Say that a folder is empty on which no card is mounted: that says nothing of the card."""
    if inventory.files or inventory.refused or card.is_whole:
        return ""
    return f"there is no file below {path_text(card.path)}, and nothing is mounted there; see whether the card is in"


def too_small(destinations: Sequence[Destination], needed: int) -> str:
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
