"""What the single values of a configuration can be: addresses, paths, paces, names, tags, globs. Pure.

Each function reads one value, or makes such a reader, and raises toml.ValueProblemError where the value is wrong.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from syncd import toml
from syncd.patterns import PathGlob, PatternError, TagTemplate
from syncd.printable import printable
from syncd.rules import LONGEST_TAG, clean
from syncd.settings import SQLITE, Address, Hours
from syncd.toml import shown, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_NAMESPACE: Final = 100
"""In characters. The service documents no limit."""
KEY_BELONGS: Final = (
    "the API key never stands in this file: write it into a file of its own that only you can read, "
    "and name that file as key_file in [api]"
)
SLOWEST_BANDWIDTH: Final = 10_000
"""Bytes a second: with less, a large photo would be under way for more than half an hour, and the service give up."""
_DAY: Final = 24 * 60
_PER: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def base_url(value: object) -> str:
    """Read the URL of the service. It is never quoted in a message: people paste keys into URLs."""
    url = toml.text(value).rstrip("/")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong("is not a URL; write one like https://api.memories.ai/serve/api/v1") from None
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise wrong("must be a URL with a host, like https://api.memories.ai/serve/api/v1")
    if "@" in parts.netloc:
        raise wrong(f"must hold no name or password; {KEY_BELONGS}")
    if "?" in url or "#" in url:
        raise wrong('must end with its path: leave out "?" or "#" and what follows')
    if parts.scheme == "http" and not _is_loopback(host):
        raise wrong(
            "would send the API key and the photos in clear: write https://. "
            "Only hosts on this machine (localhost, 127.0.0.1) can be reached by http://"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy(value: object) -> str:
    """Read the URL of a proxy. It is never quoted in a message: it may hold a password."""
    url = toml.text(value)
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise wrong('must be a URL like http://proxy.example:3128 (http or https), or "" for a direct connection')
    return url


def pace(value: object) -> float | None:
    """Read a rate of requests as the seconds from one to the next."""
    if value == "off":
        return None
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)/(s|min|m|h|d)", value) if isinstance(value, str) else None
    if found is None:
        raise wrong(f'{shown(value)} is no pace; write a rate like "1/s", "1/min" or "30/h", or "off"')
    rate, unit = float(found[1]), _PER[found[2]]
    if not rate:
        raise wrong(f'{shown(value)} would never send anything; write a rate like "1/s", or "off" for no limit')
    return unit / rate


def hours(value: object) -> tuple[Hours, ...]:
    """Read spans of the day; "" stands for the whole of it."""
    text = toml.text(value)
    if not text.strip():
        return ()
    spans = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})\s*", part)
        begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (-1, -1)
        if found is None or begin >= _DAY or end > _DAY or int(found[2]) > 59 or int(found[4]) > 59:
            raise wrong(
                f'{shown(text)} is no span of the day; write "22:00-07:00", or several: "22:00-07:00, 12:00-13:00"'
            )
        if begin == end % _DAY:
            raise wrong(f'{shown(text)} would be the whole day or none of it; write "" for uploads at any time')
        spans.append(Hours(begin, end))
    return tuple(spans)


def bandwidth(value: object) -> int | None:
    """Read a ceiling on bytes a second; "off" stands for none."""
    if value == "off":
        return None
    if not isinstance(value, str) or not value.endswith("/s"):
        raise wrong(f'{shown(value)} is no bandwidth; write bytes a second like "500KB/s" or "2MB/s", or "off"')
    try:
        return toml.size(SLOWEST_BANDWIDTH, 10**11)(value.removesuffix("/s"))
    except toml.ValueProblemError:
        raise wrong(f'{shown(value)} is no bandwidth; write one from "10KB/s" on, like "2MB/s", or "off"') from None


def loopback(value: object) -> Address | None:
    """Read an address that only this machine can reach; "" stands for none."""
    text = toml.text(value)
    if not text:
        return None
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+)):([0-9]{1,5})", text)
    host, port = (found[1] or found[2], int(found[3])) if found else ("", 0)
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not 1 <= port <= 65535:
        raise wrong(f'{shown(text)} is no address; write one of this machine with a port, like "127.0.0.1:9532"')
    if not address.is_loopback:
        raise wrong(
            f"{shown(text)} could be reached from other machines, and the metrics are for none of them; write "
            '"127.0.0.1:9532", and let a proxy with a password of yours give them on'
        )
    return Address(str(address), port)


def textfile(env: Mapping[str, str]) -> toml.Reader[Path | None]:
    """Make a reader of the path of a file for node_exporter, which reads *.prom alone; "" stands for none."""

    def read(value: object) -> Path | None:
        path = optional_path(env)(value)
        if path is not None and path.suffix != ".prom":
            raise wrong(f"{shown(str(path))} would not be read by node_exporter: let the name end with .prom")
        return path

    return read


def command(value: object) -> tuple[str, ...]:
    """Read a program and its arguments, run without a shell: nothing in them is ever replaced or split."""
    words = toml.each(toml.text)(value)
    if words and not words[0].startswith("/"):
        raise wrong(
            f'{shown(words[0])} is not a whole path; write the program from "/" on, like ["/usr/local/bin/tell"]'
        )
    return words


def key_file(env: Mapping[str, str]) -> toml.Reader[Path | None]:
    """Make a reader of the path of the key, which quotes nothing but a path: people paste the key itself."""

    def read(value: object) -> Path | None:
        try:
            return optional_path(env)(value)
        except toml.ValueProblemError:
            if isinstance(value, str) and value.startswith(("/", "~/")):
                raise
            raise wrong(
                'must be the whole path of the file that holds the key, in quotes, from "/" or "~/" on; '
                "the key itself never stands here"
            ) from None

    return read


def optional_path(env: Mapping[str, str]) -> toml.Reader[Path | None]:
    """Make a reader of absolute paths, where "" stands for none."""
    return lambda value: None if value == "" else whole_path(env)(value)


def whole_path(env: Mapping[str, str]) -> toml.Reader[Path]:
    """Make a reader of absolute paths, "~" standing for the home. Links are left as they are."""

    def read(value: object) -> Path:
        text = toml.text(value)
        if text == "~" or text.startswith("~/"):
            home = home_directory(env)
            if home is None:
                raise wrong('cannot be used: "~" has no meaning here, because $HOME is not set; write the whole path')
            text = f"{home}{text[1:]}"
        if not text.startswith("/"):
            raise wrong(f'{shown(text)} is not a whole path; write it from "/" or "~/" on (variables are not replaced)')
        if ".." in text.split("/"):
            raise wrong(f'{shown(text)} has ".." in it, whose meaning depends on links; write the path without it')
        return Path("/" + text.lstrip("/"))  # two slashes at the start would survive in a Path

    return read


def namespace(value: object) -> str:
    """Read the name of a namespace (API.md: not empty, case-sensitive, made on first use, so that a typo makes one)."""
    name = toml.text(value)
    if not name.strip():
        raise wrong('must not be empty; write a name, like "default"')
    if name != name.strip():
        raise wrong(f"{shown(name)} has blanks around it, and the service would make another namespace of it")
    if not name.isprintable():
        raise wrong(f"{shown(name)} has control or invisible characters; take them out")
    if len(name) > LONGEST_NAMESPACE:
        raise wrong(f"has {len(name)} characters; {LONGEST_NAMESPACE} are the most")
    return name


def tag(words: tuple[str, ...]) -> toml.Reader[str]:
    """Make a reader of tags that can name the words which a match captures."""

    def read(value: object) -> str:
        tag = toml.text(value)
        try:
            TagTemplate.parse(tag, words)
        except PatternError as error:
            raise wrong(f"{shown(tag)}: {error}") from error
        if not clean(tag):
            raise wrong(f"{shown(tag)} has nothing in it that can be sent; write a word, or take it out")
        if len(tag) > LONGEST_TAG:
            raise wrong(f"{shown(tag)} has {len(tag)} characters; {LONGEST_TAG} are the most")
        return tag

    return read


def match(value: object) -> str:
    """Read the glob of a rule."""
    text = toml.text(value)
    try:
        PathGlob.parse(text)
    except PatternError as error:
        raise wrong(f"{shown(text)}: {error}") from error
    return text


def camera(value: object) -> str:
    """Read the glob on a camera's model."""
    model = toml.text(value)
    if not model.strip():
        raise wrong('must not be empty; write a model with * and ?, like "Canon*", or take it out')
    return model


def exclude(value: object) -> str:
    """Read one gitignore pattern that matches something."""
    # Imported where a pattern has to be tried: it costs more than reading the rest of the configuration.
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - see above

    pattern = toml.text(value)
    try:
        spec = GitIgnoreSpec.from_lines([pattern])
    except (ValueError, re.error) as error:
        raise wrong(f"{shown(pattern)} is no gitignore pattern ({printable(str(error), 100)})") from error
    if "\n" in pattern or not any(each.include is not None for each in spec.patterns):
        raise wrong(f'{shown(pattern)} matches nothing; write one gitignore pattern, like "**/exports/" or "*.tmp.jpg"')
    return pattern


def ledger_url(env: Mapping[str, str]) -> toml.Reader[str]:
    """Make a reader of the URL of the ledger, which quotes nothing but an SQLite path: others hold passwords."""

    def read(value: object) -> str:
        url = toml.text(value)
        if url.startswith(("postgres:", "postgresql:", "postgresql+")):
            raise wrong("PostgreSQL is not supported yet; write an SQLite ledger, like sqlite:///~/ledger.db")
        if not url.startswith(SQLITE):
            raise wrong("must be sqlite:/// and a path, like sqlite:////srv/syncd/ledger.db or sqlite:///~/ledger.db")
        path = url.removeprefix(SQLITE)
        if path in {"", ":memory:"}:
            raise wrong("a ledger in memory would forget what was paid for; write sqlite:/// and the path of a file")
        if "?" in path or path.endswith("/"):
            raise wrong('must end with the name of a file, without "?"')
        try:
            return f"{SQLITE}{whole_path(env)(path)}"
        except toml.ValueProblemError as error:
            raise wrong(f"the path after {SQLITE} {error}") from error

    return read


def xdg_directory(env: Mapping[str, str], variable: str, default: str) -> Path | None:
    """Give a base directory. XDG Base Directory Specification 0.8: a relative path is invalid and ignored."""
    named = env.get(variable, "")
    if named.startswith("/"):
        return Path(named)
    home = home_directory(env)
    return home / default if home else None


def home_directory(env: Mapping[str, str]) -> Path | None:
    """Give the home that the environment names."""
    home = env.get("HOME", "")
    return Path(home) if home.startswith("/") else None
