"""A notification on the desktop with the verdict. Where there is no desktop, or it fails, the journal has it all."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

from syncd.apikey import KEY_VARIABLE
from syncd.printable import printable

_PATIENCE: Final = 10.0
_LONGEST: Final = 500


def notify(summary: str, body: str, *, urgent: bool, env: Mapping[str, str] | None = None) -> bool:
    """Show it, and tell whether a program took it. Never raises: a message that fails must not fail an import."""
    env = os.environ if env is None else env
    program = shutil.which("notify-send", path=env.get("PATH"))
    if program is None or not (env.get("DBUS_SESSION_BUS_ADDRESS") or env.get("XDG_RUNTIME_DIR")):
        return False
    without_key = {name: value for name, value in env.items() if name != KEY_VARIABLE}
    level = "critical" if urgent else "normal"
    command = [program, "--app-name=syncd", f"--urgency={level}", "--", _inert(summary), _inert(body)]
    try:
        ended = subprocess.run(  # noqa: S603  (a list of arguments, no shell)
            command, check=False, timeout=_PATIENCE, env=without_key, stdin=subprocess.DEVNULL, capture_output=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _inert(text: str) -> str:
    """Make a text harmless: bodies may hold markup, and what stands in them comes from cards."""
    shown = printable(text, _LONGEST)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\0", "")
