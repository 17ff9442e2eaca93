"""The configuration: found, read, and everything that is wrong with it told at once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import find_config, load, parse
from syncd.errors import ConfigError
from syncd.settings import (
    Address,
    CardSettings,
    Clock,
    Copies,
    FolderSettings,
    Hours,
    LogFormat,
    LogLevel,
    LogSettings,
    MetricsSettings,
    NotifySettings,
    OnMetadataEdit,
    OnMetered,
    OnUnanswered,
    Order,
    RuleSettings,
    Settings,
    WatchMode,
)

ENV = {"HOME": "/home/u"}
FILE = Path("/home/u/.config/syncd/config.toml")
SYSTEM = Path("/etc/syncd/config.toml")

FULL = """
[api]
base_url = "https://api.memories.ai/serve/api/v1/"
key_file = "~/.config/syncd/api-key"
proxy = "http://proxy.example:3128"
ca_file = "/etc/ssl/own.pem"
connect_timeout = "5s"
answer_timeout = "90s"
[ledger]
url = "sqlite:///~/ledger.db"
[upload]
pace = "30/h"
in_flight = 4
batch_files = 20
batch_bytes = "100MB"
max_file_bytes = 10_000_000
time_tolerance = "90s"
place_tolerance = "0.5km"
order = "oldest"
copies = "per-namespace"
on_metadata_edit = "upload"
marker = true
unanswered = "resend"
lookup_after = "5m"
daily_uploads = 500
hours = "22:00-07:00, 12:30-13:00"
bandwidth = "2MB/s"
metered = "wait"
[extract]
clock = "utc"
time_limit = "5s"
memory_limit = "1GB"
[watch]
settle = "500ms"
rescan = "2h"
poll = "1m"
[log]
level = "warning"
format = "json"
[metrics]
address = "localhost:9532"
textfile = "~/syncd.prom"
[notify]
command = ["/usr/bin/tell", "a b"]
time_limit = "5s"
desktop = true
[[folder]]
path = "~/Pictures"
namespace = "family"
tags = ["home", "{year}"]
exclude = ["**/exports/", "*.tmp.jpg"]
watch = "poll"
[[folder]]
path = "/srv/photos"
[[rule]]
match = "Trips/{trip}/**/*"
tags = ["trip", "{trip}"]
[[rule]]
match = "**"
camera = "Canon*"
namespace = "canon"
[[rule]]
match = "Private/**"
skip = true
"""


def read(text: str, path: Path = FILE, env: dict[str, str] | None = None) -> Settings:
    return parse(text, path, ENV if env is None else env)


def problems(text: str, env: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, env=env)
    assert caught.value.hint
    assert caught.value.exit_code == 78
    assert str(FILE) in caught.value.message
    return caught.value.problems


def test_every_setting_is_read() -> None:
    settings = read(FULL)
    api, upload = settings.api, settings.upload
    assert (api.base_url, api.key_file) == (
        "https://api.memories.ai/serve/api/v1",
        Path("/home/u/.config/syncd/api-key"),
    )
    assert (api.proxy, api.ca_file) == ("http://proxy.example:3128", Path("/etc/ssl/own.pem"))
    assert (api.connect_timeout, api.answer_timeout) == (5.0, 90.0)
    assert settings.ledger.path == Path("/home/u/ledger.db")
    assert (upload.pace, upload.in_flight, upload.batch_files) == (120.0, 4, 20)
    assert (upload.batch_bytes, upload.max_file_bytes) == (100_000_000, 10_000_000)
    assert (upload.time_tolerance, upload.place_tolerance) == (90.0, 500.0)
    assert (upload.order, upload.copies) == (Order.OLDEST, Copies.PER_NAMESPACE)
    assert (upload.on_metadata_edit, upload.unanswered) == (OnMetadataEdit.UPLOAD, OnUnanswered.RESEND)
    assert (upload.marker, upload.lookup_after, upload.daily_uploads) == (True, 300.0, 500)
    assert upload.hours == (Hours(22 * 60, 7 * 60), Hours(12 * 60 + 30, 13 * 60))
    assert (upload.bandwidth, upload.metered) == (2_000_000, OnMetered.WAIT)
    assert settings.metrics == MetricsSettings(Address("127.0.0.1", 9532), Path("/home/u/syncd.prom"))
    assert settings.notify == NotifySettings(("/usr/bin/tell", "a b"), 5.0, desktop=True)
    assert settings.log == LogSettings(LogLevel.WARNING, LogFormat.JSON)
    assert (settings.extract.clock, settings.extract.time_limit) == (Clock.UTC, 5.0)
    assert settings.extract.memory_limit == 1_000_000_000
    assert (settings.watch.settle, settings.watch.rescan, settings.watch.poll) == (0.5, 7200.0, 60.0)
    assert settings.folders == (
        FolderSettings(
            Path("/home/u/Pictures"), "family", ("home", "{year}"), ("**/exports/", "*.tmp.jpg"), WatchMode.POLL
        ),
        FolderSettings(Path("/srv/photos")),
    )
    assert settings.rules == (
        RuleSettings("Trips/{trip}/**/*", tags=("trip", "{trip}")),
        RuleSettings("**", camera="Canon*", namespace="canon"),
        RuleSettings("Private/**", skip=True),
    )
    assert settings.source == FILE
    assert settings.warnings == ()


def test_the_defaults_are_those_of_the_design() -> None:
    settings = read("")
    api, upload, extract, watch = settings.api, settings.upload, settings.extract, settings.watch
    assert api.base_url == "https://api.memories.ai/serve/api/v1"
    assert (api.key_file, api.proxy, api.ca_file, api.connect_timeout, api.answer_timeout) == (None, "", None, 10, 120)
    assert (upload.pace, upload.in_flight, upload.batch_files) == (1.0, 2, 10)
    assert (upload.batch_bytes, upload.max_file_bytes) == (64_000_000, 20_000_000)
    assert (upload.time_tolerance, upload.place_tolerance) == (0.0, 0.0), "off: they trade truth for speed"
    assert (upload.order, upload.copies, upload.on_metadata_edit) == ("newest", "once", "keep")
    assert (upload.marker, upload.unanswered, upload.lookup_after, upload.daily_uploads) == (True, "hold", 60.0, 0)
    assert (settings.metrics, settings.notify) == (MetricsSettings(), NotifySettings())
    assert (upload.hours, upload.bandwidth, upload.metered, settings.log) == ((), None, "upload", LogSettings())
    assert (extract.clock, extract.time_limit, extract.memory_limit) == ("camera", 20.0, 512_000_000)
    assert (watch.settle, watch.rescan, watch.poll) == (2.0, 3600.0, 30.0)
    assert (settings.folders, settings.rules) == ((), ())
    assert read("[[folder]]\npath = '/p'").folders == (FolderSettings(Path("/p"), "default", (), (), WatchMode.AUTO),)


def test_sections_can_be_written_in_every_way_that_toml_has() -> None:
    settings = read('upload.pace = "off"\nwatch = { settle = "1s" }\nfolder = [{ path = "/p" }]')
    assert (settings.upload.pace, settings.watch.settle, settings.folders[0].path) == (None, 1.0, Path("/p"))


@pytest.mark.parametrize(
    ("path", "env", "ledger"),
    [
        (SYSTEM, {}, "/var/lib/syncd/ledger.db"),
        (SYSTEM, {"HOME": "/root", "XDG_STATE_HOME": "/state"}, "/var/lib/syncd/ledger.db"),
        (FILE, ENV, "/home/u/.local/state/syncd/ledger.db"),
        (FILE, ENV | {"XDG_STATE_HOME": "/state"}, "/state/syncd/ledger.db"),
        (FILE, ENV | {"XDG_STATE_HOME": "relative"}, "/home/u/.local/state/syncd/ledger.db"),
        (Path("/srv/other.toml"), ENV, "/home/u/.local/state/syncd/ledger.db"),
    ],
)
def test_the_default_ledger_follows_the_configuration_file(path: Path, env: dict[str, str], ledger: str) -> None:
    assert read("", path, env).ledger.path == Path(ledger)


def test_without_a_home_the_ledger_has_to_be_named() -> None:
    (only,) = problems("", env={})
    assert only.startswith(
        f"{FILE}: [ledger] url: has no default, because $HOME is not set; write a path, like sqlite:"
    )
    assert read("ledger.url = 'sqlite:////srv/l.db'", env={}).ledger.path == Path("/srv/l.db")
    (only,) = problems("[ledger]\nurl = 3", env={})
    assert "must be a text" in only


BROKEN = """\
[api]
base_url = "http://example.com"
conect_timeout = "3s"
[uploads]
pace = 3
[upload]
pace = "1/fortnight"
in_flight = true
order = "newst"
settle = "3s"
[[folder]]
path = "~/Pictures"
tags = [
  "one",
  3,
  "{yeer}",
]
[[folder]]
path = "/home/u//Pictures/"
exclude = ["ok/", "!"]
[[folder]]
namespace = " x"
[[rule]]
match = "Trips/{trip}/**.jpg"
tags = ["{trip}", "{tripp}"]
[[rule]]
tag = "x"
"""

TOLD = [
    (2, "[api] base_url: would send the API key and the photos in clear"),
    (3, "[api] conect_timeout: there is no such key; did you mean connect_timeout?"),
    (4, "uploads: there is no such section; did you mean upload?"),
    (7, '[upload] pace: "1/fortnight" is no pace'),
    (8, "[upload] in_flight: must be a whole number without quotes, not true"),
    (9, '[upload] order: "newst" is no choice here; write "newest" or "oldest"'),
    (10, "[upload] settle: there is no such key; it belongs below [watch]"),
    (15, "[[folder]] 1, tags, value 2: must be a text in quotes, not 3"),
    (16, '[[folder]] 1, tags, value 3: "{yeer}": {yeer} is no placeholder here; did you mean year?'),
    (19, '[[folder]] 2, path: "/home/u/Pictures" is watched already (line 12)'),
    (20, '[[folder]] 2, exclude, value 2: "!" is no gitignore pattern'),
    (21, "[[folder]] 3: path is missing; write path = "),
    (22, '[[folder]] 3, namespace: " x" has blanks around it'),
    (24, '[[rule]] 1, match: "Trips/{trip}/**.jpg": "**" has to be a whole segment'),
    (25, '[[rule]] 1, tags, value 2: "{tripp}": {tripp} is no placeholder here; did you mean trip?'),
    (26, "[[rule]] 2: match is missing; write match = "),
    (27, "[[rule]] 2, tag: there is no such key; did you mean tags?"),
]


def test_every_problem_is_told_at_once_with_its_line() -> None:
    told = problems(BROKEN)
    for sentence, (line, words) in zip(told, TOLD, strict=True):
        assert sentence.startswith(f"{FILE}:{line}: {words}")


def test_lines_are_the_same_in_a_file_of_windows() -> None:
    assert problems(BROKEN.replace("\n", "\r\n")) == problems(BROKEN)


def test_two_folders_with_wrong_paths_are_not_the_same_folder() -> None:
    told = problems("[[folder]]\npath = 'a'\n[[folder]]\npath = 'b'\n[[folder]]")
    assert len(told) == 3
    assert not [sentence for sentence in told if "already" in sentence]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[upload]\nunanswered = 'resend'\nmarker = false", ':2: [upload] unanswered: "resend" needs marker = true'),
        ("[upload]\nin_flight = 17", "17 is out of range; it can be from 1 to 16"),
        ("[upload]\nin_flight = 0", "0 is out of range"),
        ("[upload]\nbatch_files = 101", "101 is out of range; it can be from 1 to 100"),
        ("[upload]\ndaily_uploads = -1", "-1 is out of range"),
        ("[watch]\nsettle = '11m'", 'it can be from "0s" to "10m"'),
        ("[watch]\nrescan = '0s'", "is out of range"),
        ("[extract]\nmemory_limit = '64MB'", "64000000 is out of range"),
        ("[api]\nconnect_timeout = '0s'", "is out of range"),
        ("[[rule]]\nmatch = '**'\nskip = 'yes'", "must be true or false"),
        ("[folder]\npath = '/p'", "must be [[folder]] with double brackets"),
        ("a = = b", ":1: column 5: "),
        ("[api\n", ":1: column 5: "),
    ],
)
def test_what_is_wrong_is_told(text: str, words: str) -> None:
    (only,) = problems(text)
    assert words in only


@pytest.mark.parametrize(
    "text",
    [
        "[api]\nkey = 'sk-mavi-HUSH'",
        "[api]\nkey = 'HUSH'",
        "[api]\napi_key = 'HUSH'",
        "[api]\nAPI-KEY = 'HUSH'",
        "[api]\ntoken = 'HUSH'",
        "[upload]\npassword = 'HUSH'",
        "key = 'HUSH'",
        "[api]\nkey_file = 'sk-mavi-HUSH'",
        "[api]\nkey_file = 'HUSH'",
        "[api]\nbase_url = 'https://host/sk-mavi-HUSH'",
        "[api]\nsk-mavi-HUSH = 1",
        "[api]\nsk-mavi-HUSH",
        "[sk-mavi-HUSH]\n[sk-mavi-HUSH]",
        "[api]\nkey = sk-mavi-HUSH",
        "# my key is sk-mavi-HUSH",
        "[[folder]]\npath = '/p'\ntags = ['sk-mavi-HUSH']",
        "[upload]\npace = 'sk-mai-HUSH'",
        "[api]\nproxy = 'sk-mavi-HUSH'",
    ],
)
def test_p2_a_key_in_the_file_is_a_problem_that_does_not_show_it(text: str) -> None:
    told = problems(text)
    assert [sentence for sentence in told if "the API key never stands in this file" in sentence] or (
        "the key itself never stands here" in told[0]
    )
    assert "HUSH" not in "".join(told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[upload]\nmax_file_bytes = '30MB'", ":2: [upload] max_file_bytes: the service documents 20000000 bytes"),
        ("[upload]\nbatch_bytes = '1MB'", ":2: [upload] batch_bytes: is less than max_file_bytes (20000000)"),
        (
            "[[folder]]\npath = '/p'\nnamespace = 'Home'\n[[rule]]\nmatch = '**'\nnamespace = 'home'",
            ':6: [[rule]] 1, namespace: "home" and "Home" differ only in case',
        ),
        ("[[rule]]\nmatch = '**'", ":1: [[rule]] 1: gives nothing"),
        ("[[rule]]\nmatch = '**'\ntags = ['a,b']", ':3: [[rule]] 1, tags, value 1: the comma in "a,b"'),
        (
            "[[rule]]\nmatch = 'Trips/{trip}/**'\ntags = ['{trip}']",
            ":2: [[rule]] 1, match: {trip} is also the name of a file where no folder is left for it",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(text: str, words: str) -> None:
    (warning,) = read(text).warnings
    assert words in warning


def test_a_larger_file_limit_takes_the_default_of_batches_along() -> None:
    settings = read("upload.max_file_bytes = '200MB'")
    assert settings.upload.batch_bytes == 200_000_000


def test_nested_folders_are_allowed() -> None:
    settings = read("[[folder]]\npath = '/p'\n[[folder]]\npath = '/p/q'")
    assert [str(folder.path) for folder in settings.folders] == ["/p", "/p/q"]
    assert settings.warnings == ()


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(ConfigError):
        read(text)


SOME_VALUES = (
    '""',
    '"x"',
    "1",
    "-1",
    "1.5",
    "nan",
    "true",
    "[]",
    "{}",
    "['a', 1]",
    "1979-05-27",
    '"~"',
    '"/p"',
    '"1s"',
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("[api]", "[ledger]", "[upload]", "[extract]", "[watch]", "[[folder]]", "[[rule]]", "[x]")),
            st.lists(
                st.tuples(
                    st.sampled_from(
                        ("pace", "url", "path", "match", "tags", "exclude", "skip", "base_url", "clock", "x")
                    ),
                    st.sampled_from(SOME_VALUES),
                ),
                max_size=4,
                unique_by=lambda pair: pair[0],
            ),
        ),
        max_size=5,
    )
)
def test_wrong_values_in_every_place_are_problems_with_a_line(
    sections: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    text = "".join(f"{head}\n" + "".join(f"{key} = {value}\n" for key, value in body) for head, body in sections)
    try:
        read(text)
    except ConfigError as error:
        told = error.problems
    else:
        told = ()
    assert all(sentence.startswith(f"{FILE}:") and sentence[len(str(FILE)) + 1].isdigit() for sentence in told)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def refusal(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path, ENV)
    assert caught.value.hint
    return caught.value


def test_a_file_is_loaded(file: Path) -> None:
    file.write_text(FULL)
    assert load(file, ENV).folders == read(FULL).folders
    assert load(file, ENV).source == file


def test_a_mark_of_utf8_at_the_start_does_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[upload]\npace = 'off'\n")
    assert load(file, ENV).upload.pace is None


@pytest.mark.parametrize("content", [b"[api]\n# caf\xe9\n", b"[api]\n\xff\xfe#\0"])
def test_what_is_not_utf8_has_its_line(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    error = refusal(file)
    assert error.problems[0].startswith(f"{file}:2: is not UTF-8 text (byte 0x")
    assert "save the file as UTF-8" in error.hint


def test_a_file_that_cannot_be_read_says_why(file: Path) -> None:
    assert "No such file" in refusal(file).message
    assert "Is a directory" in refusal(file.parent).message


def test_a_file_without_end_is_not_read_for_ever() -> None:
    assert "larger than 1 MB" in refusal(Path("/dev/zero")).message


def test_a_name_with_escape_codes_is_shown_escaped(tmp_path: Path) -> None:
    assert "\x1b" not in refusal(tmp_path / "\x1b[2J.toml").message


def test_a_file_that_is_named_goes_first(tmp_path: Path) -> None:
    named, other = tmp_path / "a.toml", tmp_path / "b.toml"
    named.touch()
    other.touch()
    assert find_config(named, {"SYNCD_CONFIG": str(other)}) == named
    assert find_config(None, {"SYNCD_CONFIG": str(other), "HOME": str(tmp_path)}) == other


def test_a_relative_name_becomes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert find_config(Path("a.toml"), {}) == tmp_path / "a.toml"


def test_the_user_s_file_goes_before_the_system_s(tmp_path: Path) -> None:
    for base in (tmp_path / "xdg", tmp_path / ".config"):
        (base / "syncd").mkdir(parents=True)
        (base / "syncd" / "config.toml").touch()
    env = {"HOME": str(tmp_path)}
    assert find_config(None, env) == tmp_path / ".config" / "syncd" / "config.toml"
    assert find_config(None, env | {"SYNCD_CONFIG": ""}) == tmp_path / ".config" / "syncd" / "config.toml"
    env["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    assert find_config(None, env) == tmp_path / "xdg" / "syncd" / "config.toml"


@pytest.mark.parametrize("said_by", ["--config", "$SYNCD_CONFIG"])
def test_a_named_file_that_is_missing_is_not_replaced_by_another(tmp_path: Path, said_by: str) -> None:
    (tmp_path / ".config" / "syncd").mkdir(parents=True)
    (tmp_path / ".config" / "syncd" / "config.toml").touch()
    gone = tmp_path / "gone.toml"
    env = {"HOME": str(tmp_path)} | ({"SYNCD_CONFIG": str(gone)} if said_by == "$SYNCD_CONFIG" else {})
    with pytest.raises(ConfigError, match=r"gone\.toml") as caught:
        find_config(gone if said_by == "--config" else None, env)
    assert said_by in caught.value.message


@pytest.mark.skipif(SYSTEM.exists(), reason="this machine has a configuration of syncd")
def test_without_any_file_all_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(None, {"HOME": str(tmp_path)})
    for place in ("--config", "$SYNCD_CONFIG", f"{tmp_path}/.config/syncd/config.toml", str(SYSTEM)):
        assert place in caught.value.message
    assert "syncd init" in caught.value.hint


def test_reading_settings_imports_nothing_heavy() -> None:
    code = "import sys, syncd.config; sys.exit(bool({'pydantic', 'pathspec', 'requests'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


def test_where_cards_are_copied_to() -> None:
    settings = read('[card]\nto = "~/Pictures/Cards"\nalso = ["/mnt/a", "/mnt/b"]\ntemplate = "{name}"\n')
    assert settings.card == CardSettings(Path("/home/u/Pictures/Cards"), (Path("/mnt/a"), Path("/mnt/b")), "{name}")
