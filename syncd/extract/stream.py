"""One pass over a file's bytes: hands them out front to back and takes its digests on the way, in flat memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import xxhash

CHUNK = 1 << 18
"""Bytes: few enough that what was read is still in the processor's cache when it is hashed."""
LARGE = 1_000_000
"""Bytes from which on it is worth the memory to know a file's checksum: see `syncd.daemon.checksums`."""


class Stream:
    """The bytes of one file, read once in chunks, all into the same memory: new pages cost more than the reading.

    Whoever walks the structure says of each stretch whether it belongs to the picture. All bytes go into the SHA-256,
    those of the picture also into an XXH3-128; and all those of a large file into another.
    """

    def __init__(self, read: Callable[[memoryview, int], int], size: int, *, chunk: int = CHUNK) -> None:
        """`read(memory, offset)` fills and counts, as os.preadv does; its OSError goes through.

        Nothing beyond `size` is asked for.
        """
        self._read = read
        self._chunk = min(chunk, max(size, 1))
        self._limit = size
        self._fetched = 0
        self._buffer = bytearray(self._chunk)
        self._at = 0
        self._end = 0
        self._all = hashlib.sha256()
        self._picture = xxhash.xxh3_128()
        self._checksum = xxhash.xxh3_128() if size >= LARGE else None
        self.zero_tail = 0
        """How many zero bytes end what has been fetched so far."""

    @property
    def position(self) -> int:
        """How many bytes have been consumed."""
        return self._fetched - (self._end - self._at)

    @property
    def size(self) -> int:
        """How many bytes have been fetched: the file's size, once the stream is drained."""
        return self._fetched

    def peek(self, length: int) -> bytes:
        """Return the next bytes without consuming them; fewer only where the file ends."""
        while self._end - self._at < length and self._fetch():
            pass
        return bytes(memoryview(self._buffer)[self._at : min(self._at + length, self._end)])

    def take(self, length: int, *, picture: bool = True) -> bytes:
        """Consume and return up to `length` bytes; the caller bounds `length`."""
        found = self.peek(length)
        self._consume(len(found), picture=picture)
        return found

    def skip(self, length: int, *, picture: bool = True) -> bool:
        """Consume `length` bytes and tell whether there were so many."""
        while length > 0:
            available = self._end - self._at
            if not available:
                if not self._fetch():
                    return False
                continue
            step = min(length, available)
            self._consume(step, picture=picture)
            length -= step
        return True

    def search(self, pattern: re.Pattern[bytes], width: int) -> bytes | None:
        """Consume up to the next match of a pattern that is `width` bytes wide, and return the match (not consumed)."""
        while True:
            match = pattern.search(self._buffer, self._at, self._end)
            if match:
                self._consume(match.start() - self._at, picture=True)
                return match.group()
            self._consume(max(0, self._end - self._at - (width - 1)), picture=True)
            if not self._fetch():
                self._consume(self._end - self._at, picture=True)
                return None

    def drain(self) -> None:
        """Consume what is left, as bytes of the picture."""
        self._consume(self._end - self._at, picture=True)
        while self._fetch():
            self._consume(self._end - self._at, picture=True)

    def drain_past(self, sign: bytes) -> bool:
        """Consume what is left, as bytes of the picture, and tell whether `sign` is among them.

        It is looked for at the end first, where it mostly stands; else what was left is read once more.
        """
        start = self.position
        self.drain()
        first = self._fetched - self._end
        if self._buffer.find(sign, max(0, start - first), self._end) >= 0:
            return True
        return start < first and self._occurs(sign, start)

    def digest(self) -> str:
        """SHA-256 of all bytes fetched, 64 hex digits."""
        return self._all.hexdigest()

    def checksum(self) -> str | None:
        """XXH3-128 of all bytes fetched, 32 hex digits; None where the file is not large."""
        return None if self._checksum is None else self._checksum.hexdigest()

    def picture_digest(self) -> str:
        """XXH3-128 of the bytes of the picture consumed, 32 hex digits."""
        return self._picture.hexdigest()

    def _occurs(self, sign: bytes, offset: int) -> bool:
        """Look for bytes in what was fetched, from an offset on."""
        window = bytearray(self._chunk + len(sign))
        kept = 0
        while offset < self._fetched:
            with memoryview(window)[kept : kept + self._chunk] as memory:
                length = self._read(memory, offset)
            if not length:
                return False
            end = kept + length
            if window.find(sign, 0, end) >= 0:
                return True
            offset += length
            kept = min(end, len(sign) - 1)
            window[:kept] = window[end - kept : end]
        return False

    def _consume(self, length: int, *, picture: bool) -> None:
        if picture and length:
            self._picture.update(memoryview(self._buffer)[self._at : self._at + length])
        self._at += length

    def _fetch(self) -> bool:
        """Add a chunk to what is not consumed; false at the end of the file."""
        wanted = min(self._chunk, self._limit - self._fetched)
        if wanted <= 0:
            return False
        self._make_room(wanted)
        with memoryview(self._buffer)[self._end : self._end + wanted] as memory:
            length = self._read(memory, self._fetched)
            if not length:
                return False
            self._all.update(memory[:length])
            if self._checksum is not None:
                self._checksum.update(memory[:length])
        self._fetched += length
        self._end += length
        self._count_zeros(length)
        return True

    def _make_room(self, wanted: int) -> None:
        """Move what is not consumed to the front, and have so many bytes behind it."""
        left = self._end - self._at
        if left:
            self._buffer[:left] = self._buffer[self._at : self._end]
        self._at, self._end = 0, left
        missing = left + wanted - len(self._buffer)
        if missing > 0:
            self._buffer += bytes(missing)

    def _count_zeros(self, length: int) -> None:
        """Count the zero bytes at the end, of which the last `length` are new."""
        if self._buffer[self._end - 1]:
            self.zero_tail = 0
            return
        body = len(self._buffer[self._end - length : self._end].rstrip(b"\0"))
        self.zero_tail = length - body if body else self.zero_tail + length
