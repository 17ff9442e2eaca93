"""The body of one upload: multipart/form-data, read from open files, hashed on the way, held back at its end.

The last chunk of the last file and the closing boundary leave only when every file was exactly what was looked at and
the intent to complete the request is durable. Before that the service cannot have stored anything. Memory is constant.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import xxhash

from syncd.model import RequestMetadata

CHUNK: Final = 128 * 1024

ChecksumOf = Callable[[str], str | None]
"""Gives the XXH3-128 (32 hex digits) of the bytes that have this SHA-256, where both were taken in one reading."""


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
    left: Callable[[], None] | None = None
    """Called right after the first bytes of the request were handed to the network."""
    cancel: threading.Event | None = None
    """Once it is set, the request is given up, unless `completing` has returned."""
    passing: Callable[[int], float] | None = None
    """Called with the bytes of each piece before it leaves; gives the seconds for which it must wait."""
    waiting: Callable[[], None] | None = None
    """Called once, with the first bytes at hand and nothing committed: it may wait, and `cancel` ends the request."""


class _Hashed(Protocol):
    """A hash of what has passed so far."""

    def update(self, data: memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class Body:
    """The bytes of one request, to be read once, from front to back."""

    def __init__(
        self,
        metadata: RequestMetadata,
        files: Sequence[SendFile],
        boundary: str,
        hooks: Hooks,
        checksum_of: ChecksumOf = lambda _: None,
    ) -> None:
        self._files = files
        self._hooks = hooks
        self._checksum_of = checksum_of
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
            self._rest = next(self._pieces, memoryview(b""))
        if not self._left:
            self._left = True
            self._call(self._hooks.leaving)

    def has_left(self) -> None:
        """Hear that the first bytes were handed to the network."""
        self._call(self._hooks.left)

    def read(self, size: int = -1) -> memoryview:
        """Hand out at most `size` bytes (all that are at hand if negative), good until the next call; none at the end.

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

    def _produce(self) -> Iterator[memoryview]:
        """Yield the pieces, all in the same memory. A file's end stays there until all of the file is proved."""
        of_files = sum(file.size for file in self._files)
        memory = memoryview(bytearray(self._length - of_files + min(CHUNK, of_files)))
        end = _put(memory, 0, self._front)
        room = CHUNK
        for index, file in enumerate(self._files):
            end = _put(memory, end, self._heads[index])
            hashed, wanted = self._check(file)
            offset = 0
            while offset < file.size:
                if not room:
                    self._wait_for_its_turn()
                    yield memory[:end]
                    end, room = 0, CHUNK
                chunk = self._read_file(index, offset, memory[end : end + min(room, file.size - offset)])
                hashed.update(chunk)
                offset, end, room = offset + len(chunk), end + len(chunk), room - len(chunk)
            if hashed.hexdigest() != wanted:
                raise FileChangedError(index, "its bytes are not the ones that were looked at")
            end = _put(memory, end, b"\r\n")
        self._wait_for_its_turn()
        self._check_sizes()
        self._stop_if_cancelled()
        self._call(self._hooks.completing)
        yield memory[: _put(memory, end, self._closing)]

    def _check(self, file: SendFile) -> tuple[_Hashed, str]:
        """Give what a file is hashed with as it leaves, and what must come of that.

        The XXH3-128, where it is known: it takes a twentieth of the time. What it must notice is that somebody wrote
        to the file after it had been looked at, and that changes 128 bits of either hash alike; only who can choose the
        bytes both times can make two files of one XXH3-128, and harms nothing but his own photo.
        """
        checksum = self._checksum_of(file.digest)
        return (hashlib.sha256(), file.digest) if checksum is None else (xxhash.xxh3_128(), checksum)

    def _wait_for_its_turn(self) -> None:
        """Let the caller have the request wait, once, before its first byte and before `completing`."""
        if self._hooks.waiting is not None and not self._waited:
            self._waited = True
            self._call(self._hooks.waiting)
            self._stop_if_cancelled()

    def _read_file(self, index: int, offset: int, memory: memoryview) -> memoryview:
        """Read into this memory, and give as much of it as was filled."""
        self._stop_if_cancelled()
        file = self._files[index]
        try:
            length = os.preadv(file.fd, [memory], offset)
        except OSError as error:
            raise FileChangedError(index, f"it cannot be read: {error.strerror}") from error
        if not length:
            raise FileChangedError(index, f"it ends after {offset} of {file.size} bytes")
        return memory[:length]

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


def _put(memory: memoryview, at: int, text: bytes) -> int:
    """Write a text into the memory; give where it ends."""
    end = at + len(text)
    memory[at:end] = text
    return end


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
