"""`pause` and `resume`: nothing leaves for a while, because a person says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from syncd.ledger.store import Store


def pause(
    duration: Annotated[
        str | None, typer.Option("--for", help="For how long (30m, 2h); else until `syncd resume`.", show_default=False)
    ] = None,
) -> int:
    """Let nothing leave for a while.

    Folders are still watched, and what is new is recorded. A request under way comes to its end.
    """
    from syncd.cli.output import answer
    from syncd.cli.words import seconds_of
    from syncd.daemon.clock import SystemClock
    from syncd.errors import UsageError
    from syncd.figures import clock_time
    from syncd.ledger.wishes import Wishes

    now = SystemClock().now()
    seconds = None if duration is None else seconds_of(duration, "--for")
    if seconds == 0:
        raise UsageError("--for takes the time for which nothing is to leave", hint="write it like 30m or 2h")
    until = None if seconds is None else now + seconds
    with _open() as store:
        Wishes(store).pause(now, until)
    end = f"until {clock_time(until, now)}" if until is not None else "until `syncd resume`"
    answer(f"paused {end}: nothing is uploaded; folders are still watched")
    return 0


def resume() -> int:
    """Go on after `syncd pause`."""
    from syncd.cli.output import answer
    from syncd.ledger.queue import Queue
    from syncd.ledger.wishes import Wishes
    from syncd.printable import printable
    from syncd.upload.pace import Gate

    with _open() as store:
        ended = Wishes(store).resume()
        gate = Gate.from_json(Queue(store).gate())
    answer("uploads go on" if ended else "nobody had paused it")
    if gate.pause is not None:
        answer(f"the queue is paused for a reason of its own: {printable(gate.pause.reason)}")
        answer("`syncd sync` has one photo try whether that is still so")
    return 0


def _open() -> Store:
    from syncd.cli import context
    from syncd.cli.places import ledger_path
    from syncd.ledger.migrate import open_for_single_moves

    return open_for_single_moves(ledger_path(context.load_settings()))
