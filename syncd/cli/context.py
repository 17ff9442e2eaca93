"""What the options before the command said: which configuration, which log. Read once, used by the commands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.settings import LogFormat, LogLevel, LogSettings

if TYPE_CHECKING:
    from syncd.apikey import ApiKey
    from syncd.settings import Settings


@dataclass(slots=True)
class _Said:
    config: Path | None = None
    log_level: LogLevel | None = None
    log_format: LogFormat | None = None


_said = _Said()


def start(config: Path | None, log_level: LogLevel | None, log_format: LogFormat | None) -> None:
    """Keep what the command line said."""
    _said.config = config
    _said.log_level = log_level
    _said.log_format = log_format
    take_log_settings(LogSettings())


def take_log_settings(settings: LogSettings) -> None:
    """Log as the configuration says, where the command line says nothing."""
    from syncd.cli.logs import set_up_logging

    set_up_logging(_said.log_level or settings.level, _said.log_format or settings.format)


def chosen_config() -> Path | None:
    """Give the file that --config named."""
    return _said.config


def load_settings() -> Settings:
    """Find and read the configuration; what is only doubtful in it goes to standard error."""
    from syncd import config
    from syncd.cli.output import message
    from syncd.printable import printable

    settings = config.load(config.find_config(_said.config, os.environ), os.environ)
    for warning in settings.warnings:
        message(f"warning: {printable(warning)}")
    return settings


def load_key(settings: Settings) -> ApiKey:
    """Read the API key, and see to it that it is in no log line."""
    from syncd.apikey import read_key
    from syncd.cli.logs import redacting
    from syncd.cli.output import message
    from syncd.printable import printable

    key = read_key(settings, os.environ)
    redacting.secrets.add(key.reveal())
    for warning in key.warnings:
        message(f"warning: {printable(warning)}")
    return key
