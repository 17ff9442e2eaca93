"""The metrics of a running daemon in the text format of Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from syncd import __version__
from syncd.daemon.standing import Waiting
from syncd.daemon.voice import Said
from syncd.ledger.gauges import Gauges
from syncd.ledger.reports import Status
from syncd.lifecycle import Outcome
from syncd.settings import UploadSettings
from syncd.upload.pace import Gate
from syncd.watch.health import Fault, Problem

Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the metrics are made of. Times in seconds since the epoch."""

    now: float
    started_at: float
    status: Status
    gauges: Gauges
    upload: UploadSettings
    sent_today: int
    waiting: Waiting | None
    events: Mapping[Said, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    polled: int = 0
    """Roots without events."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of samples."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def render(snapshot: Snapshot) -> str:
    """Write the metrics (prometheus.io/docs/instrumenting/exposition_formats)."""
    lines: list[str] = []
    for metric in metrics(snapshot):
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [_line(metric.name, labels, value) for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


def metrics(snapshot: Snapshot) -> Iterator[Metric]:
    """Give every metric that there is, in the order of docs/operations.md."""
    yield _gauge("syncd_info", "The version that runs.", [({"version": __version__}, 1)])
    yield _gauge("syncd_start_timestamp_seconds", "When the daemon started.", [({}, snapshot.started_at)])
    yield from _queue(snapshot)
    yield from _requests(snapshot)
    yield from _disk(snapshot)
    yield _counter(
        "syncd_events_total",
        "What was said since the daemon started, by event of the log.",
        [({"event": said.value}, snapshot.events.get(said, 0)) for said in Said],
    )


def _queue(snapshot: Snapshot) -> Iterator[Metric]:
    status = snapshot.status
    states = [({"state": state.value}, float(count)) for state, count in status.entries.items()]
    states += [({"state": "withdrawn"}, status.withdrawn), ({"state": "held"}, status.held)]
    yield _gauge("syncd_entries", "Photos by what is true of them.", states)
    oldest = snapshot.gauges.oldest_owed_at
    age = max(0.0, snapshot.now - oldest) if oldest is not None else 0.0
    yield _gauge("syncd_queue_oldest_seconds", "How long the photo waits that has waited the longest.", [({}, age)])
    reason = snapshot.waiting.reason.value if snapshot.waiting is not None else "none"
    yield _gauge("syncd_waiting", "Why nothing leaves although photos are owed.", [({"reason": reason}, 1)])
    yield _gauge("syncd_daily_uploads_limit", "The budget of the day; 0: none.", [({}, snapshot.upload.daily_uploads)])
    yield _gauge("syncd_daily_uploads_used", "Photos of today that count for the budget.", [({}, snapshot.sent_today)])


def _requests(snapshot: Snapshot) -> Iterator[Metric]:
    gauges, gate = snapshot.gauges, Gate.from_json(snapshot.status.gate)
    outcomes = dict.fromkeys((outcome.value for outcome in Outcome), 0) | dict(gauges.requests)
    yield _counter(
        "syncd_requests_total",
        "Upload requests by outcome, since the ledger was made.",
        [({"outcome": outcome}, count) for outcome, count in outcomes.items()],
    )
    yield _counter("syncd_stored_bytes_total", "Bytes of photos that were stored.", [({}, gauges.stored_bytes)])
    if gauges.last_request_at is not None:
        yield _gauge("syncd_last_request_timestamp_seconds", "When the last left.", [({}, gauges.last_request_at)])
    distance = max(snapshot.upload.pace or 0.0, gate.interval or 0.0)
    yield _gauge("syncd_pace_seconds", "The distance that requests keep now: configured or learned.", [({}, distance)])
    yield _gauge("syncd_unanswered_run", "Requests without an answer in a row.", [({}, gate.unanswered)])
    yield _gauge("syncd_paused", "1 while the whole queue is paused.", [({}, gate.pause is not None)])


def _disk(snapshot: Snapshot) -> Iterator[Metric]:
    status, gauges = snapshot.status, snapshot.gauges
    yield _gauge("syncd_places", "Paths at which photos lie.", [({}, status.places)])
    ignored = [({"reason": reason}, float(files)) for reason, files in sorted(status.ignored.items())]
    yield _gauge("syncd_files_ignored", "Files that are not for syncd, by reason.", ignored)
    yield _gauge("syncd_files_unsettled", "Files that are still being written.", [({}, status.unsettled)])
    yield _gauge("syncd_folders_absent", "Watched folders that are not there.", [({}, len(status.absent))])
    yield _gauge("syncd_folders_held", "Watched folders held for a person.", [({}, len(status.held_folders))])
    yield _gauge("syncd_folders_polled", "Watched folders without events.", [({}, snapshot.polled)])
    found = [({"fault": fault.value}, float(sum(p.fault is fault for p in snapshot.problems))) for fault in Fault]
    yield _gauge("syncd_watch_problems", "What the last look found wrong with the watching, by fault.", found)
    missed = sum(record.missed for record in status.watching)
    yield _counter("syncd_found_only_by_rescan_total", "Files that no event had told of, ever.", [({}, missed)])
    if status.last_scan_at is not None:
        help_text = "When the folder whose scan lies back the longest was scanned."
        yield _gauge("syncd_last_scan_timestamp_seconds", help_text, [({}, status.last_scan_at)])
    sizes = [({"file": "ledger"}, float(gauges.ledger_bytes)), ({"file": "wal"}, float(gauges.wal_bytes))]
    yield _gauge("syncd_ledger_bytes", "Size of the ledger and of its write-ahead log.", sizes)


def _gauge(name: str, help_text: str, samples: Iterable[Sample]) -> Metric:
    return Metric(name, "gauge", help_text, tuple(samples))


def _counter(name: str, help_text: str, samples: Iterable[Sample]) -> Metric:
    return Metric(name, "counter", help_text, tuple(samples))


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
