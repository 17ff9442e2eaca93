from __future__ import annotations

import errno
import hashlib
import re

import pytest
import xxhash

from syncd.extract.stream import LARGE, Stream
from tests.extract.pictures import reading, stream_of

CONTENT = bytes(range(256)) * 5


@pytest.mark.parametrize("chunk", [1, 2, 3, 255, 256, 1 << 20])
def test_both_digests_come_from_one_pass_whatever_the_chunks(chunk: int) -> None:
    stream = stream_of(CONTENT, chunk)
    assert stream.take(10) == CONTENT[:10]
    assert stream.skip(90, picture=False)
    assert stream.peek(4) == CONTENT[100:104]
    assert stream.position == 100
    stream.drain()
    assert stream.digest() == hashlib.sha256(CONTENT).hexdigest()
    assert stream.picture_digest() == xxhash.xxh3_128(CONTENT[:10] + CONTENT[100:]).hexdigest()
    assert stream.size == stream.position == len(CONTENT)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_a_pattern_is_found_across_chunks(chunk: int) -> None:
    content = b"a" * 7 + b"\xff\xd8" + b"\xff" + b"b" * 4
    stream = stream_of(content, chunk)
    pattern = re.compile(rb"\xff[^\xff]")
    assert stream.search(pattern, 2) == b"\xff\xd8"
    assert stream.position == 7
    stream.skip(2)
    assert stream.search(pattern, 2) == b"\xffb"
    stream.skip(2)
    assert stream.search(pattern, 2) is None
    assert stream.position == len(content)
    assert stream.picture_digest() == xxhash.xxh3_128(content).hexdigest()


def test_the_end_is_told() -> None:
    stream = stream_of(b"abc", 2)
    assert stream.peek(10) == b"abc"
    assert not stream.skip(4)
    assert stream.take(3) == b""


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("content", "is_there"),
    [(b"xx..abc", True), (b"xxabc....", True), (b"xx.......", False), (b"abc.ab.bc", False), (b"x", False)],
)
def test_a_sign_is_found_in_what_is_left(content: bytes, is_there: bool, chunk: int) -> None:  # noqa: FBT001
    stream = stream_of(content, chunk)
    stream.take(2)
    assert stream.drain_past(b"abc") == is_there
    assert stream.digest() == hashlib.sha256(content).hexdigest()
    assert stream.picture_digest() == xxhash.xxh3_128(content).hexdigest()
    assert (stream.position, stream.size) == (len(content), len(content))


@pytest.mark.parametrize(("content", "reads"), [(b"x" * 97 + b"abc", 10), (b"abc" + b"x" * 97, 11)])
def test_a_sign_at_the_end_needs_no_second_look(content: bytes, reads: int) -> None:
    offsets: list[int] = []

    def read(memory: memoryview, offset: int) -> int:
        offsets.append(offset)
        return reading(content)(memory, offset)

    assert Stream(read, len(content), chunk=10).drain_past(b"abc")
    assert len(offsets) == reads


def test_a_sign_is_not_found_where_the_file_shrinks_meanwhile() -> None:
    content = [b"abc" + b"x" * 97]

    def read(memory: memoryview, offset: int) -> int:
        length = reading(content[0])(memory, offset)
        if offset == 90:
            content[0] = b""
        return length

    assert not Stream(read, 100, chunk=10).drain_past(b"abc")


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1])
def test_the_checksum_of_a_large_file_is_of_all_its_bytes(size: int) -> None:
    content = b"x" * size
    stream = stream_of(content)
    stream.skip(1000, picture=False)
    stream.drain()
    wanted = xxhash.xxh3_128(content).hexdigest()
    assert stream.checksum() == (wanted if size >= LARGE else None)
    assert stream.picture_digest() != wanted


@pytest.mark.parametrize(
    ("content", "zeros"), [(b"", 0), (b"ab", 0), (b"a\0\0", 2), (b"\0" * 9, 9), (b"\0a\0\0\0\0", 4)]
)
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_zeros_at_the_end_are_counted(content: bytes, zeros: int, chunk: int) -> None:
    stream = stream_of(content, chunk)
    stream.drain()
    assert stream.zero_tail == zeros


def test_nothing_beyond_the_size_at_the_start_is_read() -> None:
    stream = Stream(reading(b"x" * 100), 10)
    stream.drain()
    assert stream.digest() == hashlib.sha256(b"x" * 10).hexdigest()


def test_a_file_that_shrinks_ends_early() -> None:
    stream = Stream(reading(b"xxxx"), 10)
    stream.drain()
    assert stream.size == 4


def test_an_error_of_the_disk_goes_through() -> None:
    def read(memory: memoryview, offset: int) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output") as caught:
        Stream(read, 10).drain()
    assert caught.value.errno == errno.EIO
