"""`service`: run syncd under systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.cli.units import Unit

app = typer.Typer(help="Run syncd under systemd: put its unit in place, take it away, show it.", no_args_is_help=True)
ForUser = Annotated[bool, typer.Option("--user", help="For yourself (systemctl --user), not for the whole system.")]
Cards = Annotated[bool, typer.Option("--cards", help="The unit that imports camera cards by themselves, instead.")]
Force = Annotated[bool, typer.Option("--force", help="Also where the unit was changed by hand; it is kept beside.")]


@app.command("install")
def install(*, user: ForUser = False, cards: Cards = False, force: Force = False) -> int:
    """Put the unit for this installation in place.

    Says what it did and what to run next; it never runs systemctl itself.
    """
    from syncd.cli import units
    from syncd.cli.output import answer

    unit = _unit(user=user, cards=cards)
    for line in units.install(unit, force=force):
        answer(line)
    answer("")
    for number, step in enumerate(_next_steps_for_cards(unit) if cards else _next_steps(unit), 1):
        answer(f"{number}. {step}")
    return 0


@app.command("uninstall")
def uninstall(*, user: ForUser = False, cards: Cards = False, force: Force = False) -> int:
    """Take the unit away again. Configuration, key and ledger stay."""
    from syncd.cli import units
    from syncd.cli.output import answer

    unit = _unit(user=user, cards=cards)
    for line in units.uninstall(unit, force=force):
        answer(line)
    answer(f"next: {units.systemctl(unit)} daemon-reload")
    return 0


@app.command("show")
def show(
    *,
    user: ForUser = False,
    cards: Cards = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the unit and its state as JSON.")] = False,
) -> int:
    """Show the unit that would be put in place, where, and what lies there now. Changes nothing."""
    from syncd.cli.output import answer, answer_json, message

    unit = _unit(user=user, cards=cards)
    if as_json:
        answer_json(
            {
                "path": str(unit.path),
                "condition": unit.condition,
                "program": str(unit.program),
                "config": str(unit.config),
                "text": unit.text,
            }
        )
        return 0
    message(f"{unit.path}: {unit.condition}")
    for line in unit.text.splitlines():
        answer(line)
    return 0


def _unit(*, user: bool, cards: bool) -> Unit:
    import os

    from syncd.cli import context, units

    service = units.Service.CARDS if cards else units.Service.DAEMON
    return units.unit_for(user=user, config=context.chosen_config(), env=os.environ, service=service)


def _next_steps_for_cards(unit: Unit) -> Iterator[str]:
    """Say what is still to be done before a card imports itself."""
    from syncd.cli.units import hidden_from_a_service, shipped, systemctl

    if not unit.for_user:
        why = hidden_from_a_service(unit.program)
        if why is not None:
            yield f"{unit.program} cannot be started by the user syncd: {why}. Install syncd where all can read it"
        edit = "sudo systemctl edit syncd-card@.service"
        yield f"let it write where the copies go: {edit} ([Service], then ReadWritePaths=FOLDER)"
    rule = shipped("90-syncd-card.rules")
    yield f"sudo cp {rule} /etc/udev/rules.d/"
    who = "SYSTEMD_USER_WANTS" if unit.for_user else "SYSTEMD_WANTS"
    place = f"/etc/udev/rules.d/{rule.name}"
    yield f"in {place}, take the # away before a line that chooses cards, and before the {who} line"
    yield f"sudo udevadm control --reload && {systemctl(unit)} daemon-reload"
    yield f"put a card in; the log: journalctl {'--user ' if unit.for_user else ''}-u 'syncd-card@*' -f"


def _next_steps(unit: Unit) -> Iterator[str]:
    """Say what is still missing before the service can work, and the commands for it."""
    import sys
    from pathlib import Path

    from syncd.apikey import BESIDE
    from syncd.cli.units import systemctl, what_is_hidden

    key = unit.config.with_name(BESIDE)
    sudo = "" if unit.for_user else "sudo "
    if not unit.for_user:
        yield from _user_steps()
        why = what_is_hidden(unit.program, Path(sys.executable))
        if why is not None:
            yield (
                f"{unit.program} cannot be started by the user syncd ({why}). Install syncd where all can read it, "
                "with a Python of the system: /usr/bin/python3 -m venv /opt/syncd && /opt/syncd/bin/pip install syncd; "
                "then run this again from there"
            )
    if not unit.config.exists():
        yield f"write a configuration: {sudo}{unit.program} --config {unit.config} init FOLDER"
    if not key.exists():
        yield f"store the API key: {sudo}sh -c 'umask 077; cat > {key}' (paste it, then Ctrl-D)"
    if unit.for_user:
        yield f"see whether all is in place: {unit.program} --config {unit.config} check"
    yield f"{systemctl(unit)} daemon-reload && {systemctl(unit)} enable --now syncd"
    yield f"{systemctl(unit)} status syncd; the log: journalctl {'--user ' if unit.for_user else ''}-u syncd -f"
    if unit.for_user:
        yield "to have it run while you are not logged in: loginctl enable-linger"


def _user_steps() -> Iterator[str]:
    import pwd

    try:
        pwd.getpwnam("syncd")
    except KeyError:
        yield "sudo useradd --system --home-dir /var/lib/syncd --shell /usr/sbin/nologin syncd"
    yield "let the user syncd read the photos: a group of theirs (sudo usermod -aG GROUP syncd), or an ACL"
