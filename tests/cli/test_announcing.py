"""A person is told that an import is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    with FaultServer() as server, Program(tmp_path, server.base_url) as installed:
        return installed


def test_the_command_hears_of_the_verdict_and_its_failure_is_a_warning(program: Program, tmp_path: Path) -> None:
    told = tmp_path / "told"
    tell = tmp_path / "tell"
    tell.write_text(f'#!/bin/sh\necho "$SYNCD_EVENT $SYNCD_MESSAGE" > {told}\nexit 3\n', encoding="utf-8")
    tell.chmod(0o700)
    program.write_config(more={"notify": {"command": [str(tell)]}})
    program.photo("../card/DCIM/100CANON/a.jpg")
    done = program.call("import", str(tmp_path / "card"), "--label", "my card")
    assert told.read_text("utf-8").startswith("import-done my card: SAFE TO FORMAT: its one file has a verified copy")
    assert f"warning: {tell} ended with 3" in done.err
    assert done.code == 0
