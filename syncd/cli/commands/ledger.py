"""`ledger`: look after the ledger itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from syncd.ledger.adoption import Adopted
    from syncd.ledger.restore import PutBack
    from syncd.settings import Settings

app = typer.Typer(
    help="Look after the ledger: backup, check, export, and what to do when it is lost.", no_args_is_help=True
)
Complete = Annotated[bool, typer.Option("--complete", help="Nothing was uploaded after it was made: no doubt.")]


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
        raise LedgerError(f"the ledger {path} is damaged", hint="`syncd ledger restore` puts a backup in its place.")
    answer(f"{path} is whole")
    return 0


@app.command("export")
def export() -> int:
    """Print what is known of each photo as JSON lines, for people, for programs, and for `import` and `adopt`."""
    import json
    import sys

    from syncd.cli.places import ledger_path
    from syncd.daemon.clock import SystemClock
    from syncd.ledger import exchange
    from syncd.ledger.migrate import open_for_reading

    with open_for_reading(ledger_path(_settings())) as store:
        for line in exchange.export(store, SystemClock().now()):
            sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    return 0


@app.command("restore")
def restore(
    source: Annotated[Path, typer.Argument(help="A backup of the ledger.")], *, complete: Complete = False
) -> int:
    """Put a backup in the ledger's place.

    What may have been uploaded since is held as unanswered, not sent again. The ledger before is kept beside it.
    """
    from syncd.cli.places import ledger_path
    from syncd.cli.settlement import put_back

    _tell(put_back(ledger_path(_settings()), source, complete=complete))
    return 0


@app.command("import")
def import_(source: Annotated[Path, typer.Argument(help="An export.")], *, complete: Complete = False) -> int:
    """Make a new ledger from an export, where the ledger is lost or damaged."""
    from syncd.cli.places import ledger_path
    from syncd.cli.settlement import make_of_export

    back, adopted = make_of_export(ledger_path(_settings()), source, complete=complete)
    _tell_adopted(adopted)
    _tell(back)
    return 0


@app.command("adopt")
def adopt(source: Annotated[Path, typer.Argument(help="An export, of this ledger or of another one.")]) -> int:
    """Add to the ledger what an export knows to be uploaded, so that it is never paid for again."""
    from syncd.cli.places import ledger_path
    from syncd.cli.settlement import adopt_export

    _tell_adopted(adopt_export(ledger_path(_settings()), source))
    return 0


@app.command("believe")
def believe(
    *,
    resend: Annotated[bool, typer.Option("--resend", help="Send what is held, at the risk of second copies.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="What is held stays so; what turns up now is owed.")] = False,
) -> int:
    """End the doubt about a ledger that was put back from a backup or an export."""
    from syncd.cli import settlement
    from syncd.cli.output import amount, answer
    from syncd.cli.places import ledger_path
    from syncd.errors import UsageError

    if resend == keep:
        raise UsageError("`syncd ledger believe` takes --resend or --keep")
    owed = settlement.believe(ledger_path(_settings()), resend=resend)
    if owed is None:
        answer("there is no doubt about this ledger")
    else:
        held = "" if resend else "; what is held: `syncd resolve` names and settles it"
        answer(f"what turns up from now on is owed, {amount(owed, 'photo')} again{held}")
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


def _tell(back: PutBack) -> None:
    from syncd.cli.output import amount, answer

    if back.kept is not None:
        answer(f"the ledger before it is kept as {back.kept}")
    known = amount(back.known, "request")
    if not back.in_doubt:
        answer(f"the ledger is back, and knows all {known} that were made")
        return
    made = "more may have been made" if back.made is None else f"{back.made:,} were made"
    answer(f"the ledger is back; it knows {known}, and {made}")
    answer("photos that may have been uploaded since are held as unanswered, and not sent again:")
    answer("  `syncd ledger adopt` with a newer export, or `syncd ledger believe --resend` or `--keep` settles them")


def _tell_adopted(adopted: Adopted) -> None:
    from syncd.cli.output import amount, answer

    answer(
        f"{amount(adopted.uploaded, 'photo')} adopted as uploaded, {adopted.unanswered:,} as unanswered, "
        f"{adopted.refused:,} as refused; {adopted.known:,} were known"
    )
    if adopted.conflicts:
        answer(f"{amount(adopted.conflicts, 'photo')} left as they are: the ledger knows another image id")
    if adopted.doubt_ended:
        answer(
            f"the doubt about the ledger is over: {amount(adopted.owed_again, 'photo')} were not uploaded, and are owed"
        )


def _settings() -> Settings:
    from syncd.cli import context

    return context.load_settings()
