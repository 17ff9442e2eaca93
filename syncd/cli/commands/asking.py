"""`status`, `plan`, `list`, `why`, `inspect`: what the ledger and the files say. Nothing here changes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from syncd.ledger.reports import Listed
    from syncd.ledger.store import Store
    from syncd.rules import Rules
    from syncd.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]


def status(*, as_json: AsJson = False) -> int:
    """Count what is uploaded, owed, held back, ignored."""
    from syncd.cli.around import look_around
    from syncd.cli.output import answer, answer_json
    from syncd.cli.planning import forecast
    from syncd.cli.summary import status_json, status_lines
    from syncd.ledger import reports

    settings = _settings()
    with _open_for_reading(settings) as store:
        counts = reports.status(store)
        around = look_around(settings, store, counts)
        ahead, ahead_json = forecast(settings, store)
    if as_json:
        answer_json(status_json(counts, around) | {"forecast": ahead_json})
    else:
        for line in status_lines(counts, around):
            answer(line)
        if ahead is not None:
            answer(f"ahead: {ahead}")
    return 0


def plan(
    time_tolerance: Annotated[str | None, typer.Option(help="What if time could differ by so much (60s).")] = None,
    place_tolerance: Annotated[str | None, typer.Option(help="What if places could differ so much (100m).")] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Tell how many requests what is owed takes, and when it is done.

    From the ledger, without sending anything: by the settings, and with tolerances that would save requests.
    """
    from syncd.cli.output import answer, answer_json
    from syncd.cli.planning import SUGGESTED, plan_json, plan_lines, planned
    from syncd.cli.words import metres_of, seconds_of
    from syncd.upload.packing import Tolerance

    tolerances = SUGGESTED
    if time_tolerance is not None or place_tolerance is not None:
        seconds = seconds_of(time_tolerance or "0s", "--time-tolerance")
        tolerances = (Tolerance(seconds, metres_of(place_tolerance or "0m", "--place-tolerance")),)
    settings = _settings()
    with _open_for_reading(settings) as store:
        found = planned(settings, store, tolerances=tolerances)
    if as_json:
        answer_json(plan_json(found))
    else:
        for line in plan_lines(found):
            answer(line)
    return 0


def list_places(
    state: Annotated[str | None, typer.Option(help="Only this state: uploaded, ready, unfit, ...")] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """List every photo on the disk with what became of it."""
    from syncd.cli.output import answer, answer_json_array
    from syncd.errors import UsageError
    from syncd.ledger import reports
    from syncd.lifecycle import State
    from syncd.printable import path_text, printable
    from syncd.rules import Rules

    known = {*State, reports.WITHDRAWN, reports.HELD}
    if state is not None and state not in known:
        raise UsageError(f"--state {printable(state)} is no state", hint=f"one of {', '.join(sorted(known))}")
    settings = _settings()
    rules = Rules.compile(settings.folders, settings.rules)
    with _open_for_reading(settings) as store:
        wanted = (one for one in reports.listed(store) if state is None or one.state == state)
        if as_json:
            answer_json_array(_listed_json(one, rules) for one in wanted)
        else:
            for one in wanted:
                what = one.image_id or printable(one.reason or "")
                answer(f"{one.state:<10} {path_text(one.place.path)}{'  ' if what else ''}{what}")
    return 0


def why(path: Annotated[str, typer.Argument(help="A file.")], *, as_json: AsJson = False) -> int:
    """Tell the whole trail of one file.

    What was read, decided, sent and answered, in the order in which it happened.
    """
    from syncd.cli.output import answer, answer_json
    from syncd.cli.trail import explain
    from syncd.cli.words import absolute

    settings = _settings()
    with _open_for_reading(settings) as store:
        explanation = explain(settings, store, absolute(path))
    if as_json:
        answer_json(explanation.json)
    else:
        for line in explanation.lines:
            answer(line)
    return 0


def inspect(
    files: Annotated[list[str], typer.Argument(help="Files, in or outside the watched folders.")],
    *,
    as_json: AsJson = False,
) -> int:
    """Show what would be sent of files.

    Digest, type, capture, labels and fitness, without sending anything.
    """
    from syncd.cli.inspection import inspect_all, lines
    from syncd.cli.output import answer, answer_json_array

    settings = _settings()
    found = inspect_all(settings, files)
    if as_json:
        answer_json_array(found)
    else:
        for one in found:
            for line in lines(one):
                answer(line)
    return 0


def _listed_json(one: Listed, rules: Rules) -> dict[str, Any]:
    from syncd.printable import path_json

    capture = one.capture
    tags = one.sent_tags if one.sent_tags is not None else rules.labels(one.place, capture).tags
    return {
        "path": path_json(one.place.path),
        "state": one.state,
        "image_id": one.image_id,
        "namespace": one.namespace,
        "reason": one.reason,
        "taken_at": capture.taken_at.strftime("%Y-%m-%d %H:%M:%S") if capture.taken_at else None,
        "camera_model": capture.camera_model,
        "latitude": capture.position.latitude if capture.position else None,
        "longitude": capture.position.longitude if capture.position else None,
        "tags": list(tags),
    }


def _settings() -> Settings:
    from syncd.cli import context

    return context.load_settings()


def _open_for_reading(settings: Settings) -> Store:
    from syncd.cli.places import ledger_path
    from syncd.ledger.migrate import open_for_reading

    return open_for_reading(ledger_path(settings))
