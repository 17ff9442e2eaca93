"""How the fault server treats one request: how much of it it reads, whether it stores, what it answers.

`from tests.fakes import behaviours as act`, then `server.script(act.CLOSE_AFTER_BODY, act.OK)`.
Whether a behaviour stores (and bills) follows the table of FAULTS.md section 4. One that stores still judges the
request first: what breaks a documented rule is rejected instead.
"""

from __future__ import annotations

import gzip
import json
import select
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from tests.fakes.account import Account
    from tests.fakes.wire import Request

REASONS = {103: "Early Hints", 200: "OK", 302: "Found", 307: "Temporary Redirect", 413: "Content Too Large"}


class Reading(StrEnum):
    """How much of a request is read before the behaviour answers."""

    NOTHING = "nothing"
    HEAD = "head"
    PART = "part"
    WHOLE = "whole"


@dataclass(slots=True)
class Exchange:
    """One request and the connection it came on, as a behaviour sees them."""

    conn: socket.socket
    account: Account
    stopping: threading.Event
    request: Request | None = None
    ids: list[int] = field(default_factory=list)
    """What was stored for this request."""
    keep: bool = True
    """Whether the connection goes on afterwards."""

    def send(self, raw: bytes) -> None:
        self.conn.sendall(raw)

    def answer(
        self, status: int, body: bytes, content_type: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", f"Content-Type: {content_type}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + body)

    def close(self) -> None:
        self.keep = False

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        self.keep = False
        self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def hang(self, seconds: float | None = None) -> None:
        """Do nothing until the peer is gone, the server stops, or the time is over. Never reads."""
        self.keep = False
        poller = select.poll()
        poller.register(self.conn, select.POLLRDHUP)
        left = seconds
        while not self.stopping.is_set() and (left is None or left > 0):
            if poller.poll(20):
                return
            left = None if left is None else left - 0.02


Answer = Callable[[Exchange], None]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is done with one request."""

    name: str
    answer: Answer
    reading: Reading = Reading.WHOLE
    part: int = 0
    """With Reading.PART: how many bytes of the body are read."""
    stores: bool = False

    def __str__(self) -> str:
        return self.name

    def storing(self, stores: bool = True) -> Behaviour:  # noqa: FBT001, FBT002 -- reads well: CLOSE.storing(False)
        return replace(self, stores=stores)


def envelope_of(code: object, message: str, **more: object) -> bytes:
    return json.dumps({"code": code, "msg": message, **more}).encode()


def success(ids: Sequence[object], **more: object) -> bytes:
    rows = [{"id": number} for number in ids]
    return json.dumps(
        {"code": "0000", "msg": "success", "data": rows, "success": True, "failed": False, **more}
    ).encode()


def stored_answer(body: Callable[[Exchange], bytes], status: int = 200) -> Answer:
    return lambda exchange: exchange.answer(status, body(exchange))


def raw(make: Callable[[Exchange], bytes], *, then: Callable[[Exchange], None] = Exchange.close) -> Answer:
    """Send exactly these bytes, then close (or reset, or hang)."""

    def act(exchange: Exchange) -> None:
        exchange.send(make(exchange))
        then(exchange)

    return act


def with_ids(name: str, change: Callable[[Exchange], Sequence[object]]) -> Behaviour:
    """Stored; the answer bears these ids instead of the true ones."""
    return Behaviour(name, stored_answer(lambda exchange: success(change(exchange))), stores=True)


def plain_success(exchange: Exchange) -> bytes:
    body = success(exchange.ids)
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# What a healthy service does.
OK = with_ids("ok", lambda exchange: exchange.ids)
IDS_AS_STRINGS = with_ids("ids as strings", lambda exchange: [str(number) for number in exchange.ids])


def slow(seconds: float) -> Behaviour:
    """Stored, and answered after a while."""

    def act(exchange: Exchange) -> None:
        exchange.stopping.wait(seconds)
        exchange.answer(200, success(exchange.ids))

    return Behaviour(f"ok after {seconds} s", act, stores=True)


def held(until: threading.Event) -> Behaviour:
    """Stored, and answered when the test says so."""

    def act(exchange: Exchange) -> None:
        while not until.wait(0.02) and not exchange.stopping.is_set():
            pass
        exchange.answer(200, success(exchange.ids))

    return Behaviour("ok when released", act, stores=True)


# The connection ends before the request was whole: nothing is stored.
CLOSE_AFTER_ACCEPT = Behaviour("close after accept", Exchange.close, Reading.NOTHING)
RESET_AFTER_ACCEPT = Behaviour("reset after accept", Exchange.reset, Reading.NOTHING)
NEVER_READ = Behaviour("never read", Exchange.hang, Reading.NOTHING)


def close_mid_body(after: int) -> Behaviour:
    return Behaviour("close in the middle of the body", Exchange.close, Reading.PART, after)


def reset_mid_body(after: int) -> Behaviour:
    return Behaviour("reset in the middle of the body", Exchange.reset, Reading.PART, after)


def stop_reading(after: int) -> Behaviour:
    return Behaviour("stop reading in the middle of the body", Exchange.hang, Reading.PART, after)


# The whole request was read and stored, and the answer is lost or useless.
CLOSE_AFTER_BODY = Behaviour("close after the body", Exchange.close, stores=True)
RESET_AFTER_BODY = Behaviour("reset after the body", Exchange.reset, stores=True)
SILENT_AFTER_BODY = Behaviour("silence after the body", Exchange.hang, stores=True)
HALF_STATUS_LINE = Behaviour("half a status line", raw(lambda _: b"HTTP/1.1 2"), stores=True)
GARBAGE_STATUS_LINE = Behaviour("a garbage status line", raw(lambda _: b"\x00\xff hello\r\n\r\n"), stores=True)
GIANT_HEADER = Behaviour(
    "a giant header", raw(lambda _: b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * 200_000 + b"\r\n\r\n"), stores=True
)
ENDLESS_HEADERS = Behaviour(
    "ten thousand headers", raw(lambda _: b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 10_000 + b"\r\n"), stores=True
)
TRUNCATED_LENGTH = Behaviour("Content-Length cut", raw(lambda exchange: plain_success(exchange)[:-10]), stores=True)


def chunked(exchange: Exchange) -> bytes:
    body = success(exchange.ids)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + (
        b"%x\r\n%s\r\n" % (len(body), body)
    )


def close_delimited(exchange: Exchange) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + success(exchange.ids)


OK_CHUNKED = Behaviour("ok, chunked", raw(lambda exchange: chunked(exchange) + b"0\r\n\r\n"), stores=True)
OK_CLOSE_DELIMITED = Behaviour("ok, ended by the close", raw(close_delimited), stores=True)
TRUNCATED_CHUNKED = Behaviour("chunked, cut", raw(lambda exchange: chunked(exchange)[:-10]), stores=True)
TRUNCATED_CLOSE = Behaviour("close-delimited, cut", raw(lambda exchange: close_delimited(exchange)[:-10]), stores=True)
STALLED_BODY = Behaviour(
    "the answer stalls", raw(lambda exchange: plain_success(exchange)[:-10], then=Exchange.hang), stores=True
)


def drip(interval: float, *, headers: bool = False) -> Behaviour:
    """The true answer, one byte each interval: its body only, or already its status line and headers."""

    def act(exchange: Exchange) -> None:
        whole = plain_success(exchange)
        start = 0 if headers else whole.index(b"\r\n\r\n") + 4
        exchange.send(whole[:start])
        for byte in whole[start:]:
            if exchange.stopping.wait(interval):
                break
            exchange.send(bytes([byte]))

    return Behaviour("the answer drips", act, stores=True)


def encoded(body: Callable[[bytes], bytes]) -> Answer:
    return lambda exchange: exchange.answer(200, body(success(exchange.ids)), headers={"Content-Encoding": "gzip"})


GZIP = Behaviour("ok, gzip", encoded(gzip.compress), stores=True)
BAD_GZIP = Behaviour("bad gzip", encoded(lambda body: b"\x1f\x8b" + body), stores=True)
EARLY_HINTS = Behaviour(
    "103 and then 200",
    raw(lambda exchange: b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + plain_success(exchange)),
    stores=True,
)
CONTINUE_FIRST = Behaviour(
    "100 and then 200", raw(lambda exchange: b"HTTP/1.1 100 Continue\r\n\r\n" + plain_success(exchange)), stores=True
)
EMPTY_BODY = Behaviour("200, empty", lambda exchange: exchange.answer(200, b""), stores=True)
NO_CONTENT = Behaviour("204", raw(lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"), stores=True)
HUGE_BODY = Behaviour(
    "200 with 5 MB",
    lambda exchange: exchange.answer(200, success(exchange.ids, padding="x" * 5_000_000)),
    stores=True,
)


def known_ids(exchange: Exchange) -> list[int]:
    """As many ids as were asked for, all of them given out for earlier images (a replayed or cached answer)."""
    earlier = [image.id for image in exchange.account.stored if image.id not in exchange.ids]
    return (earlier * len(exchange.ids))[: len(exchange.ids)] or exchange.ids


FEWER_IDS = with_ids("fewer ids", lambda exchange: exchange.ids[:-1])
MORE_IDS = with_ids("more ids", lambda exchange: [*exchange.ids, exchange.ids[-1] + 1])
DUPLICATE_IDS = with_ids("one id for all, at least two", lambda exchange: [exchange.ids[0]] * max(2, len(exchange.ids)))
KNOWN_IDS = with_ids("ids given before", known_ids)
FLOAT_IDS = with_ids("float ids", lambda exchange: [float(number) for number in exchange.ids])
NEGATIVE_IDS = with_ids("negative ids", lambda exchange: [-number for number in exchange.ids])
HUGE_IDS = with_ids("ids over 64 bits", lambda exchange: [number + 2**70 for number in exchange.ids])
ZERO_IDS = with_ids("ids of zero", lambda exchange: [0 for _ in exchange.ids])
NULL_IDS = with_ids("null ids", lambda exchange: [None for _ in exchange.ids])
BOOL_IDS = with_ids("boolean ids", lambda exchange: [True for _ in exchange.ids])
TEXT_IDS = with_ids("ids that are words", lambda exchange: [f"id-{number}" for number in exchange.ids])
MISSING_DATA = Behaviour(
    "success without data", lambda exchange: exchange.answer(200, envelope_of("0000", "success")), stores=True
)
SUCCESS_FALSE = Behaviour(
    "0000 with success false",
    lambda exchange: exchange.answer(200, success(exchange.ids, success=False, failed=True)),
    stores=True,
)


def ok_then_close(after: float = 0.0) -> Behaviour:
    """Stored and answered as if the connection stayed open, which it does only for that long."""

    def act(exchange: Exchange) -> None:
        exchange.send(plain_success(exchange))
        exchange.hang(after)

    return Behaviour("ok, then the idle connection is closed", act, stores=True)


# Answers that mean: not stored.
CAPTIVE_PORTAL = Behaviour(
    "200 with a captive portal's page",
    lambda exchange: exchange.answer(200, b"<html><body>Please log in</body></html>", "text/html"),
)


def redirect(status: int, location: str) -> Behaviour:
    return Behaviour(f"{status}", lambda exchange: exchange.answer(status, b"", headers={"Location": location}))


def status(
    code: int,
    body: bytes = b'{"msg":"failed"}',
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Behaviour:
    """Any status. Use `.storing()` where the service stored before it failed."""
    return Behaviour(f"HTTP {code}", lambda exchange: exchange.answer(code, body, content_type, headers))


def html(code: int) -> Behaviour:
    return status(code, f"<html><h1>{code}</h1></html>".encode(), "text/html")


def early(code: int = 413, headers: Mapping[str, str] | None = None, *, linger: bool = True) -> Behaviour:
    """Answered after the headers; the body is never read. Without `linger` the connection is closed at once."""

    def act(exchange: Exchange) -> None:
        exchange.answer(
            code, envelope_of(f"0{code}", "refused early"), headers={"Connection": "close", **(headers or {})}
        )
        if linger:
            exchange.conn.shutdown(socket.SHUT_WR)
            exchange.hang(5.0)
        exchange.close()

    return Behaviour(f"{code} before the body", act, Reading.HEAD)


def envelope(code: object, message: str = "failed", *, http: int = 200, **more: object) -> Behaviour:
    """An envelope with a code, usually with HTTP 200."""
    return Behaviour(f"code {code}", lambda exchange: exchange.answer(http, envelope_of(code, message, **more)))


def rate_limited(retry_after: str | None = None, *, http: int = 429) -> Behaviour:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    body = envelope_of("0429", "Request has exceeded the limit.")
    return Behaviour("rate limited", lambda exchange: exchange.answer(http, body, headers=headers))


def too_many(cap: int) -> Behaviour:
    """Rejects whatever comes, naming the cap. For an account that really has one see `Account.batch_cap`."""
    return envelope("0003", f"The number of files exceeds the limit. At most {cap} files.")


BAD_KEY = envelope("0401", "Invalid API key.")
DISABLED = envelope("0403", "The account is disabled.")
NO_CREDITS = envelope("0402", "You don't have enough points.")
BAD_PARAMETER = envelope("0003", "Parameter error.")
BAD_KEY_9009 = envelope("9009", "Authentication failed.")
NETWORK_ABNORMAL = envelope("0001", "Network abnormal.")
ENDPOINT_GONE = status(404, b'{"msg":"No static resource upload_img."}')
