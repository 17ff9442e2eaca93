from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.model import RequestMetadata
from syncd.upload.body import CHUNK, SendFile
from syncd.upload.client import Client, ClientSettings
from syncd.upload.replies import (
    BadRequest,
    Changed,
    Doubt,
    Hit,
    NotSent,
    Paused,
    PauseReason,
    RateLimited,
    Reply,
    SearchFailed,
    Stored,
    TooMany,
    Unanswered,
)
from tests.fakes import behaviours as act
from tests.fakes.behaviours import Behaviour, Exchange, Reading, envelope_of
from tests.fakes.fault_server import FaultServer
from tests.upload.conftest import KEY, METADATA, MakeClient, MakeFile, Meddler, OpenFile, Recorder, nothing
from tests.upload.test_body import CHANGES, change

SHORT = 0.4
"""An answer timeout for what is meant to time out."""
BIG = 3_000_000


def send(client: Client, *files: SendFile, metadata: RequestMetadata = METADATA) -> Reply:
    return client.send(metadata, files, completing=nothing)


def test_a_photo_arrives_as_it_is(server: FaultServer, make_client: MakeClient, make_file: MakeFile) -> None:
    photo, other = make_file(os.urandom(BIG)), make_file(b"x" * 10, "two.png")
    reply = send(make_client(server.base_url), photo, other)
    assert server.account.violations == []
    assert reply == Stored(tuple(str(image.id) for image in server.stored))
    assert [image.sha256 for image in server.stored] == [photo.digest, other.digest]
    assert [image.file_name for image in server.stored] == [photo.wire_name, other.wire_name]
    assert server.stored[0].fields == {
        "unique_id": ["default"],
        "datetime_taken": ["2024-05-06 07:08:09"],
        "camera_model": ["Canon EOS R5"],
        "latitude": ["47.376900"],
        "longitude": ["8.541700"],
        "tags": ["trip", "Zürich", "syncd-0123456789abcdef"],
    }


def test_the_request_has_the_headers_it_needs_and_no_others(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    send(make_client(server.base_url), make_file())
    headers = dict(server.uploads[0].headers)
    assert headers.pop("Content-Type").startswith("multipart/form-data; boundary=")
    assert int(headers.pop("Content-Length")) == server.uploads[0].body_read
    assert headers.pop("User-Agent").startswith("syncd/")
    assert headers == {
        "Host": f"127.0.0.1:{server.port}",
        "Authorization": KEY,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


STORED_AND_READABLE = [
    act.OK,
    act.IDS_AS_STRINGS,
    act.OK_CHUNKED,
    act.OK_CLOSE_DELIMITED,
    act.GZIP,
    act.EARLY_HINTS,
    act.CONTINUE_FIRST,
]


@pytest.mark.parametrize("behaviour", STORED_AND_READABLE, ids=str)
def test_b4_every_shape_of_a_true_answer_is_read(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    reply = send(make_client(server.base_url), make_file(b"1", "1.jpg"), make_file(b"2", "2.jpg"))
    assert reply == Stored(tuple(str(image.id) for image in server.stored))


LOST_AT_ONCE = [
    act.CLOSE_AFTER_BODY, act.RESET_AFTER_BODY, act.HALF_STATUS_LINE, act.GARBAGE_STATUS_LINE, act.GIANT_HEADER,
    act.ENDLESS_HEADERS, act.TRUNCATED_LENGTH, act.TRUNCATED_CHUNKED, act.TRUNCATED_CLOSE, act.BAD_GZIP, act.EMPTY_BODY,
    act.NO_CONTENT, act.HUGE_BODY,
    act.SUCCESS_FALSE, act.MISSING_DATA, act.NETWORK_ABNORMAL, act.CAPTIVE_PORTAL,
    act.html(500).storing(), act.html(502), act.html(503), act.status(408), act.status(409), act.status(504),
]  # fmt: skip


@pytest.mark.parametrize("behaviour", LOST_AT_ONCE, ids=lambda each: each.name)
def test_b1_b4_an_answer_that_proves_nothing_is_unknown(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    reply = send(make_client(server.base_url), make_file(os.urandom(BIG)))
    assert isinstance(reply, Unanswered)
    assert len(server.uploads) == 1, "nothing is sent a second time"
    assert len(server.stored) == behaviour.stores


@pytest.mark.parametrize(
    "behaviour",
    [act.SILENT_AFTER_BODY, act.STALLED_BODY, act.drip(0.05), act.drip(0.05, headers=True)],
    ids=["silent", "stalled", "dripping body", "dripping headers"],
)
def test_b1_b4_the_whole_answer_has_one_deadline(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    start = time.monotonic()
    reply = send(make_client(server.base_url, answer=SHORT), make_file())
    assert time.monotonic() - start < SHORT + 1.5
    assert isinstance(reply, Unanswered)
    assert reply.cause is Doubt.NO_ANSWER
    assert len(server.stored) == len(server.uploads) == 1


@pytest.mark.parametrize(
    "behaviour",
    [act.FEWER_IDS, act.MORE_IDS, act.DUPLICATE_IDS, act.FLOAT_IDS, act.NEGATIVE_IDS, act.HUGE_IDS, act.ZERO_IDS,
     act.NULL_IDS, act.BOOL_IDS, act.TEXT_IDS],
    ids=lambda each: each.name,
)  # fmt: skip
def test_b14_ids_that_do_not_fit_are_unknown(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    reply = send(make_client(server.base_url), make_file(b"1", "1.jpg"), make_file(b"2", "2.jpg"))
    assert isinstance(reply, Unanswered)
    assert reply.cause is Doubt.IDS


def answer_and_stay(code: int, after: float = 0.0) -> Behaviour:
    """Answers after the headers, never reads, never closes."""

    def answer(exchange: Exchange) -> None:
        exchange.stopping.wait(after)  # long enough for the client to be stuck in the middle of a chunk
        exchange.answer(code, envelope_of(f"0{code}", "refused early"))
        exchange.hang(20)

    return Behaviour("answers early and stays", answer, Reading.HEAD)


@pytest.mark.parametrize(
    "behaviour",
    [
        act.CLOSE_AFTER_ACCEPT,
        act.RESET_AFTER_ACCEPT,
        act.close_mid_body(500_000),
        act.reset_mid_body(500_000),
        act.close_mid_body(0),
    ],
    ids=lambda each: each.name,
)
def test_a_connection_that_breaks_on_the_way_means_not_sent(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    completing = Recorder()
    server.script(behaviour)
    reply = make_client(server.base_url).send(METADATA, [make_file(os.urandom(BIG))], completing=completing)
    assert isinstance(reply, NotSent)
    assert not any(request.complete for request in server.requests)
    assert completing.calls == 0


@pytest.mark.parametrize("behaviour", [act.NEVER_READ, act.stop_reading(300_000)], ids=lambda each: each.name)
def test_a_service_that_stops_reading_does_not_hold_us(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    completing = Recorder()
    client, photo = make_client(server.base_url, answer=SHORT), make_file(os.urandom(1_300_000))
    start = time.monotonic()
    reply = client.send(METADATA, [photo], completing=completing)
    assert time.monotonic() - start < SHORT + 3
    assert reply == NotSent("the service stopped reading")
    assert completing.calls == 0, "so little lies in the kernel that the end has not even been asked for"


def test_a_connection_that_breaks_under_the_last_bytes_means_not_sent(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    asked, gone = threading.Event(), threading.Event()

    def reset(exchange: Exchange) -> None:
        asked.wait(5)
        exchange.reset()
        exchange.conn.close()
        gone.set()

    server.script(Behaviour("reset", reset, Reading.PART, 10_000))
    waited: list[bool] = []

    def completing() -> None:
        asked.set()
        waited.append(gone.wait(5))

    client, photo = make_client(server.base_url), make_file(os.urandom(400_000))
    reply = client.send(METADATA, [photo], completing=completing)
    assert waited == [True]
    assert isinstance(reply, NotSent)


def test_an_endless_answer_is_not_read_to_its_end(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    def flood(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while not exchange.stopping.is_set():
                exchange.send(bytes(65536))

    server.script(Behaviour("flood", flood, stores=True))
    start = time.monotonic()
    assert isinstance(send(make_client(server.base_url, answer=30.0), make_file()), Unanswered)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("size", [10, BIG])
def test_it_says_once_that_the_first_bytes_have_left(
    size: int, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    said: list[str] = []

    def left() -> None:
        server.wait_for_requests(1)
        said.append("left")

    client = make_client(server.base_url)
    reply = client.send(
        METADATA,
        [make_file(os.urandom(size))],
        completing=nothing,
        leaving=lambda: said.append("leaving"),
        left=left,
    )
    assert isinstance(reply, Stored)
    assert said == ["leaving", "left"]


def test_nobody_listens(server: FaultServer, make_client: MakeClient, make_file: MakeFile) -> None:
    server.refuse()
    leaving = Recorder()
    client = make_client(server.base_url)
    reply = client.send(METADATA, [make_file()], completing=nothing, leaving=leaving)
    assert reply == NotSent("connection refused")
    assert leaving.calls == 0
    server.accept_again()


def test_an_unknown_name_is_told(make_client: MakeClient, make_file: MakeFile) -> None:
    reply = send(make_client("http://photos.invalid/api"), make_file())
    assert reply == NotSent("the name of the service cannot be resolved")


@pytest.mark.parametrize(
    "behaviour",
    [act.early(413), act.early(413, linger=False), answer_and_stay(413), answer_and_stay(413, after=0.2)],
    ids=["fin", "close", "stay", "late"],
)
def test_h1_an_early_rejection_is_read(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    start = time.monotonic()
    reply = send(make_client(server.base_url, answer=30.0), make_file(os.urandom(BIG)))
    assert time.monotonic() - start < 5
    assert isinstance(reply, BadRequest)
    assert (reply.status, reply.message) == (413, "refused early")
    assert not server.uploads[0].complete


def test_h1_an_early_rejection_with_a_time_means_later(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(act.early(413, {"Retry-After": "30"}))
    reply = send(make_client(server.base_url), make_file(os.urandom(BIG)))
    assert isinstance(reply, RateLimited)
    assert reply.retry_after == 30.0


@pytest.mark.parametrize(
    ("code", "reason"), [(401, PauseReason.BAD_KEY), (403, PauseReason.DISABLED), (402, PauseReason.NO_CREDITS)]
)
def test_b12_an_early_rejection_pauses(
    code: int, reason: PauseReason, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(act.early(code))
    reply = send(make_client(server.base_url), make_file(os.urandom(BIG)))
    assert isinstance(reply, Paused)
    assert reply.reason is reason


@pytest.mark.parametrize("code", [200, 500, 503, 408])
def test_an_early_answer_that_rejects_nothing_means_not_sent(
    code: int, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(act.early(code))
    reply = send(make_client(server.base_url), make_file(os.urandom(BIG)))
    assert isinstance(reply, NotSent)
    assert reply.status == code


def test_early_hints_do_not_end_the_sending(server: FaultServer, make_client: MakeClient, make_file: MakeFile) -> None:
    def hint(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        end = b""
        while not end.endswith(b"--\r\n"):
            end = (end + exchange.conn.recv(65536))[-4:]
        exchange.answer(200, act.success([568102998803353601]))

    server.script(Behaviour("hints early", hint, Reading.HEAD))
    assert send(make_client(server.base_url), make_file(os.urandom(BIG))) == Stored(("568102998803353601",))


REJECTIONS: list[tuple[Behaviour, type[Reply]]] = [
    (act.BAD_KEY, Paused),
    (act.BAD_KEY_9009, Paused),
    (act.DISABLED, Paused),
    (act.NO_CREDITS, Paused),
    (act.ENDPOINT_GONE, Paused),
    (act.status(405), Paused),
    (act.status(411), Paused),
    (act.html(403), Paused),
    (act.BAD_PARAMETER, BadRequest),
    (act.status(400), BadRequest),
    (act.status(415), BadRequest),
    (act.status(422), BadRequest),
    (act.too_many(1), TooMany),
    (act.rate_limited(), RateLimited),
    (act.rate_limited(http=200), RateLimited),
]


@pytest.mark.parametrize(("behaviour", "kind"), REJECTIONS)
def test_b12_a_documented_rejection_keeps_its_meaning(
    behaviour: Behaviour, kind: type[Reply], server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(behaviour)
    reply = send(make_client(server.base_url), make_file(b"1", "1.jpg"), make_file(b"2", "2.jpg"))
    assert isinstance(reply, kind)
    assert server.stored == []


@pytest.mark.parametrize(
    ("value", "seconds"), [("9", 9.0), ("-5", None), ("1e9", None), ("soon", None), ("99999999", 21600.0)]
)
def test_h2_a_wait_is_bounded(
    value: str, seconds: float | None, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(act.rate_limited(value))
    reply = send(make_client(server.base_url), make_file())
    assert isinstance(reply, RateLimited)
    assert reply.retry_after == seconds


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_b5_nothing_follows_a_redirect(
    code: int, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    with FaultServer() as elsewhere:
        for target in (f"{elsewhere.base_url}/upload_img", f"{server.base_url}/login"):
            server.script(act.redirect(code, target))
            reply = send(make_client(server.base_url), make_file())
            assert isinstance(reply, Paused)
            assert reply.reason is PauseReason.ELSEWHERE
        assert elsewhere.connections == 0
        assert len(server.requests) == 2


@pytest.mark.parametrize("how", CHANGES)
def test_b10_a_file_that_changes_while_it_is_sent_never_completes_a_request(
    how: str, tmp_path: Path, open_file: OpenFile, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    path = tmp_path / "changing.jpg"
    path.write_bytes(os.urandom(4 * CHUNK + 5))
    files = [make_file(b"first"), open_file(path), make_file(b"last", "last.jpg")]
    completing = Recorder()
    cancel = Meddler(4, lambda: change(path, how))  # one look before the start, one read of the first file, two of this
    reply = make_client(server.base_url).send(METADATA, files, completing=completing, cancel=cancel)
    assert isinstance(reply, Changed)
    assert reply.index == 1
    assert completing.calls == 0
    server.wait_for_requests(1)
    assert not server.uploads[0].complete
    assert server.stored == []


def test_b10_a_file_that_changed_before_needs_no_connection(
    tmp_path: Path, open_file: OpenFile, server: FaultServer, make_client: MakeClient
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"bytes")
    file = open_file(path)
    change(path, "grow")
    assert send(make_client(server.base_url), file) == Changed(0, "it had 5 bytes and now has 6")
    assert server.connections == 0


def test_b10_the_request_is_incomplete_until_completing_has_returned(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    seen: list[tuple[int, int]] = []

    def completing() -> None:
        server.wait_for_requests(1)
        time.sleep(0.05)  # whatever has left by now, it must not be the whole
        request = server.uploads[0]
        seen.append((request.body_read, request.declared))

    reply = make_client(server.base_url).send(METADATA, [make_file(os.urandom(BIG))], completing=completing)
    assert isinstance(reply, Stored)
    assert len(seen) == 1
    read, declared = seen[0]
    assert 0 < read < declared


def test_a_request_that_waits_for_its_turn_shows_the_service_nothing(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    """A service that limits requests counts the head: it must not come before the turn."""
    seen: list[int] = []

    def waiting() -> None:
        time.sleep(0.1)  # whatever has left by now, it must be nothing
        seen.append(len(server.uploads))

    for size in (10, BIG):
        file = make_file(os.urandom(size))
        reply = make_client(server.base_url).send(METADATA, [file], completing=nothing, waiting=waiting)
        assert isinstance(reply, Stored)
    assert seen == [0, 1]


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("ledger"), TimeoutError("locked")])
def test_what_completing_raises_comes_out_and_nothing_is_complete(
    error: Exception, server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    client = make_client(server.base_url)
    with pytest.raises(type(error), match=str(error)):
        client.send(METADATA, [make_file(os.urandom(BIG))], completing=Recorder(error))
    with pytest.raises(type(error), match=str(error)):
        client.send(METADATA, [make_file()], completing=nothing, leaving=Recorder(error))
    assert not any(request.complete for request in server.uploads)


def test_cancelling_ends_an_incomplete_request(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    cancel = threading.Event()
    client = make_client(server.base_url)
    reply = client.send(METADATA, [make_file(os.urandom(BIG))], completing=nothing, leaving=cancel.set, cancel=cancel)
    assert reply == NotSent("stopped before the request was complete")
    server.wait_for_requests(1)
    client.send(METADATA, [make_file()], completing=nothing, cancel=cancel)
    assert server.connections == 1


def in_thread(work: Callable[[], Reply]) -> tuple[threading.Thread, list[Reply]]:
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(work()))
    thread.start()
    return thread, replies


def test_s2_abandoning_ends_a_request_that_is_stuck(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    server.script(act.stop_reading(300_000))
    client, photo = make_client(server.base_url, answer=30.0), make_file(os.urandom(BIG))
    thread, replies = in_thread(lambda: send(client, photo))
    server.wait_until(lambda: bool(server.uploads) and server.uploads[0].body_read >= 300_000)
    client.abandon()
    thread.join(5)
    assert [type(reply) for reply in replies] == [NotSent]


def test_s2_abandoning_waits_for_a_complete_request_unless_told(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    release = threading.Event()
    client, photo = make_client(server.base_url, answer=30.0), make_file()
    server.script(act.held(release), act.SILENT_AFTER_BODY)
    thread, replies = in_thread(lambda: send(client, photo))
    server.wait_for_stored(1)
    client.abandon()
    release.set()
    thread.join(5)
    assert [type(reply) for reply in replies] == [Stored]
    thread, replies = in_thread(lambda: send(client, photo))
    server.wait_for_stored(2)
    client.abandon(complete=True)
    thread.join(5)
    assert [type(reply) for reply in replies] == [Unanswered]


def test_b17_every_request_has_a_fresh_connection(
    server: FaultServer, make_client: MakeClient, make_file: MakeFile
) -> None:
    client, photo = make_client(server.base_url), make_file()
    server.script(act.ok_then_close(0.0), act.ok_then_close(0.3), act.OK, act.CAPTIVE_PORTAL, act.OK)
    kinds = [type(send(client, photo)) for _ in range(5)]
    assert kinds == [Stored, Stored, Stored, Unanswered, Stored]
    assert server.connections == 5
    assert [request.connection for request in server.uploads] == [1, 2, 3, 4, 5]


def test_many_threads_share_a_client(server: FaultServer, make_client: MakeClient, make_file: MakeFile) -> None:
    client = make_client(server.base_url)
    files = [make_file(os.urandom(50_000), f"{number}.jpg") for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda file: send(client, file), files))
    ids = {image.sha256: str(image.id) for image in server.stored}
    assert replies == [Stored((ids[file.digest],)) for file in files]
    assert server.account.violations == []


H3 = """
import os, sys
from pathlib import Path
from syncd.model import RequestMetadata
from syncd.upload.body import SendFile
from syncd.upload.client import Client, ClientSettings

def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)

url, path, digest = sys.argv[1:]
with Client(ClientSettings(url, 5.0, 30.0), lambda: "sk-x") as client:
    def send(path, digest):
        fd = os.open(path, os.O_RDONLY)
        file = SendFile(fd, os.fstat(fd).st_size, digest, "x.jpg", "image/jpeg")
        return client.send(RequestMetadata("default"), [file], completing=lambda: None)
    small = path + ".small"
    Path(small).write_bytes(b"x")
    send(small, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    before = peak()
    reply = send(path, digest)
    print(type(reply).__name__, peak() - before)
"""


def test_h3_memory_stays_flat_whatever_the_size(server: FaultServer, tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    path.touch()
    os.truncate(path, 300_000_000)
    digest = hashlib.sha256(bytes(300_000_000)).hexdigest()
    server.script(act.CAPTIVE_PORTAL, default=act.CAPTIVE_PORTAL)
    done = subprocess.run(
        [sys.executable, "-c", H3, server.base_url, str(path), digest],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    kind, kilobytes = done.stdout.split()
    assert kind == "Unanswered"
    assert server.uploads[-1].complete
    assert server.uploads[-1].files[0].sha256 == digest
    assert int(kilobytes) < 8_000


def test_a_marker_is_found_again(server: FaultServer, make_client: MakeClient, make_file: MakeFile) -> None:
    client, photo = make_client(server.base_url), make_file()
    send(client, photo)
    found = client.search("syncd-0123456789abcdef", "default")
    assert found == (Hit(str(server.stored[0].id), photo.wire_name.removesuffix(".jpg")),)
    assert client.search("syncd-ffffffffffffffff", None) == ()
    assert server.account.violations == []
    questions = [json.loads(request.body) for request in server.searches]
    assert questions[0] == {
        "search_param": "syncd-0123456789abcdef",
        "search_type": "BY_IMAGE",
        "top_k": 100,
        "tag": "syncd-0123456789abcdef",
        "unique_id": "default",
    }
    assert "unique_id" not in questions[1]
    assert [request.header("Authorization") for request in server.searches] == [KEY, KEY]


@pytest.mark.parametrize(
    ("behaviour", "failed"),
    [
        (act.rate_limited("9"), SearchFailed("Request has exceeded the limit.", limited=True, retry_after=9.0)),
        (act.NO_CREDITS, SearchFailed("You don't have enough points.", paused=PauseReason.NO_CREDITS)),
        (act.html(502), SearchFailed("HTTP 502: <html><h1>502</h1></html>")),
        (act.CLOSE_AFTER_BODY, SearchFailed("the connection was closed without an answer")),
        (act.SILENT_AFTER_BODY, SearchFailed("nothing came in time")),
    ],
    ids=lambda each: each.name if isinstance(each, Behaviour) else "",
)
def test_a_search_that_fails_says_why(
    behaviour: Behaviour, failed: SearchFailed, server: FaultServer, make_client: MakeClient
) -> None:
    server.script(behaviour, endpoint="search")
    assert make_client(server.base_url, answer=SHORT).search("syncd-0123456789abcdef", "default") == failed


@pytest.mark.parametrize("key", ["", " ", "two words", "sk-x\r\nX-Evil: 1", "sk-\N{EURO SIGN}", "sk-x\n", "\x00"])
def test_a_key_that_no_header_can_carry_is_not_sent(key: str, server: FaultServer, make_file: MakeFile) -> None:
    with Client(ClientSettings(server.base_url, 1.0, 1.0), lambda: key) as client:
        reply = send(client, make_file())
        assert isinstance(reply, Paused)
        assert reply.reason is PauseReason.BAD_KEY
        found = client.search("syncd-0123456789abcdef", None)
        assert isinstance(found, SearchFailed)
        assert found.paused is PauseReason.BAD_KEY
        assert not key.strip() or (key not in reply.message and key not in found.message)
    assert server.connections == 0


def test_the_key_is_asked_for_each_time(server: FaultServer, make_file: MakeFile) -> None:
    server.account.key = None
    keys = iter(["sk-first", "sk-second"])
    with Client(ClientSettings(server.base_url, 5.0, 5.0), lambda: next(keys)) as client:
        send(client, make_file())
        send(client, make_file())
    assert [request.header("Authorization") for request in server.uploads] == ["sk-first", "sk-second"]


ECHOES = [
    act.envelope("0401", f"the key {KEY} is not valid"),
    act.envelope("0003", "x" * 290 + KEY),
    act.envelope("0001", f"{KEY} abnormal"),
    act.status(500, f"<title>{KEY}</title>".encode()),
    act.early(503, {"X-Echo": KEY}),
    act.redirect(302, f"https://login.invalid/?key={KEY}"),
    act.rate_limited(KEY),
    Behaviour("no HTTP", act.raw(lambda _: KEY.encode() + b"\r\n\r\n")),
    Behaviour("half", act.raw(lambda _: b"HTTP/1.1 " + KEY.encode())),
    Behaviour("bad header", act.raw(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: " + KEY.encode() + b"\r\n\r\n")),
    Behaviour("bad chunk", act.raw(lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + KEY.encode())),
]


@pytest.mark.parametrize("behaviour", ECHOES, ids=lambda each: each.name)
def test_p2_the_key_never_shows(
    behaviour: Behaviour,
    server: FaultServer,
    make_client: MakeClient,
    make_file: MakeFile,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(behaviour)
    server.script(behaviour, endpoint="search")
    client = make_client(server.base_url)
    reply = send(client, make_file(os.urandom(BIG)))
    found = client.search("syncd-0123456789abcdef", "default")
    assert not isinstance(reply, Stored)
    said = repr((reply, found, client, vars(client), client._transport, vars(client._transport)))
    for part in (KEY, KEY[:12]):
        assert part not in said
        assert part not in caplog.text


def test_messages_are_harmless_and_short(server: FaultServer, make_client: MakeClient, make_file: MakeFile) -> None:
    server.script(act.envelope("0003", "\x1b[31m\u202ered\n" + "x" * 9999))
    reply = send(make_client(server.base_url), make_file())
    assert isinstance(reply, BadRequest)
    assert reply.message.startswith("\\x1b[31m\\u202ered\\n")
    assert len(reply.message) <= 300
