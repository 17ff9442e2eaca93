"""What would be sent of a file, found out without sending it: for files in the watched folders and for any other."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from syncd.cli.output import size
from syncd.cli.words import absolute
from syncd.errors import SyncdError
from syncd.extract.extractor import Extractor, Limits
from syncd.ledger.sightings import too_large
from syncd.model import Labels, Photo, PlacePath
from syncd.printable import path_json, path_text, printable
from syncd.rules import Rules
from syncd.settings import Settings
from syncd.watch.filters import Filter
from syncd.watch.reach import split

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def inspect_all(settings: Settings, files: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Give for each file, in the order given, what would be sent of it. One bad file stops nothing."""
    rules = Rules.compile(settings.folders, settings.rules)
    with Extractor(Limits(settings.extract.time_limit, settings.extract.memory_limit)) as extractor:
        for file in files:
            path = absolute(file)
            try:
                photo: Photo | str = _read(path, extractor)
            except (OSError, SyncdError) as error:
                photo = error.message if isinstance(error, SyncdError) else (error.strerror or str(error))
            yield _described(path, photo, settings, rules)


def lines(one: dict[str, Any]) -> Iterator[str]:
    """Write an inspected file for a person."""
    yield path_text(os.fsencode(one["path"]))
    if one["sha256"] is None:
        yield f"  not readable  {printable(one['reason'])}"
        return
    yield f"  sha256        {one['sha256']}"
    yield f"  type, size    {one['type'] or 'unknown'}, {size(one['size'])}"
    for name, label in (("taken_at", "taken at"), ("camera_model", "camera"), ("latitude", "position")):
        value = one[name] if name != "latitude" or one[name] is None else f"{one['latitude']}, {one['longitude']}"
        source = one["sources"].get("position" if name == "latitude" else name)
        yield f"  {label:<13} {'-' if value is None else printable(str(value))}{f'  ({source})' if source else ''}"
    for dropped in one["dropped"]:
        yield f"  not believed  {printable(dropped)}"
    yield f"  namespace     {printable(one['namespace']) if one['namespace'] is not None else '-'}"
    yield f"  tags          {', '.join(printable(t) for t in one['tags']) or '-'}"
    reason = f": {printable(one['reason'])}" if one["reason"] else ""
    yield f"  fit           {'yes' if one['fit'] else 'no'}{reason}"


def _read(path: bytes, extractor: Extractor) -> Photo | str:
    mode = os.stat(path).st_mode  # noqa: PTH116  (bytes)
    if not stat.S_ISREG(mode):
        return "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    fd = os.open(path, _OPEN)
    try:
        return extractor.extract(fd)
    finally:
        os.close(fd)


def _described(path: bytes, photo: Photo | str, settings: Settings, rules: Rules) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "path": path_json(path),
        "sha256": None,
        "picture_digest": None,
        "type": None,
        "size": None,
        "taken_at": None,
        "offset_minutes": None,
        "camera_model": None,
        "latitude": None,
        "longitude": None,
        "sources": {},
        "dropped": [],
        "namespace": None,
        "tags": [],
        "fit": False,
        "reason": photo if isinstance(photo, str) else None,
    }
    if isinstance(photo, str):
        return empty
    capture = photo.capture
    sources = {
        "taken_at": capture.taken_from,
        "offset_minutes": capture.offset_from,
        "camera_model": capture.model_from,
        "position": capture.position_from,
    }
    place = split(path, [bytes(folder.path) for folder in settings.folders])
    labels = rules.labels(place, capture) if place is not None else None
    unfit = photo.unfit
    if unfit is None and photo.size > settings.upload.max_file_bytes:
        unfit = too_large(photo.size, settings.upload.max_file_bytes)
    return empty | {
        "sha256": photo.digest,
        "picture_digest": photo.picture_digest,
        "type": photo.type.mime if photo.type else None,
        "size": photo.size,
        "taken_at": capture.taken_at.strftime("%Y-%m-%d %H:%M:%S") if capture.taken_at else None,
        "offset_minutes": capture.offset_minutes,
        "camera_model": capture.camera_model,
        "latitude": capture.position.latitude if capture.position else None,
        "longitude": capture.position.longitude if capture.position else None,
        "sources": {name: source for name, source in sources.items() if source is not None},
        "dropped": [f"{d.tag or d.field}: {d.reason}" for d in capture.dropped],
        "namespace": labels.namespace if labels and labels.namespace else None,
        "tags": list(labels.tags) if labels else [],
        "fit": unfit is None,
        "reason": str(unfit) if unfit else _why_it_stays(place, labels, settings),
    }


def _why_it_stays(place: PlacePath | None, labels: Labels | None, settings: Settings) -> str | None:
    """Say why a fit file of a watched folder would not be sent: a rule skips it, or the scan passes it over."""
    if place is None or labels is None or labels.skipped is not None:
        return labels.skipped if labels else None
    if os.path.islink(place.path):  # noqa: PTH114 - bytes
        return "it is a symbolic link; syncd follows none below a watched folder"
    folder = next(folder for folder in settings.folders if bytes(folder.path) == place.root)
    return Filter(folder.exclude).why(place.folder, place.name)
