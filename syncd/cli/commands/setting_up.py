"""`init` and `check`: the first configuration, and whether everything is in place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path | None, typer.Argument(help="The folder of your photos.", show_default="~/Pictures")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration that is there.")] = False,
) -> int:
    """Write a commented configuration.

    It has a budget of 1,000 uploads a day, because an upload costs money and cannot be taken back.
    """
    import os

    from syncd.apikey import BESIDE
    from syncd.cli import context
    from syncd.cli.output import answer
    from syncd.config import SYSTEM_CONFIG, load
    from syncd.config_template import template
    from syncd.errors import UsageError

    target = context.chosen_config() or _default_target()
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", hint="edit it, or replace it with `syncd init --force`")
    watched = (folder or Path.home() / "Pictures").expanduser().absolute()
    text = template(watched)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    if target == SYSTEM_CONFIG:
        # The user of the system service must be able to read it, whatever root's umask is.
        target.parent.chmod(0o755)
        partial.chmod(0o644)
    partial.replace(target)
    load(target, os.environ)
    answer(f"{target} is written. It watches {watched}{'' if watched.is_dir() else ' (which is not there yet)'}.")
    beside = target.with_name(BESIDE)
    answer(f"Next: put the API key into {beside} (mode 600), then run `syncd check` and `syncd sync`.")
    return 0


def check(*, as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> int:
    """Find every problem at once, without uploading.

    Looks at the configuration, the key, the folders, watch limits, the ledger and the disk.
    """
    from syncd.cli import context
    from syncd.cli.checking import Level, findings
    from syncd.cli.output import answer, answer_json
    from syncd.printable import printable

    found = findings(context.chosen_config())
    if as_json:
        answer_json([{"level": f.level, "subject": f.subject, "text": f.text, "hint": f.hint} for f in found])
    else:
        for finding in found:
            answer(f"{finding.level:<8} {finding.subject:<14} {printable(finding.text)}")
            if finding.hint:
                answer(f"{'':<23} -> {printable(finding.hint)}")
    return 78 if any(finding.level is Level.PROBLEM for finding in found) else 0


def _default_target() -> Path:
    import os

    home = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".config"
    return base / "syncd" / "config.toml"
