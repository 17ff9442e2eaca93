"""Where the key is found, what is no key, and that it never shows."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from syncd.apikey import read_key
from syncd.errors import ConfigError
from syncd.settings import ApiSettings, LedgerSettings, Settings

KEY = "sk-mavi-0123456789abcdef"
NOWHERE = Path("/nowhere/config.toml")


def having(key_file: Path | None = None, source: Path = NOWHERE) -> Settings:
    return Settings(source, LedgerSettings("sqlite:////nowhere/ledger.db"), ApiSettings(key_file=key_file))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "api-key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def refusal(settings: Settings, env: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_key(settings, env)
    assert caught.value.hint
    assert caught.value.exit_code == 78
    return caught.value


def test_the_key_of_the_file_goes_before_all_others(key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "api-key").write_text("sk-mavi-other")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"), "SYNCD_API_KEY": "sk-mavi-third"}
    key = read_key(having(key_file), env)
    assert key.reveal() == KEY
    assert key.source == str(key_file)
    assert key.warnings == ()


def test_the_credential_goes_before_the_variable(key_file: Path) -> None:
    env = {"CREDENTIALS_DIRECTORY": str(key_file.parent), "SYNCD_API_KEY": "sk-mavi-other"}
    assert read_key(having(), env).reveal() == KEY


def test_the_variable_is_used_where_there_is_no_credential(tmp_path: Path) -> None:
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "SYNCD_API_KEY": KEY}
    key = read_key(having(), env)
    assert (key.reveal(), key.source) == (KEY, "$SYNCD_API_KEY")


def test_a_file_beside_the_configuration_is_used_where_there_is_no_credential(key_file: Path) -> None:
    settings = having(source=key_file.with_name("config.toml"))
    key = read_key(settings, {"SYNCD_API_KEY": "sk-mavi-other"})
    assert (key.reveal(), key.source) == (KEY, str(key_file))
    credential = key_file.parent / "credentials" / "api-key"
    credential.parent.mkdir()
    credential.write_text("sk-mavi-credential")
    assert read_key(settings, {"CREDENTIALS_DIRECTORY": str(credential.parent)}).reveal() == "sk-mavi-credential"


def test_no_key_at_all_says_where_it_can_be() -> None:
    error = refusal(having(), {})
    for place in ("key_file", "credential api-key", "/nowhere/api-key", "$SYNCD_API_KEY"):
        assert place in error.message


def test_a_key_file_that_is_missing_is_not_replaced_by_another_key(tmp_path: Path) -> None:
    error = refusal(having(tmp_path / "gone"), {"SYNCD_API_KEY": KEY})
    assert "gone is not there" in error.message


def test_a_key_file_that_is_a_folder_or_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        assert "is not a regular file" in refusal(having(path), {}).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_file_that_may_not_be_read_says_so(key_file: Path) -> None:
    key_file.chmod(0)
    assert "cannot be read: Permission denied" in refusal(having(key_file), {}).message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("hush hush", "has blanks or more than one line"),
        ("hush\nhush", "has blanks or more than one line"),
        ("hush\r\nhush", "has blanks or more than one line"),
        ("hush\u00a0hush", "has blanks or more than one line"),
        ("Bearer hush", "starts with more than the key"),
        ("Authorization: hush", "starts with more than the key"),
        ('"hush"', "stands in quotes"),
        ("'hush'", "stands in quotes"),
        ("hush\x07", "has a character at position 5"),
        ("hush\u2026", "has a character at position 5"),
        ("hush\u00e9", "has a character at position 5"),
        ("hush\udcff", "has a character at position 5"),
        ("hush" * 2000, "is far too long"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(text: str, words: str, tmp_path: Path) -> None:
    error = refusal(having(), {"SYNCD_API_KEY": text})
    assert words in error.message
    assert "hush" not in f"{error.message} {error.hint}"
    path = tmp_path / "key"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    assert "hush" not in refusal(having(path), {}).message


@pytest.mark.parametrize("content", [b"%s", b"%s\n", b"%s\r\n", b"  %s \n\n", b"\xef\xbb\xbf%s\n"])
def test_blanks_around_the_key_and_a_mark_of_utf8_do_no_harm(content: bytes, key_file: Path) -> None:
    key_file.write_bytes(content % KEY.encode())
    assert read_key(having(key_file), {}).reveal() == KEY


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o602, 0o666])
def test_a_key_file_that_others_can_read_or_change_is_a_warning(mode: int, key_file: Path) -> None:
    key_file.chmod(mode)
    (warning,) = read_key(having(key_file), {}).warnings
    assert f"mode {mode:o}" in warning
    assert "chmod 600" in warning


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_key_file_of_its_owner_and_a_reading_group_is_not(mode: int, key_file: Path) -> None:
    key_file.chmod(mode)
    assert read_key(having(key_file), {}).warnings == ()


def test_an_unusual_prefix_is_a_warning_only() -> None:
    key = read_key(having(), {"SYNCD_API_KEY": "hush-hush"})
    assert key.reveal() == "hush-hush"
    (warning,) = key.warnings
    assert "does not start with sk-mavi-" in warning
    assert "hush" not in warning


def test_p2_the_key_never_shows_by_itself() -> None:
    key = read_key(having(), {"SYNCD_API_KEY": KEY})
    said = [str(key), repr(key), f"{key}", f"{key!r}", "%s" % (key,), f"{[key]}"]  # noqa: UP031 - one more way to write it
    said += traceback.format_exception(ConfigError(f"something about {key}"))
    assert not [text for text in said if KEY in text]
    assert str(key) == "the API key of $SYNCD_API_KEY"
