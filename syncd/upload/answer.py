"""The final answer on a connection: its head, and a body within limits of time and size. Nothing follows it.

http.client reads it, but for the header fields: it has them parsed as those of an e-mail, and urllib3 copies what comes
of that twice. For a small photo that is a third of what sending it costs.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import zlib
from typing import Any, Final, Literal

_INFORMATIONAL: Final = frozenset(range(100, 200)) - {101}
_BODILESS: Final = frozenset({101, 204, 304})
_PORTION: Final = 64 * 1024
_LONGEST_LINE: Final = 64 * 1024
_MOST_FIELDS: Final = 100


class LastResponse(http.client.HTTPResponse):
    """The final answer on a connection. So many seconds, else the socket's timeout, bound the whole of it."""

    version_string = "HTTP"
    """For the log of urllib3, as what follows."""
    length_remaining: int | None = None
    _connection: Any = None
    """Set by urllib3."""

    def __init__(self, sock: socket.socket, *_: Any, seconds: float | None = None, **__: Any) -> None:
        source: Any = _TimedReader(sock, seconds or sock.gettimeout() or 0.0)
        super().__init__(source)
        self.fields: dict[str, str] = {}
        """The header fields, names in lower case; the values of a repeated one are joined by commas."""

    def begin(self) -> None:
        """Read up to the body of the final answer (http.client itself passes over 100 alone)."""
        unseen: Any = self  # what the types of http.client do not know, or know otherwise
        while True:
            version, self.status, self.reason = unseen._read_status()  # noqa: SLF001 - urllib3 calls it, too
            if not version.startswith(("HTTP/1.", "HTTP/0.9")):
                raise http.client.UnknownProtocol(version)
            self.fields = _read_fields(self.fp)
            if self.status not in _INFORMATIONAL:
                break
        unseen.headers = unseen.msg = self.fields
        self.chunked = "chunked" in _listed(self.fields.get("transfer-encoding", "").lower())
        self.chunk_left = None
        self.length = self.length_remaining = None if self.chunked else self._declared()
        self.will_close = True

    def read_body(self, limit: int) -> bytes | None:
        """Read a body of at most `limit` bytes. A cut one is kept where what came looks like whole JSON."""
        parts: list[bytes] = []
        length = 0
        whole = True
        try:
            while length <= limit and (part := self.read1(_PORTION)):
                parts.append(part)
                length += len(part)
        except (OSError, http.client.HTTPException, OverflowError):  # the last: a chunk of less than no bytes
            whole = False
        if length > limit:
            return None
        body = _decode(b"".join(parts), self.fields.get("content-encoding", ""), limit)
        return body if (whole and not self.length) or (body is not None and body.rstrip().endswith(b"}")) else None

    def close(self) -> None:
        """Let go of the connection, too."""
        super().close()
        if self._connection is not None:
            self._connection.close()

    def _declared(self) -> int | None:
        """Give how many bytes the body has, where that is said; else it goes on to the end of the connection."""
        if self.status in _BODILESS:
            return 0
        try:
            lengths = {int(each) for each in _listed(self.fields.get("content-length", ""))}
        except ValueError:
            return None
        if len(lengths) > 1:
            # Nobody knows where such an answer ends (RFC 9112, 6.3).
            raise http.client.HTTPException("several lengths")
        return next((length for length in lengths if length >= 0), None)


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline, however the bytes drip."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._deadline = time.monotonic() + seconds

    def makefile(self, _: Literal["rb"]) -> io.BufferedReader:
        """Be what http.client takes for a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


def _read_fields(file: io.BufferedReader) -> dict[str, str]:
    """Read the header fields up to the empty line. A line that is none is passed over, a folded one is joined."""
    fields: dict[str, str] = {}
    name = ""
    for _ in range(_MOST_FIELDS + 1):
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        text = line.decode("latin-1").rstrip("\r\n")
        if not text:
            return fields
        if text[0] in " \t":
            if name:
                fields[name] += f" {text.strip()}"
            continue
        name, colon, value = text.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            value = value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    raise http.client.HTTPException(f"got more than {_MOST_FIELDS} headers")


def _listed(value: str) -> set[str]:
    return {each.strip() for each in value.split(",")}


def _decode(body: bytes, encoding: str, limit: int) -> bytes | None:
    """Undo a compression that we never asked for; None where that cannot be done within the limit."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        return None
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, by the header
    try:
        plain = inflater.decompress(body, limit)
    except zlib.error:
        return None
    return plain if inflater.eof else None
