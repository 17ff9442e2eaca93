"""A home with a configuration, a library and a ledger, and the commands called in this very process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.main import main
from tests.fakes.ledgers import Ledger, make_ledger

KEY = "sk-mavi-sentinel-55aa"


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Home:
    """What a user has before the first sync: configuration, key and library. `ledger` adds what syncd would make."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.library = folder / "Pictures"
        self.library.mkdir()
        self.config = folder / "config.toml"
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.key_file = folder / "api-key"
        self.key_file.write_text(KEY, encoding="ascii")
        self.key_file.chmod(0o600)
        self._capsys = capsys
        self.configure()

    @property
    def root(self) -> bytes:
        return bytes(self.library)

    def configure(self, more: str = "") -> None:
        self.config.write_text(
            f'[api]\nbase_url = "http://127.0.0.1:9"\nkey_file = "{self.key_file}"\n'
            f'[ledger]\nurl = "sqlite:///{self.state}/ledger.db"\n'
            f'[watch]\nsettle = "0s"\n[[folder]]\npath = "{self.library}"\nexclude = ["exports/"]\n{more}',
            encoding="utf-8",
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Make the ledger and work on it, as the holder of the lock would."""
        with make_ledger(self.state, roots=[self.root]) as made:
            yield made

    def call(self, *arguments: str) -> Told:
        self._capsys.readouterr()
        code = main(["--config", str(self.config), *arguments])
        told = self._capsys.readouterr()
        return Told(code, told.out, told.err)


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in ("SYNCD_CONFIG", "SYNCD_API_KEY", "CREDENTIALS_DIRECTORY", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    umask = os.umask(0o077)
    yield Home(tmp_path, capsys)
    os.umask(umask)
