"""Open files to send, clients, and a server behind TLS."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from syncd.model import ImageType, RequestMetadata
from syncd.upload.body import SendFile
from syncd.upload.client import Client, ClientSettings
from syncd.upload.names import wire_name
from tests.fakes.fault_server import FaultServer

KEY = "sk-mavi-sentinel-5f3c"
METADATA = RequestMetadata(
    "default",
    datetime_taken="2024-05-06 07:08:09",
    camera_model="Canon EOS R5",
    latitude="47.376900",
    longitude="8.541700",
    tags=("trip", "Zürich", "syncd-0123456789abcdef"),
)

OpenFile = Callable[[Path], SendFile]
MakeFile = Callable[..., SendFile]
MakeClient = Callable[..., Client]


@pytest.fixture
def open_file() -> Iterator[OpenFile]:
    """Open a file for sending as it is now."""
    opened: list[int] = []

    def open_now(path: Path) -> SendFile:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        opened.append(fd)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        name = wire_name(os.fsencode(path.name), digest, ImageType.JPEG)
        return SendFile(fd, path.stat().st_size, digest, name, ImageType.JPEG.mime)

    yield open_now
    for fd in opened:
        os.close(fd)


@pytest.fixture
def make_file(tmp_path: Path, open_file: OpenFile) -> MakeFile:
    """Write a file and open it for sending."""

    def make(content: bytes = b"a photo", name: str = "IMG_0001.JPG") -> SendFile:
        path = tmp_path / name
        path.write_bytes(content)
        return open_file(path)

    return make


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        running.account.key = KEY
        yield running


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    with ExitStack() as stack:

        def make(base_url: str, *, answer: float = 10.0, **settings: object) -> Client:
            proxy, ca_file = settings.get("proxy", ""), settings.get("ca_file")
            assert isinstance(proxy, str)
            assert ca_file is None or isinstance(ca_file, Path)
            return stack.enter_context(Client(ClientSettings(base_url, 5.0, answer, proxy, ca_file), lambda: KEY))

        yield make


def nothing() -> None:
    """What `completing` does where a test is about something else."""


class Recorder:
    """A hook that counts its calls, and may fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls = 0
        self._error = error

    def __call__(self) -> None:
        self.calls += 1
        if self._error is not None:
            raise self._error


class Meddler(threading.Event):
    """A cancel event that is never set, and uses the moment before the n-th read of a file to do something."""

    def __init__(self, moment: int, action: Callable[[], object]) -> None:
        super().__init__()
        self._left = moment
        self._action = action

    def is_set(self) -> bool:
        if self._left == 0:
            self._action()
        self._left -= 1
        return False


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate to test TLS with")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
        str(certificate)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return certificate, key


class TlsServer:
    """Serves one connection after the other behind TLS. `serve` gets the encrypted connection."""

    def __init__(self, certificate: tuple[Path, Path], serve: Callable[[ssl.SSLSocket], None]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._serve = serve
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self.base_url = f"https://127.0.0.1:{self.port}/serve/api/v1"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            conn.settimeout(10)
            try:
                with self._context.wrap_socket(conn, server_side=True) as encrypted:
                    self._serve(encrypted)
            except OSError:
                conn.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


StartTls = Callable[[Callable[[ssl.SSLSocket], None]], TlsServer]


@pytest.fixture
def start_tls(certificate: tuple[Path, Path]) -> Iterator[StartTls]:
    running: list[TlsServer] = []

    def start(serve: Callable[[ssl.SSLSocket], None]) -> TlsServer:
        running.append(TlsServer(certificate, serve))
        return running[-1]

    yield start
    for server in running:
        server.close()


def read_request(conn: socket.socket) -> bytes:
    """Read one whole request with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += conn.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0]) - len(body)
    parts = [head, b"\r\n\r\n", body]
    while left:
        part = conn.recv(min(left, 1 << 20))
        assert part, "the request ended early"
        left -= len(part)
        parts.append(part)
    return b"".join(parts)
