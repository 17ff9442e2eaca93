"""`ledger`: look after the ledger itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from syncd.settings import Settings

app = typer.Typer(help="Look after the ledger: backup, check, export.", no_args_is_help=True)


@app.command("backup")
def backup(target: Annotated[Path, typer.Argument(help="The file to write; it is replaced in one step.")]) -> int:
    """Copy the ledger, also while the daemon runs."""
    from syncd.cli.output import answer
    from syncd.cli.places import ledger_path
    from syncd.ledger import migrate

    source = ledger_path(_settings())
    migrate.open_for_reading(source).close()
    migrate.backup(source, target)
    answer(f"{target} holds the ledger as it is now")
    return 0


@app.command("check")
def check() -> int:
    """Check the ledger file thoroughly. Seconds per gigabyte."""
    from syncd.cli.output import answer
    from syncd.cli.places import ledger_path
    from syncd.errors import LedgerError
    from syncd.ledger import guard, migrate
    from syncd.printable import printable

    path = ledger_path(_settings())
    migrate.open_for_reading(path).close()
    found = guard.integrity(path, thorough=True)
    if found:
        for problem in found[:20]:
            answer(printable(problem))
        raise LedgerError(f"the ledger {path} is damaged", hint="Put the last good backup in its place.")
    answer(f"{path} is whole")
    return 0


@app.command("export")
def export() -> int:
    """Print every present place with its image id as JSON lines."""
    import json
    import sys

    from syncd.cli.output import moment
    from syncd.cli.places import ledger_path
    from syncd.ledger import reports
    from syncd.ledger.migrate import open_for_reading
    from syncd.printable import path_json

    with open_for_reading(ledger_path(_settings())) as store:
        for one in reports.listed(store):
            row = {
                "path": path_json(one.place.path),
                "sha256": one.digest,
                "state": one.state,
                "image_id": one.image_id,
                "namespace": one.namespace,
                "uploaded_at": moment(one.uploaded_at),
            }
            sys.stdout.write(json.dumps(row) + "\n")
    return 0


@app.command("account")
def account(
    *,
    same: Annotated[bool, typer.Option("--same", help="It is the same account: key or address changed.")] = False,
    new: Annotated[bool, typer.Option("--new", help="A new account, which has none of the photos.")] = False,
) -> int:
    """Say what another API key or address means, once, so that nothing is uploaded twice or to the wrong place."""
    from syncd.cli import context
    from syncd.cli.output import answer
    from syncd.cli.places import ledger_path
    from syncd.cli.settlement import adopt_account, begin_anew
    from syncd.errors import UsageError

    if same == new:
        raise UsageError("`syncd ledger account` takes --same or --new")
    settings = context.load_settings()
    path = ledger_path(settings)
    if new:
        kept = begin_anew(path)
        answer(f"the ledger of the account before is kept as {kept}; the next sync begins a new one, and uploads all")
    else:
        adopt_account(path, settings.api.base_url, context.load_key(settings).reveal())
        answer("the ledger goes on with this key and address")
    return 0


def _settings() -> Settings:
    from syncd.cli import context

    return context.load_settings()
