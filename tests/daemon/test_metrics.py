"""The metrics as Prometheus reads them."""

from __future__ import annotations

import re

from syncd.daemon.metrics import Snapshot, metrics, render
from syncd.daemon.rest import Rest
from syncd.daemon.standing import Waiting
from syncd.daemon.voice import Said
from syncd.ledger.gauges import Gauges
from syncd.ledger.reports import Absent, Status
from syncd.lifecycle import State
from syncd.settings import UploadSettings
from syncd.upload.pace import Gate, Pause
from syncd.watch.health import Fault, Problem

NOW = 1_700_000_000.0
SAMPLE = re.compile(r'^[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\[\\n"])*"(,[a-z]+="(?:[^"\\\n]|\\[\\n"])*")*\})? -?[0-9.e+-]+$')


def snapshot(gate: Gate | None = None, *, ignored: str = "RAW") -> Snapshot:
    return Snapshot(
        now=NOW,
        started_at=NOW - 60.5,
        status=Status(
            entries=dict.fromkeys(State, 0) | {State.UPLOADED: 1204, State.READY: 8200},
            withdrawn=3,
            held=2,
            unsettled=1,
            places=9500,
            photos=9412,
            ignored={ignored: 7},
            absent=(Absent(b"/p", "not there", NOW),),
            held_folders=(),
            requests=1300,
            lookup_at=None,
            last_scan_at=NOW - 10,
            gate=gate.to_json() if gate else None,
        ),
        gauges=Gauges({"stored": 1200, "throttled": 5}, 10**10, NOW - 3600, NOW - 1, 4096, 1024),
        upload=UploadSettings(daily_uploads=1000),
        sent_today=12,
        waiting=Waiting(Rest.PAUSED, "paused", None),
        events={Said.UPLOADED: 9},
        problems=(Problem(b"/p", Fault.OVERFLOW, "x"), Problem(b"/q", Fault.OVERFLOW, "x")),
        polled=1,
    )


def samples(text: str) -> dict[str, str]:
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_what_matters_is_there() -> None:
    found = samples(render(snapshot(Gate(interval=2.0, unanswered=3, pause=Pause("x", NOW, None)))))
    assert found['syncd_entries{state="uploaded"}'] == "1204"
    assert found['syncd_entries{state="held"}'] == "2"
    assert found['syncd_requests_total{outcome="stored"}'] == "1200"
    assert found['syncd_requests_total{outcome="unanswered"}'] == "0", "a series is there before its first event"
    assert found["syncd_queue_oldest_seconds"] == "3600"
    assert found["syncd_pace_seconds"] == "2"
    assert found["syncd_unanswered_run"] == "3"
    assert found["syncd_paused"] == "1"
    assert found['syncd_waiting{reason="paused"}'] == "1"
    assert found['syncd_watch_problems{fault="the kernel dropped events"}'] == "2"
    assert found["syncd_folders_absent"] == "1"
    assert found["syncd_folders_polled"] == "1"
    assert found['syncd_ledger_bytes{file="wal"}'] == "1024"
    assert found['syncd_events_total{event="uploaded"}'] == "9"
    assert found["syncd_start_timestamp_seconds"] == "1699999939.5"
    assert (found["syncd_daily_uploads_limit"], found["syncd_daily_uploads_used"]) == ("1000", "12")


def test_every_line_is_one_that_prometheus_reads_whatever_the_labels() -> None:
    text = render(snapshot(ignored='evil"} 1\nforged 2\\'))
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.match(line), line


def test_each_family_is_named_once_and_after_its_kind() -> None:
    families = list(metrics(snapshot()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.name.startswith("syncd_")
        assert family.help.endswith(".")
        assert (family.kind == "counter") == family.name.endswith("_total"), family.name
