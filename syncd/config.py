"""The configuration: finds the TOML file, and makes settings of it.

Everything that is wrong with a file is reported at once, each with its place. Whether folders are there is not asked: a
drive that is not mounted is no mistake in the configuration. Only finding and loading touch the disk.
"""

from __future__ import annotations

import codecs
import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from syncd import config_values as values
from syncd import toml
from syncd.errors import ConfigError
from syncd.patterns import PathGlob
from syncd.printable import printable
from syncd.settings import (
    DOCUMENTED_FILE_BYTES,
    SQLITE,
    ApiSettings,
    CardSettings,
    Clock,
    Copies,
    ExtractSettings,
    FolderSettings,
    LedgerSettings,
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
    UploadSettings,
    WatchMode,
    WatchSettings,
)
from syncd.toml import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_CONFIG: Final = Path("/etc/syncd/config.toml")
SYSTEM_LEDGER: Final = Path("/var/lib/syncd/ledger.db")

_NO_PATH: Final = Path()
"""Stands for the path of a folder that has none, or a wrong one, until the problem is reported."""
_MAX_CONFIG_BYTES: Final = 1_000_000
_SECOND: Final = 1.0
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_KEY_NAMES: Final = frozenset({"key", "apikey", "token", "secret", "password", "authorization", "bearer"})


def find_config(explicit: Path | None, env: Mapping[str, str]) -> Path:
    """Give the configuration file to use. One that is named, but is not there, is an error: another is never taken."""
    named = explicit or (Path(env["SYNCD_CONFIG"]) if env.get("SYNCD_CONFIG") else None)
    if named is not None:
        if not os.path.lexists(named):
            raise ConfigError(
                f"there is no configuration file {_shown_path(named)}, which "
                f"{'--config' if explicit else '$SYNCD_CONFIG'} names",
                hint="correct the name, or write such a file with `syncd init`",
            )
        return named.absolute()
    base = values.xdg_directory(env, "XDG_CONFIG_HOME", ".config")
    places = [*([base / "syncd" / "config.toml"] if base else []), SYSTEM_CONFIG]
    for place in places:
        if os.path.lexists(place):
            return place
    looked = ", ".join(["--config (not given)", "$SYNCD_CONFIG (not set)", *(_shown_path(place) for place in places)])
    raise ConfigError(f"there is no configuration file; looked at {looked}", hint="write one with `syncd init`")


def load(path: Path, env: Mapping[str, str]) -> Settings:
    """Read a configuration file, or raise ConfigError with all that is wrong with it."""
    hint = "correct the name or the rights of the file, or write a new one with `syncd init`"
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{_shown_path(path)} cannot be read: {error.strerror}", hint=hint) from error
    if len(content) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{_shown_path(path)} is larger than 1 MB: this is no configuration file", hint=hint)
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{_shown_path(path)}:{line}: is not UTF-8 text (byte 0x{content[error.start]:02x})"
        raise ConfigError(
            f"the configuration {_shown_path(path)} cannot be used: it is not UTF-8 text",
            problems=[problem],
            hint="save the file as UTF-8 in your editor",
        ) from error
    return parse(text, path, env)


def parse(text: str, path: Path, env: Mapping[str, str]) -> Settings:
    """Read the text of a configuration file, or raise ConfigError with all that is wrong with it.

    Opens nothing: `path` and `env` only say where defaults and "~" lead.
    """
    document = toml.Document(text, path.absolute())
    problems = document.problems
    for number, line in enumerate(text.split("\n"), 1):
        if toml.SECRET.search(line):
            problems.add_at(number, values.KEY_BELONGS)
    if not document.broken:
        settings = _settings(document, env)
        document.note_unknown(_explain)
        _note_relations(settings, problems)
        if not problems.sentences:
            return dataclasses.replace(settings, warnings=_warnings(settings, problems))
    many = "1 problem" if len(problems.sentences) == 1 else f"{len(problems.sentences)} problems"
    raise ConfigError(
        f"the configuration {_shown_path(path)} cannot be used: {many}",
        problems=problems.sentences,
        hint="put right what is listed; `syncd check` looks at it again",
    )


def _settings(document: toml.Document, env: Mapping[str, str]) -> Settings:
    default_ledger = LedgerSettings(_default_ledger(document.problems.path, env))
    settings = Settings(
        source=document.problems.path,
        api=_api(document.section("api"), env),
        ledger=LedgerSettings(document.section("ledger").get("url", values.ledger_url(env), default_ledger.url)),
        upload=_upload(document.section("upload")),
        extract=_extract(document.section("extract")),
        watch=_watch(document.section("watch")),
        log=_log(document.section("log")),
        card=_card(document.section("card"), env),
        metrics=_metrics(document.section("metrics"), env),
        notify=_notify(document.section("notify")),
        folders=tuple(_folder(table, env) for table in document.sections("folder")),
        rules=tuple(_rule(table) for table in document.sections("rule")),
    )
    if not settings.ledger.url and ("ledger", "url") not in document.problems.lines:
        document.problems.add(
            ("ledger", "url"),
            "has no default, because $HOME is not set; write a path, like sqlite:////srv/syncd/ledger.db",
        )
    return settings


def _api(table: toml.Table, env: Mapping[str, str]) -> ApiSettings:
    default = ApiSettings()
    return ApiSettings(
        base_url=table.get("base_url", values.base_url, default.base_url),
        key_file=table.get("key_file", values.key_file(env), default.key_file),
        proxy=table.get("proxy", values.proxy, default.proxy),
        ca_file=table.get("ca_file", values.optional_path(env), default.ca_file),
        connect_timeout=table.get("connect_timeout", toml.duration(0.1, 5 * _MINUTE), default.connect_timeout),
        answer_timeout=table.get("answer_timeout", toml.duration(0.1, _HOUR), default.answer_timeout),
    )


def _upload(table: toml.Table) -> UploadSettings:
    default = UploadSettings()
    largest_file = table.get("max_file_bytes", toml.size(1, 10**10), default.max_file_bytes)
    return UploadSettings(
        pace=table.get("pace", values.pace, default.pace),
        in_flight=table.get("in_flight", toml.count(1, 16), default.in_flight),
        batch_files=table.get("batch_files", toml.count(1, 100), default.batch_files),
        batch_bytes=table.get("batch_bytes", toml.size(1, 10**10), max(default.batch_bytes, largest_file)),
        max_file_bytes=largest_file,
        time_tolerance=table.get("time_tolerance", toml.duration(0.0, _DAY), default.time_tolerance),
        place_tolerance=table.get("place_tolerance", toml.distance(0.0, 20_000.0), default.place_tolerance),
        order=table.get("order", toml.choice(Order), default.order),
        copies=table.get("copies", toml.choice(Copies), default.copies),
        on_metadata_edit=table.get("on_metadata_edit", toml.choice(OnMetadataEdit), default.on_metadata_edit),
        marker=table.get("marker", toml.flag, default.marker),
        unanswered=table.get("unanswered", toml.choice(OnUnanswered), default.unanswered),
        lookup_after=table.get("lookup_after", toml.duration(0.0, _DAY), default.lookup_after),
        daily_uploads=table.get("daily_uploads", toml.count(0, 10**9), default.daily_uploads),
        hours=table.get("hours", values.hours, default.hours),
        bandwidth=table.get("bandwidth", values.bandwidth, default.bandwidth),
        metered=table.get("metered", toml.choice(OnMetered), default.metered),
    )


def _extract(table: toml.Table) -> ExtractSettings:
    default = ExtractSettings()
    return ExtractSettings(
        clock=table.get("clock", toml.choice(Clock), default.clock),
        time_limit=table.get("time_limit", toml.duration(0.1, _HOUR), default.time_limit),
        memory_limit=table.get("memory_limit", toml.size(128 * 10**6, 10**12), default.memory_limit),
    )


def _watch(table: toml.Table) -> WatchSettings:
    default = WatchSettings()
    return WatchSettings(
        # What has not settled after 10 minutes is named as unsettled, so a longer time would never end.
        settle=table.get("settle", toml.duration(0.0, 10 * _MINUTE), default.settle),
        rescan=table.get("rescan", toml.duration(_SECOND, 30 * _DAY), default.rescan),
        poll=table.get("poll", toml.duration(0.1, _DAY), default.poll),
    )


def _log(table: toml.Table) -> LogSettings:
    default = LogSettings()
    return LogSettings(
        level=table.get("level", toml.choice(LogLevel), default.level),
        format=table.get("format", toml.choice(LogFormat), default.format),
    )


def _card(table: toml.Table, env: Mapping[str, str]) -> CardSettings:
    default = CardSettings()
    return CardSettings(
        to=table.get("to", values.optional_path(env), default.to),
        also=table.get("also", toml.each(values.whole_path(env)), default.also),
        template=table.get("template", toml.text, default.template),
    )


def _metrics(table: toml.Table, env: Mapping[str, str]) -> MetricsSettings:
    default = MetricsSettings()
    return MetricsSettings(
        address=table.get("address", values.loopback, default.address),
        textfile=table.get("textfile", values.textfile(env), default.textfile),
    )


def _notify(table: toml.Table) -> NotifySettings:
    default = NotifySettings()
    return NotifySettings(
        command=table.get("command", values.command, default.command),
        time_limit=table.get("time_limit", toml.duration(_SECOND, 10 * _MINUTE), default.time_limit),
        desktop=table.get("desktop", toml.flag, default.desktop),
    )


def _folder(table: toml.Table, env: Mapping[str, str]) -> FolderSettings:
    return FolderSettings(
        path=table.require("path", values.whole_path(env), _NO_PATH, '"~/Pictures"'),
        namespace=table.get("namespace", values.namespace, "default"),
        tags=table.get("tags", toml.each(values.tag(())), ()),
        exclude=table.get("exclude", toml.each(values.exclude), ()),
        watch=table.get("watch", toml.choice(WatchMode), WatchMode.AUTO),
    )


def _rule(table: toml.Table) -> RuleSettings:
    match = table.require("match", values.match, "**", '"Trips/**"')
    # Where the glob itself is broken, its words still count, so that one slip is not reported twice.
    words = re.findall(r"\{(\w+)\}", table.text("match"))
    return RuleSettings(
        match=match,
        camera=table.get("camera", values.camera, None),
        namespace=table.get("namespace", values.namespace, None),
        tags=table.get("tags", toml.each(values.tag(tuple(dict.fromkeys(words)))), ()),
        skip=table.get("skip", toml.flag, None),
    )


def _default_ledger(config: Path, env: Mapping[str, str]) -> str:
    """Give the ledger that belongs to a configuration file, or "" where there is no home for it."""
    if config == SYSTEM_CONFIG:
        return f"{SQLITE}{SYSTEM_LEDGER}"
    base = values.xdg_directory(env, "XDG_STATE_HOME", ".local/state")
    return f"{SQLITE}{base / 'syncd' / 'ledger.db'}" if base else ""


def _explain(key: str) -> str | None:
    """Say what to do where the name of an unknown key tells what it was meant for."""
    return values.KEY_BELONGS if key.casefold().replace("api", "").strip("-_") in _KEY_NAMES else None


def _note_relations(settings: Settings, problems: toml.Problems) -> None:
    """Note what is right by itself and wrong beside another setting."""
    if settings.upload.unanswered is OnUnanswered.RESEND and not settings.upload.marker:
        problems.add(
            ("upload", "unanswered"),
            '"resend" needs marker = true: without the marker nobody can look whether the photo was stored',
        )
    seen: dict[Path, int] = {}
    for index, folder in enumerate(settings.folders):
        if folder.path == _NO_PATH:
            continue
        if folder.path in seen:
            first = problems.line(("folder", seen[folder.path], "path"))
            problems.add(
                ("folder", index, "path"),
                f"{shown(str(folder.path))} is watched already (line {first}); take one of the two out",
            )
        seen.setdefault(folder.path, index)


def _warnings(settings: Settings, problems: toml.Problems) -> tuple[str, ...]:
    """Name what can be used as it is, and is probably not meant so."""
    notes = toml.Problems(problems.path, problems.lines)
    upload = settings.upload
    if upload.max_file_bytes > DOCUMENTED_FILE_BYTES:
        notes.add(("upload", "max_file_bytes"), f"the service documents {DOCUMENTED_FILE_BYTES} bytes as its limit")
    if upload.batch_bytes < upload.max_file_bytes:
        notes.add(
            ("upload", "batch_bytes"),
            f"is less than max_file_bytes ({upload.max_file_bytes}): a larger photo travels in a request of its own",
        )
    tagged = [(("folder", index), folder.tags) for index, folder in enumerate(settings.folders)]
    tagged += [(("rule", index), rule.tags) for index, rule in enumerate(settings.rules)]
    for where, tags in tagged:
        for position, tag in enumerate(tags):
            if "," in tag:
                notes.add((*where, "tags", position), f"the comma in {shown(tag)} becomes a space; write two tags")
    names: dict[str, str] = {}
    named = [(("folder", index), folder.namespace) for index, folder in enumerate(settings.folders)]
    named += [(("rule", index), rule.namespace) for index, rule in enumerate(settings.rules) if rule.namespace]
    for where, name in named:
        first = names.setdefault(name.casefold(), name)
        if name != first:
            notes.add((*where, "namespace"), f"{shown(name)} and {shown(first)} differ only in case: they are two")
    _note_doubtful_rules(settings.rules, notes)
    return notes.sentences


def _note_doubtful_rules(rules: tuple[RuleSettings, ...], notes: toml.Problems) -> None:
    for index, rule in enumerate(rules):
        if not rule.tags and rule.namespace is None and rule.skip is None:
            notes.add(("rule", index), "gives nothing: add tags, a namespace, or skip = true")
        word = PathGlob.parse(rule.match).may_capture_name
        if word and any(f"{{{word}}}" in tag for tag in rule.tags):
            notes.add(
                ("rule", index, "match"),
                f"{{{word}}} is also the name of a file where no folder is left for it, and each such file gets a tag "
                f'and a request of its own; write "{rule.match.removesuffix("/**")}/**/*" for folders only',
            )


def _shown_path(path: Path) -> str:
    return printable(str(path))
