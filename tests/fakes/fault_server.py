"""A scripted HTTP server on raw sockets that misbehaves as told and knows what it stored. Shares no code with syncd.

    with FaultServer() as server:
        server.script(act.CLOSE_AFTER_BODY)          # the first upload; every later one is OK
        ...                                          # let the client talk to server.base_url
        assert server.account.billed()[digest] == 1

`script` takes behaviours, or functions from the whole request to a behaviour. Behaviours that act before a request is
read (close after accept) take the next connection, whatever it is for.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from tests.fakes.account import Account, Rejection, StoredFile
from tests.fakes.behaviours import OK, Behaviour, Exchange, Reading, envelope, envelope_of
from tests.fakes.wire import BodyReader, BrokenRequestError, Request, read_head

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["OK", "Behaviour", "FaultServer", "Request", "Step", "StoredFile"]

PREFIX = "/serve/api/v1"
Step = Behaviour | Callable[[Request], Behaviour]


class FaultServer:
    """The server and its account. Requests are logged when their headers have arrived, and filled as they go on."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.account = Account()
        self.requests: list[Request] = []
        self.connections = 0
        self._clock = clock
        self._steps: dict[str, deque[Step]] = {"upload_img": deque(), "search": deque(), "list_unique_ids": deque()}
        self._defaults: dict[str, Step] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}{PREFIX}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def stored(self) -> list[StoredFile]:
        """Every image stored, oldest first. Each was billed."""
        with self.account.lock:
            return list(self.account.stored)

    @property
    def uploads(self) -> list[Request]:
        return self._requests_for("upload_img")

    @property
    def searches(self) -> list[Request]:
        return self._requests_for("search")

    def script(self, *steps: Step, default: Step = OK, endpoint: str = "upload_img") -> None:
        """Say what the next requests of an endpoint meet, one step each, and what every later one meets."""
        with self._changed:
            self._steps[endpoint] = deque(steps)
            self._defaults[endpoint] = default

    def wait_until(self, condition: Callable[[], bool], timeout: float = 5.0) -> None:
        """Wait for something to be true of the server; AssertionError when it never is."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout), f"not within {timeout} s; requests: {self.requests}"

    def wait_for_requests(self, count: int, timeout: float = 5.0) -> None:
        """Wait until the headers of that many requests have arrived, since the start."""
        self.wait_until(lambda: len(self.requests) >= count, timeout)

    def wait_for_stored(self, count: int, timeout: float = 5.0) -> None:
        self.wait_until(lambda: len(self.account.stored) >= count, timeout)

    def refuse(self) -> None:
        """Close the port: connections are refused until `accept_again`."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def accept_again(self) -> None:
        """Open the same port again."""
        assert self._listener is None, "the port is open"
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A small window makes a client feel soon that nobody reads.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(128)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._spawn(lambda: self._accept(listener))

    def __enter__(self) -> Self:
        self.accept_again()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self.refuse()
        with self._changed:
            for conn in self._open:
                shut(conn)
        for thread in self._threads:
            thread.join(5.0)
            assert not thread.is_alive(), "a thread of the fault server hangs"

    def _requests_for(self, endpoint: str) -> list[Request]:
        with self._changed:
            return [request for request in self.requests if request.path == f"{PREFIX}/{endpoint}"]

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="fault-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                self._open.add(conn)
                number = self.connections
                self._changed.notify_all()
            self._spawn(lambda conn=conn, number=number: self._serve(conn, number))  # type: ignore[misc]  # mypy cannot type defaults of a lambda

    def _serve(self, conn: socket.socket, number: int) -> None:
        try:
            if (unread := self._next_unread()) is not None:
                unread.answer(Exchange(conn, self.account, self._stopping))
                return
            buffer = bytearray()
            while not self._stopping.is_set() and self._serve_request(conn, buffer, number):
                pass
        except BrokenRequestError as error:
            with self.account.lock:
                self.account.violations.append(str(error))
        except OSError:
            pass  # the client went away, which is its right
        finally:
            with self._changed:
                self._open.discard(conn)
                conn.close()
                self._changed.notify_all()

    def _next_unread(self) -> Behaviour | None:
        """The next step for uploads, if it is one that takes a connection without reading from it."""
        with self._changed:
            steps = self._steps["upload_img"]
            step = steps[0] if steps else self._defaults.get("upload_img", OK)
            if not isinstance(step, Behaviour) or step.reading is not Reading.NOTHING:
                return None
            if steps:
                steps.popleft()
            return step

    def _serve_request(self, conn: socket.socket, buffer: bytearray, number: int) -> bool:
        request = read_head(conn, buffer, self._clock(), number)
        if request is None:
            return False
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        reader = BodyReader(conn, buffer, request)
        step = self._step_for(request)
        exchange = Exchange(conn, self.account, self._stopping, request)
        if isinstance(step, Behaviour) and step.reading is not Reading.WHOLE:
            reader.read(step.part if step.reading is Reading.PART else 0)
            self._notify()
            step.answer(exchange)
            return False
        reader.read()
        self._notify()
        if not request.complete:
            return False
        behaviour = step if isinstance(step, Behaviour) else step(request)
        self._meet(exchange, request, behaviour)
        return exchange.keep and (request.header("Connection") or "").lower() != "close"

    def _step_for(self, request: Request) -> Step:
        endpoint = request.path.removeprefix(f"{PREFIX}/")
        method = "GET" if endpoint == "list_unique_ids" else "POST"
        with self._changed:
            if endpoint not in self._steps or request.method != method:
                return envelope("0404", "No static resource.", http=404)
            steps = self._steps[endpoint]
            return steps.popleft() if steps else self._defaults.get(endpoint, OK)

    def _meet(self, exchange: Exchange, request: Request, behaviour: Behaviour) -> None:
        if not request.path.endswith("/upload_img"):
            self._meet_reading(exchange, request, behaviour)
            return
        if behaviour.stores:
            rejection = self.account.judge(request)
            if rejection is not None:
                exchange.answer(200, envelope_of(rejection.code, rejection.message))
                return
            exchange.ids = self.account.store(request, self._clock())
            self._notify()
        behaviour.answer(exchange)

    def _meet_reading(self, exchange: Exchange, request: Request, behaviour: Behaviour) -> None:
        """Search and list: answered from the account when all is well, else as the behaviour says."""
        if behaviour is not OK:
            behaviour.answer(exchange)
            return
        key = request.header("Authorization")
        if key is None or not key.startswith("sk-") or self.account.key not in {None, key}:
            exchange.answer(200, envelope_of("0401", "Invalid API key."))
        elif request.method == "GET":
            names = sorted({image.namespace for image in self.stored} | {"default"})
            exchange.answer(200, envelope_of("0000", "success", data=names, success=True, failed=False))
        else:
            self._search(exchange, request)

    def _search(self, exchange: Exchange, request: Request) -> None:
        query = json.loads(request.body)
        rejection = search_breach(query)
        if rejection is not None:
            with self.account.lock:
                self.account.violations.append(rejection.message)
            exchange.answer(200, envelope_of(rejection.code, rejection.message))
            return
        found = self.account.search(query, self._clock())
        data = {"current_page": 1, "page_size": query.get("top_k", 10), "total_count": len(found), "item": found}
        exchange.answer(200, envelope_of("0000", "success", data=data, success=True, failed=False))

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


def search_breach(query: object) -> Rejection | None:
    """The first documented rule of POST /search that a query breaks."""
    if not isinstance(query, dict) or not query.get("search_param") or query.get("search_type") != "BY_IMAGE":
        return Rejection("0003", "search_param or search_type is wrong.")
    top = query.get("top_k", 10)
    if not isinstance(top, int) or not 1 <= top <= 1000 or query.get("unique_id") == "":
        return Rejection("0003", "top_k or unique_id is wrong.")
    return None


def shut(conn: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the peer may have been faster
        conn.shutdown(socket.SHUT_RDWR)
