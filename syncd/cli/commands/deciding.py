"""`retry` and `resolve`: what a person decides about photos that wait for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.ledger.store import Store
    from syncd.lifecycle import State
    from syncd.settings import Settings


def retry(
    paths: Annotated[list[str] | None, typer.Argument(help="Files; none: with --all, every one.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every refused and unfit photo.")] = False,
) -> int:
    """Try refused and unfit photos again. Unanswered ones are left alone: see `resolve`."""
    from syncd.cli import context
    from syncd.cli.output import amount, answer
    from syncd.errors import UsageError
    from syncd.ledger import decisions
    from syncd.lifecycle import State

    if bool(paths) == everything:
        raise UsageError("`syncd retry` takes files, or --all", hint="`syncd list --state refused` names them")
    settings = context.load_settings()
    with _open(settings) as store:
        if everything:
            entries = [one.entry_id for one in decisions.held(store, (State.REFUSED, State.UNFIT))]
        else:
            entries = [entry for entry, _ in _entries(settings, store, paths or [])]
        moved = decisions.retry(store, entries, _now())
    if moved < len(entries):
        answer(
            f"{amount(len(entries) - moved, 'photo')} left alone: neither refused nor unfit, or nothing that can be"
            " sent (empty, larger than max_file_bytes, not a format the service takes); `syncd why FILE` says which"
        )
    answer(f"{amount(moved, 'photo')} will be tried again, by the daemon or the next `syncd sync`")
    return 0


def resolve(
    paths: Annotated[list[str] | None, typer.Argument(help="Files; none: the unanswered photos are named.")] = None,
    *,
    stored: Annotated[str | None, typer.Option(help="It is stored: its image id.")] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Send it again, at the risk of a second copy.")] = False,
    dismiss: Annotated[bool, typer.Option("--dismiss", help="Do not send it again.")] = False,
) -> int:
    """Settle photos whose answer was lost.

    They may have been stored, and are never sent again by themselves.
    """
    from syncd.cli import context
    from syncd.cli.output import amount, answer
    from syncd.errors import UsageError
    from syncd.ledger import decisions
    from syncd.ledger.decisions import Verdict
    from syncd.lifecycle import State

    chosen = [
        verdict
        for verdict, given in (
            (Verdict.STORED, stored is not None),
            (Verdict.RESEND, resend),
            (Verdict.DISMISS, dismiss),
        )
        if given
    ]
    settings = context.load_settings()
    with _open(settings) as store:
        if not paths and not chosen:
            return _name_the_unanswered(store)
        if not paths or len(chosen) != 1:
            raise UsageError("`syncd resolve` takes files and one of --stored ID, --resend, --dismiss")
        if stored is not None and len(paths) != 1:
            raise UsageError("--stored takes one file: each photo has an image id of its own")
        found = [entry for entry, state in _entries(settings, store, paths) if state is State.UNANSWERED]
        moved = sum(decisions.resolve(store, entry, chosen[0], stored, _now()) for entry in found)
    if moved < len(paths):
        answer(f"{amount(len(paths) - moved, 'file')} left as they are: not unanswered")
    answer(f"{amount(moved, 'photo')} settled ({chosen[0]})")
    return 0


def release(
    folder: Annotated[str | None, typer.Argument(help="A watched folder; none: those that are held are named.")] = None,
) -> int:
    """Go on with a folder that is held because too many known photos in it became other pictures at once."""
    from syncd.cli import context
    from syncd.cli.output import answer
    from syncd.cli.words import absolute
    from syncd.errors import UsageError
    from syncd.ledger.holds import Holds
    from syncd.ledger.wishes import Wishes
    from syncd.printable import path_text, printable

    with _open(context.load_settings()) as store:
        holds = Holds(store)
        if folder is None:
            for one in (held := holds.held()):
                answer(f"{path_text(one.root)}  {printable(one.reason)}")
            answer("no folder is held" if not held else "`syncd release` with a folder's path goes on with it")
            return 0
        path = absolute(folder)
        if not holds.release(path):
            raise UsageError(f"{path_text(path)} is not held", hint="`syncd release` alone names the folders that are")
        Wishes(store).ask_for_scan(_now())
    answer(f"{path_text(path)} is taken in again, by the daemon or the next `syncd sync`, whatever changed in it")
    return 0


def _name_the_unanswered(store: Store) -> int:
    from syncd.cli.output import answer
    from syncd.ledger import decisions
    from syncd.lifecycle import State
    from syncd.printable import printable

    found = decisions.held(store, (State.UNANSWERED,))
    for one in found:
        answer(f"{printable(one.path)}  {printable(one.reason)}")
    answer("no photo is unanswered" if not found else "settle each with --stored ID, --resend or --dismiss")
    return 0


def _entries(settings: Settings, store: Store, paths: Sequence[str]) -> list[tuple[int, State]]:
    from syncd.cli.words import absolute
    from syncd.errors import UsageError
    from syncd.ledger import decisions
    from syncd.printable import path_text
    from syncd.watch.reach import split

    roots = [bytes(folder.path) for folder in settings.folders]
    found = []
    for path in paths:
        place = split(absolute(path), roots)
        entries = decisions.entries_at(store, place) if place is not None else []
        if not entries:
            raise UsageError(f"no photo is known at {path_text(absolute(path))}", hint="`syncd why` tells more of it")
        found += entries
    return found


def _open(settings: Settings) -> Store:
    from syncd.cli.places import ledger_path
    from syncd.ledger.migrate import open_for_single_moves

    return open_for_single_moves(ledger_path(settings))


def _now() -> float:
    from syncd.daemon.clock import SystemClock

    return SystemClock().now()
