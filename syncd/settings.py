"""The settings: what a configuration file says, a class for each stage. All are frozen; nothing here does I/O."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

DOCUMENTED_FILE_BYTES: Final = 20_000_000
"""The most that the service takes of one file (API.md: "20 MB", read as the smaller of the two meanings)."""
SQLITE: Final = "sqlite:///"


class Order(StrEnum):
    """Which photos of the backlog go first, by capture time."""

    NEWEST = "newest"
    OLDEST = "oldest"


class Copies(StrEnum):
    """How often a photo is owed that lies in folders of several namespaces."""

    ONCE = "once"
    PER_NAMESPACE = "per-namespace"


class OnMetadataEdit(StrEnum):
    """What becomes of a place that got new bytes with the same picture."""

    KEEP = "keep"
    UPLOAD = "upload"


class OnUnanswered(StrEnum):
    """What becomes of an unanswered entry after every look-up has missed."""

    HOLD = "hold"
    RESEND = "resend"


class OnMetered(StrEnum):
    """What becomes of uploads on a network that costs by volume."""

    UPLOAD = "upload"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """A span of the day by the wall clock, in minutes since midnight; past midnight where it ends before it begins."""

    begin: int
    end: int


class Clock(StrEnum):
    """Which clock the capture time on the wire shows."""

    CAMERA = "camera"
    UTC = "utc"


class LogLevel(StrEnum):
    """From which level on something is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How the log is written."""

    AUTO = "auto"
    """Key=value to the journal, plain text elsewhere."""
    PLAIN = "plain"
    KEYS = "key=value"
    JSON = "json"


class WatchMode(StrEnum):
    """How changes in a folder are noticed."""

    AUTO = "auto"
    EVENTS = "events"
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the service is reached. Timeouts in seconds."""

    base_url: str = "https://api.memories.ai/serve/api/v1"
    """Without a slash at the end."""
    key_file: Path | None = None
    proxy: str = field(default="", repr=False)
    """A URL, which may hold a password; "" for a direct connection."""
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    answer_timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where the ledger is."""

    url: str
    """`sqlite:///` and an absolute path."""

    @property
    def path(self) -> Path | None:
        """The file of an SQLite ledger."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """How photos are sent."""

    pace: float | None = 1.0
    """Seconds from one request to the next, at least; None for no limit."""
    in_flight: int = 2
    batch_files: int = 10
    batch_bytes: int = 64_000_000
    max_file_bytes: int = DOCUMENTED_FILE_BYTES
    time_tolerance: float = 0.0
    """Seconds by which the time that is sent may differ from the photo's own, so that more share a request; 0: none."""
    place_tolerance: float = 0.0
    """Metres by which the position that is sent may differ from the photo's own; 0: none."""
    order: Order = Order.NEWEST
    copies: Copies = Copies.ONCE
    on_metadata_edit: OnMetadataEdit = OnMetadataEdit.KEEP
    marker: bool = True
    unanswered: OnUnanswered = OnUnanswered.HOLD
    lookup_after: float = 60.0
    """Seconds."""
    daily_uploads: int = 0
    """Photos a day; 0 for no budget."""
    hours: tuple[Hours, ...] = ()
    """When uploads may leave; () for at any time."""
    bandwidth: int | None = None
    """Bytes a second, for all requests together; None for no limit."""
    metered: OnMetered = OnMetered.UPLOAD


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """How files are read."""

    clock: Clock = Clock.CAMERA
    time_limit: float = 20.0
    """Seconds, for parsing one file."""
    memory_limit: int = 512_000_000
    """Bytes of address space of the worker."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How folders are watched. All in seconds."""

    settle: float = 2.0
    rescan: float = 3600.0
    poll: float = 30.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how. The command line comes before it."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.AUTO


@dataclass(frozen=True, slots=True)
class CardSettings:
    """What `syncd import` does where its options do not say."""

    to: Path | None = None
    """Where copies go; None: the only folder that is watched."""
    also: tuple[Path, ...] = ()
    """Folders that get everything a second time."""
    template: str = "{year}/{month}/{day}/{name}"


@dataclass(frozen=True, slots=True)
class Address:
    """An address of this machine that something can be asked at: a loopback IP address and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where the metrics of the daemon are given. Nowhere by default."""

    address: Address | None = None
    textfile: Path | None = None
    """For node_exporter's textfile collector."""


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """How a person is told outside the log. Not at all by default."""

    command: tuple[str, ...] = field(default=(), repr=False)
    """A program and its arguments, run without a shell."""
    time_limit: float = 30.0
    """Seconds."""
    desktop: bool = False


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """A root: its path is absolute, with no "..", and its links are not resolved."""

    path: Path
    namespace: str = "default"
    tags: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    watch: WatchMode = WatchMode.AUTO


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """A rule: what it matches, and what it gives. None and () give nothing."""

    match: str
    camera: str | None = None
    namespace: str | None = None
    tags: tuple[str, ...] = ()
    skip: bool | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one configuration file says."""

    source: Path
    ledger: LedgerSettings
    api: ApiSettings = ApiSettings()
    upload: UploadSettings = UploadSettings()
    extract: ExtractSettings = ExtractSettings()
    watch: WatchSettings = WatchSettings()
    log: LogSettings = LogSettings()
    card: CardSettings = CardSettings()
    metrics: MetricsSettings = MetricsSettings()
    notify: NotifySettings = NotifySettings()
    folders: tuple[FolderSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    warnings: tuple[str, ...] = ()
    """What can be used as it is, and is probably not meant so: a sentence each, with its place."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of all that decides which photos are owed, and with which labels."""
        told = [
            [(str(f.path), f.namespace, f.tags, f.exclude) for f in self.folders],
            [dataclasses.astuple(rule) for rule in self.rules],
            self.upload.copies,
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
