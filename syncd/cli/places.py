"""Where things are, by the settings."""

from __future__ import annotations

from pathlib import Path

from syncd.errors import ConfigError
from syncd.settings import Settings


def ledger_path(settings: Settings) -> Path:
    """Give the file of the ledger."""
    path = settings.ledger.path
    if path is None:
        raise ConfigError(f"{settings.ledger.url} is not a ledger that syncd can use", hint="use sqlite:///PATH")
    return path
