"""What the single values of a configuration can be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncd import config_values as values
from syncd.settings import Address, Hours
from syncd.toml import ValueProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = {"HOME": "/home/u"}


PACES = {"1/s": 1.0, "2/s": 0.5, "1/min": 60.0, "1/m": 60.0, "30/h": 120.0, "1/d": 86400.0, "0.5/s": 2.0, "off": None}


@pytest.mark.parametrize(("text", "seconds"), PACES.items())
def test_a_pace_is_the_seconds_between_two_requests(text: str, seconds: float | None) -> None:
    assert values.pace(text) == seconds


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://api.memories.ai/serve/api/v1/", "https://api.memories.ai/serve/api/v1"),
        ("https://host:8443/x//", "https://host:8443/x"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
        ("http://127.5.5.5", "http://127.5.5.5"),
        ("http://localhost:80/a", "http://localhost:80/a"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("HTTPS://Host/a", "HTTPS://Host/a"),
    ],
)
def test_base_urls(value: str, url: str) -> None:
    assert values.base_url(value) == url


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", ()),
        ("22:00-07:00", (Hours(1320, 420),)),
        (" 1:00 - 24:00 ", (Hours(60, 1440),)),
        ("22:00-00:00, 12:30-13:00", (Hours(1320, 0), Hours(750, 780))),
    ],
)
def test_hours_are_spans_in_minutes_since_midnight(text: str, spans: tuple[Hours, ...]) -> None:
    assert values.hours(text) == spans


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("127.0.0.1:9532", Address("127.0.0.1", 9532)),
        ("localhost:80", Address("127.0.0.1", 80)),
        ("[::1]:9532", Address("::1", 9532)),
        ("127.1.2.3:9532", Address("127.1.2.3", 9532)),
    ],
)
def test_addresses_of_this_machine(text: str, address: Address | None) -> None:
    assert values.loopback(text) == address


def test_a_bandwidth_is_bytes_a_second() -> None:
    assert values.bandwidth("off") is None
    assert values.bandwidth("500KB/s") == 500_000
    assert values.bandwidth("10000B/s") == 10_000


@pytest.mark.parametrize("value", ["", "http://proxy.example:3128", "https://me:word@proxy.example"])
def test_proxies(value: str) -> None:
    assert values.proxy(value) == value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/a/b", "/a/b"),
        ("/a//b/./c/", "/a/b/c"),
        ("//a", "/a"),
        ("/", "/"),
        ("~", "/home/u"),
        ("~/Pictures", "/home/u/Pictures"),
        ("/a/..b/c..", "/a/..b/c.."),
        ("/with space/ü", "/with space/ü"),
    ],
)
def test_paths(value: str, path: str) -> None:
    assert str(values.whole_path(HOME)(value)) == path


def test_no_path() -> None:
    assert values.optional_path(HOME)("") is None
    assert values.key_file(HOME)("") is None
    assert values.key_file(HOME)("~/key") == Path("/home/u/key")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("sqlite:///~/x.db", "sqlite:////home/u/x.db"),
        ("sqlite:////srv//./x.db", "sqlite:////srv/x.db"),
    ],
)
def test_ledgers(value: str, url: str) -> None:
    assert values.ledger_url(HOME)(value) == url


@pytest.mark.parametrize("pattern", ["**/exports/", "*.tmp.jpg", "!keep/", "/top", "a b", "\\#x", "[ab].jpg", "é/"])
def test_excludes(pattern: str) -> None:
    assert values.exclude(pattern) == pattern


WRONG: list[tuple[Callable[[object], object], object, str]] = [
    (values.pace, "0/s", "would never send anything"),
    (values.pace, "0.0/h", "would never send anything"),
    (values.pace, "1", "is no pace"),
    (values.pace, 1, "is no pace"),
    (values.pace, True, "is no pace"),
    (values.pace, "1/fortnight", 'write a rate like "1/s", "1/min" or "30/h", or "off"'),
    (values.pace, "-1/s", "is no pace"),
    (values.pace, "1 / s", "is no pace"),
    (values.base_url, "", "must be a URL with a host"),
    (values.base_url, "api.memories.ai/serve", "must be a URL with a host"),
    (values.base_url, "ftp://host/x", "must be a URL with a host"),
    (values.base_url, "https://", "must be a URL with a host"),
    (values.base_url, "https:///path", "must be a URL with a host"),
    (values.base_url, "https://host/a b", "must be a URL with a host"),
    (values.base_url, "https://host/a\nb", "must be a URL with a host"),
    (values.base_url, "https://host:port/", "is not a URL"),
    (values.base_url, "https://host:99999/", "is not a URL"),
    (values.base_url, "https://[::1/", "is not a URL"),
    (values.base_url, "https://me@host/", "must hold no name or password"),
    (values.base_url, "https://me:hush@host/", "must hold no name or password"),
    (values.base_url, "https://host/x?hush=1", 'leave out "?" or "#"'),
    (values.base_url, "https://host/x#hush", 'leave out "?" or "#"'),
    (values.base_url, "http://api.memories.ai/serve", "would send the API key and the photos in clear"),
    (values.base_url, "http://192.168.0.9/serve", "would send the API key and the photos in clear"),
    (values.base_url, "http://127.evil.com/", "would send the API key and the photos in clear"),
    (values.base_url, "http://localhost.evil.com/", "would send the API key and the photos in clear"),
    (values.base_url, 3, "must be a text in quotes"),
    (values.proxy, "proxy.example:3128", "must be a URL like http://proxy.example:3128"),
    (values.proxy, "socks5://me:hush@host", "must be a URL like http://proxy.example:3128"),
    (values.proxy, "http://me:hush@host:x", "must be a URL like http://proxy.example:3128"),
    (values.whole_path(HOME), "Pictures", "is not a whole path"),
    (values.whole_path(HOME), "./Pictures", "is not a whole path"),
    (values.whole_path(HOME), "$HOME/Pictures", "variables are not replaced"),
    (values.whole_path(HOME), "~other/Pictures", "is not a whole path"),
    (values.whole_path(HOME), "", "is not a whole path"),
    (values.whole_path(HOME), "/a/../b", 'has ".." in it'),
    (values.whole_path(HOME), "~/../b", 'has ".." in it'),
    (values.whole_path({}), "~/b", "$HOME is not set"),
    (values.whole_path({"HOME": "relative"}), "~/b", "$HOME is not set"),
    (values.whole_path(HOME), "/a\0b", "NUL"),
    (values.key_file(HOME), "hush", "the key itself never stands here"),
    (values.key_file(HOME), 3, "the key itself never stands here"),
    (values.key_file({}), "~/key", "$HOME is not set"),
    (values.ledger_url(HOME), "postgresql://me:hush@host/db", "PostgreSQL is not supported yet"),
    (values.ledger_url(HOME), "postgresql+psycopg://host/db", "PostgreSQL is not supported yet"),
    (values.ledger_url(HOME), "mysql://me:hush@host/db", "must be sqlite:/// and a path"),
    (values.ledger_url(HOME), "/srv/ledger.db", "must be sqlite:/// and a path"),
    (values.ledger_url(HOME), "sqlite://", "must be sqlite:/// and a path"),
    (values.ledger_url(HOME), "sqlite:///", "a ledger in memory"),
    (values.ledger_url(HOME), "sqlite:///:memory:", "a ledger in memory"),
    (values.ledger_url(HOME), "sqlite:///ledger.db", "is not a whole path"),
    (values.ledger_url(HOME), "sqlite:////srv/x.db?mode=ro", 'without "?"'),
    (values.ledger_url(HOME), "sqlite:////srv/", "must end with the name of a file"),
    (values.hours, "22-7", "is no span of the day"),
    (values.hours, "25:00-07:00", "is no span of the day"),
    (values.hours, "22:60-07:00", "is no span of the day"),
    (values.hours, "22:00-24:01", "is no span of the day"),
    (values.hours, "22:00-07:00,", 'write "22:00-07:00", or several'),
    (values.hours, "07:00-07:00", "would be the whole day or none of it"),
    (values.hours, "00:00-24:00", "would be the whole day or none of it"),
    (values.hours, 22, "must be a text"),
    (values.loopback, "9532", "is no address"),
    (values.loopback, "127.0.0.1", "is no address"),
    (values.loopback, "127.0.0.1:0", "is no address"),
    (values.loopback, "127.0.0.1:65536", "is no address"),
    (values.loopback, "127.evil.com:80", "is no address"),
    (values.loopback, "0.0.0.0:9532", "could be reached from other machines"),
    (values.loopback, "192.168.1.2:9532", "could be reached from other machines"),
    (values.loopback, "[::]:9532", "could be reached from other machines"),
    (values.textfile(HOME), "/var/lib/x.txt", "let the name end with .prom"),
    (values.textfile(HOME), "x.prom", "is not a whole path"),
    (values.command, "notify me", "must be a list"),
    (values.command, ["notify", "me"], "is not a whole path"),
    (values.command, ["/bin/x", 7], "must be a text"),
    (values.bandwidth, "2MB", "is no bandwidth"),
    (values.bandwidth, "9KB/s", 'write one from "10KB/s" on'),
    (values.bandwidth, "fast/s", "is no bandwidth"),
    (values.bandwidth, 2_000_000, "is no bandwidth"),
    (values.namespace, "", "must not be empty"),
    (values.namespace, "  ", "must not be empty"),
    (values.namespace, " x", "has blanks around it"),
    (values.namespace, "a\nb", "control or invisible characters"),
    (values.namespace, "a\u200bb", "control or invisible characters"),
    (values.namespace, "x" * 101, "has 101 characters; 100 are the most"),
    (values.namespace, None, "must be a text"),
    (values.tag(()), "", "has nothing in it that can be sent"),
    (values.tag(()), " , ", "has nothing in it that can be sent"),
    (values.tag(()), "\u202e", "has nothing in it that can be sent"),
    (values.tag(()), "{trip}", "{trip} is no placeholder here"),
    (values.tag(("trip",)), "{tripp}", "did you mean trip?"),
    (values.tag(()), "{year", 'a single "{"'),
    (values.tag(()), "x" * 201, "has 201 characters; 200 are the most"),
    (values.match, "/x", "leave out the first"),
    (values.match, "**.jpg", "has to be a whole segment"),
    (values.camera, " ", "must not be empty"),
    (values.exclude, "!", "is no gitignore pattern"),
    (values.exclude, "x\\", "is no gitignore pattern"),
    (values.exclude, "[z-a]", "is no gitignore pattern"),
    (values.exclude, "", "matches nothing"),
    (values.exclude, "# note", "matches nothing"),
    (values.exclude, "/", "matches nothing"),
    (values.exclude, "a\nb", "matches nothing"),
]


@pytest.mark.parametrize(("read", "value", "words"), WRONG)
def test_a_wrong_value_says_what_would_be_right_and_no_secret(
    read: Callable[[object], object], value: object, words: str
) -> None:
    with pytest.raises(ValueProblemError, match=re.escape(words)) as caught:
        read(value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": "/x"}, "/x"),
        ({"HOME": "/home/u"}, "/home/u/.config"),
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": ""}, "/home/u/.config"),
        ({"HOME": "/home/u", "XDG_CONFIG_HOME": "relative"}, "/home/u/.config"),
        ({}, "None"),
        ({"HOME": ""}, "None"),
    ],
)
def test_base_directories(env: dict[str, str], path: str) -> None:
    assert str(values.xdg_directory(env, "XDG_CONFIG_HOME", ".config")) == path
