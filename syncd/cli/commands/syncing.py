"""`sync` and `run`: the main job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from syncd.cli.signals import Signals
    from syncd.daemon.pipeline import Pipeline
    from syncd.ledger.store import Store
    from syncd.settings import Settings

WAIT = "5m"


def sync(
    wait: Annotated[str, typer.Option(help="How long to wait for photos that are not due yet (30s, 5m).")] = WAIT,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and record, but send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Scan the folders, upload all that is owed, end."""
    from dataclasses import replace

    from syncd.cli import context
    from syncd.cli.around import look_around
    from syncd.cli.output import answer, answer_json
    from syncd.cli.places import ledger_path
    from syncd.cli.signals import Signals, listening
    from syncd.cli.summary import result_json, result_lines
    from syncd.cli.words import seconds_of
    from syncd.daemon import once
    from syncd.daemon.lock import holder_of, is_daemon
    from syncd.errors import ConfigError

    settings = context.load_settings()
    if not settings.folders:
        raise ConfigError(f"{settings.source} names no folder to watch", hint="add a [[folder]] with its path")
    signals = Signals()
    seconds = seconds_of(wait, "--wait")
    if is_daemon(holder_of(ledger_path(settings))):
        return _leave_to_the_daemon(settings, dry_run=dry_run, as_json=as_json)
    with _joined(settings, signals, dry_run=dry_run, quiet=as_json) as joined:
        if dry_run:
            arose = once.scan_only(joined, wait=seconds, stop=signals.stop, wake=signals.wake)
            # What it met is recorded, and no news for the sync that follows: so it is said here, as there.
            return _print_plan(settings, joined.store, as_json=as_json) or (3 if arose else 0)
        with listening(signals):
            result = once.sync(joined, wait=seconds, stop=signals.stop, wake=signals.wake)
        status = joined.status()
        around = replace(look_around(settings, joined.store, status), holder=None)
    if as_json:
        answer_json(result_json(result, status, around))
    else:
        for line in result_lines(result, status, around):
            answer(line)
    return result.exit_code


def _leave_to_the_daemon(settings: Settings, *, dry_run: bool, as_json: bool) -> int:
    """Have the daemon that runs scan and upload, and say so (LockedError); a dry run reads what it found so far."""
    from syncd.cli.output import message
    from syncd.cli.places import ledger_path
    from syncd.daemon.clock import SystemClock
    from syncd.daemon.lock import holder_of
    from syncd.errors import LedgerError, LockedError
    from syncd.ledger.migrate import open_for_reading, open_for_single_moves
    from syncd.ledger.wishes import Wishes

    path = ledger_path(settings)
    holder = holder_of(path) or "the daemon"
    if dry_run:
        message(f"{holder} watches the folders; this is what it has found so far")
        with open_for_reading(path) as store:
            return _print_plan(settings, store, as_json=as_json)
    try:
        with open_for_single_moves(path) as store:
            Wishes(store).ask_for_scan(SystemClock().now())
    except LedgerError as error:
        # It makes or migrates the ledger at this moment, and scans as soon as that is done.
        raise LockedError(
            f"{holder} is about to do it: it starts", hint="`syncd status` shows how far it is."
        ) from error
    raise LockedError(
        f"{holder} does it: it was asked to scan and upload now", hint="`syncd status` shows how far it is."
    )


def run() -> int:
    """Watch the folders and upload what is new.

    In the foreground, until SIGTERM or Ctrl-C. SIGHUP has it read the configuration again.
    """
    from syncd.cli.signals import Signals, listening

    signals = Signals()
    with listening(signals, reloads=True):
        from syncd.cli.serving import serve

        serve(signals)
    return 0


@contextmanager
def _joined(settings: Settings, signals: Signals, *, dry_run: bool, quiet: bool) -> Iterator[Pipeline]:
    from syncd.cli import context
    from syncd.cli.telling import BarVoice, PlainVoice
    from syncd.cli.wiring import pipeline

    context.take_log_settings(settings.log)
    key = None if dry_run else context.load_key(settings)
    if quiet or dry_run or not sys.stderr.isatty():
        with pipeline(settings, key, PlainVoice(), signals) as joined:
            yield joined
        return
    bar = BarVoice()
    with pipeline(settings, key, bar, signals) as joined, bar.drawing(joined.status):
        yield joined


def _print_plan(settings: Settings, store: Store, *, as_json: bool) -> int:
    from syncd.cli.output import answer, answer_json
    from syncd.cli.planning import plan_json, plan_lines, planned

    plan = planned(settings, store)
    if as_json:
        answer_json(plan_json(plan))
    else:
        for line in plan_lines(plan):
            answer(line)
        answer("nothing was sent")
    return 0
