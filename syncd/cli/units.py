"""The systemd units of syncd, made fit for the present installation, and put in place or taken away again.

Nothing here runs systemctl: what is to be run is said to the person.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import syncd
from syncd.config import SYSTEM_CONFIG
from syncd.config_values import home_directory, xdg_directory
from syncd.errors import ConfigError, UsageError
from syncd.printable import printable

SYSTEM_FOLDER: Final = Path("/etc/systemd/system")
_HEAD: Final = "# Written by `syncd service install`; SHA-256 of what follows: "
_UNIT_WORD: Final = re.compile(r"[A-Za-z0-9/._+:@,=-]+")


class Service(StrEnum):
    """What runs under systemd: the daemon, or the import of a card in its slot. The values are the units' names."""

    DAEMON = "syncd.service"
    CARDS = "syncd-card@.service"

    def source(self, *, user: bool) -> str:
        """Give the name under which the unit is shipped."""
        if not user:
            return self.value
        return "syncd-user.service" if self is Service.DAEMON else "syncd-card-user@.service"


class Condition(StrEnum):
    """What lies in the place of the unit."""

    ABSENT = "not installed"
    CURRENT = "installed, up to date"
    OUTDATED = "installed, of another version or installation"
    CHANGED = "installed, then changed by hand"
    FOREIGN = "there is a unit that syncd did not write"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it would be installed, and what lies in its place."""

    path: Path
    text: str
    program: Path
    config: Path
    condition: Condition
    for_user: bool


def unit_for(
    *,
    user: bool,
    config: Path | None,
    env: Mapping[str, str],
    system_folder: Path = SYSTEM_FOLDER,
    service: Service = Service.DAEMON,
) -> Unit:
    """Make the unit of the system, or of this user. `config` is the file that --config named."""
    program = find_program()
    chosen = (config or (_user_config(env) if user else SYSTEM_CONFIG)).absolute()
    folder = _user_folder(env) if user else system_folder
    path = folder / service.value
    body = render(
        shipped(service.source(user=user)).read_text(encoding="utf-8"),
        program,
        chosen,
        _environment(env) if user else {},
    )
    text = f"{_HEAD}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    return Unit(path, text, program, chosen, condition_of(path, text), user)


def render(template: str, program: Path, config: Path, environment: Mapping[str, str]) -> str:
    """Put program, configuration and environment into the text of a unit."""
    start = f"ExecStart={unit_word(str(program))} --config {unit_word(str(config))}"
    more = [f"Environment={unit_word(f'{name}={value}')}" for name, value in environment.items()]
    made, count = re.subn(
        r"^ExecStart=/\S+(?: --config \S+)?( .*)$",
        lambda found: "\n".join([f"{start}{found[1]}", *more]),
        template,
        flags=re.MULTILINE,
    )
    assert count == 1, "a unit starts one program"  # noqa: S101 - the template is ours
    beside = config.parent / "api-key"
    return re.sub(
        r"^LoadCredential=.*$",
        lambda _: f"LoadCredential={unit_word(f'api-key:{beside}')}",
        made,
        flags=re.MULTILINE,
    )


def unit_word(text: str) -> str:
    """Quote a word of a command or an assignment (systemd.syntax(7)); "%" and "$" stand for themselves."""
    if not text.isprintable():
        raise UsageError(f"{printable(text)} cannot stand in a unit", hint="install syncd below a plainer path")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return text if _UNIT_WORD.fullmatch(text) else f'"{escaped}"'


def condition_of(path: Path, text: str) -> Condition:
    """Tell what lies at the place of a unit."""
    try:
        if path.is_symlink():
            return Condition.FOREIGN  # masked, or linked from elsewhere
        found = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return Condition.ABSENT
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="look at it, or run this as root") from error
    if found == text:
        return Condition.CURRENT
    head, _, body = found.partition("\n")
    if not head.startswith(_HEAD):
        return Condition.FOREIGN
    written = head.removeprefix(_HEAD) == hashlib.sha256(body.encode("utf-8", "replace")).hexdigest()
    return Condition.OUTDATED if written else Condition.CHANGED


def install(unit: Unit, *, force: bool) -> list[str]:
    """Put the unit in place; give what was done, a line each."""
    if unit.condition is Condition.CURRENT:
        return [f"{unit.path} is up to date; nothing was changed"]
    done = []
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        if unit.condition in {Condition.CHANGED, Condition.FOREIGN}:
            done.append(f"kept what was there as {_put_aside(unit, force=force)}")
        partial = unit.path.with_name(f".{unit.path.name}.{os.getpid()}")
        partial.write_text(unit.text, encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(unit.path)
    except OSError as error:
        raise ConfigError(
            f"{unit.path} cannot be written: {error.strerror}",
            hint="run this as root (sudo), or install it for yourself alone with --user",
        ) from error
    verb = "wrote" if unit.condition is Condition.ABSENT else "replaced"
    return [*done, f"{verb} {unit.path}, which starts {unit.program} with {unit.config}"]


def uninstall(unit: Unit, *, force: bool) -> list[str]:
    """Take the unit away; give what was done. Configuration, key and ledger stay."""
    if unit.condition is Condition.ABSENT:
        return [f"there is no {unit.path}; nothing was changed"]
    links = [link for link in unit.path.parent.glob(f"*.wants/{unit.path.name}") if link.is_symlink()]
    if links and not force:
        raise UsageError(
            f"{unit.path.name} is still enabled ({links[0]})",
            hint=f"first: {systemctl(unit)} disable --now syncd; then again",
        )
    try:
        if unit.condition in {Condition.CHANGED, Condition.FOREIGN}:
            return [f"moved {unit.path} to {_put_aside(unit, force=force)}"]
        unit.path.unlink()
    except OSError as error:
        raise ConfigError(f"{unit.path} cannot be removed: {error.strerror}", hint="run this as root (sudo)") from error
    return [f"removed {unit.path}; configuration, key and ledger are left as they are"]


def systemctl(unit: Unit) -> str:
    """Give the command by which the person speaks to the right manager."""
    return "systemctl --user" if unit.for_user else "sudo systemctl"


def find_program() -> Path:
    """Give the program `syncd` of this installation, whether by pip, pipx or in a virtual environment."""
    found = shutil.which("syncd")
    places = [
        # The environment's own, not what a link to its Python points at.
        Path(sys.executable).parent / "syncd",
        Path(sysconfig.get_path("scripts")) / "syncd",
        *([Path(found)] if found else []),
    ]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place.absolute()
    raise ConfigError(
        "the program `syncd` of this installation cannot be found",
        hint="install syncd with pip or pipx; a unit must name a program that stays where it is",
    )


def what_is_hidden(program: Path, python: Path) -> str | None:
    """Say why the user of the system service could not start a program, or the Python that it runs on; None: it can."""
    for path in (program, python, Path(os.path.realpath(python))):
        why = hidden_from_a_service(path)
        if why is not None:
            return f"{path}: {why}"
    return None


def hidden_from_a_service(path: Path) -> str | None:
    """Say why the user of the system service could not reach a file; None where nothing stands against it."""
    if path.is_relative_to("/tmp") or path.is_relative_to("/var/tmp"):  # noqa: S108 - it is looked for, not used
        return "it lies where the service has a folder of its own (PrivateTmp)"
    for folder in path.parents:
        try:
            if not folder.stat().st_mode & 0o001:
                return f"{folder} can be entered by its owner alone"
        except OSError:
            return f"{folder} cannot be looked at"
    return None


def _put_aside(unit: Unit, *, force: bool) -> Path:
    if not force:
        raise UsageError(
            f"{unit.path}: {unit.condition}",
            hint=f"what you changed belongs into a drop-in ({systemctl(unit)} edit syncd); "
            "with --force it is kept beside and replaced",
        )
    kept = unit.path.with_name(f"{unit.path.name}.before")
    number = 1
    while os.path.lexists(kept):
        number += 1
        kept = unit.path.with_name(f"{unit.path.name}.before-{number}")
    unit.path.rename(kept)
    return kept


def shipped(name: str) -> Path:
    """Give a file of `systemd/`: inside the wheel it lies in this package, in a checkout at the top."""
    places = [Path(__file__).parent / "systemd", Path(syncd.__file__).parent.parent / "systemd"]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise ConfigError("the units of syncd are not there", hint="install syncd again")


def _user_config(env: Mapping[str, str]) -> Path:
    base = xdg_directory(env, "XDG_CONFIG_HOME", ".config")
    if base is None:
        raise ConfigError("there is no home for a user's service: $HOME is not set", hint="set it, or leave --user out")
    return base / "syncd" / "config.toml"


def _user_folder(env: Mapping[str, str]) -> Path:
    base = xdg_directory(env, "XDG_CONFIG_HOME", ".config")
    if base is None:
        raise ConfigError("there is no home for a user's service: $HOME is not set", hint="set it, or leave --user out")
    return base / "systemd" / "user"


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Give what decides where the ledger lies: with another value the service would begin, and pay for, a new one."""
    state = env.get("XDG_STATE_HOME", "")
    home = home_directory(env)
    usual = str(home / ".local" / "state") if home else ""
    return {"XDG_STATE_HOME": state} if state.startswith("/") and state != usual else {}
