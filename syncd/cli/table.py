"""The table of commands. The modules hold the options; the work is imported when a command runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import typer

from syncd.cli.commands import asking, cards, deciding, ledger, pausing, service, setting_up, syncing, trying

COMMANDS: Final[Mapping[str, Callable[..., int]]] = {
    "init": setting_up.init,
    "check": setting_up.check,
    "run": syncing.run,
    "sync": syncing.sync,
    "status": asking.status,
    "plan": asking.plan,
    "list": asking.list_places,
    "why": asking.why,
    "inspect": asking.inspect,
    "pause": pausing.pause,
    "resume": pausing.resume,
    "retry": deciding.retry,
    "resolve": deciding.resolve,
    "release": deciding.release,
    "import": cards.import_cards,
    "card": cards.card,
    "sandbox": trying.sandbox,
    "demo": trying.demo,
}
"""In the order of the help."""
GROUPS: Final[Mapping[str, typer.Typer]] = {"ledger": ledger.app, "service": service.app}


def register(app: typer.Typer, asked: str | None) -> None:
    """Add the command that is asked for, or all, where it is none of them: for the help, or to say so.

    Typer goes through every option of every command that it is given, which takes longer than most commands do.
    """
    for name, command in COMMANDS.items():
        if asked == name or asked not in {*COMMANDS, *GROUPS}:
            app.command(name)(command)
    for name, group in GROUPS.items():
        if asked == name or asked not in {*COMMANDS, *GROUPS}:
            app.add_typer(group, name=name)
