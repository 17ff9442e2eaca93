"""One connection for one request: bounded in time and buffers, honest about what left and what came back.

It adds to urllib3 what an unrepeatable request needs: a total deadline for the answer (a read timeout bounds single
reads only), an end of sending when the service has answered already, 1xx answers passed over, and never a second use.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

import urllib3.connection
import urllib3.connectionpool

from syncd.upload.answer import LastResponse

_LAST_LOOK: Final = 10.0
"""Seconds at most that a service which takes no more still gets for an answer."""
SEND_BUFFER: Final = 256 * 1024
"""What may lie in the kernel: more, and holding back the end of a body would mean nothing."""
SOCKET_OPTIONS: Final = [
    *urllib3.connection.HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER),
]


class Readable(Protocol):
    """A body: what `Body` is."""

    def prepare(self) -> None:
        """Return when the request may leave."""

    def has_left(self) -> None:
        """Hear that the first bytes were handed to the network."""

    def read(self, size: int = -1) -> memoryview:
        """Hand out the next bytes; none at the end."""

    @property
    def complete(self) -> bool:
        """Whether every byte was handed out."""


class Watched:
    """A plain connection, watched for an answer while it is written to.

    Not for TLS: there bytes may come that are no answer.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # else Python asks whether it can write before each write
        self._sock = sock
        self._incoming = select.poll()
        self._incoming.register(sock, select.POLLIN)

    def is_answered(self) -> bool:
        """Tell whether an answer, or the end of all answers, has come. Does not wait."""
        if not self._incoming.poll(0):
            return False
        try:
            first = self._sock.recv(10, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return not (first[:5] == b"HTTP/" and first[9:10] in {b"", b"1"})

    def push(self, data: memoryview, patience: float) -> None:
        """Send all of `data` (BrokenPipeError: there is an answer; TimeoutError: it stopped reading)."""
        events = select.POLLIN | select.POLLOUT
        while data:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                events = self._wait(events, patience)

    def _wait(self, events: int, patience: float) -> int:
        """Wait until more can be sent, or an answer comes; give what to wait for the next time."""
        poll = select.poll()
        poll.register(self._sock, events)
        found = poll.poll(patience * 1000)
        if not found:
            raise TimeoutError("the peer stopped reading")
        if found[0][1] & ~select.POLLOUT:
            if self.is_answered():
                raise _answered()
            return select.POLLOUT  # what is there is no answer and would wake us for ever
        return events


class Outgoing:
    """A body on its way: it ends early when the peer has answered or is gone, and can be cut from another thread."""

    def __init__(self, body: Readable, patience: float) -> None:
        self._body = body
        self._sock: socket.socket | None = None
        self._lock = threading.Lock()
        self._cut = False
        self._left = False
        self.watched: Watched | None = None
        self.patience = patience
        """Seconds in which something must find its way into the send buffer."""
        self.stalled = False
        """The peer took nothing for that long."""
        self.broken = False
        """The kernel did not take all that was handed out: whatever was, the request never became complete."""

    @property
    def complete(self) -> bool:
        """Whether the peer may have the whole request."""
        return self._body.complete and not self.broken

    def attach(self, sock: socket.socket) -> None:
        """Take the connection that the body leaves by (ConnectionAbortedError: it was cut meanwhile)."""
        with self._lock:
            if self._cut:
                raise ConnectionAbortedError(errno.ECONNABORTED, "ended before anything was sent")
            self._sock = sock
        if type(sock) is socket.socket:
            self.watched = Watched(sock)
        else:
            sock.settimeout(self.patience)

    def cut(self) -> None:
        """End the connection, now or as soon as there is one."""
        with self._lock:
            self._cut = True
            if self._sock is not None:
                with contextlib.suppress(OSError):  # it may have ended by itself
                    # Not SSLSocket.shutdown: it would drop the TLS layer under the thread that is writing.
                    # TLS within the TLS to a proxy is no socket: it has one.
                    socket.socket.shutdown(getattr(self._sock, "socket", self._sock), socket.SHUT_RDWR)

    def prepare(self) -> None:
        """Return when the request may leave, its head included: a service that limits requests counts that."""
        self._body.prepare()

    def read(self, size: int = -1) -> memoryview:
        """Hand out the next bytes (BrokenPipeError: there is an answer to read instead)."""
        if self._body.complete:
            return memoryview(b"")  # an answer may have come by now, and the sending did not break
        if self._cut or (self.watched is not None and self.watched.is_answered()):
            raise _answered()
        return self._body.read(size)

    def push(self, piece: memoryview) -> None:
        """Send a piece with an eye on what comes back (OSError: it did not leave whole)."""
        if self.watched is not None:
            self.watched.push(piece, self.patience)
        elif self._sock is not None:
            self._sock.sendall(piece)
        if not self._left:
            self._left = True
            self._body.has_left()


def _answered() -> BrokenPipeError:
    """Make the error that urllib3 takes for "stop sending and read what is there"."""
    return BrokenPipeError(errno.EPIPE, "the peer has answered or closed")


class PlainConnection(urllib3.connection.HTTPConnection):
    """One request over plain HTTP, and its answer."""

    response_class = LastResponse
    _hurry = False

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **_: Any) -> None:
        """Send the request. BrokenPipeError: not all of it, but there may be an answer.

        The headers are to be complete. They leave together with the first piece of the body.
        """
        head = _head(method, url, headers)
        if self.sock is None:
            self.connect()
        if not isinstance(body, Outgoing):
            self.send(head + body)
            return
        body.attach(self.sock)
        self.timeout = body.patience
        body.prepare()
        try:
            piece = memoryview(head + body.read())
            while piece:
                body.push(piece)
                piece = body.read()
        except OSError as error:
            # A write that fails leaves bytes here, under TLS too: the peer will never have them all.
            body.broken = self._hurry = True
            body.stalled = isinstance(error, TimeoutError)
            raise _answered() from error

    def getresponse(self) -> Any:
        """Read the answer, up to its body."""
        seconds: Any = self.timeout
        response = LastResponse(self.sock, seconds=min(seconds, _LAST_LOOK) if self._hurry else seconds)
        response.begin()
        return response


def _head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """Write the head of a request (ValueError: a value would break out of its line)."""
    lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "\r\n"]
    text = "\r\n".join(lines)
    if text.count("\r") != text.count("\n") or text.count("\n") != len(lines):
        raise ValueError("a header of more than one line")
    return text.encode("latin-1")


class TlsConnection(PlainConnection, urllib3.connection.HTTPSConnection):
    """One request over TLS."""


class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
    """Makes plain connections."""

    ConnectionCls = PlainConnection


class TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
    """Makes TLS connections."""

    ConnectionCls = TlsConnection


POOLS: Final = {"http": PlainPool, "https": TlsPool}
