"""The result of a sync and the status, as lines for a person and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd.cli.output import amount, duration, local_moment, moment
from syncd.daemon.rest import Rest
from syncd.daemon.standing import Waiting
from syncd.daemon.windows import shut
from syncd.ledger.doubt import Doubt
from syncd.ledger.reports import Status
from syncd.ledger.sightings import Recorded
from syncd.ledger.watchbook import WatchRecord
from syncd.ledger.wishes import PersonPause
from syncd.lifecycle import State
from syncd.printable import path_json, path_text, printable
from syncd.upload.pace import Gate

if TYPE_CHECKING:
    from syncd.daemon.once import Result

_MEANING = {
    State.READY: "owed, waiting to be sent",
    State.SENDING: "being sent",
    State.UPLOADED: "stored at the service under an image id",
    State.UNANSWERED: "may have been stored; looked up, never sent again by itself",
    State.REFUSED: "refused by the service; `syncd retry` tries again",
    State.UNFIT: "cannot be sent as they are; `syncd list --state unfit` says why",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What is true around the counts: why nothing leaves, whether a person paused it, and who holds the lock."""

    waiting: Waiting | None = None
    person_pause: PersonPause | None = None
    holder: str | None = None

    @property
    def paused_by_a_person(self) -> str | None:
        """Say so, where it is so."""
        found = shut((), self.person_pause, time.time(), metered=False)
        return found.detail if found is not None else None


def status_json(status: Status, around: Around | None = None) -> dict[str, Any]:
    """Give the status with the fields that programs rely on."""
    gate = Gate.from_json(status.gate)
    around = around or Around()
    waiting = around.waiting
    return {
        "entries": {state.value: count for state, count in status.entries.items()},
        "withdrawn": status.withdrawn,
        "held": status.held,
        "unsettled": status.unsettled,
        "places": status.places,
        "photos": status.photos,
        "ignored": status.ignored,
        "absent": [path_json(root.root) for root in status.absent],
        "held_folders": [path_json(folder.root) for folder in status.held_folders],
        "unreadable_folders": [path for path, _ in status.unseen],
        "paused": gate.pause.reason if gate.pause else around.paused_by_a_person,
        "waiting": None
        if waiting is None
        else {"reason": str(waiting.reason), "detail": waiting.detail, "until": moment(waiting.until)},
        "held_by": around.holder,
        "watching": [_watched_json(record, around.holder) for record in status.watching],
        "found_only_by_rescan": sum(record.missed for record in status.watching),
        "requests": status.requests,
        "in_doubt_since": moment(status.doubt.since) if status.doubt else None,
        "next_lookup": moment(status.lookup_at),
        "last_scan": moment(status.last_scan_at),
    }


def status_lines(status: Status, around: Around | None = None) -> Iterator[str]:
    """Give the status for a person."""
    ignored = sum(status.ignored.values())
    total = status.places + ignored + status.unsettled
    yield (
        f"{amount(total, 'file')} on disk = {amount(status.places, 'place')} of {amount(status.photos, 'photo')}"
        f" + {ignored:,} ignored + {status.unsettled:,} unsettled"
    )
    for state, count in status.entries.items():
        if count or state is State.UPLOADED:
            yield f"  {count:>9,} {state.value:<10} {_MEANING[state]}"
    if status.withdrawn:
        yield f"  {status.withdrawn:>9,} withdrawn  no place any more that is to be uploaded; back with their place"
    if status.held:
        yield f"  {status.held:>9,} held       owed, but their folders are held"
    if ignored:
        reasons = ", ".join(f"{count:,} {printable(reason)}" for reason, count in sorted(status.ignored.items()))
        yield f"ignored: {reasons}"
    for path, why in status.unseen:
        yield f"could not be looked into: {printable(path)} ({why}); what is new there is neither counted nor uploaded"
    for root in status.absent:
        yield f"absent since {local_moment(root.since)}: {path_text(root.root)} ({root.reason}); nothing in it is gone"
    for folder in status.held_folders:
        yield f"held since {local_moment(folder.since)}: {path_text(folder.root)} ({printable(folder.reason)})"
        yield "  look at them; `syncd release` with its path goes on, and each is then uploaded and billed"
    yield from _watching(status, around or Around())
    if status.doubt is not None:
        yield from _doubt(status.doubt)
    yield from _standing(status, around or Around())


def _watched_json(record: WatchRecord, holder: str | None) -> dict[str, Any]:
    return {
        "root": path_json(record.root),
        "how": record.how if holder else None,
        "trouble": record.trouble if holder else None,
        "last_trouble": record.last_trouble,
        "last_trouble_at": moment(record.last_trouble_at),
        "found_only_by_rescan": record.missed,
    }


def _watching(status: Status, around: Around) -> Iterator[str]:
    """Say how each root is watched while a daemon runs; what went wrong, and what events missed, at any time."""
    for record in status.watching:
        how = f"watched ({record.how})" if around.holder and record.how else "not watched at the moment"
        line = f"{how}: {path_text(record.root)}"
        if record.trouble and around.holder:
            line += f": {record.trouble}"
        elif record.last_trouble and record.last_trouble_at:
            line += f"; last trouble {local_moment(record.last_trouble_at)}: {record.last_trouble}"
        if record.how or record.last_trouble:
            yield line
    missed = sum(record.missed for record in status.watching)
    if missed or any(record.how for record in status.watching):
        yield f"found only by the rescan: {amount(missed, 'file')}"


def _doubt(doubt: Doubt) -> Iterator[str]:
    missing = "requests" if doubt.made is None else amount(doubt.made - doubt.known, "request")
    yield f"the ledger was put back on {local_moment(doubt.since)} and does not know of {missing} made before that"
    yield "  photos that may be among them are unanswered, and not sent; `syncd ledger adopt` with an export that knows"
    yield "  them settles it, and so does `syncd ledger believe --resend` (at the risk of second copies) or `--keep`"


def _standing(status: Status, around: Around) -> Iterator[str]:
    gate = Gate.from_json(status.gate)
    now = time.time()
    waiting = around.waiting
    if around.paused_by_a_person is not None:
        yield around.paused_by_a_person
    elif waiting is not None and waiting.reason is not Rest.PAUSED:
        yield waiting.detail
    if gate.pause:
        yield f"paused since {local_moment(gate.pause.since)}: {printable(gate.pause.reason)}"
        if gate.pause.probe_at is not None:
            probe = duration(max(0.0, gate.pause.probe_at - now))
            yield f"  one photo tries again in {probe}, or at the next `syncd sync`"
    elif gate.unanswered:
        last = "request" if gate.unanswered == 1 else f"{gate.unanswered:,} requests"
        yield f"the last {last} got no answer; single photos try until one does"
    if status.lookup_at is not None:
        yield f"next look-up of unanswered photos: {local_moment(status.lookup_at)}"
    if status.last_scan_at is not None:
        yield f"last scan {local_moment(status.last_scan_at)}, {amount(status.requests, 'request')} so far"
    if around.holder is not None:
        yield f"at work: {around.holder}"


def result_json(result: Result, status: Status, around: Around | None = None) -> dict[str, Any]:
    """Give what a sync came to, with the status after it."""
    return {
        "uploaded": result.outcomes[State.UPLOADED],
        "refused": result.outcomes[State.REFUSED],
        "unanswered": result.outcomes[State.UNANSWERED],
        "unfit": result.recorded[Recorded.UNFIT],
        "unreadable": result.unreadable,
        "held": result.held,
        "exit_code": result.exit_code,
        "status": status_json(status, around),
    }


def result_lines(result: Result, status: Status, around: Around | None = None) -> Iterator[str]:
    """Give what a sync came to, for a person: what was done, what was not, and what to do."""
    uploaded = result.outcomes[State.UPLOADED]
    known = result.recorded[Recorded.KNOWN] + result.recorded[Recorded.EDIT]
    yield f"{amount(uploaded, 'photo')} uploaded" + (f", {known:,} known already" if known else "")
    for count, what in (
        (result.outcomes[State.REFUSED], "refused by the service: `syncd list --state refused` names them"),
        (result.outcomes[State.UNANSWERED], "unanswered: they may be stored, and are looked up, not sent again"),
        (result.recorded[Recorded.UNFIT], "unfit: `syncd list --state unfit` names them"),
        (result.unreadable, "could not be read: see above"),
        (result.unsettled, "still being written: the next sync takes them"),
        (result.held, "of the folders are held: see below"),
    ):
        if count:
            yield f"  {count:,} {what}"
    if result.paused is not None:
        yield f"  paused: {printable(result.paused)}"
    elif result.waiting:
        yield f"  {result.waiting}; the rest goes on with the daemon or the next sync after that"
    elif result.rest is Rest.BUDGET:
        yield "  the budget of the day (daily_uploads) is spent; the rest goes on tomorrow"
    elif result.owed_later:
        yield f"  {status.entries[State.READY]:,} still owed: the next sync goes on"
    if result.interrupted:
        yield "  interrupted: the next sync goes on where this one was"
    yield from status_lines(status, around)
