"""Gives the metrics to those who ask: at an address of this machine, and as a file for node_exporter.

Neither can stop the uploads: what goes wrong is said, and the rest goes on.
"""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from syncd.daemon.voice import Said, Voice

WRITE_EVERY: Final = 15.0
"""Seconds between two writings of the file: what node_exporter reads at most."""
_AT_ONCE: Final = 4
_LOOK_FOR_THE_END: Final = 3600.0
_CLIENT_WITHIN: Final = 5.0
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Answers GET /metrics at a loopback address, to requests that were meant for it."""

    def __init__(self, host: str, port: int, render: Callable[[], str]) -> None:
        """Raise OSError where the address cannot be had."""
        handler = _handler(render, allowed_hosts(host, port))
        self._server = _Server((host, port), handler, socket.AF_INET6 if ":" in host else socket.AF_INET)
        serve = partial(self._server.serve_forever, poll_interval=_LOOK_FOR_THE_END)
        self._thread = threading.Thread(target=serve, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A socket that takes no connections any more ends its waiting (shutdown(2)); by itself it would look late.
        self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class TextFile:
    """Writes the metrics to a file, again and again, each time as a whole."""

    def __init__(self, path: Path, render: Callable[[], str], voice: Voice, every: float = WRITE_EVERY) -> None:
        self._path = path
        self._render = render
        self._voice = voice
        self._every = every
        self._ended = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._go_on, name="metrics file", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and take the file away: figures that nobody keeps up to date any more would be believed."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _go_on(self) -> None:
        while True:
            self._write()
            if self._ended.wait(self._every):
                return

    def _write(self) -> None:
        # Not *.prom: node_exporter must not read it before it is whole.
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(self._render(), encoding="utf-8")
            # Others read it: the service's own umask keeps everything else from them.
            partial.chmod(0o644)
            partial.replace(self._path)
            self._failed = False
        except Exception as error:  # noqa: BLE001 - whatever it was: figures that stand still would be believed
            if not self._failed:
                detail = f"the metrics cannot be written: {getattr(error, 'strerror', None) or error}"
                self._voice.say(Said.METRICS, os.fsencode(self._path), detail)
            self._failed = True
            with contextlib.suppress(OSError):
                partial.unlink()


def allowed_hosts(host: str, port: int) -> frozenset[str]:
    """Give the values of the header Host that mean this server: exactly these, else any web page could read it."""
    bracketed = f"[{host}]" if ":" in host else host
    names = {bracketed, "localhost"} if ipaddress.ip_address(host).is_loopback else {bracketed}
    return frozenset({f"{name}:{port}" for name in names} | (names if port == 80 else frozenset()))


class _Server(http.server.ThreadingHTTPServer):
    """A few clients at once; more are turned away, so that they cannot use up the threads of the daemon."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[http.server.BaseHTTPRequestHandler],
        family: socket.AddressFamily,
    ) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for a name, as the base class does."""
        super(http.server.HTTPServer, self).server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is its own affair."""


def _handler(render: Callable[[], str], hosts: frozenset[str]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _CLIENT_WITHIN
        server_version, sys_version = "syncd", ""

        def do_GET(self) -> None:
            found = self.headers.get_all("Host") or []
            if len(found) != 1 or found[0].lower() not in hosts:
                self._answer(HTTPStatus.FORBIDDEN, "this address answers only to its own name\n")
            elif self.path != "/metrics":
                self._answer(HTTPStatus.NOT_FOUND, "the metrics are at /metrics\n")
            else:
                try:
                    text = render()
                except Exception:  # noqa: BLE001 - a scrape that fails says so, and disturbs nothing
                    self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "the ledger cannot be read at the moment\n")
                else:
                    self._answer(HTTPStatus.OK, text)

        def log_message(self, *_: object) -> None:
            """Log nothing: a scrape is no event."""

        def _answer(self, status: HTTPStatus, text: str) -> None:
            body = text.encode("utf-8", "backslashreplace")
            self.send_response(status)
            self.send_header("Content-Type", _CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

    return Handler
