"""HTTP and multipart read from a raw socket, strictly, and independent of syncd and of every library it uses."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

CHUNK = 65536
KEPT = 65536
"""Bytes of a part that are kept; the rest is only hashed and counted, so that 400 MB bodies cost no memory."""


class BrokenRequestError(Exception):
    """The request is not what a careful client sends."""


@dataclass(slots=True)
class Part:
    """One part of a multipart body. `content` holds at most its first KEPT bytes."""

    name: str
    file_name: str | None
    content_type: str | None
    size: int = 0
    content: bytes = b""
    sha256: str = ""

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")


@dataclass(slots=True)
class Request:
    """One request as it came in. Filled while it arrives, so that a test can look at it in the middle."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    arrived: float
    connection: int
    """Which connection it came on, counted from 1."""
    declared: int = 0
    body_read: int = 0
    complete: bool = False
    """Whether every byte of the declared body was read."""
    parts: list[Part] = field(default_factory=list)
    body: bytes = b""
    """At most the first KEPT bytes of a body that is not multipart."""
    problem: str = ""
    """What is malformed about it, or nothing."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else None

    @property
    def files(self) -> list[Part]:
        return [part for part in self.parts if part.file_name is not None]

    @property
    def fields(self) -> dict[str, list[str]]:
        """The form's fields: name -> its values in order."""
        fields: dict[str, list[str]] = {}
        for part in self.parts:
            if part.file_name is None:
                fields.setdefault(part.name, []).append(part.text)
        return fields

    @property
    def tags(self) -> list[str]:
        return self.fields.get("tags", [])


class Multipart:
    """A push parser for multipart/form-data. It keeps no file: it hashes and counts."""

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._buffer = bytearray(b"\r\n")
        self._part: Part | None = None
        self._digest = hashlib.sha256()
        self._state = "preamble"
        self.parts: list[Part] = []

    @property
    def ended(self) -> bool:
        return self._state == "end"

    def push(self, chunk: bytes) -> None:
        self._buffer += chunk
        while self._step():
            pass

    def _step(self) -> bool:
        match self._state:
            case "preamble":
                return self._preamble()
            case "after delimiter":
                return self._after_delimiter()
            case "headers":
                return self._headers()
            case "content":
                return self._content()
            case _:
                if bytes(self._buffer) not in {b"", b"\r", b"\r\n"}:
                    raise BrokenRequestError("bytes after the closing boundary")
                return False

    def _preamble(self) -> bool:
        if len(self._buffer) < len(self._delimiter):
            return False
        if not self._buffer.startswith(self._delimiter):
            raise BrokenRequestError("the body does not begin with the boundary")
        del self._buffer[: len(self._delimiter)]
        self._state = "after delimiter"
        return True

    def _after_delimiter(self) -> bool:
        if len(self._buffer) < 2:
            return False
        ending = bytes(self._buffer[:2])
        if ending not in {b"--", b"\r\n"}:
            raise BrokenRequestError("garbage after a boundary")
        del self._buffer[:2]
        self._state = "end" if ending == b"--" else "headers"
        return True

    def _headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > 8192:
                raise BrokenRequestError("the headers of a part are too long")
            return False
        self._part = part_of(bytes(self._buffer[:end]))
        self._digest = hashlib.sha256()
        del self._buffer[: end + 4]
        self._state = "content"
        return True

    def _content(self) -> bool:
        assert self._part is not None
        end = self._buffer.find(self._delimiter)
        ready = end if end >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        taken = bytes(self._buffer[:ready])
        self._digest.update(taken)
        self._part.size += len(taken)
        self._part.content += taken[: max(0, KEPT - len(self._part.content))]
        del self._buffer[:ready]
        if end < 0:
            return False
        del self._buffer[: len(self._delimiter)]
        self._part.sha256 = self._digest.hexdigest()
        if self._part.file_name is None and self._part.size > KEPT:
            raise BrokenRequestError(f"the field {self._part.name} is too long")
        self.parts.append(self._part)
        self._state = "after delimiter"
        return True


def part_of(block: bytes) -> Part:
    """Read the headers of one part: RFC 7578, no encodings, plain ASCII with percent or UTF-8 allowed in values."""
    headers: dict[str, str] = {}
    for line in block.decode("utf-8").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or name.lower() in headers or "\n" in line or "\r" in line:
            raise BrokenRequestError(f"a part has the header line {line!r}")
        headers[name.lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    shape = re.fullmatch(r'form-data; name="([^"\r\n]+)"(?:; filename="([^"\r\n]*)")?', disposition)
    if shape is None:
        raise BrokenRequestError(f"a part has the disposition {disposition!r}")
    return Part(shape[1], shape[2], headers.get("content-type"))


def read_head(conn: socket.socket, buffer: bytearray, arrived: float, connection: int) -> Request | None:
    """Read up to the end of a request's headers. None when the peer closed before the first byte."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > CHUNK:
            raise BrokenRequestError("the head of the request is too long")
        chunk = conn.recv(CHUNK)
        if not chunk:
            if buffer:
                raise BrokenRequestError("the connection ended inside the head of a request")
            return None
        buffer += chunk
    lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    del buffer[: end + 4]
    shape = re.fullmatch(r"([A-Z]+) (\S+) HTTP/1\.1", lines[0])
    if shape is None:
        raise BrokenRequestError(f"the request line is {lines[0]!r}")
    pairs = [line.partition(":") for line in lines[1:]]
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    request = Request(shape[1], shape[2], headers, arrived, connection)
    if request.header("Transfer-Encoding") is not None:
        request.problem = "the request is chunked; its end would say nothing about the client's intent"
    length = request.header("Content-Length")
    if length is not None and not re.fullmatch(r"[0-9]+", length):
        raise BrokenRequestError(f"Content-Length is {length!r}")
    request.declared = int(length or 0)
    return request


class BodyReader:
    """Reads the body of one request from its connection, keeping the request's own account up to date."""

    def __init__(self, conn: socket.socket, buffer: bytearray, request: Request) -> None:
        self._conn = conn
        self._buffer = buffer
        self._request = request
        content_type = request.header("Content-Type") or ""
        shape = re.fullmatch(r'multipart/form-data; ?boundary="?([^"]{1,70})"?', content_type)
        self._multipart = Multipart(shape[1]) if shape else None

    def read(self, limit: int | None = None) -> None:
        """Read up to `limit` bytes of the body, or all of it. Ends early when the peer closes."""
        request = self._request
        stop = request.declared if limit is None else min(limit, request.declared)
        while request.body_read < stop:
            wanted = min(CHUNK, stop - request.body_read)
            chunk = bytes(self._buffer[:wanted]) or self._conn.recv(wanted)
            del self._buffer[:wanted]
            if not chunk:
                return
            request.body_read += len(chunk)
            self._take(chunk)
        if request.body_read == request.declared:
            request.complete = True
            if self._multipart is not None and not self._multipart.ended and not request.problem:
                request.problem = "the declared length ends before the closing boundary"

    def _take(self, chunk: bytes) -> None:
        request = self._request
        if self._multipart is None:
            request.body += chunk[: max(0, KEPT - len(request.body))]
            return
        if request.problem:
            return
        try:
            self._multipart.push(chunk)
        except (BrokenRequestError, UnicodeDecodeError) as error:
            request.problem = str(error)
        request.parts = self._multipart.parts
