"""`demo`: the sandbox, a sync of sample photos (or of a folder), and what came of each, in under a minute."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from syncd import config
from syncd.apikey import read_key
from syncd.cli.output import amount, answer
from syncd.cli.signals import Signals
from syncd.cli.telling import PlainVoice
from syncd.cli.wiring import pipeline
from syncd.daemon import once
from syncd.errors import UsageError
from syncd.extract.samples import write_sample_library
from syncd.ledger import reports
from syncd.lifecycle import State
from syncd.printable import path_text, printable
from syncd.sandbox.server import Sandbox
from syncd.settings import Settings

KEY = "sk-mavi-demo"
_MOST_SHOWN = 40
_CONFIG = """\
[api]
base_url = "{base_url}"
key_file = {key_file}
[ledger]
url = {ledger}
[upload]
pace = "off"
[watch]
settle = "0s"
[[folder]]
path = {folder}
tags = ["demo"]
[[rule]]
match = "Trips/{{trip}}/**"
tags = ["trip", "{{trip}}"]
[[rule]]
match = "**"
tags = ["{{year}}"]
"""


def show(folder: Path | None, keep: Path | None) -> int:
    """Run the demo on a folder, or on sample photos; `keep` names the folder where all of it stays."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="name the folder of your photos, or none for samples")
    with _workspace(keep) as work:
        photos = folder.absolute() if folder is not None else work / "Pictures"
        if folder is None and not photos.exists():
            photos.mkdir()
            write_sample_library(photos)
        with Sandbox(work / "sandbox") as sandbox:
            settings = _settings(work, photos, sandbox.base_url)
            answer(f"photos    {photos}{'' if folder else ' (samples of our own making)'}")
            answer(f"service   {sandbox.base_url} (the sandbox: nothing leaves this computer)")
            answer()
            first = _sync(settings, listing=True)
            answer()
            before = len(sandbox.stored())
            second = _sync(settings, listing=False)
            answer(
                f"once more: {amount(second.outcomes[State.UPLOADED], 'photo')} uploaded, "
                f"{amount(len(sandbox.stored()) - before, 'new image')} at the service. Nothing is ever sent twice."
            )
            stored = len(sandbox.stored())
        if keep:
            answer(f"kept in {work}: the photos, the ledger, and what the service got. `syncd sandbox --dir` shows it.")
    uploaded = first.outcomes[State.UPLOADED]
    return 0 if stored >= uploaded and not second.outcomes[State.UPLOADED] and first.paused is None else 1


def _sync(settings: Settings, *, listing: bool) -> once.Result:
    signals = Signals()
    key = read_key(settings, {})
    with pipeline(settings, key, PlainVoice(quiet=True), signals) as joined:
        result = once.sync(joined, wait=30.0, stop=signals.stop, wake=signals.wake)
        if listing:
            _print_listing(reports.listed(joined.store), settings)
            _print_sum(result, joined.status())
    return result


def _print_listing(found: Iterator[reports.Listed], settings: Settings) -> None:
    root = bytes(settings.folders[0].path)
    rows: list[tuple[str, str, str, str]] = []
    more = 0
    for one in found:
        if len(rows) == _MOST_SHOWN:
            more += 1
            continue
        taken = one.capture.taken_at.strftime("%Y-%m-%d %H:%M:%S") if one.capture.taken_at else "undated"
        what = (
            f"image {one.image_id}  {', '.join(one.sent_tags or ())}" if one.image_id else f"{one.state}: {one.reason}"
        )
        name = path_text(one.place.path[len(root) + 1 :])
        rows.append((name, taken, printable(one.capture.camera_model or "-"), printable(what)))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        answer("  ".join(value.ljust(width) for value, width in zip(row, [*widths, 0], strict=True)).rstrip())
    if more:
        answer(f"... and {more:,} more")


def _print_sum(result: once.Result, status: reports.Status) -> None:
    answer()
    answer(
        f"{amount(status.places, 'file')} with {amount(status.photos, 'distinct photo')}: "
        f"{result.outcomes[State.UPLOADED]} uploaded in {amount(status.requests, 'request')}, "
        f"{status.entries[State.UNFIT]} unfit, "
        f"{amount(sum(status.ignored.values()), 'other file')} ignored"
        + (f" ({', '.join(f'{n} {r}' for r, n in sorted(status.ignored.items()))})" if status.ignored else "")
    )


def _settings(work: Path, photos: Path, base_url: str) -> Settings:
    key_file = work / "api-key"
    key_file.write_text(KEY, encoding="ascii")
    key_file.chmod(0o600)
    text = _CONFIG.format(
        base_url=base_url,
        key_file=_toml(str(key_file)),
        ledger=_toml(f"sqlite:///{work / 'ledger.db'}"),
        folder=_toml(str(photos)),
    )
    path = work / "config.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, os.environ)


def _toml(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


@contextlib.contextmanager
def _workspace(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="syncd-demo-") as folder:
            yield Path(folder)
        return
    keep = keep.absolute()
    if keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty", hint="name a folder that is new")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep
