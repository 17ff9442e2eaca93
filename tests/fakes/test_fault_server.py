"""The fault server misbehaves as it says it does, and its account is right: what the fault matrix rests on."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.fakes import behaviours as act
from tests.fakes.behaviours import Behaviour
from tests.fakes.fault_server import FaultServer, Request

KEY = "sk-mavi-1"
BOUNDARY = "b0undary"
PHOTO = b"\xff\xd8\xff" + b"photo" * 1000
DIGEST = hashlib.sha256(PHOTO).hexdigest()
UPLOAD = "/serve/api/v1/upload_img"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def form(*files: bytes, fields: Sequence[tuple[str, str]] = (), name: str = "a.jpg", kind: str = "image/jpeg") -> bytes:
    parts = [f'form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields]
    parts += [
        f'form-data; name="files"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'.encode() + content
        for content in files or (PHOTO,)
    ]
    opening = f"--{BOUNDARY}\r\nContent-Disposition: ".encode()
    return b"".join(opening + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def headers_for(key: str | None = KEY) -> dict[str, str]:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return kind if key is None else {**kind, "Authorization": key}


def ask(
    server: FaultServer, body: bytes | None, headers: Mapping[str, str], path: str = UPLOAD, method: str = "POST"
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=1)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def upload(server: FaultServer, body: bytes | None = None, key: str | None = KEY) -> dict[str, object]:
    envelope = json.loads(ask(server, body or form(), headers_for(key))[1])
    assert isinstance(envelope, dict)
    return envelope


def raw(server: FaultServer, sent: bytes) -> bytes:
    """Everything that the server sends before it closes."""
    with socket.create_connection(("127.0.0.1", server.port), 2) as conn:
        conn.sendall(sent)
        received = b""
        while chunk := conn.recv(65536):
            received += chunk
        return received


def request_bytes(body: bytes, *more: str) -> bytes:
    lines = [f"POST {UPLOAD} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers_for().items()]
    return "\r\n".join([*lines, *more, "", ""]).encode() + body


def test_it_stores_what_it_is_sent(server: FaultServer) -> None:
    body = form(PHOTO, b"two", fields=[("tags", "a"), ("tags", "b"), ("unique_id", "F")])
    envelope = upload(server, body)
    first, second = server.stored
    assert envelope["data"] == [{"id": first.id}, {"id": second.id}]
    assert (first.sha256, first.size, first.file_name, first.content_type) == (
        DIGEST,
        len(PHOTO),
        "a.jpg",
        "image/jpeg",
    )
    assert (first.tags, first.namespace, first.request) == (["a", "b"], "F", 1)
    assert second.sha256 == hashlib.sha256(b"two").hexdigest()
    assert first.id > 2**53
    (request,) = server.uploads
    assert (request.complete, request.body_read, request.problem) == (True, len(body), "")
    assert server.account.violations == []


def test_the_same_bytes_are_billed_each_time(server: FaultServer) -> None:
    upload(server)
    upload(server)
    assert server.account.billed()[DIGEST] == 2


STORED_BUT = [
    act.CLOSE_AFTER_BODY,
    act.RESET_AFTER_BODY,
    act.SILENT_AFTER_BODY,
    act.HALF_STATUS_LINE,
    act.GARBAGE_STATUS_LINE,
    act.GIANT_HEADER,
    act.ENDLESS_HEADERS,
    act.TRUNCATED_LENGTH,
    act.TRUNCATED_CHUNKED,
    act.STALLED_BODY,
]


@pytest.mark.parametrize("behaviour", STORED_BUT, ids=lambda behaviour: behaviour.name)
def test_the_answer_is_lost_and_the_image_stored(server: FaultServer, behaviour: Behaviour) -> None:
    server.script(behaviour)
    with pytest.raises((OSError, http.client.HTTPException)):
        upload(server)
    assert server.account.billed()[DIGEST] == 1
    assert upload(server)["code"] == "0000", "the next one is well"


NOT_STORED = [
    act.CLOSE_AFTER_ACCEPT,
    act.RESET_AFTER_ACCEPT,
    act.NEVER_READ,
    act.close_mid_body(2000),
    act.reset_mid_body(2000),
    act.stop_reading(2000),
]


@pytest.mark.parametrize("behaviour", NOT_STORED, ids=lambda behaviour: behaviour.name)
def test_the_request_never_ended_and_nothing_is_stored(server: FaultServer, behaviour: Behaviour) -> None:
    server.script(behaviour)
    with pytest.raises((OSError, http.client.HTTPException)):
        upload(server)
    assert server.stored == []
    assert not any(request.complete for request in server.requests)


ODD: dict[Behaviour, Callable[[list[int]], object]] = {
    act.IDS_AS_STRINGS: lambda ids: [{"id": str(number)} for number in ids],
    act.FEWER_IDS: lambda ids: [{"id": ids[0]}],
    act.MORE_IDS: lambda ids: [*({"id": number} for number in ids), {"id": ids[-1] + 1}],
    act.DUPLICATE_IDS: lambda ids: [{"id": ids[0]}] * 2,
    act.NEGATIVE_IDS: lambda ids: [{"id": -number} for number in ids],
    act.HUGE_IDS: lambda ids: [{"id": number + 2**70} for number in ids],
    act.NULL_IDS: lambda ids: [{"id": None}] * 2,
    act.BOOL_IDS: lambda ids: [{"id": True}] * 2,
    act.MISSING_DATA: lambda ids: None,
}


@pytest.mark.parametrize("behaviour", ODD, ids=lambda behaviour: behaviour.name)
def test_odd_ids(server: FaultServer, behaviour: Behaviour) -> None:
    server.script(behaviour)
    envelope = upload(server, form(b"one", b"two"))
    assert envelope.get("data") == ODD[behaviour]([image.id for image in server.stored])


def test_ids_given_before(server: FaultServer) -> None:
    server.script(act.OK, act.KNOWN_IDS)
    assert upload(server)["data"] == upload(server)["data"]
    assert len(server.stored) == 2


def test_float_ids_have_lost_their_end(server: FaultServer) -> None:
    server.script(act.FLOAT_IDS)
    assert b'"id": 5.681' in ask(server, form(), headers_for())[1]


@pytest.mark.parametrize(
    ("behaviour", "status", "stored"),
    [
        (act.status(503), 503, 0),
        (act.status(503).storing(), 503, 1),
        (act.html(502), 502, 0),
        (act.redirect(307, "http://127.0.0.1:1/"), 307, 0),
        (act.redirect(302, "/login"), 302, 0),
        (act.CAPTIVE_PORTAL, 200, 0),
        (act.EMPTY_BODY, 200, 1),
        (act.NO_CONTENT, 204, 1),
        (act.CONTINUE_FIRST, 200, 1),
        (act.EARLY_HINTS, 103, 1),
        (act.ENDPOINT_GONE, 404, 0),
        (act.early(), 413, 0),
        (act.early(headers={"Retry-After": "7"}), 413, 0),
        (act.OK_CHUNKED, 200, 1),
        (act.OK_CLOSE_DELIMITED, 200, 1),
        (act.TRUNCATED_CLOSE, 200, 1),
        (act.BAD_GZIP, 200, 1),
        (act.HUGE_BODY, 200, 1),
        (act.NO_CREDITS, 200, 0),
        (act.envelope(1, "Parameter error"), 200, 0),
    ],
    ids=lambda value: value.name if isinstance(value, Behaviour) else str(value),
)
def test_statuses(server: FaultServer, behaviour: Behaviour, status: int, stored: int) -> None:
    server.script(behaviour)
    assert ask(server, form(), headers_for())[0] == status
    assert len(server.stored) == stored


@pytest.mark.parametrize("value", ["-5", "1e9", "soon", "", "5, 10"])
def test_retry_after_goes_out_as_it_is(server: FaultServer, value: str) -> None:
    server.script(act.rate_limited(value))
    answer = raw(server, request_bytes(form(), "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert f"Retry-After: {value}\r\n".encode() in answer


def test_a_body_drips(server: FaultServer) -> None:
    server.script(act.drip(0.001), act.drip(0.001, headers=True))
    assert upload(server)["code"] == "0000"
    assert upload(server)["code"] == "0000"


def test_an_answer_is_held_until_the_test_says(server: FaultServer) -> None:
    release = threading.Event()
    server.script(act.held(release))
    done = threading.Event()

    def client() -> None:
        upload(server)
        done.set()

    thread = threading.Thread(target=client)
    thread.start()
    server.wait_for_stored(1)
    assert not done.is_set()
    release.set()
    thread.join(5)
    assert done.is_set()


def test_an_idle_connection_is_closed_without_a_word(server: FaultServer) -> None:
    server.script(act.ok_then_close(0.05))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    connection.request("POST", UPLOAD, form(), headers_for())
    response = connection.getresponse()
    assert response.read()
    assert not response.will_close
    assert connection.sock.recv(1) == b""
    connection.close()


def test_a_connection_is_kept_for_the_next_request(server: FaultServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    for _ in range(2):
        connection.request("POST", UPLOAD, form(), headers_for())
        connection.getresponse().read()
    connection.close()
    assert [request.connection for request in server.uploads] == [1, 1]


def test_a_closed_port_refuses_and_opens_again(server: FaultServer) -> None:
    server.refuse()
    with pytest.raises(ConnectionRefusedError):
        upload(server)
    server.accept_again()
    assert upload(server)["code"] == "0000"


def test_a_function_decides_by_the_request(server: FaultServer) -> None:
    def judge(request: Request) -> Behaviour:
        return act.NO_CREDITS if "b" in request.tags else act.OK

    server.script(default=judge)
    assert upload(server, form(fields=[("tags", "a")]))["code"] == "0000"
    assert upload(server, form(fields=[("tags", "b")]))["code"] == "0402"


def test_a_bad_file_rejects_its_whole_request_and_is_not_named(server: FaultServer) -> None:
    server.account.bad = {DIGEST}
    envelope = upload(server, form(b"good", PHOTO))
    assert (envelope["code"], envelope["msg"]) == ("0003", "Parameter error.")
    assert server.stored == []
    assert server.account.violations == []
    assert upload(server, form(b"good"))["code"] == "0000"


def test_the_accounts_own_limits(server: FaultServer) -> None:
    server.account.batch_cap = 2
    assert "At most 2 files" in str(upload(server, form(b"1", b"2", b"3"))["msg"])
    server.account.credits = 1
    assert upload(server, form(b"1", b"2"))["code"] == "0402"
    assert upload(server, form(b"1"))["code"] == "0000"
    assert upload(server, form(b"2"))["code"] == "0402"
    server.account.key = "sk-other"
    assert upload(server)["code"] == "0401"
    assert upload(server, key=None)["code"] == "0401"
    assert upload(server, key="Bearer sk-other")["code"] == "0401"


@pytest.mark.parametrize(
    "body",
    [
        form(name="a.heic"),
        form(kind="application/octet-stream"),
        form(b""),
        form(fields=[("colour", "red")]),
        form(fields=[("tags[0]", "a")]),
        form(fields=[("unique_id", "")]),
        form(fields=[("unique_id", "a"), ("unique_id", "a")]),
        form(fields=[("datetime_taken", "2023-02-29 10:00:00")]),
        form(fields=[("camera_model", "x" * 201)]),
        form(fields=[("latitude", "1")]),
        form(fields=[("latitude", "1e-7"), ("longitude", "1")]),
        form(fields=[("latitude", "91"), ("longitude", "1")]),
        form(fields=[("tags", "t")] * 50),
        form()[:-30],
        form() + b"more",
        b"nonsense",
    ],
    ids=range(16),
)
def test_each_breach_of_the_documentation_is_noted(server: FaultServer, body: bytes) -> None:
    assert upload(server, body)["code"] == "0003"
    assert len(server.account.violations) == 1
    assert server.stored == []


def test_a_chunked_request_is_a_breach(server: FaultServer) -> None:
    raw(server, request_bytes(b"", "Transfer-Encoding: chunked", "Connection: close"))
    assert "chunked" in server.account.violations[0]


def test_what_is_no_http_is_a_breach(server: FaultServer) -> None:
    raw(server, b"hello\r\n\r\n")
    assert "request line" in server.account.violations[0]


def test_a_request_that_was_cut_is_logged_as_such(server: FaultServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 2) as conn:
        conn.sendall(request_bytes(form())[:-100])
    server.wait_until(lambda: any(request.body_read for request in server.requests))
    (request,) = server.uploads
    assert not request.complete
    assert server.stored == []


def search(server: FaultServer, **asked: object) -> dict[str, object]:
    body = json.dumps({"search_param": "x", "search_type": "BY_IMAGE", **asked}).encode()
    envelope = json.loads(ask(server, body, {"Authorization": KEY}, "/serve/api/v1/search")[1])
    assert isinstance(envelope, dict)
    return envelope


def test_the_search_answers_from_what_is_stored() -> None:
    now = [100.0]
    with FaultServer(clock=lambda: now[0]) as server:
        server.account.search_lag = 10.0
        upload(server, form(fields=[("tags", "syncd-1"), ("datetime_taken", "2024-02-29 10:00:00")]))
        assert search(server, tag="syncd-1")["data"]["item"] == []  # type: ignore[index]  # an object
        now[0] += 10.0
        (row,) = search(server, tag="syncd-1")["data"]["item"]  # type: ignore[index]  # an object
        assert (row["id"], row["name"], row["datetime_taken"]) == (server.stored[0].id, "a", 1709200800000)
        assert search(server, tag="syncd-2")["data"]["item"] == []  # type: ignore[index]  # an object
        server.account.search_misses = True
        assert search(server, tag="syncd-1")["data"]["item"] == []  # type: ignore[index]  # an object
        assert search(server, top_k=0)["code"] == "0003"
        assert len(server.searches) == 5
        server.script(act.rate_limited(), endpoint="search")
        assert search(server)["code"] == "0429"


def test_other_addresses_are_not_there(server: FaultServer) -> None:
    assert ask(server, None, {}, "/other", "GET")[0] == 404
    assert ask(server, None, {}, UPLOAD, "GET")[0] == 404
    names = json.loads(ask(server, None, {"Authorization": KEY}, "/serve/api/v1/list_unique_ids", "GET")[1])
    assert names["data"] == ["default"]


def test_waiting_for_what_never_comes_fails(server: FaultServer) -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s"):
        server.wait_for_requests(1, 0.01)


def test_large_bodies_cost_no_memory(server: FaultServer) -> None:
    body = form(b"x" * 5_000_000)
    assert upload(server, body)["code"] == "0000"
    (request,) = server.uploads
    assert request.files[0].size == 5_000_000
    assert len(request.files[0].content) == 65536
