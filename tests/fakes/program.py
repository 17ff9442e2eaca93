"""The real program as a process, over a library, a configuration and a ledger of its own below one folder.

    program = Program(tmp_path, server.base_url)
    program.photo("2024/a.jpg")
    program.write_config(upload={"in_flight": 2})
    assert program.sync().code == 0

Nothing of the tests' own environment reaches the process but PATH; it runs the same syncd as the tests import. What is
started is ended with the `Program`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import syncd
from syncd.extract.samples import write_sample

KEY = "sk-mavi-sentinel-7c41e0"
SOURCE = str(Path(syncd.__file__).parent.parent)
PATIENCE = 20.0
"""Seconds for which a test waits for what should come at once."""
_FIRST_DAY = datetime(2024, 1, 1, 12)  # noqa: DTZ001 -- a camera's wall clock has no zone

Options = Mapping[str, object]
NOTHING: Options = MappingProxyType({})
NO_CHANGES: Mapping[str, str] = MappingProxyType({})
NO_SECTIONS: Mapping[str, Options] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is to hold nothing but JSON."""
        return json.loads(self.out)


class Running:
    """A process that runs. Its output goes to files, so that nothing it says can block it."""

    def __init__(self, command: Sequence[str | bytes], folder: Path, env: Mapping[str, str]) -> None:
        folder.mkdir()
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=env, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        """Standard error so far."""
        return self._err.read_text("utf-8", "surrogateescape")

    def wait(self, timeout: float = PATIENCE) -> Ended:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it runs for more than {timeout} s. {self.said}") from None
        return Ended(code, self._out.read_text("utf-8", "surrogateescape"), self.said)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


class Program:
    """One installation: a home with configuration, key, ledger and a library `Pictures`."""

    def __init__(self, home: Path, base_url: str) -> None:
        self.home = home
        self.base_url = base_url
        self.library = home / "Pictures"
        self.config = home / "config.toml"
        self.ledger = home / "state" / "ledger.db"
        self.key_file = home / "api-key"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": SOURCE}
        self._started: list[Running] = []
        self._photos = 0
        self.library.mkdir()
        self.use_key(KEY)
        self.write_config()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._started:
            running.kill()
        assert not self.leaks(), "P2: the API key is where it must not be"

    def leaks(self) -> list[Path]:
        """Name every file that holds the key: ledger, log, output, whatever the program left anywhere but the key."""
        written = (path for path in self.home.rglob("*") if path.is_file() and not path.is_relative_to(self.library))
        return [path for path in written if path != self.key_file and KEY.encode() in path.read_bytes()]

    def use_key(self, key: str) -> None:
        self.key_file.write_text(key + "\n", encoding="ascii")
        self.key_file.chmod(0o600)

    def write_config(
        self,
        *,
        api: Options = NOTHING,
        upload: Options = NOTHING,
        watch: Options = NOTHING,
        extract: Options = NOTHING,
        folders: Sequence[Options] = (),
        rules: Sequence[Options] = (),
        more: Mapping[str, Options] = NO_SECTIONS,
    ) -> None:
        """Write the configuration: quick settings, changed by what is given."""
        sections: list[tuple[str, Options]] = [
            (
                "[api]",
                {
                    "base_url": self.base_url,
                    "key_file": str(self.key_file),
                    "connect_timeout": "2s",
                    "answer_timeout": "2s",
                    **api,
                },
            ),
            ("[ledger]", {"url": f"sqlite:///{self.ledger}"}),
            ("[upload]", {"pace": "off", "in_flight": 1, "lookup_after": "1h", **upload}),
            ("[extract]", extract),
            ("[watch]", {"settle": "0s", **watch}),
            *((f"[{name}]", body) for name, body in more.items()),
        ]
        sections += [("[[folder]]", {"path": str(self.library), **folder}) for folder in folders or [{}]]
        sections += [("[[rule]]", rule) for rule in rules]
        text = "\n".join(
            f"{head}\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in body.items()) for head, body in sections
        )
        self.config.write_text(text, encoding="utf-8")

    def photo(self, name: str, *, padding: int = 0, **sample: Any) -> Path:
        """Write a photo into the library: each is another one, taken on another day. `padding`: more bytes in it."""
        path = self.library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._photos += 1
        sample.setdefault("taken_at", _FIRST_DAY + timedelta(days=self._photos))
        write_sample(path, seed=self._photos, **sample)
        if padding:
            path.write_bytes(padded(path.read_bytes(), padding))
        return path

    def start(
        self, *arguments: str | bytes, env: Mapping[str, str] = NO_CHANGES, before: Sequence[str] = ()
    ) -> Running:
        """Start a command. `before` is put before it (a tracer)."""
        command = [*before, sys.executable, "-m", "syncd", "--config", str(self.config), *arguments]
        running = Running(command, self.home / f"process-{len(self._started)}", {**self.env, **env})
        self._started.append(running)
        return running

    def call(self, *arguments: str | bytes, timeout: float = PATIENCE, env: Mapping[str, str] = NO_CHANGES) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments, env=env).wait(timeout)

    def sync(self, *, wait: str = "0s", timeout: float = PATIENCE) -> Ended:
        return self.call("sync", "--json", "--wait", wait, timeout=timeout)

    def status(self) -> Any:
        return self.call("status", "--json").json

    def listed(self) -> dict[str, Any]:
        """`list --json`, by the path below the library."""
        rows = self.call("list", "--json").json
        return {row["path"].removeprefix(f"{self.library}/"): row for row in rows}


def padded(jpeg: bytes, count: int) -> bytes:
    """Put comment segments of that many bytes, never twice the same, behind the start of a JPEG: it stays whole."""
    segments = []
    while count > 0:
        length = min(count, 60_000)
        segments.append(b"\xff\xfe" + (length + 2).to_bytes(2, "big") + os.urandom(length))
        count -= length
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def eventually(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Wait for something that nobody announces."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def _toml(value: object) -> str:
    # JSON's strings, numbers, booleans and lists are TOML's; ASCII would need surrogate pairs, which TOML has not.
    return json.dumps(value, ensure_ascii=False)
