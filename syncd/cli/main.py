"""The command line: the commands, and the one place where an error becomes text and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from syncd import __version__
from syncd.cli import context
from syncd.cli.output import complain, message
from syncd.errors import SyncdError
from syncd.settings import LogFormat, LogLevel

E = TypeVar("E", bound=StrEnum)

_INTERRUPTED = 130
"""What Typer makes of a Ctrl-C that nobody caught. No command of syncd gives it."""
_HOISTED = {"--config": 1, "--log-level": 1, "--log-format": 1}
"""Options of syncd itself, with the number of their values: they are understood behind the command's name too."""


def _print_version(*, asked: bool) -> None:
    if asked:
        sys.stdout.write(f"syncd {__version__}\n")
        raise typer.Exit


def application(asked: str | None = None) -> typer.Typer:
    """Make the application: with the command that is asked for alone, or, where it is none of ours, with all."""
    from syncd.cli.table import register

    app = typer.Typer(
        name="syncd",
        help="Upload each distinct photo of your folders exactly once, and remember which path is which image.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(syncd)
    register(app, asked)
    return app


def syncd(
    config: Annotated[Path | None, typer.Option(help="The configuration file.", show_default=False)] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
    log_format: Annotated[
        str | None, typer.Option(help="plain, key=value, json, or auto.", show_default="auto")
    ] = None,
    *,
    version: Annotated[  # noqa: ARG001  (its callback does the work)
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    context.start(config, _one_of(LogLevel, log_level, "--log-level"), _one_of(LogFormat, log_format, "--log-format"))


def _one_of(options: type[E], said: str | None, option: str) -> E | None:
    if said is None:
        return None
    try:
        return options(said.lower())
    except ValueError:
        raise typer.BadParameter(f"it is one of {', '.join(options)}", param_hint=option) from None


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the program and end the process with its exit code."""
    code = main(sys.argv[1:] if arguments is None else arguments)
    # At its end the interpreter looks twice for garbage among all there is: 50 ms for what the system takes back.
    gc.freeze()
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:  # noqa: PLR0911  (one return for each way to end)
    """Run one command; give its exit code."""
    words = hoist(arguments)
    try:
        app = application(command_in(words))
        result = app(words, prog_name="syncd", standalone_mode=False)
    except SyncdError as error:
        complain(error)
        return error.exit_code
    except typer.Exit as ended:
        return ended.exit_code
    except typer.Abort:
        message("syncd: ended")
        return 1
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # The reader (head, less) went away: nothing more to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):
            error.show(file=sys.stderr)
            return int(error.exit_code)
        raise
    if result == _INTERRUPTED:
        return _interrupted()
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    message("syncd: interrupted; what was done is recorded, the same command goes on where it was")
    return 75


def hoist(arguments: Sequence[str]) -> list[str]:
    """Move the options of syncd itself before the command's name, wherever they stand before a lone `--`."""
    front: list[str] = []
    rest: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += [word, *words]
            break
        name, equals, _ = word.partition("=")
        if name in _HOISTED:
            front.append(word)
            if not equals:
                front += words[: _HOISTED[name]]
                del words[: _HOISTED[name]]
        else:
            rest.append(word)
    return front + rest


def command_in(words: Sequence[str]) -> str | None:
    """Find the name of the command behind the options of syncd itself. None: another option comes first, or nothing."""
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name not in _HOISTED:
            return None if word.startswith("-") else word
        if not equals:
            next(rest, None)
    return None
