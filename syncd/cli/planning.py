"""`plan`: how many requests what is owed takes, and when it is done; from the ledger, without sending anything."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from syncd.cli.output import moment
from syncd.daemon.clock import local_midnight
from syncd.daemon.rest import Rest
from syncd.daemon.windows import shut, spells
from syncd.figures import amount, size
from syncd.ledger import outlook
from syncd.ledger.outlook import Outlook
from syncd.ledger.store import Store, fact
from syncd.ledger.wishes import Wishes
from syncd.printable import printable
from syncd.rules import Rules, union
from syncd.settings import Clock, Hours, Settings
from syncd.toml import duration_text
from syncd.upload.batches import wish
from syncd.upload.forecast import Rate, RequestCount, Sent, Waiting, observed_interval
from syncd.upload.forecast import done_at as done
from syncd.upload.pace import Gate
from syncd.upload.packing import Limits, Tolerance

SUGGESTED: Final[tuple[Tolerance, ...]] = (Tolerance(60.0, 0.0), Tolerance(60.0, 100.0))
"""What is shown beside the plan, to tell what a tolerance would save."""
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (a camera's wall clock has no zone)
_WEEK: Final = 6 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Course:
    """How fast things go: what limits the way out, and whether that was observed or only configured."""

    rate: Rate | None
    """None: no limit is configured, and too little was sent to know."""
    observed: bool
    paused: str | None
    now: float
    waiting: str = ""
    """What a person or the hours say, where nothing leaves at the moment."""
    not_before: float = 0.0
    """When the gate lets the next request leave, where it makes it wait: the service said so, or does not answer."""
    hours: Sequence[Hours] = ()
    """When uploads may leave; none: at any time."""
    bandwidth: int | None = None
    """Bytes a second, at most."""
    held: bool = False
    """A person has paused the uploads."""

    def done_at(self, photos: int, requests: int, total: int) -> float | None:
        """Tell when it is done; None where nobody can know. `total`: bytes."""
        if self.rate is None or self.paused is not None or self.held:
            return None
        slowest = total / self.bandwidth / requests if self.bandwidth and requests else 0.0
        rate = replace(self.rate, interval=max(self.rate.interval, slowest))
        begin = max(self.now, self.not_before)
        at = done(photos, requests, rate, begin, spells(self.hours, begin))
        return at if math.isfinite(at) else None


@dataclass(frozen=True, slots=True)
class Variant:
    """The same photos with certain tolerances."""

    tolerance: Tolerance
    requests: int
    done_at: float | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What is owed, by the settings, and with other tolerances."""

    photos: int
    bytes: int
    now: Variant
    others: tuple[Variant, ...]
    course: Course


def course(settings: Settings, store: Store, now: float) -> Course:
    """Find out how fast requests may leave, and how fast they left."""
    with store.read() as connection:
        gate = Gate.from_json(fact(connection, "gate"))
    allowed = max(settings.upload.pace or 0.0, gate.interval or 0.0)
    seen = observed_interval([Sent(*each) for each in outlook.sent_lately(store)])
    interval = max(allowed, seen or 0.0)
    budget = settings.upload.daily_uploads
    left = max(0, budget - outlook.sent_since(store, local_midnight(now))) if budget else 0
    known = interval or budget or settings.upload.bandwidth
    rate = Rate(interval, budget, left) if known else None
    closed = shut(settings.upload.hours, Wishes(store).person_pause(), now, metered=False)
    return Course(
        rate,
        seen is not None and seen > 1.05 * allowed,
        gate.pause.reason if gate.pause is not None else None,
        now,
        closed.detail if closed is not None else "",
        gate.not_before,
        settings.upload.hours,
        settings.upload.bandwidth,
        closed is not None and closed.rest is Rest.BY_A_PERSON,
    )


def done_at(settings: Settings, store: Store) -> float | None:
    """Tell when all that is owed will be sent; None where nothing is, or nobody can know."""
    counted = outlook.estimate(store, settings.upload.batch_files)
    if not counted.photos:
        return None
    return course(settings, store, time.time()).done_at(counted.photos, counted.requests, counted.bytes)


def forecast(settings: Settings, store: Store) -> tuple[str | None, dict[str, Any]]:
    """Give what `status` says of it: a line (None: nothing is owed), and for programs; from a count of groups alone."""
    counted = outlook.estimate(store, settings.upload.batch_files)
    how_fast = course(settings, store, time.time())
    line = forecast_line(counted.photos, counted.requests, counted.bytes, how_fast, about=True)
    at = how_fast.done_at(counted.photos, counted.requests, counted.bytes)
    fields = {
        "photos": counted.photos,
        "bytes": counted.bytes,
        "requests": counted.requests,
        "done_at": moment(at) if counted.photos else None,
    }
    return line if counted.photos else None, fields


def planned(settings: Settings, store: Store, *, tolerances: Sequence[Tolerance] = SUGGESTED) -> Planned:
    """Plan everything that is owed, as the dispatch would if nothing came between."""
    how_fast = course(settings, store, time.time())
    with store.read() as connection:
        cap = Gate.from_json(fact(connection, "gate")).batch_cap or settings.upload.batch_files
    limits = Limits(max(1, min(settings.upload.batch_files, cap)), settings.upload.batch_bytes)
    own = Tolerance(settings.upload.time_tolerance, settings.upload.place_tolerance)
    counts = {each: RequestCount(limits, each) for each in (own, *tolerances)}
    photos = total = 0
    for waiting in _waiting(settings, store):
        photos += 1
        total += waiting.size
        for count in counts.values():
            count.add(waiting)
    totals = {each: count.total() for each, count in counts.items()}
    variants = {each: Variant(each, many, how_fast.done_at(photos, many, total)) for each, many in totals.items()}
    now = variants.pop(own)
    return Planned(photos, total, now, tuple(_that_save(now, variants.values())), how_fast)


def plan_json(plan: Planned) -> dict[str, Any]:
    """Give the plan with the fields that programs rely on."""
    rate = plan.course.rate
    return {
        "photos": plan.photos,
        "bytes": plan.bytes,
        "requests": plan.now.requests,
        "done_at": moment(plan.now.done_at),
        "seconds_per_request": rate.interval if rate else None,
        "observed": plan.course.observed,
        "paused": plan.course.paused,
        "with_tolerances": [
            {
                "time_tolerance_seconds": other.tolerance.seconds,
                "place_tolerance_metres": other.tolerance.metres,
                "requests": other.requests,
                "done_at": moment(other.done_at),
            }
            for other in plan.others
        ],
    }


def plan_lines(plan: Planned) -> Iterator[str]:
    """Give the plan for a person."""
    if not plan.photos:
        yield "nothing is owed"
        return
    yield forecast_line(plan.photos, plan.now.requests, plan.bytes, plan.course)
    for other in plan.others:
        done = when(other.done_at, plan.course.now)
        yield f"  with {_words(other.tolerance)}: {amount(other.requests, 'request')}{done and f', {done}'}"


def forecast_line(photos: int, requests: int, total: int, how_fast: Course, *, about: bool = False) -> str:
    """Say in a line what is owed and when it is done."""
    many = f"{'about ' if about else ''}{amount(requests, 'request')}"
    owed = f"{amount(photos, 'photo')}, {many}, {size(total)}"
    if how_fast.paused is not None:
        return f"{owed}: paused, {printable(how_fast.paused)}"
    done = how_fast.done_at(photos, requests, total)
    if how_fast.waiting:
        return f"{owed}: {how_fast.waiting}{f'; done {when(done, how_fast.now)}' if done is not None else ''}"
    if done is None or how_fast.rate is None:
        return f"{owed}: no pace is set, and too little was sent yet to tell when that is done"
    budget = f", {how_fast.rate.budget:,} photos a day" if how_fast.rate.budget else ""
    ceiling = f", {size(how_fast.bandwidth)}/s at most" if how_fast.bandwidth else ""
    hours = ", in the hours for uploads" if how_fast.hours else ""
    observed = " as observed" if how_fast.observed else ""
    how = f"{pace_words(how_fast.rate.interval)}{observed}{budget}{ceiling}{hours}"
    return f"{owed}: done {when(done, how_fast.now)} at {how}"


def pace_words(interval: float) -> str:
    """Write a pace for a person: "1/s", "30/h", "a request in 2.4 s"."""
    if not interval:
        return "no limit"
    for seconds, unit in ((1.0, "s"), (60.0, "min"), (3600.0, "h")):
        rate = seconds / interval
        if rate >= 0.999:
            return f"{rate:.0f}/{unit}" if abs(rate - round(rate)) < 0.01 * rate else f"a request in {interval:.2g} s"
    return f"a request in {interval / 3600:.1f} h"


def when(at: float | None, now: float) -> str:
    """Write a moment to come for a person: "today 19:40", "on Tuesday about 14:00", a date if it is far."""
    if at is None:
        return ""
    then, today = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
    if then.date() == today.date():
        return f"today {then:%H:%M}"
    if then.date() == (today + timedelta(days=1)).date():
        return f"tomorrow about {then:%H:00}"
    return f"on {then:%A} about {then:%H:00}" if at - now < _WEEK else f"on {then:%Y-%m-%d}"


def _waiting(settings: Settings, store: Store) -> Iterator[Waiting]:
    rules = Rules.compile(settings.folders, settings.rules)
    as_utc = settings.extract.clock is Clock.UTC
    for owed in outlook.owed(store):
        labels = _labels(rules, owed)
        if not labels:
            continue
        own = wish(owed.capture, union(labels), as_utc=as_utc, omit=owed.omit)
        seconds = None if own.taken_at is None else (own.taken_at - _EPOCH).total_seconds()
        yield Waiting((own.rest, owed.namespace, owed.omit), seconds, own.position, owed.size, owed.split)


def _labels(rules: Rules, owed: Outlook) -> list[Any]:
    found = [rules.labels(place, owed.capture) for place in owed.places]
    return [its for its in found if its.skipped is None and (not owed.namespace or its.namespace == owed.namespace)]


def _that_save(now: Variant, others: Iterable[Variant]) -> Iterator[Variant]:
    """Give those of the others that take fewer requests than what stands before them."""
    fewest = now.requests
    for other in others:
        if other.requests < fewest:
            fewest = other.requests
            yield other


def _words(tolerance: Tolerance) -> str:
    words = [f"time_tolerance {duration_text(tolerance.seconds).strip(chr(34))}"] if tolerance.seconds else []
    words += [f"place_tolerance {tolerance.metres:g}m"] if tolerance.metres else []
    return " and ".join(words) or "no tolerance"
