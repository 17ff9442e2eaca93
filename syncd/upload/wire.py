"""One connection for one request: bounded in time and buffers, honest about what left and what came back.

It adds to urllib3 what an unrepeatable request needs: a total deadline for the answer (a read timeout bounds single
reads only), an end of sending when the service has answered already, 1xx answers passed over, and never a second use.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import select
import socket
import threading
import time
from typing import Any, Final, Protocol

import urllib3.connection
import urllib3.connectionpool

_LAST_LOOK: Final = 10.0
"""Seconds at most that a service which takes no more still gets for an answer."""
_INFORMATIONAL: Final = range(102, 200)
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
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def is_answered(self) -> bool:
        """Tell whether an answer, or the end of all answers, has come. Does not wait."""
        if not self._poll.poll(0):
            return False
        try:
            first = self._sock.recv(10, socket.MSG_PEEK)
        except OSError:
            return True
        return not (first[:5] == b"HTTP/" and first[9:10] in {b"", b"1"})

    def push(self, data: memoryview, patience: float) -> None:
        """Send all of `data` (BrokenPipeError: there is an answer; TimeoutError: it stopped reading)."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLOUT)
        while data:
            events = poll.poll(patience * 1000)
            if not events:
                raise TimeoutError("the peer stopped reading")
            if events[0][1] & ~select.POLLOUT:
                if self.is_answered():
                    raise _answered()
                poll.modify(self._sock, select.POLLOUT)  # what is there is no answer and would wake us for ever
            if events[0][1] & select.POLLOUT:
                data = data[self._sock.send(data) :]


class Outgoing:
    """A body on its way: it ends early when the peer has answered or is gone, and can be cut from another thread."""

    def __init__(self, body: Readable, patience: float) -> None:
        self._body = body
        self._sock: socket.socket | None = None
        self._lock = threading.Lock()
        self._cut = False
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
        """Take the connection that the body leaves by (BrokenPipeError: it was cut meanwhile)."""
        with self._lock:
            if self._cut:
                raise _answered()
            self._sock = sock
        self.watched = Watched(sock) if type(sock) is socket.socket else None

    def cut(self) -> None:
        """End the connection, now or as soon as there is one."""
        with self._lock:
            self._cut = True
            if self._sock is not None:
                with contextlib.suppress(OSError):  # it may have ended by itself
                    # Not SSLSocket.shutdown: it would drop the TLS layer under the thread that is writing.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

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


def _answered() -> BrokenPipeError:
    """Make the error that urllib3 takes for "stop sending and read what is there"."""
    return BrokenPipeError(errno.EPIPE, "the peer has answered or closed")


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline, however the bytes drip."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, seconds: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class LastResponse(http.client.HTTPResponse):
    """The final answer on a connection. The socket's timeout bounds the whole of it, and nothing follows it."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        seconds = sock.gettimeout()
        if seconds is not None:
            raw: Any = self.fp
            self.fp = io.BufferedReader(_TimedReader(raw.detach(), sock, seconds))

    def begin(self) -> None:
        """Read up to the body of the final answer (http.client itself passes over 100 alone)."""
        super().begin()
        while self.status in _INFORMATIONAL:
            unread: Any = None
            self.headers = self.msg = unread  # else begin() takes its work for done
            super().begin()
        self.will_close = True


class PlainConnection(urllib3.connection.HTTPConnection):
    """One request over plain HTTP."""

    response_class = LastResponse
    _hurry = False
    _patience = 0.0
    _watched: Watched | None = None

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send the request. BrokenPipeError: not all of it, but there may be an answer."""
        self._hurry, self._watched = False, None
        body = options.get("body")
        if not isinstance(body, Outgoing):
            super().request(*arguments, **options)
            return
        if self.sock is None:
            self.connect()
        body.attach(self.sock)
        self.timeout = self._patience = body.patience
        self._watched = body.watched
        body.prepare()
        try:
            super().request(*arguments, **options)
        except OSError as error:
            # A write that fails leaves bytes here, under TLS too: the peer will never have them all.
            body.broken = self._hurry = True
            body.stalled = isinstance(error, TimeoutError)
            raise _answered() from error

    def send(self, data: Any) -> None:
        """Send bytes of the request, with an eye on what comes back."""
        if self._watched is None:
            super().send(data)
        else:
            self._watched.push(memoryview(data), self._patience)

    def getresponse(self) -> Any:
        """Read the answer, up to its body."""
        if self._hurry:
            self.timeout = min(self.timeout or _LAST_LOOK, _LAST_LOOK)
        return super().getresponse()


class TlsConnection(PlainConnection, urllib3.connection.HTTPSConnection):
    """One request over TLS."""


class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
    """Makes plain connections."""

    ConnectionCls = PlainConnection


class TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
    """Makes TLS connections."""

    ConnectionCls = TlsConnection


POOLS: Final = {"http": PlainPool, "https": TlsPool}
