"""The body of one upload: multipart/form-data, read from open files, hashed on the way, held back at its end.

The last chunk of the last file and the closing boundary leave only when every file was exactly what its digest says and
the intent to complete the request is durable. Before that the service cannot have stored anything. Memory is constant.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from syncd.model import RequestMetadata

CHUNK: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class SendFile:
    """A file that is open for sending. The descriptor stays the caller's: it is read by position and never closed."""

    fd: int
    size: int
    """Bytes, as fstat said when it was opened; above 0."""
    digest: str
    """SHA-256, 64 lower-case hex digits: what the bytes must be."""
    wire_name: str
    mime: str


class GivenUpError(Exception):
    """The request was given up before it was complete."""


class FileChangedError(GivenUpError):
    """A file is not (any more) what was to be sent."""

    def __init__(self, index: int, detail: str) -> None:
        super().__init__(f"file {index}: {detail}")
        self.index = index
        self.detail = detail


class CancelledError(GivenUpError):
    """The caller wants no new request to become complete."""


class CallbackError(GivenUpError):
    """A callback of the caller failed with `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("a callback failed")
        self.error = error


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the sender of a request wants to be asked and told."""

    completing: Callable[[], None]
    """Called right before the request can become complete; it does not become complete unless this returns."""
    leaving: Callable[[], None] | None = None
    """Called right before the first byte of the request leaves."""
    cancel: threading.Event | None = None
    """Once it is set, the request is given up, unless `completing` has returned."""
    passing: Callable[[int], float] | None = None
    """Called with the bytes of each piece before it leaves; gives the seconds for which it must wait."""
    waiting: Callable[[], None] | None = None
    """Called once, with the first bytes at hand and nothing committed: it may wait, and `cancel` ends the request."""


class Body:
    """The bytes of one request, to be read once, from front to back."""

    def __init__(self, metadata: RequestMetadata, files: Sequence[SendFile], boundary: str, hooks: Hooks) -> None:
        self._files = files
        self._hooks = hooks
        self._front = _fields(metadata, boundary)
        self._heads = [_head(file, boundary) for file in files]
        self._closing = f"--{boundary}--\r\n".encode("ascii")
        self._length = len(self._front) + len(self._closing)
        self._length += sum(len(head) + file.size + 2 for head, file in zip(self._heads, files, strict=True))
        self._pieces = self._produce()
        self._rest = memoryview(b"")
        self._waited = False
        self._left = False
        self.handed_out = 0

    def __len__(self) -> int:
        """Give the exact Content-Length."""
        return self._length

    @property
    def complete(self) -> bool:
        """Whether every byte was handed out: from here on the service may have the whole request."""
        return self.handed_out == self._length

    def prepare(self) -> None:
        """Get the first bytes ready and let the caller have the request wait; on return its head may leave.

        GivenUpError: it must not become complete.
        """
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        if not self._left:
            self._left = True
            self._call(self._hooks.leaving)

    def read(self, size: int = -1) -> memoryview:
        """Hand out at most `size` bytes (all that are at hand if negative); nothing at the end.

        GivenUpError: the request must not become complete.
        """
        if not self._rest:
            self.prepare()
        piece = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(piece) :]
        self._hold_back(len(piece))
        self.handed_out += len(piece)
        return piece

    def check_ready(self) -> None:
        """Look, before anything is connected, whether it makes sense to (GivenUpError)."""
        self._stop_if_cancelled()
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Look whether every file still has the size that it was opened with (FileChangedError)."""
        for index, file in enumerate(self._files):
            try:
                size = os.fstat(file.fd).st_size
            except OSError as error:
                raise FileChangedError(index, f"it cannot be read: {error.strerror}") from error
            if size != file.size:
                raise FileChangedError(index, f"it had {file.size} bytes and now has {size}")

    def _produce(self) -> Iterator[bytes]:
        """Yield the pieces. Those of a file's end are kept in `waiting` until the next is ready, or all is proved."""
        waiting = self._front
        for index, file in enumerate(self._files):
            waiting += self._heads[index]
            hashed = hashlib.sha256()
            offset = 0
            while offset < file.size:
                if offset or len(waiting) >= CHUNK:
                    self._wait_for_its_turn()
                    yield waiting
                    waiting = b""
                chunk = self._read_file(index, offset)
                hashed.update(chunk)
                offset += len(chunk)
                waiting += chunk
            if hashed.hexdigest() != file.digest:
                raise FileChangedError(index, "its bytes are not the ones that were looked at")
            waiting += b"\r\n"
        self._wait_for_its_turn()
        self._check_sizes()
        self._stop_if_cancelled()
        self._call(self._hooks.completing)
        yield waiting + self._closing

    def _wait_for_its_turn(self) -> None:
        """Let the caller have the request wait, once, before its first byte and before `completing`."""
        if self._hooks.waiting is not None and not self._waited:
            self._waited = True
            self._call(self._hooks.waiting)
            self._stop_if_cancelled()

    def _read_file(self, index: int, offset: int) -> bytes:
        self._stop_if_cancelled()
        file = self._files[index]
        try:
            chunk = os.pread(file.fd, min(CHUNK, file.size - offset), offset)
        except OSError as error:
            raise FileChangedError(index, f"it cannot be read: {error.strerror}") from error
        if not chunk:
            raise FileChangedError(index, f"it ends after {offset} of {file.size} bytes")
        return chunk

    def _stop_if_cancelled(self) -> None:
        if self._hooks.cancel is not None and self._hooks.cancel.is_set():
            raise CancelledError

    def _hold_back(self, size: int) -> None:
        """Wait as long as the caller wants a piece to wait. A request that is given up meanwhile waits no more."""
        if self._hooks.passing is not None and size:
            seconds = self._hooks.passing(size)
            if seconds > 0:
                (self._hooks.cancel or threading.Event()).wait(seconds)

    @staticmethod
    def _call(hook: Callable[[], None] | None) -> None:
        if hook is None:
            return
        try:
            hook()
        except BaseException as error:
            # Wrapped, so that no layer of the HTTP library takes an OSError of the ledger for one of the network.
            raise CallbackError(error) from error


def _fields(metadata: RequestMetadata, boundary: str) -> bytes:
    """Build the parts in front of the files. Nothing in a value needs escaping: it ends at the boundary."""
    named = [
        ("unique_id", metadata.unique_id),
        ("datetime_taken", metadata.datetime_taken),
        ("camera_model", metadata.camera_model),
        ("latitude", metadata.latitude),
        ("longitude", metadata.longitude),
        *(("tags", tag) for tag in metadata.tags),
    ]
    return b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
        for name, value in named
        if value is not None
    )


def _head(file: SendFile, boundary: str) -> bytes:
    """Build the lines in front of a file. Quotes and line ends in names as the WHATWG HTML standard encodes them."""
    name = file.wire_name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        f"Content-Type: {file.mime}\r\n\r\n"
    ).encode("utf-8", "replace")
