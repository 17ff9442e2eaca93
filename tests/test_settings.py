"""The settings as values."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from syncd.settings import (
    ApiSettings,
    Copies,
    FolderSettings,
    LedgerSettings,
    RuleSettings,
    Settings,
    UploadSettings,
    WatchMode,
)

SETTINGS = Settings(
    source=Path("/etc/syncd/config.toml"),
    ledger=LedgerSettings("sqlite:////var/lib/syncd/ledger.db"),
    folders=(FolderSettings(Path("/p"), tags=("a",)), FolderSettings(Path("/q"))),
    rules=(RuleSettings("x/**", tags=("b",)), RuleSettings("y/**", skip=True)),
)


def test_a_ledger_has_a_path_where_it_is_sqlite() -> None:
    assert SETTINGS.ledger.path == Path("/var/lib/syncd/ledger.db")
    assert LedgerSettings("postgresql://host/name").path is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SETTINGS.upload.pace = None  # type: ignore[misc]  # this is what must not work


def test_a_password_of_the_proxy_is_not_shown() -> None:
    settings = dataclasses.replace(SETTINGS, api=ApiSettings(proxy="http://me:hush@proxy.example:3128"))
    assert "hush" not in repr(settings)


FOLDER, RULE = SETTINGS.folders[0], SETTINGS.rules[0]


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(SETTINGS, folders=SETTINGS.folders[:1]),
        dataclasses.replace(SETTINGS, folders=SETTINGS.folders[::-1]),
        dataclasses.replace(SETTINGS, folders=(dataclasses.replace(FOLDER, tags=("c",)), SETTINGS.folders[1])),
        dataclasses.replace(SETTINGS, folders=(dataclasses.replace(FOLDER, namespace="n"), SETTINGS.folders[1])),
        dataclasses.replace(SETTINGS, folders=(dataclasses.replace(FOLDER, exclude=("x",)), SETTINGS.folders[1])),
        dataclasses.replace(SETTINGS, rules=SETTINGS.rules[::-1]),
        dataclasses.replace(SETTINGS, rules=(dataclasses.replace(RULE, camera="*"), SETTINGS.rules[1])),
        dataclasses.replace(SETTINGS, rules=(dataclasses.replace(RULE, skip=False), SETTINGS.rules[1])),
        dataclasses.replace(SETTINGS, upload=UploadSettings(copies=Copies.PER_NAMESPACE)),
    ],
)
def test_the_fingerprint_changes_with_what_decides_labels(changed: Settings) -> None:
    assert changed.fingerprint != SETTINGS.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(SETTINGS),
        dataclasses.replace(SETTINGS, source=Path("/elsewhere.toml")),
        dataclasses.replace(SETTINGS, upload=UploadSettings(pace=None)),
        dataclasses.replace(SETTINGS, folders=(dataclasses.replace(FOLDER, watch=WatchMode.POLL), SETTINGS.folders[1])),
    ],
)
def test_the_fingerprint_stays_with_everything_else(changed: Settings) -> None:
    assert changed.fingerprint == SETTINGS.fingerprint
    assert len(SETTINGS.fingerprint) == 64
