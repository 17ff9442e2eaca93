"""The configuration file that `syncd init` writes: every setting with what it does, and its default. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from syncd.errors import ConfigError
from syncd.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

DAILY_UPLOADS: Final = 1000
"""The budget of a new configuration: an upload costs money and cannot be taken back."""


def template(
    folder: Path, *, namespace: str = "default", key_file: Path | None = None, base_url: str | None = None
) -> str:
    """Give a commented configuration that watches one folder (an absolute path).

    Lines that start with "#name =" are settings at their defaults.
    """
    key_line = f"key_file = {_quoted(str(key_file))}" if key_file else '#key_file = "~/.config/syncd/api-key"'
    url_line = f"base_url = {_quoted(base_url)}" if base_url else '#base_url = "https://api.memories.ai/serve/api/v1"'
    return _TEXT.format(
        url_line=url_line,
        key_line=key_line,
        daily_uploads=DAILY_UPLOADS,
        folder=_quoted(str(folder)),
        namespace=_quoted(namespace),
    )


def _quoted(text: str) -> str:
    """Write a text as a TOML string."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the name {printable(text)} is not UTF-8, and TOML cannot hold it",
            hint="rename it, or reach it by a link or mount whose name is UTF-8",
        ) from error
    # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_TEXT: Final = """\
# The configuration of syncd. `syncd check` says what is wrong with it, and uploads nothing.
# Lines like "#name = value" show the defaults: take the "#" away and change the value.
# Durations are written "500ms", "10s", "5m", "1h" or "7d"; sizes in bytes, or "64MB" (KB, MB, GB; decimal).

[api]
{url_line}
# The file that holds the API key (sk-mavi-...), and nothing else. Never write the key itself into this file.
# Without key_file: the systemd credential api-key, else a file api-key beside this one, else $SYNCD_API_KEY.
{key_line}
# A proxy ("http://proxy.example:3128") and a file of certificates. The environment's proxies are ignored.
#proxy = ""
#ca_file = ""
#connect_timeout = "10s"
#answer_timeout = "120s"

[ledger]
# What was uploaded, and under which image id. Losing it means paying again: back it up with `syncd ledger backup`.
# The default follows the place of this file.
#url = "sqlite:///~/.local/state/syncd/ledger.db"

[upload]
# Every upload costs money and cannot be taken back: a budget of photos a day, kept across restarts. 0 = no budget.
daily_uploads = {daily_uploads}
# A ceiling on requests: "1/s", "1/min", "30/h", or "off".
#pace = "1/s"
# Requests at once.
#in_flight = 2
# The most that one request carries. Only photos with the same time, camera, position and tags share a request.
#batch_files = 10
#batch_bytes = 64_000_000
# Larger files are not sent. The service takes 20 MB.
#max_file_bytes = 20_000_000
# Have photos of the same camera and labels share a request although they were taken at other times ("60s") or places
# ("100m"): fewer requests, but what is sent of a photo may be off by that much. `syncd plan` shows what it would save.
#time_tolerance = "0s"
#place_tolerance = "0m"
# Which photos of the backlog go first, by capture time: "newest" or "oldest".
#order = "newest"
# A photo in several namespaces is uploaded "once", or once "per-namespace" (each is paid for).
#copies = "once"
# When only the metadata of an uploaded photo changes: "keep" what was sent, or "upload" it again.
#on_metadata_edit = "keep"
# A tag "syncd-..." on every request, which finds an upload again whose answer was lost. It stays on the photo.
#marker = true
# Photos whose answer was lost and which cannot be found: "hold" them until you decide, or "resend" (may cost twice).
#unanswered = "hold"
# When such a photo is looked up first; then at growing distances.
#lookup_after = "60s"

# When uploads may leave, by the clock of this machine: "22:00-07:00", or several spans with commas. "" = at any time.
#hours = ""
# A ceiling on what is sent: "500KB/s", "2MB/s", or "off".
#bandwidth = "off"
# On a network that costs by volume, as NetworkManager knows it: "upload" in any case, or "wait" for another.
#metered = "upload"

[extract]
# Capture times as the "camera" shows them, or converted to "utc" where the photo knows its offset.
#clock = "camera"
# Limits on reading the metadata of one file.
#time_limit = "20s"
#memory_limit = "512MB"

[watch]
# A file is read once it has not changed for this long.
#settle = "2s"
# How often all folders are gone through, whatever the events say.
#rescan = "1h"
# How often folders are looked at whose file system gives no events.
#poll = "30s"

[log]
# What is logged: from "debug", "info", "warning" or "error" on; --log-level comes before it.
#level = "info"
# "plain", "key=value", "json", or "auto": key=value to the journal, plain elsewhere; --log-format comes before it.
#format = "auto"

[card]
# Where `syncd import` copies camera cards to: a folder below, or one in it. "" = the only one.
#to = ""
# Folders that get everything a second time, in the same read: ["/mnt/backup/Pictures"].
#also = []
# Where in them: {{year}} {{month}} {{day}} {{hour}} {{minute}} {{second}} {{name}} {{camera}} {{sequence}} {{label}}
# {{imported}}.
#template = "{{year}}/{{month}}/{{day}}/{{name}}"

[metrics]
# Where `syncd run` gives metrics for Prometheus: an address of this machine ("127.0.0.1:9532", at /metrics), a file for
# node_exporter ("/var/lib/node_exporter/syncd.prom"), or nowhere.
#address = ""
#textfile = ""

[notify]
# A program that `syncd run` starts when a person is needed: ["/usr/local/bin/tell-me", "syncd"]. No shell; it finds
# $SYNCD_EVENT and $SYNCD_MESSAGE in its environment. Whether it fails or hangs, the uploads go on.
#command = []
#time_limit = "30s"
# A notification on the desktop (by notify-send).
#desktop = false

# The folders to watch: one [[folder]] for each. Where one lies in another, the inner one owns its files.
[[folder]]
path = {folder}
# The namespace (unique_id) at the service. It is made on first use, so mind the spelling.
namespace = {namespace}
#tags = []
# What to leave out, as in a .gitignore: ["**/exports/", "*.tmp.jpg"].
#exclude = []
# "events", "poll", or "auto": polls network and FUSE file systems.
#watch = "auto"

# Rules: all that match apply, in this order. Tags add up, the last namespace wins, and skip keeps photos at home.
# match is a path below the folder: * and ? stay within one name, ** is any number of folders (or none), and {{word}}
# captures one name. camera is the camera's model, with * and ?. Tags may use the captured words, {{year}} {{month}}
# {{day}} of the capture, {{camera}}, {{folder}} (the file's own folder) and {{path}} (folders below the root).
#
# [[rule]]
# match = "Trips/{{trip}}/**/*"
# tags = ["trip", "{{trip}}", "{{year}}"]
#
# [[rule]]
# match = "**"
# camera = "Canon*"
# tags = ["canon"]
#
# [[rule]]
# match = "Private/**"
# skip = true
"""
