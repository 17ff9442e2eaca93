"""The table of commands. The modules hold the options; the work is imported when a command runs."""

from __future__ import annotations

import typer

from syncd.cli.commands import asking, cards, deciding, ledger, pausing, service, setting_up, syncing, trying


def register(app: typer.Typer) -> None:
    """Add every command to the application, in the order of the help. May be called again."""
    if app.registered_commands:
        return
    app.command("init")(setting_up.init)
    app.command("check")(setting_up.check)
    app.command("run")(syncing.run)
    app.command("sync")(syncing.sync)
    app.command("status")(asking.status)
    app.command("plan")(asking.plan)
    app.command("list")(asking.list_places)
    app.command("why")(asking.why)
    app.command("inspect")(asking.inspect)
    app.command("pause")(pausing.pause)
    app.command("resume")(pausing.resume)
    app.command("retry")(deciding.retry)
    app.command("resolve")(deciding.resolve)
    app.command("release")(deciding.release)
    app.command("import")(cards.import_cards)
    app.command("card")(cards.card)
    app.command("sandbox")(trying.sandbox)
    app.command("demo")(trying.demo)
    app.add_typer(ledger.app, name="ledger")
    app.add_typer(service.app, name="service")
