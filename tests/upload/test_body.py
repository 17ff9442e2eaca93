from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import Message
from pathlib import Path

import pytest
import xxhash

from syncd.model import RequestMetadata
from syncd.upload.body import CHUNK, Body, CallbackError, CancelledError, FileChangedError, Hooks, SendFile
from tests.upload.conftest import METADATA, MakeFile, Meddler, OpenFile, Recorder, nothing

BOUNDARY = "b0b0b0b0"


def body_of(
    *files: SendFile,
    metadata: RequestMetadata = METADATA,
    hooks: Hooks | None = None,
    known: Mapping[str, str] | None = None,
) -> Body:
    """Make a body. `known`: the checksums of files, by their digest."""
    return Body(metadata, files, BOUNDARY, hooks or Hooks(nothing), (known or {}).get)


def checksums(*files: SendFile) -> dict[str, str]:
    """Take the checksums of files as they are now."""
    return {file.digest: xxhash.xxh3_128(os.pread(file.fd, file.size, 0)).hexdigest() for file in files}


def drain(body: Body, size: int = -1) -> bytes:
    parts = []
    while part := body.read(size):
        parts.append(bytes(part))
    return b"".join(parts)


def parsed(raw: bytes) -> list[Message]:
    head = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
    message = message_from_bytes(head + raw, policy=policy.HTTP)
    assert not message.defects
    return list(message.iter_parts())


def header(part: Message, name: str) -> object:
    return part.get_param(name, header="content-disposition")


SIZES = [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_known", [False, True])
def test_the_length_is_exact_and_the_bytes_are_the_file(size: int, is_known: bool, make_file: MakeFile) -> None:  # noqa: FBT001
    content = os.urandom(size)
    file = make_file(content)
    body = body_of(file, known=checksums(file) if is_known else None)
    raw = drain(body)
    assert len(body) == len(raw) == body.handed_out
    assert body.complete
    assert parsed(raw)[-1].get_payload(decode=True) == content


def test_metadata_comes_first_and_files_in_order(make_file: MakeFile) -> None:
    files = [make_file(bytes([number]) * 50_000, f"{number}.jpg") for number in range(6)]
    parts = parsed(drain(body_of(*files)))
    fields = [(header(part, "name"), part.get_payload(decode=True)) for part in parts[:-6]]
    assert fields == [
        ("unique_id", b"default"),
        ("datetime_taken", b"2024-05-06 07:08:09"),
        ("camera_model", b"Canon EOS R5"),
        ("latitude", b"47.376900"),
        ("longitude", b"8.541700"),
        ("tags", b"trip"),
        ("tags", "Zürich".encode()),
        ("tags", b"syncd-0123456789abcdef"),
    ]
    assert [header(part, "filename") for part in parts[-6:]] == [file.wire_name for file in files]
    assert {header(part, "name") for part in parts[-6:]} == {"files"}
    assert {part.get_content_type() for part in parts[-6:]} == {"image/jpeg"}


def test_what_is_unknown_is_left_out(make_file: MakeFile) -> None:
    parts = parsed(drain(body_of(make_file(), metadata=RequestMetadata("x"))))
    assert [header(part, "name") for part in parts] == ["unique_id", "files"]


def test_n1_values_and_names_cannot_break_out(make_file: MakeFile) -> None:
    evil = 'a"\r\nX-Evil: 1\r\n\r\n--b\udcff'
    file = make_file()
    renamed = SendFile(file.fd, file.size, file.digest, 'x"\r\ny.jpg', file.mime)
    raw = drain(body_of(renamed, metadata=RequestMetadata("default", tags=(evil,))))
    parts = parsed(raw)
    assert [header(part, "name") for part in parts] == ["unique_id", "tags", "files"]
    assert parts[1].get_payload(decode=True) == b'a"\r\nX-Evil: 1\r\n\r\n--b?'
    assert b'filename="x%22%0D%0Ay.jpg"' in raw


@pytest.mark.parametrize("size", [1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 400_000])
def test_any_size_of_reads_gives_the_same_bytes(size: int, make_file: MakeFile) -> None:
    content = os.urandom(300_000)
    file = make_file(content)
    body = body_of(file, file)
    parts = []
    while part := body.read(size):
        assert len(part) <= size
        parts.append(bytes(part))
    assert b"".join(parts).count(content) == 2
    assert sum(map(len, parts)) == len(body)


def test_pieces_are_small_whatever_the_files(make_file: MakeFile) -> None:
    files = [make_file(os.urandom(size), f"{size}.jpg") for size in SIZES]
    body = body_of(*files, *files)
    while piece := body.read():
        assert len(piece) < 2 * CHUNK + 4096


def test_b10_the_end_is_withheld_until_completing_has_returned(make_file: MakeFile) -> None:
    content = os.urandom(3 * CHUNK)
    handed: list[bytes] = []
    before: list[bytes] = []
    body = body_of(make_file(content), hooks=Hooks(lambda: before.append(b"".join(handed))))
    while piece := body.read(10_000):
        handed.append(bytes(piece))
    assert len(before) == 1
    assert not before[0].endswith(b"--\r\n")
    assert before[0].endswith(content[CHUNK : 2 * CHUNK]), "of the last chunk nothing has left"


@pytest.mark.parametrize(
    ("size", "order"),
    [(7, ["waiting", "completing", "leaving", "out"]), (3 * CHUNK, ["waiting", "leaving", "out", "completing"])],
)
def test_it_waits_before_anything_is_committed_and_leaves_after_that(
    size: int, order: list[str], make_file: MakeFile
) -> None:
    """What leaves with the first byte is complete only after its commit, and waits for its turn before that."""
    said: list[str] = []
    hooks = Hooks(
        lambda: said.append("completing"), lambda: said.append("leaving"), waiting=lambda: said.append("waiting")
    )
    body = body_of(make_file(os.urandom(size)), hooks=hooks)
    assert said == []
    while body.read(10_000):
        if "out" not in said:
            said.append("out")
    assert said == order


def test_given_up_while_it_waits_nothing_has_left_and_nothing_is_committed(make_file: MakeFile) -> None:
    cancel = threading.Event()
    completing = Recorder()
    body = body_of(make_file(), hooks=Hooks(completing, cancel=cancel, waiting=cancel.set))
    with pytest.raises(CancelledError):
        body.read()
    assert (body.handed_out, completing.calls) == (0, 0)


@pytest.mark.parametrize("error", [OSError("disk full"), BrokenPipeError("x"), RuntimeError("x"), KeyboardInterrupt()])
def test_a_failing_hook_ends_the_body(error: BaseException, make_file: MakeFile) -> None:
    for hooks in (Hooks(Recorder(error)), Hooks(nothing, Recorder(error))):
        body = body_of(make_file(), hooks=hooks)
        with pytest.raises(CallbackError) as caught:
            drain(body)
        assert caught.value.error is error
        assert not body.complete


def change(path: Path, how: str) -> None:
    content = path.read_bytes()
    before = path.stat()
    match how:
        case "grow":
            path.write_bytes(content + b"x")
        case "shrink":
            os.truncate(path, len(content) // 2)
        case "empty":
            os.truncate(path, 0)
        case "rewrite":
            with path.open("r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(bytes([content[-1] ^ 1]))
        case "rewrite with the same times":
            change(path, "rewrite")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case _:
            raise ValueError(how)


CHANGES = ["grow", "shrink", "empty", "rewrite", "rewrite with the same times"]


@pytest.mark.parametrize("is_known", [False, True], ids=["SHA-256", "checksum"])
@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("moment", [0, 1, 3])
def test_b10_a_file_that_changes_on_the_way_is_noticed(
    how: str,
    moment: int,
    is_known: bool,  # noqa: FBT001
    tmp_path: Path,
    open_file: OpenFile,
    make_file: MakeFile,
) -> None:
    path = tmp_path / "changing.jpg"
    path.write_bytes(os.urandom(4 * CHUNK + 5))
    completing = Recorder()
    hooks = Hooks(completing, cancel=Meddler(moment, lambda: change(path, how)))
    file = open_file(path)
    body = body_of(file, make_file(b"another"), hooks=hooks, known=checksums(file) if is_known else None)
    with pytest.raises(FileChangedError) as caught:
        drain(body)
    assert caught.value.index == 0
    assert completing.calls == 0
    assert not body.complete


def test_each_file_is_checked_by_its_own_checksum_or_else_by_its_digest(make_file: MakeFile) -> None:
    first, second = make_file(b"first", "1.jpg"), make_file(b"second", "2.jpg")
    drain(body_of(first, second, known=checksums(first)))
    for wrong in ({first.digest: checksums(second)[second.digest]}, {first.digest: first.digest}):
        with pytest.raises(FileChangedError) as caught:
            drain(body_of(second, first, known=wrong))
        assert caught.value.index == 1


def test_b10_a_file_that_grows_after_it_was_read_is_noticed(tmp_path: Path, open_file: OpenFile) -> None:
    first, second = tmp_path / "first.jpg", tmp_path / "second.jpg"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    hooks = Hooks(nothing, cancel=Meddler(1, lambda: change(first, "grow")))
    with pytest.raises(FileChangedError) as caught:
        drain(body_of(open_file(first), open_file(second), hooks=hooks))
    assert (caught.value.index, caught.value.detail) == (0, "it had 5 bytes and now has 6")


def test_b10_a_file_that_is_replaced_by_renaming_is_sent_as_it_was(tmp_path: Path, open_file: OpenFile) -> None:
    path, other = tmp_path / "photo.jpg", tmp_path / "other.jpg"
    path.write_bytes(b"old bytes")
    other.write_bytes(b"new bytes")
    file = open_file(path)
    other.replace(path)
    assert b"old bytes" in drain(body_of(file))


def test_b10_a_change_before_the_start_needs_no_connection(tmp_path: Path, open_file: OpenFile) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"bytes")
    body = body_of(open_file(path))
    body.check_ready()
    change(path, "grow")
    with pytest.raises(FileChangedError):
        body.check_ready()


def test_an_unreadable_file_is_told_by_its_index(make_file: MakeFile) -> None:
    good = make_file()
    reader, writer = os.pipe()
    try:
        body = body_of(good, SendFile(reader, 7, good.digest, "pipe.jpg", "image/jpeg"))
        with pytest.raises(FileChangedError, match="cannot be read") as caught:
            drain(body)
    finally:
        os.close(reader)
        os.close(writer)
    assert caught.value.index == 1


def test_a_closed_descriptor_is_told_by_its_index(make_file: MakeFile) -> None:
    good = make_file()
    with pytest.raises(FileChangedError, match="cannot be read"):
        body_of(SendFile(1 << 20, 7, good.digest, "x.jpg", "image/jpeg")).check_ready()


def test_cancelling_ends_what_is_not_complete(make_file: MakeFile) -> None:
    cancel = threading.Event()
    completing = Recorder()
    body = body_of(make_file(os.urandom(3 * CHUNK)), hooks=Hooks(completing, cancel=cancel))
    body.check_ready()
    body.read()
    cancel.set()
    with pytest.raises(CancelledError):
        drain(body)
    assert completing.calls == 0
    with pytest.raises(CancelledError):
        body.check_ready()


def test_cancelling_comes_too_late_after_completing(make_file: MakeFile) -> None:
    cancel = threading.Event()
    body = body_of(make_file(), hooks=Hooks(cancel.set, cancel=cancel))
    drain(body)
    assert body.complete
