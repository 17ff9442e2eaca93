"""Running a script in a user and mount namespace of its own, where it may mount and where limits are its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).parents[2]


def run(script: str, *arguments: str, before: str = "") -> str:
    """Run a Python script as the root of a new namespace, after a line of shell; return what it printed."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not permitted here")
    line = f'{before}\nexec "$@"'
    return _output("unshare", "-Urm", "sh", "-ec", line, "sh", *_python(script, *arguments))


def run_as_nobody(script: str, *arguments: str) -> str:
    """Run a Python script as a user who may not read everything; return what it printed. Tests that run as root."""
    setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    try:
        refused = subprocess.run(
            [*setpriv, *_python("import syncd.watch")], capture_output=True, check=False
        ).returncode
    except FileNotFoundError:
        refused = 1
    if refused:
        pytest.skip("only root can run a script as nobody, and nobody must be able to read the checkout")
    return _output(*setpriv, *_python(script, *arguments))


def _python(script: str, *arguments: str) -> list[str]:
    start = f"import sys; sys.path.insert(0, {str(_CHECKOUT)!r}); sys.dont_write_bytecode = True\n"
    return [sys.executable, "-W", "error", "-c", start + script, *arguments]


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=40, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout
