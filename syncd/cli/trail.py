"""`why PATH`: everything that is known of one file, in the order in which it was decided."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from syncd.cli.output import duration, local_moment, moment
from syncd.ledger import reports
from syncd.ledger.holds import Holds
from syncd.ledger.store import Store
from syncd.model import Capture, PlacePath
from syncd.printable import path_json, path_text, printable
from syncd.settings import Settings
from syncd.watch.filters import Filter
from syncd.watch.reach import split

_OFF: Final = ("off_seconds", "off_metres")


@dataclass(frozen=True, slots=True)
class Explanation:
    """The trail of a file, for people and for programs."""

    lines: list[str]
    json: dict[str, Any]


def explain(settings: Settings, store: Store, path: bytes) -> Explanation:
    """Tell all that is known of the file at an absolute path, also where that is nothing."""
    place = split(path, [bytes(folder.path) for folder in settings.folders])
    if place is None:
        state, reason = "not watched", "it lies in none of the configured folders"
        if any(bytes(folder.path) == path for folder in settings.folders):
            state, reason = "folder", "it is a watched folder; `syncd why` tells of a file in it"
        return Explanation([path_text(path), f"  {state}: {reason}"], _json(path, state, reason))
    found = reports.at_place(store, place)
    trails = reports.trail(store, place)
    if found:
        shown = found[0]
        lines = [path_text(path), f"  {shown.state}{': ' if shown.reason else ''}{printable(shown.reason or '')}"]
        lines += _photo_lines(store, place, shown)
        answer = _json(path, shown.state, shown.reason) | {"image_id": shown.image_id, "sha256": shown.digest}
    else:
        state, reason = _why_unknown(settings, store, place)
        lines = [path_text(path), f"  {state}: {printable(reason)}"]
        answer = _json(path, state, reason)
    for trail in trails:
        lines += _trail_lines(trail)
    answer["entries"] = [_trail_json(trail) for trail in trails]
    return Explanation(lines, answer)


_NOT_SEEN_YET: Final = ("unknown", "it was not seen yet: the next scan finds it")
_FOLLOWS_NONE: Final = "syncd follows none below a watched folder"
_BY_KIND: Final[dict[int, tuple[str, str] | None]] = {
    stat.S_IFREG: None,
    stat.S_IFDIR: ("folder", "it is a folder; `syncd why` tells of a file"),
    stat.S_IFLNK: ("ignored", f"it is a symbolic link; {_FOLLOWS_NONE}"),
}


def _why_unknown(settings: Settings, store: Store, place: PlacePath) -> tuple[str, str]:
    lying = _lying_there(place)
    if lying is not None:
        return lying
    folder = next(folder for folder in settings.folders if bytes(folder.path) == place.root)
    ignored = Filter(folder.exclude).why(place.folder, place.name)
    if ignored is not None:
        return "ignored", ignored
    for aside, reason, detail in reports.set_aside(store):
        if aside == place:
            return reason, detail
    held = next((held for held in Holds(store).held() if held.root == place.root), None)
    return _NOT_SEEN_YET if held is None else (reports.HELD, f"its folder is held: {held.reason}")


def _lying_there(place: PlacePath) -> tuple[str, str] | None:
    """Say why what lies at a place is nothing that a scan takes; None: it is a file that it may take."""
    try:
        mode = os.lstat(place.path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "unknown", "there is no such file, and none was seen there"
    except OSError as error:
        return "unknown", f"it cannot be looked at: {error.strerror}; syncd needs the right to enter its folder"
    link = _link_above(place)
    if link is not None:
        return "ignored", f"it lies behind the symbolic link {path_text(link)}; {_FOLLOWS_NONE}"
    return _BY_KIND.get(stat.S_IFMT(mode), ("ignored", "it is not a regular file"))


def _link_above(place: PlacePath) -> bytes | None:
    """Find the first folder between the root and the file that is a symbolic link."""
    above = place.root
    for name in place.folder.split(b"/"):
        above = os.path.join(above, name)  # noqa: PTH118 - bytes
        if name and os.path.islink(above):  # noqa: PTH114 - bytes
            return above
    return None


def _photo_lines(store: Store, place: PlacePath, shown: reports.Listed) -> Iterator[str]:
    yield f"  sha256        {shown.digest}"
    if shown.image_id is not None:
        yield f"  image id      {shown.image_id} in namespace {printable(shown.namespace)}"
    yield from _capture_lines(shown.capture)
    for other in reports.other_places(store, shown.digest):
        if other != place:
            yield f"  also at       {path_text(other.path)}"


def _capture_lines(capture: Capture) -> Iterator[str]:
    if capture.taken_at is not None:
        offset = "" if capture.offset_minutes is None else f", offset {_offset(capture.offset_minutes)}"
        yield f"  taken at      {capture.taken_at:%Y-%m-%d %H:%M:%S}{offset}  ({capture.taken_from})"
    if capture.camera_model is not None:
        yield f"  camera        {printable(capture.camera_model)}  ({capture.model_from})"
    if capture.position is not None:
        yield f"  position      {capture.position.latitude}, {capture.position.longitude}  ({capture.position_from})"
    for dropped in capture.dropped:
        yield f"  not believed  {printable(dropped.tag or dropped.field)}: {printable(dropped.reason)}"


def _trail_lines(trail: reports.Trail) -> Iterator[str]:
    yield f"  entry {trail.entry_id}"
    for move in trail.moves:
        before = f"{move.before} -> " if move.before else ""
        yield f"    {local_moment(move.at)}  {before}{move.after}: {printable(move.reason)}"
    for one in trail.requests:
        outcome = one.outcome or "under way"
        told = f": {printable(one.message)}" if one.message else ""
        request = f"request {one.request_id} as {one.wire_name}, {one.marker}"
        yield f"    {local_moment(one.sent_at)}  {request}: {outcome}{told}"
        if one.lookup_at is not None:
            yield f"      looked up {one.lookups} times, next {local_moment(one.lookup_at)}"
    if trail.sent_metadata is not None:
        fields = trail.sent_metadata.items()
        sent = ", ".join(f"{name}={printable(str(value))}" for name, value in fields if name not in _OFF)
        yield f"    sent with     {sent}"
        yield from _off_lines(trail.sent_metadata)


def _off_lines(sent: dict[str, Any]) -> Iterator[str]:
    """Say by how much what was sent with a tolerance differs from what the photo says."""
    seconds, metres = (float(sent.get(name, 0.0)) for name in _OFF)
    if seconds:
        way = "later" if seconds > 0 else "earlier"
        yield f"    the time that was sent is {duration(abs(seconds))} {way} than its own (time_tolerance)"
    if metres:
        yield f"    the position that was sent is {metres:.0f} m from its own (place_tolerance)"


def _trail_json(trail: reports.Trail) -> dict[str, Any]:
    return {
        "entry": trail.entry_id,
        "history": [{"at": moment(m.at), "from": m.before, "to": m.after, "reason": m.reason} for m in trail.moves],
        "requests": [
            {
                "request": r.request_id,
                "sent_at": moment(r.sent_at),
                "outcome": r.outcome,
                "code": r.code,
                "message": r.message,
                "wire_name": r.wire_name,
                "marker": r.marker,
                "lookups": r.lookups,
                "next_lookup": moment(r.lookup_at),
            }
            for r in trail.requests
        ],
        "sent": trail.sent_metadata,
    }


def _json(path: bytes, state: str, reason: str | None) -> dict[str, Any]:
    return {"path": path_json(path), "state": state, "reason": reason, "image_id": None, "sha256": None, "entries": []}


def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
