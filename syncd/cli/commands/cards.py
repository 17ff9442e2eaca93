"""`import` and `card`: from the slot to "safe to format"."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from syncd.card.importing import Pace
    from syncd.cli.carding import Outcome
    from syncd.settings import Settings

_PRECEDENCE = (1, 75, 3, 0)
"""Of exit codes, where several cards end differently (README)."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Uploaded = Annotated[
    bool, typer.Option("--uploaded", help="Safe only when each photo that is to be sent has an image id, too.")
]


def import_cards(  # noqa: PLR0913  (each is an option)
    sources: Annotated[
        list[str] | None, typer.Argument(help="Mounted cards, or any folders.", metavar="SOURCE...")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="The folder to copy into.", show_default="[card] to, else the only watched folder"),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="A second folder that gets everything, in the same read.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help="Where below it.", show_default="[card] template, else {year}/{month}/{day}/{name}"),
    ] = None,
    label: Annotated[str | None, typer.Option(help="A name for the card.", show_default="its own")] = None,
    device: Annotated[
        Path | None, typer.Option(help="The card on this device instead; waits a minute for it to be mounted.")
    ] = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Copy what was imported before, and is not there any more, again.")
    ] = False,
    no_upload: Annotated[
        bool, typer.Option("--no-upload", help="Copy into a folder that is not watched; nothing is uploaded.")
    ] = False,
    if_card: Annotated[
        bool, typer.Option("--if-card", help="Do nothing with what no camera wrote (for udev and systemd).")
    ] = False,
    notify: Annotated[bool, typer.Option("--notify", help="Show the verdict on the desktop, too.")] = False,
    uploaded: Uploaded = False,
    as_json: AsJson = False,
) -> int:
    """Copy camera cards, prove each copy, and say whether the card may be formatted.

    Every file is copied, read back from the disk and compared; what was imported before is known by its content. The
    card is only read.
    """
    from syncd.card.naming import Template
    from syncd.cli import context
    from syncd.cli.announcing import announce_imports
    from syncd.cli.carding import Wish, import_card, open_store
    from syncd.cli.cardplaces import destination_of
    from syncd.cli.output import message
    from syncd.cli.stopping import stopping_on_signals
    from syncd.cli.words import absolute

    settings = context.load_settings()
    wish = Wish(
        to=destination_of(settings, to, upload=not no_upload),
        also=tuple(map(absolute, also)) if also else tuple(map(bytes, settings.card.also)),
        template=Template.parse(settings.card.template if template is None else template),
        label=label,
        again=again,
        uploaded=uploaded,
    )
    stop = threading.Event()
    outcomes: list[Outcome] = []
    with stopping_on_signals(stop):
        found = _found(sources or [], device, stop)
        wanted = [source for source in found if _is_card(source) or not if_card]
        if not wanted:
            message("no camera wrote what lies there; nothing was done")
        with open_store(settings) as store, _pace(quiet=as_json) as pace:
            outcomes += (import_card(settings, store, source, wish, pace, stop) for source in wanted)
    code = _tell(outcomes, as_json=as_json)
    announce_imports(settings.notify, outcomes)
    if notify and not settings.notify.desktop:
        _notify(outcomes)
    return code


def card(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Mounted cards, or any folders.", metavar="SOURCE...")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Compare a folder with the list that an import left in it.")
    ] = None,
    *,
    reread: Annotated[
        bool, typer.Option("--reread", help="Read every copy back now, also one that was not touched since.")
    ] = False,
    uploaded: Uploaded = False,
    as_json: AsJson = False,
) -> int:
    """Say whether cards may be formatted: where each file of them stands, without copying anything."""
    from syncd.cli import context
    from syncd.cli.carding import Asked, look_at_card, open_to_look
    from syncd.cli.stopping import stopping_on_signals
    from syncd.cli.words import absolute
    from syncd.errors import UsageError

    if bool(sources) == (check is not None):
        raise UsageError("`syncd card` takes SOURCE..., or --check MANIFEST")
    if check is not None:
        from syncd.cli.cardcheck import check_manifest

        return check_manifest(check, as_json=as_json)
    settings: Settings = context.load_settings()
    stop = threading.Event()
    with open_to_look(settings) as store, stopping_on_signals(stop), _pace(quiet=as_json) as pace:
        outcomes = [
            look_at_card(settings, store, absolute(source), pace, stop, Asked(uploaded, reread))
            for source in sources or ()
        ]
    return _tell(outcomes, as_json=as_json)


def _found(sources: Sequence[str], device: Path | None, stop: threading.Event) -> list[bytes]:
    """Give the folders that the command line names, by their paths or by their device."""
    from syncd.card.slot import mount_point
    from syncd.cli.words import absolute
    from syncd.errors import UsageError

    if bool(sources) == (device is not None):
        raise UsageError("`syncd import` takes SOURCE..., or --device DEVICE")
    if device is None:
        return [absolute(source) for source in sources]
    return [mount_point(device, patience=60.0, stop=stop.is_set)]


def _is_card(source: bytes) -> bool:
    """Tell whether a camera wrote it. Raises UsageError where it cannot be read: before any card is begun with."""
    from contextlib import closing

    from syncd.card.walk import Card

    with closing(Card(source)) as card:
        return card.looks_like_a_card


def _notify(outcomes: Sequence[Outcome]) -> None:
    from syncd.cli.cardtext import sentence
    from syncd.cli.notifying import notify

    for outcome in outcomes:
        verdict, _, rest = sentence(outcome).partition(": ")
        notify(f"{outcome.label}: {verdict.lower()}", rest or verdict, urgent=not outcome.report.is_safe)


def _tell(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    from syncd.cli.cardtext import report_json, report_lines
    from syncd.cli.output import answer, answer_json

    codes = {outcome.report.exit_code for outcome in outcomes}
    code = next((code for code in _PRECEDENCE if code in codes), 0)
    if as_json:
        safe = all(outcome.report.is_safe for outcome in outcomes)
        found: dict[str, Any] = {"safe_to_format": safe, "exit_code": code}
        answer_json({**found, "cards": [report_json(outcome) for outcome in outcomes]})
        return code
    for outcome in outcomes:
        for line in report_lines(outcome):
            answer(line)
    return code


@contextmanager
def _pace(*, quiet: bool) -> Iterator[Pace]:
    import sys

    from syncd.cli.cardbar import BarPace, PlainPace

    if quiet or not sys.stderr.isatty():
        yield PlainPace(quiet=quiet)
        return
    bar = BarPace()
    with bar.drawing():
        yield bar
