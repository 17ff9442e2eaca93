"""Runs the sandbox: a socket on this computer alone, and a thread in which uvicorn serves the application.

The only module of syncd that pulls in the web libraries, so it is imported when a sandbox is wanted and not before.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd.errors import SetupError
from syncd.sandbox.app import PREFIX, make_app
from syncd.sandbox.contract import StoredImage
from syncd.sandbox.service import Counts, Service
from syncd.sandbox.store import Store
from syncd.sandbox.switches import Switches

WORKING: Final = Switches()
GRACE_SECONDS: Final = 1
"""How long requests in hand may go on after `stop`."""


class Connections:
    """The open connections by the address of their peer, so that a single one can be cut."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def add(self, transport: asyncio.Transport) -> None:
        """Remember a connection that was made."""
        self._open[tuple(transport.get_extra_info("peername")[:2])] = transport

    def remove(self, transport: asyncio.Transport) -> None:
        """Forget a connection that has ended."""
        self._open = {peer: other for peer, other in self._open.items() if other is not transport}

    def hang_up(self, scope: Scope) -> None:
        """Cut the connection that a request came on."""
        self._open[tuple(scope["client"])].abort()

    def hang_up_all(self) -> None:
        """Cut what is still open."""
        for transport in self._open.values():
            transport.abort()


def protocol_with(connections: Connections) -> type[H11Protocol]:
    """Make uvicorn's HTTP protocol report its connections."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            connections.add(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.remove(self.transport)
            super().connection_lost(exc)

    return Protocol


class Server(uvicorn.Server):
    """Uvicorn, saying when it listens, and leaving no connection open at the end."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self._connections = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests in hand end within the grace, then cut what is left."""
        await super().shutdown(sockets)
        self._connections.hang_up_all()
        # The transports close their sockets in the next turns of the loop.
        await asyncio.sleep(0.01)


class Sandbox:
    """A stand-in for the service that keeps what it is sent in a folder. `start` and `stop`, or a `with` block.

    Raises SetupError when the address or the folder cannot be used, NotNowError while another sandbox uses the folder.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        switches: Switches = WORKING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not is_this_computer(host):
            raise SetupError(
                f"The sandbox does not listen on {host}: it is for this computer alone.", hint="Use 127.0.0.1."
            )
        self.directory = directory
        self._host = host
        self._port = port
        self._clock = clock
        self._switches = switches
        self._service: Service | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def page_url(self) -> str:
        """The address of the page for a person, with a slash at its end."""
        return f"http://{self._host}:{self._port}/"

    @property
    def base_url(self) -> str:
        """The address to configure as the service's."""
        return f"http://{self._host}:{self._port}{PREFIX}"

    @property
    def switches(self) -> Switches:
        """The switches as they are now; `credits` is what is left."""
        return self._switches if self._service is None else self._service.switches

    def set_switches(self, switches: Switches) -> None:
        """Replace all switches, also while running."""
        self._switches = switches
        if self._service is not None:
            self._service.set_switches(switches)

    def stored(self) -> list[StoredImage]:
        """Every image that is held, oldest first. Still readable after `stop`."""
        return [] if self._service is None else self._service.images()

    def counts(self) -> Counts:
        """Say what came since the start, and what became of it."""
        return Counts() if self._service is None else self._service.counts()

    def requests(self) -> int:
        """How many requests came to the service's endpoints since the start: uploads, searches, lists."""
        return self.counts().requests

    def start(self) -> None:
        """Listen. Returns when connections are taken."""
        listener = listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        try:
            service = Service(Store(self.directory), self._switches, self._clock, self.page_url)
        except BaseException:
            listener.close()
            raise
        self._service = service
        connections = Connections()
        hosts = frozenset({f"{self._host}:{self._port}", f"localhost:{self._port}"})
        config = uvicorn.Config(
            make_app(service, hosts, connections.hang_up),
            loop="asyncio",
            http=protocol_with(connections),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = Server(config, connections)
        work = self._server.run
        self._thread = threading.Thread(target=work, args=([listener],), name="syncd-sandbox", daemon=True)
        self._thread.start()
        self._server.listening.wait()

    def stop(self) -> None:
        """End within two seconds, whatever clients do. What was stored stays stored."""
        if self._server is None or self._thread is None or self._service is None:
            return
        self._switches = self._service.switches
        self._server.should_exit = True
        self._thread.join()
        self._service.close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def is_this_computer(host: str) -> bool:
    """Tell whether a host is an IPv4 address that no other computer can reach."""
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Open the port. Raises SetupError when it is taken."""
    # asyncio turns Nagle's delay off only where the protocol is named: without it every answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise SetupError(
            f"The sandbox cannot listen on {host}:{port}: {error}.",
            hint="Stop what uses the port, or choose another with --port.",
        ) from error
    return listener
