from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from syncd.upload.answer import LastResponse

LIMIT = 1000
Arrived = Callable[[bytes], LastResponse]


@pytest.fixture
def arrived() -> Iterator[Arrived]:
    """Have bytes arrive, then the end of the connection; the answer is read up to its body."""
    ends: list[socket.socket] = []

    def arrive(raw: bytes) -> LastResponse:
        here, there = socket.socketpair()
        ends.append(here)
        here.settimeout(5)
        with there:
            there.sendall(raw)
        response = LastResponse(here)
        response.begin()
        return response

    yield arrive
    for end in ends:
        end.close()


JSON = b'{"code":"0000"}'
WELL_FORMED = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + JSON,
    b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: keep-alive\r\n\r\n" + JSON + b"more that is not read",
    b"HTTP/1.0 200\r\nContent-Type: a\r\n\r\n" + JSON,
    b"HTTP/1.1 200 OK\nContent-Length: 15\n\n" + JSON,
    b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\n5;x=y\r\n"
    + JSON[:5]
    + b"\r\na\r\n"
    + JSON[5:]
    + b"\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nf\r\n" + JSON + b"\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n"
    + JSON
    + b"\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + JSON,
    b"HTTP/1.1 429 Too Many\r\nRetry-After: 5\r\nretry-after:  7 \r\nX-Empty:\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n  two\r\n\tthree\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 15\r\n\r\n" + JSON,
    b"HTTP/1.1 304 Not Modified\r\n\r\n" + JSON,
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + JSON,
    b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n" + JSON,
    b"HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n" + JSON,
    b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 15\r\n\r\n" + JSON + b"more",
    b"HTTP/1.1 200 \xe4\r\nX: \xff\x80\r\nContent-Length: 15\r\n\r\n" + JSON,
    b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
]


def read_by_urllib3(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Read the same bytes as urllib3 does by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = urllib3.connection.HTTPConnection("127.0.0.1", listener.getsockname()[1])
        connection.request("POST", "/", preload_content=False)
        there, _ = listener.accept()
        with there:
            there.sendall(raw)
            there.shutdown(socket.SHUT_WR)
            response = connection.getresponse()
            fields = {key.lower(): response.headers[key].rstrip() for key in response.headers}
            found = response.status, fields, response.read(LIMIT)
        response.close()
        connection.close()
    return found


@pytest.mark.parametrize("raw", WELL_FORMED)
def test_an_answer_is_read_as_urllib3_reads_it(raw: bytes, arrived: Arrived) -> None:
    response = arrived(raw)
    assert (response.status, response.fields, response.read_body(LIMIT)) == read_by_urllib3(raw)


def test_every_informational_answer_is_passed_over(arrived: Arrived) -> None:
    early = b"".join(b"HTTP/1.1 %d Wait\r\nX-Early: yes\r\n\r\n" % code for code in (100, 102, 103, 199))
    response = arrived(early + WELL_FORMED[0])
    assert (response.status, response.fields) == (200, {"content-length": "15"})
    assert response.read_body(LIMIT) == JSON


def test_a_line_that_is_no_field_is_passed_over(arrived: Arrived) -> None:
    raw = b"HTTP/1.1 200 OK\r\n folded onto nothing\r\nnonsense\r\n onto that\r\n: no name\r\nGood : yes\r\n\r\n"
    assert arrived(raw).fields == {"good": "yes"}


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", http.client.RemoteDisconnected),
        (b"SSH-2.0-OpenSSH\r\n", http.client.BadStatusLine),
        (b"HTTP/1.1 OK\r\n\r\n", http.client.BadStatusLine),
        (b"HTTP/2 200 OK\r\n\r\n", http.client.UnknownProtocol),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 17\r\n\r\n" + JSON, http.client.HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 15, 17\r\n\r\n" + JSON, http.client.HTTPException),
        (b"HTTP/1.1 200 " + b"x" * 70_000, http.client.LineTooLong),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, http.client.LineTooLong),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 101 + b"\r\n", http.client.HTTPException),
    ],
    ids=range(9),
)
def test_what_is_no_answer_is_an_error(raw: bytes, error: type[Exception], arrived: Arrived) -> None:
    with pytest.raises(error):
        arrived(raw)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"Content-Length: 20\r\n\r\n" + JSON, JSON),
        (b"Content-Length: 20\r\n\r\n" + JSON[:-1], None),
        (b"Content-Length: 20\r\n\r\n", None),
        (b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + JSON, JSON),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + JSON[:5], None),
        (b"Transfer-Encoding: chunked\r\n\r\nf\r\n" + JSON + b"\r\nnonsense\r\n", JSON),
        (b"Transfer-Encoding: chunked\r\n\r\nx", None),
        (b"Transfer-Encoding: chunked\r\n\r\n-1ffffffffffffffffffff\r\n" + JSON, None),
        (b"\r\n" + b" " * LIMIT, b" " * LIMIT),
        (b"\r\n" + b" " * (LIMIT + 1), None),
        (b"Content-Encoding: br\r\n\r\n" + JSON, None),
    ],
)
def test_a_cut_body_is_kept_where_it_may_be_whole(raw: bytes, body: bytes | None, arrived: Arrived) -> None:
    assert arrived(b"HTTP/1.1 200 OK\r\n" + raw).read_body(LIMIT) == body


PARTS = st.sampled_from(
    [b"HTTP/1.1 ", b"200 OK", b"100", b"\r\n", b"\n", b"\r", b": ", b"Content-Length", b"Transfer-Encoding", b"chunked",
     b"Content-Encoding", b"gzip", b"-1", b"5", b"f", b"ffffffffffffffffffff", b"9" * 5000, b";", b",", b" ", b"\t",
     JSON]
)  # fmt: skip


@given(st.lists(PARTS | st.binary(max_size=4), max_size=40).map(b"".join))
def test_whatever_comes_is_an_answer_or_an_error_of_the_network(rest: bytes) -> None:
    for raw in (rest, b"HTTP/1.1 200 OK\r\n" + rest, WELL_FORMED[4][:47] + rest):
        here, there = socket.socketpair()
        with here:
            here.settimeout(5)
            with there:
                there.sendall(raw)
            response = LastResponse(here)
            with contextlib.suppress(http.client.HTTPException):
                response.begin()
                body = response.read_body(LIMIT)
                assert body is None or len(body) <= LIMIT
            response.close()


def test_the_whole_answer_has_one_deadline() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(0.2)
        response = LastResponse(here)
        there.sendall(b"HTTP/1.1 200 OK\r\nX: 1\r\n")
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            response.begin()
        there.sendall(b"\r\n" + JSON)
        with pytest.raises(TimeoutError, match="the answer took too long"):
            response.begin()
        assert time.monotonic() - began < 2
