"""A fault server and a program that talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import KEY, Program


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        running.account.key = KEY
        yield running


@pytest.fixture
def program(tmp_path: Path, server: FaultServer) -> Iterator[Program]:
    with Program(tmp_path, server.base_url) as installed:
        yield installed
