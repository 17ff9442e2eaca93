"""The configuration that `syncd init` writes loads, and tells the truth about the defaults."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import parse
from syncd.config_template import template
from syncd.errors import ConfigError
from syncd.settings import (
    ApiSettings,
    CardSettings,
    ExtractSettings,
    FolderSettings,
    LogSettings,
    MetricsSettings,
    NotifySettings,
    RuleSettings,
    Settings,
    UploadSettings,
    WatchSettings,
)

ENV = {"HOME": "/home/u"}
PLACE = Path("/home/u/.config/syncd/config.toml")
WRITTEN = template(Path("/home/u/Pictures"))


def read(text: str) -> Settings:
    return parse(text, PLACE, ENV)


def test_it_loads_with_a_daily_budget_and_defaults_for_all_the_rest() -> None:
    settings = read(WRITTEN)
    assert settings.upload == UploadSettings(daily_uploads=1000)
    assert settings.folders == (FolderSettings(Path("/home/u/Pictures")),)
    assert settings.rules == ()
    assert settings.warnings == ()
    assert (settings.api, settings.extract, settings.watch) == (ApiSettings(), ExtractSettings(), WatchSettings())
    assert settings.card == CardSettings()
    assert (settings.log, settings.metrics, settings.notify) == (LogSettings(), MetricsSettings(), NotifySettings())


def test_the_values_in_comments_are_the_defaults() -> None:
    uncommented = re.sub(r"^#(?=\w+ = )", "", WRITTEN, flags=re.MULTILINE)
    settings = read(uncommented)
    assert settings.ledger == read(WRITTEN).ledger
    assert settings.upload == UploadSettings(daily_uploads=1000)
    assert settings.api == ApiSettings(key_file=Path("/home/u/.config/syncd/api-key"))
    assert (settings.extract, settings.watch) == (ExtractSettings(), WatchSettings())
    assert settings.card == CardSettings()
    assert (settings.log, settings.metrics, settings.notify) == (LogSettings(), MetricsSettings(), NotifySettings())
    assert settings.folders == (FolderSettings(Path("/home/u/Pictures")),)


def test_the_rules_in_comments_are_rules_without_a_warning() -> None:
    settings = read(re.sub(r"^# (?=\[\[rule|match = |camera = |tags = |skip = )", "", WRITTEN, flags=re.MULTILINE))
    assert settings.rules == (
        RuleSettings("Trips/{trip}/**/*", tags=("trip", "{trip}", "{year}")),
        RuleSettings("**", camera="Canon*", tags=("canon",)),
        RuleSettings("Private/**", skip=True),
    )
    assert settings.warnings == ()


SECTIONS = (
    ApiSettings,
    UploadSettings,
    ExtractSettings,
    WatchSettings,
    LogSettings,
    MetricsSettings,
    NotifySettings,
    CardSettings,
    FolderSettings,
    RuleSettings,
)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_in_it(section: type) -> None:
    for field in dataclasses.fields(section):
        assert re.search(rf"^#? ?{field.name} = ", WRITTEN, re.MULTILINE), field.name


def test_what_is_given_is_written() -> None:
    settings = read(
        template(
            Path("/p"), namespace="family", key_file=Path("/etc/syncd/api-key"), base_url="http://127.0.0.1:8123/serve"
        )
    )
    assert settings.api.key_file == Path("/etc/syncd/api-key")
    assert settings.api.base_url == "http://127.0.0.1:8123/serve"
    assert settings.folders[0].namespace == "family"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_name_of_a_folder_is_read_as_it_was_written(name: str) -> None:
    folder = Path("/home/u") / name.strip("/")
    if ".." in folder.parts or "sk-m" in name:
        return
    assert read(template(folder)).folders[0].path == folder


def test_a_name_that_is_not_utf8_cannot_be_written_and_says_so() -> None:
    with pytest.raises(ConfigError, match=r"caf\\xe9 is not UTF-8"):
        template(Path("/home/u/caf\udce9"))
