"""Who may ask for the metrics, and that asking, or failing to write them, disturbs nothing."""

from __future__ import annotations

import http.client
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.daemon.exporter import MetricsServer, TextFile, allowed_hosts
from syncd.daemon.voice import Said
from syncd.errors import LedgerError
from tests.fakes.program import eventually
from tests.fakes.voice import FakeVoice


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> Iterator[int]:
    chosen = free_port()
    with MetricsServer("127.0.0.1", chosen, lambda: "syncd_info 1\n"):
        yield chosen


def get(port: int, host: str | None, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_it_answers_to_its_own_name(port: int) -> None:
    assert get(port, f"127.0.0.1:{port}") == (200, "syncd_info 1\n")
    assert get(port, f"LOCALHOST:{port}") == (200, "syncd_info 1\n")
    assert get(port, f"127.0.0.1:{port}", path="/")[0] == 404
    assert get(port, f"127.0.0.1:{port}", path="/metrics?x")[0] == 404
    assert get(port, f"127.0.0.1:{port}", method="POST")[0] == 501


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.com", "127.evil.com", "127.0.0.1", "localhost", "127.0.0.1:1", "localhost.evil.com", "[::1]"],
)
def test_p1_it_answers_to_no_other(port: int, host: str | None) -> None:
    status, body = get(port, host)
    assert status == 403
    assert "syncd_info" not in body


def test_p1_two_names_are_no_name(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        good = f"Host: 127.0.0.1:{port}\r\n"
        client.sendall(f"GET /metrics HTTP/1.1\r\n{good}Host: evil.com\r\nConnection: close\r\n\r\n".encode())
        assert client.recv(100).split()[1] == b"403"


def test_which_names_are_its_own() -> None:
    assert allowed_hosts("127.0.0.1", 9532) == {"127.0.0.1:9532", "localhost:9532"}
    assert allowed_hosts("::1", 9532) == {"[::1]:9532", "localhost:9532"}
    assert allowed_hosts("127.0.0.1", 80) == {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}


def test_clients_that_say_nothing_do_not_keep_others_out_for_ever(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    for client in silent:
        client.close()
    eventually(lambda: got(port))


def got(port: int) -> bool:
    try:
        return get(port, f"127.0.0.1:{port}")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_a_ledger_that_cannot_be_read_is_an_answer_too() -> None:
    errors: list[Exception] = [LedgerError("it is damaged"), RuntimeError("a defect")]

    def failing() -> str:
        raise errors.pop()

    port = free_port()
    with MetricsServer("127.0.0.1", port, failing):
        assert get(port, f"127.0.0.1:{port}")[0] == 503
        assert get(port, f"127.0.0.1:{port}")[0] == 503


def test_an_address_that_is_taken_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            MetricsServer("127.0.0.1", taken.getsockname()[1], lambda: "")


def test_a_file_is_always_whole_readable_for_others_and_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "syncd.prom"
    before = os.umask(0o077)
    try:
        with TextFile(path, lambda: "syncd_info 1\n", FakeVoice(), every=3600.0):
            eventually(path.exists)
            assert path.read_text("utf-8") == "syncd_info 1\n"
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
            assert [one.name for one in tmp_path.iterdir()] == ["syncd.prom"]
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_said_once_and_again_after_it_went_well(tmp_path: Path) -> None:
    voice = FakeVoice()
    folder = tmp_path / "later"
    with TextFile(folder / "syncd.prom", lambda: "x\n", voice, every=0.01):
        eventually(lambda: voice.count(Said.METRICS) == 1)
        folder.mkdir()
        eventually((folder / "syncd.prom").exists)
    assert voice.count(Said.METRICS) == 1
