from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.errors import ConfigError
from syncd.upload.body import Body, Hooks
from syncd.upload.client import Client, ClientSettings
from syncd.upload.replies import BadRequest, NotSent, Reply, Stored, Unanswered
from syncd.upload.transport import TROUBLE, Transport, explain, host_header
from syncd.upload.wire import Outgoing
from tests.fakes.fault_server import FaultServer
from tests.upload.conftest import KEY, METADATA, MakeClient, MakeFile, StartTls, nothing, read_request

BODY = b'{"code":"0000","msg":"success","data":[{"id":568102998803353601}],"success":true,"failed":false}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
STORED = Stored(("568102998803353601",))
BIG = 3_000_000


def send(client: Client, make_file: MakeFile, size: int = 1000) -> Reply:
    return client.send(METADATA, [make_file(os.urandom(size))], completing=nothing)


def answer(conn: ssl.SSLSocket) -> None:
    read_request(conn)
    conn.sendall(ANSWER)


def test_tls_with_a_configured_authority(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    client = make_client(start_tls(answer).base_url, ca_file=certificate[0])
    assert [send(client, make_file, size) for size in (1000, BIG, 1000)] == [STORED, STORED, STORED]


def test_h4_an_untrusted_certificate_stops_everything(
    start_tls: StartTls,
    certificate: tuple[Path, Path],
    make_client: MakeClient,
    make_file: MakeFile,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(certificate[0]))
    seen: list[bytes] = []
    server = start_tls(lambda conn: seen.append(conn.recv(10)))
    reply = send(make_client(server.base_url), make_file)
    assert isinstance(reply, NotSent)
    assert reply.cause.startswith("the certificate of the service is not trusted")
    assert seen == []


def test_h4_bundles_and_key_logs_of_the_environment_are_ignored(
    start_tls: StartTls,
    certificate: tuple[Path, Path],
    make_client: MakeClient,
    make_file: MakeFile,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    assert send(make_client(start_tls(answer).base_url, ca_file=certificate[0]), make_file) == STORED
    assert not (tmp_path / "secrets").exists()


def test_a_certificate_for_another_host_stops_everything(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    server = start_tls(answer)
    client = make_client(server.base_url.replace("127.0.0.1", "localhost"), ca_file=certificate[0])
    reply = send(client, make_file)
    assert isinstance(reply, NotSent)
    assert "certificate" in reply.cause


def test_a_bad_authority_file_is_a_configuration_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for path in (tmp_path / "missing.pem", empty, tmp_path):
        with pytest.raises(ConfigError, match="cannot be used") as caught:
            Client(ClientSettings("https://photos.invalid", 1.0, 1.0, ca_file=path), lambda: KEY)
        assert "api.ca_file" in caught.value.hint


def test_h1_an_early_rejection_over_tls_is_read_once_the_sending_stalls(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    done = threading.Event()

    def reject(conn: ssl.SSLSocket) -> None:
        conn.recv(1000)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        done.wait(10)

    client = make_client(start_tls(reject).base_url, ca_file=certificate[0], answer=0.4)
    start = time.monotonic()
    reply = send(client, make_file, BIG)
    done.set()
    assert time.monotonic() - start < 3
    assert isinstance(reply, BadRequest)
    assert reply.status == 413


def test_h1_an_early_rejection_over_tls_is_read_when_the_connection_breaks(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    def reject(conn: ssl.SSLSocket) -> None:
        conn.recv(1000)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.05)  # the answer is there before the end

    reply = send(make_client(start_tls(reject).base_url, ca_file=certificate[0]), make_file, BIG)
    assert isinstance(reply, BadRequest)
    assert reply.status == 413


@pytest.mark.parametrize("headers", [True, False])
def test_b4_an_answer_that_drips_over_tls_is_cut(
    *, headers: bool, start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    def drip(conn: ssl.SSLSocket) -> None:
        read_request(conn)
        start = 0 if headers else ANSWER.index(b"{")
        conn.sendall(ANSWER[:start])
        for byte in ANSWER[start:]:
            conn.sendall(bytes([byte]))
            time.sleep(0.05)

    client = make_client(start_tls(drip).base_url, ca_file=certificate[0], answer=0.4)
    start = time.monotonic()
    assert isinstance(send(client, make_file), Unanswered)
    assert time.monotonic() - start < 2


def test_a_connection_that_breaks_under_the_last_bytes_over_tls_means_not_sent(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    asked, gone = threading.Event(), threading.Event()

    def reset(conn: ssl.SSLSocket) -> None:
        asked.wait(5)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
        gone.set()

    client = make_client(start_tls(reset).base_url, ca_file=certificate[0])
    waited: list[bool] = []

    def completing() -> None:
        asked.set()
        waited.append(gone.wait(5))

    reply = client.send(METADATA, [make_file(os.urandom(400_000))], completing=completing)
    assert waited == [True]
    assert isinstance(reply, NotSent)


def test_s2_abandoning_works_under_tls(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    arrived, done = threading.Event(), threading.Event()

    def stop_reading(conn: ssl.SSLSocket) -> None:
        conn.recv(1000)
        arrived.set()
        done.wait(10)

    client = make_client(start_tls(stop_reading).base_url, ca_file=certificate[0], answer=30.0)
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(send(client, make_file, BIG)))
    thread.start()
    arrived.wait(5)
    client.abandon()
    thread.join(5)
    done.set()
    assert [type(reply) for reply in replies] == [NotSent]


def test_h4_proxies_and_netrc_of_the_environment_are_ignored(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login thief password stolen\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with FaultServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert isinstance(send(make_client(server.base_url), make_file), Stored)
        assert proxy.connections == 0
    assert server.uploads[0].header("Authorization") == KEY


def test_h4_a_configured_proxy_is_used(
    make_client: MakeClient, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with FaultServer() as proxy:
        client = make_client("http://photos.invalid/api", proxy=f"http://user:secret@127.0.0.1:{proxy.port}")
        reply = send(client, make_file)
        assert [request.target for request in proxy.requests] == ["http://photos.invalid/api/upload_img"]
        assert proxy.requests[0].header("Proxy-Authorization") == "Basic dXNlcjpzZWNyZXQ="
    assert not isinstance(reply, Stored)


def test_a_dead_proxy_means_not_sent(make_client: MakeClient, make_file: MakeFile) -> None:
    with FaultServer() as proxy:
        proxy.refuse()
        for scheme in ("http", "https"):
            client = make_client(f"{scheme}://photos.invalid/api", proxy=f"http://user:secret@127.0.0.1:{proxy.port}")
            assert send(client, make_file) == NotSent("connection refused")
        proxy.accept_again()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "nonsense", "http://"])
def test_a_proxy_of_another_kind_means_not_sent(proxy: str, make_client: MakeClient, make_file: MakeFile) -> None:
    assert isinstance(send(make_client("http://127.0.0.1:1/api", proxy=proxy), make_file), NotSent)


@pytest.fixture
def tunnel() -> Iterator[Callable[[int | None], int]]:
    """A proxy that opens a tunnel to a local port, whatever name it is asked for, or to none; its own port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(port: int | None) -> None:
        conn, _ = listener.accept()
        with conn:
            head = b""
            while b"\r\n\r\n" not in head:
                head += conn.recv(1)
            assert KEY.encode() not in head
            if port is None:
                conn.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            join(conn, port)

    def join(conn: socket.socket, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as target:
            conn.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
            back = threading.Thread(target=pump, args=(target, conn))
            back.start()
            pump(conn, target)
            back.join(5)

    def start(port: int | None) -> int:
        threads.append(threading.Thread(target=serve, args=(port,)))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(5)
    listener.close()


def test_tls_goes_through_a_tunnel(
    tunnel: Callable[[int | None], int],
    start_tls: StartTls,
    certificate: tuple[Path, Path],
    make_client: MakeClient,
    make_file: MakeFile,
) -> None:
    server = start_tls(answer)
    proxy = f"http://127.0.0.1:{tunnel(server.port)}"
    client = make_client(server.base_url, ca_file=certificate[0], proxy=proxy)
    assert send(client, make_file, BIG) == STORED


def tunnelling(port: int) -> Callable[[ssl.SSLSocket], None]:
    """Be a proxy behind TLS: open a tunnel to a local port for whoever asks."""

    def serve(conn: ssl.SSLSocket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += conn.recv(1)
        with socket.create_connection(("127.0.0.1", port)) as target:
            conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                ready, _, _ = select.select([conn, target], [], [], 10)
                source, sink = (conn, target) if conn in ready else (target, conn)
                data = source.recv(65536)
                if not ready or not data:
                    return
                sink.sendall(data)

    return serve


def test_tls_goes_through_a_proxy_behind_tls(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    proxy = start_tls(tunnelling(start_tls(answer).port))
    client = make_client(
        proxy.base_url.replace(str(proxy.port), "1"), ca_file=certificate[0], proxy=f"https://127.0.0.1:{proxy.port}"
    )
    assert [send(client, make_file, size) for size in (1000, BIG)] == [STORED, STORED]


def test_s2_abandoning_works_through_a_proxy_behind_tls(
    start_tls: StartTls, certificate: tuple[Path, Path], make_client: MakeClient, make_file: MakeFile
) -> None:
    arrived, done = threading.Event(), threading.Event()

    def stop_reading(conn: ssl.SSLSocket) -> None:
        conn.recv(1000)
        arrived.set()
        done.wait(10)

    proxy = start_tls(tunnelling(start_tls(stop_reading).port))
    client = make_client(
        "https://127.0.0.1:1/api", ca_file=certificate[0], proxy=f"https://127.0.0.1:{proxy.port}", answer=30.0
    )
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(send(client, make_file, 30 * BIG)))
    thread.start()
    arrived.wait(5)
    client.abandon()
    thread.join(5)
    done.set()
    assert [type(reply) for reply in replies] == [NotSent]


def test_a_proxy_that_drips_does_not_hold_us(make_file: MakeFile) -> None:
    def drip() -> None:
        with contextlib.suppress(OSError):
            conn, _ = listener.accept()
            with conn:
                conn.recv(1000)
                for byte in b"HTTP/1.1 200 Connection established\r\nX-Slow: " + bytes(1000):
                    conn.sendall(bytes([byte]))
                    if gone.wait(0.05):
                        return

    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(ClientSettings("https://photos.invalid", 0.3, 9.0, proxy), lambda: KEY) as client:
            began = time.monotonic()
            assert isinstance(send(client, make_file), NotSent)
            assert time.monotonic() - began < 2
        gone.set()
        thread.join(5)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://photos.example/a", "photos.example"),
        ("http://photos.example:80/a", "photos.example"),
        ("https://photos.example:443/a", "photos.example"),
        ("http://photos.example:443/a", "photos.example:443"),
        ("https://Photos.Example:8443", "photos.example:8443"),
        ("http://[::1]:8080/a", "[::1]:8080"),
        ("http://[::1]/a", "[::1]"),
        ("http://user:secret@photos.example/a", "photos.example"),
        ("https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/a", "xn--bcher-kva.example"),
    ],
)
def test_the_host_that_a_request_names(url: str, host: str) -> None:
    assert host_header(url) == host


def test_nothing_goes_anywhere_else(server: FaultServer) -> None:
    transport = Transport([f"{server.base_url}/upload_img"], proxy="", ca_file=None)
    with pytest.raises(ValueError, match="not configured"):
        transport.post(f"{server.base_url}/elsewhere", {}, b"", timeout=(1.0, 1.0), limit=1)
    transport.close()
    assert server.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "\r\n", "a\n\rb"])
def test_no_value_breaks_out_of_its_line(value: str, server: FaultServer) -> None:
    url = f"{server.base_url}/upload_img"
    transport = Transport([url], proxy="", ca_file=None)
    with pytest.raises(ValueError, match="more than one line"):
        transport.post(url, {"X-Value": value}, b"", timeout=(1.0, 1.0), limit=1)
    transport.close()
    assert server.connections == 0


def test_s2_what_is_abandoned_while_it_connects_waits_for_no_answer(make_file: MakeFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/upload_img"
        transport = Transport([url], proxy="", ca_file=None)
        body = Body(METADATA, [make_file(b"x")], "b", Hooks(nothing))
        outgoing = Outgoing(body, 5.0)
        outgoing.cut()
        with pytest.raises(TROUBLE) as caught:
            transport.post(url, {}, outgoing, timeout=(5.0, 5.0), limit=1)
        transport.close()
    assert explain(caught.value) == "ended before anything was sent"
    assert not outgoing.complete


def test_a_proxy_that_opens_no_tunnel_means_not_sent(
    tunnel: Callable[[int | None], int], make_client: MakeClient, make_file: MakeFile
) -> None:
    reply = send(
        make_client("https://photos.invalid/api", proxy=f"http://user:secret@127.0.0.1:{tunnel(None)}"), make_file
    )
    assert isinstance(reply, NotSent)
    assert "403" in reply.cause
    assert "secret" not in reply.cause
