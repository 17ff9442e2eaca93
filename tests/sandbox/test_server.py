"""How the sandbox starts and ends."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from pathlib import Path

import pytest

from syncd.errors import NotNowError, SetupError
from syncd.sandbox.server import Sandbox, listen
from syncd.sandbox.switches import Switches
from tests.sandbox import forms
from tests.sandbox.forms import Sent, picture
from tests.sandbox.test_app import API, KEY, address, ask, send


class TellingClock:
    """The true time, and an event that says that somebody asked for it."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def __call__(self) -> float:
        self.asked.set()
        return time.time()


def stopped_within(sandbox: Sandbox, seconds: float) -> None:
    before = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - before < seconds


def test_what_it_held_it_holds_after_a_restart(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        send(sandbox, forms.body([("tags", "a")]))
        held = sandbox.stored()
    assert sandbox.stored() == held, "readable after the end"
    with Sandbox(tmp_path) as again:
        assert again.stored() == held
        assert again.requests() == 0


def test_the_same_one_can_be_started_again_at_the_same_address(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, switches=Switches(credits=5))
    assert sandbox.stored() == []
    sandbox.start()
    url = sandbox.base_url
    send(sandbox, forms.body())
    sandbox.stop()
    sandbox.stop()
    sandbox.start()
    assert sandbox.base_url == url
    assert sandbox.switches.credits == 4
    assert send(sandbox, forms.body())["code"] == "0000"
    sandbox.stop()


def test_its_clock_is_an_argument(tmp_path: Path) -> None:
    with Sandbox(tmp_path, clock=lambda: 1_780_000_000.0) as sandbox:
        send(sandbox, forms.body())
        assert sandbox.stored()[0].created_at == 1_780_000_000.0


def test_hanging_clients_do_not_keep_it(tmp_path: Path) -> None:
    clock = TellingClock()
    sandbox = Sandbox(tmp_path, clock=clock, switches=Switches(rate=100))
    sandbox.start()
    head = f"POST {API}/upload_img HTTP/1.1\r\nHost: {':'.join(map(str, address(sandbox)))}\r\nAuthorization: {KEY}\r\n"
    middle = head + f"Content-Type: {forms.CONTENT_TYPE}\r\nContent-Length: 100000\r\n\r\n--{forms.BOUNDARY}"
    open_ones = [socket.create_connection(address(sandbox), 5) for _ in range(3)]
    open_ones[1].sendall(head.encode())
    open_ones[2].sendall(middle.encode())
    assert clock.asked.wait(5), "the rate is looked at when the headers have arrived"
    stopped_within(sandbox, 2.0)
    assert not list((tmp_path / "incoming").iterdir())
    for conn in open_ones:
        conn.close()


def test_a_slow_answer_does_not_keep_it_and_what_was_stored_stays(tmp_path: Path) -> None:
    clock = TellingClock()
    sandbox = Sandbox(tmp_path, clock=clock, switches=Switches(latency=60.0))
    sandbox.start()
    caught: list[BaseException] = []

    def client() -> None:
        try:
            send(sandbox, forms.body())
        except (OSError, http.client.HTTPException, ValueError) as error:
            caught.append(error)

    thread = threading.Thread(target=client)
    thread.start()
    assert clock.asked.wait(5), "what is stored gets its time"
    assert len(sandbox.stored()) == 1
    stopped_within(sandbox, 2.0)
    thread.join()
    assert caught, "the answer was lost"
    with Sandbox(tmp_path) as again:
        assert len(again.stored()) == 1


def test_a_client_that_does_not_read_does_not_keep_it(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.start()
    send(sandbox, forms.body(files=[Sent(content=picture("x" * 15_000_000))]))
    with socket.socket() as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        conn.connect(address(sandbox))
        named = ":".join(map(str, address(sandbox)))
        conn.sendall(f"GET /sandbox/images/{sandbox.stored()[0].id} HTTP/1.1\r\nHost: {named}\r\n\r\n".encode())
        assert conn.recv(1)
        stopped_within(sandbox, 2.0)


def test_answers_are_not_held_back_by_nagle() -> None:
    """Asyncio sets TCP_NODELAY only on sockets whose protocol is named; without it an answer takes 40 ms longer."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_latency_delays_the_answer(tmp_path: Path) -> None:
    with Sandbox(tmp_path, switches=Switches(latency=0.2)) as sandbox:
        before = time.monotonic()
        send(sandbox, forms.body())
        assert time.monotonic() - before >= 0.2


def test_nothing_is_left_open(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "first") as sandbox:
        send(sandbox, forms.body())
    before = list(Path("/proc/self/fd").iterdir())
    with Sandbox(tmp_path / "second") as sandbox:
        send(sandbox, forms.body())
        ask(sandbox, "GET", "/")
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
    assert not [thread for thread in threading.enumerate() if thread.name == "syncd-sandbox"]


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "example.com", "192.168.1.1", "localhost", "127.0.0.1.evil.com"])
def test_it_listens_on_this_computer_alone(tmp_path: Path, host: str) -> None:
    with pytest.raises(SetupError, match="this computer alone"):
        Sandbox(tmp_path, host=host)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "a") as first:
        port = address(first)[1]
        with pytest.raises(SetupError, match=f"cannot listen on 127.0.0.1:{port}") as caught:
            Sandbox(tmp_path / "b", port=port).start()
    assert "--port" in caught.value.hint


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_said(tmp_path: Path, port: int) -> None:
    with pytest.raises(SetupError, match="cannot listen"):
        Sandbox(tmp_path, port=port).start()


def test_a_folder_in_use_is_said_and_the_port_given_back(tmp_path: Path) -> None:
    with Sandbox(tmp_path), pytest.raises(NotNowError, match="Another sandbox"):
        Sandbox(tmp_path).start()


def test_it_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Sandbox(tmp_path, switches=Switches(lose_every=2)) as sandbox:
        send(sandbox, forms.body())
        with pytest.raises((http.client.HTTPException, OSError)):
            send(sandbox, forms.body())
        ask(sandbox, "GET", "/nowhere")
        with socket.create_connection(address(sandbox), 5) as conn:
            conn.sendall(b"\x00\xff nonsense\r\n\r\n")
            conn.recv(1000)
    assert capfd.readouterr() == ("", "")
