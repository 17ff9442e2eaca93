"""The one door to the service: sends an upload, asks the search, and says what became of it. Thread-safe.

One call is at most one request, to the configured base URL. The key is in no message, error or representation.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from syncd import __version__
from syncd.model import RequestMetadata
from syncd.upload.body import Body, CallbackError, CancelledError, ChecksumOf, FileChangedError, Hooks, SendFile
from syncd.upload.replies import (
    Changed,
    Doubt,
    Hit,
    NotSent,
    Paused,
    PauseReason,
    Reply,
    SearchFailed,
    Stored,
    Unanswered,
    classify,
    read_search,
)
from syncd.upload.transport import TROUBLE, Answer, Transport, explain
from syncd.upload.wire import Outgoing

_UPLOAD_LIMIT: Final = 1 << 20
_SEARCH_LIMIT: Final = 4 << 20
_TOP_K: Final = 100
_KEY: Final = re.compile(r"[!-~\xa1-\xac\xae-\xff]+")
"""What is printable in Latin-1, without spaces."""
_HELD_BACK: Final = "the answer repeats the API key and is not shown"
_BAD_KEY: Final = (
    "the API key is empty, or holds spaces or characters that no header can carry; put it right in api.key_file"
)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How to reach the service. Times in seconds; no proxy is ""; no `ca_file` means the certificates of certifi."""

    base_url: str
    connect_timeout: float
    answer_timeout: float
    """For the whole answer, from the last byte sent; and for each chunk of the body to leave."""
    proxy: str = ""
    ca_file: Path | None = None


class Client:
    """Talks to the service for any number of threads."""

    def __init__(
        self,
        settings: ClientSettings,
        key: Callable[[], str],
        *,
        clock: Callable[[], float] = time.time,
        user_agent: str = f"syncd/{__version__}",
        passing: Callable[[int], float] | None = None,
        checksum_of: ChecksumOf = lambda _: None,
    ) -> None:
        """Have `passing` hear of each piece of a body, by its bytes; it gives the seconds for which that must wait.

        Where `checksum_of` knows that of a file, by its digest, what leaves is checked by it.
        """
        base = settings.base_url.rstrip("/")
        self._upload_url = f"{base}/upload_img"
        self._search_url = f"{base}/search"
        self._key = key
        self._clock = clock
        self._passing = passing
        self._checksum_of = checksum_of
        self._answer_timeout = settings.answer_timeout
        self._timeout = (settings.connect_timeout, settings.answer_timeout)
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        self._transport = Transport(
            (self._upload_url, self._search_url), proxy=settings.proxy, ca_file=settings.ca_file
        )
        self._lock = threading.Lock()
        self._under_way: set[Outgoing] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is not complete, and let go of the connections."""
        self.abandon()
        self._transport.close()

    def abandon(self, *, complete: bool = False) -> None:
        """End the requests under way that are not complete (all of them with `complete`: those become Unanswered)."""
        with self._lock:
            under_way = list(self._under_way)
        for outgoing in under_way:
            if complete or not outgoing.complete:
                outgoing.cut()

    def send(  # noqa: PLR0913  (one for each moment of a request)
        self,
        metadata: RequestMetadata,
        files: Sequence[SendFile],
        *,
        completing: Callable[[], None],
        leaving: Callable[[], None] | None = None,
        left: Callable[[], None] | None = None,
        cancel: threading.Event | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> Reply:
        """Send one request for `files` (at least one), and say what became of it. Never raises for network trouble.

        `completing` is called right before the request can become complete: what it raises comes out of here, and the
        request stays incomplete. `waiting` is called once connected, before anything else is, and may wait; `leaving`
        is called right before the first byte leaves, and `left` right after it. `cancel` gives the request up
        as long as it is not complete; once it is, its answer is awaited.
        """
        key = self._key()
        if not _fits_a_header(key):
            return Paused(PauseReason.BAD_KEY, "", _BAD_KEY)
        boundary = secrets.token_hex(16)
        hooks = Hooks(completing, leaving, left, cancel, self._passing, waiting)
        body = Body(metadata, files, boundary, hooks, self._checksum_of)
        outgoing = Outgoing(body, self._answer_timeout)
        headers = self._headers | {
            "Authorization": key,
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(body)),
        }
        with self._lock:
            self._under_way.add(outgoing)
        try:
            body.check_ready()
            answer = self._transport.post(
                self._upload_url, headers, outgoing, timeout=self._timeout, limit=_UPLOAD_LIMIT
            )
        except FileChangedError as change:
            return Changed(change.index, change.detail)
        except CancelledError:
            return NotSent("stopped before the request was complete")
        except CallbackError as failed:
            raise failed.error from None
        except TROUBLE as trouble:
            return _lost(outgoing, trouble, key)
        finally:
            with self._lock:
                self._under_way.discard(outgoing)
        reply = classify(answer.status, answer.headers, answer.body, len(files), outgoing.complete, self._clock())
        return _discreet(reply, answer, key)

    def search(self, marker: str, unique_id: str | None) -> tuple[Hit, ...] | SearchFailed:
        """Ask for the images that bear a marker. A hit is proof, a miss is not. Never raises for network trouble."""
        key = self._key()
        if not _fits_a_header(key):
            return SearchFailed(_BAD_KEY, paused=PauseReason.BAD_KEY)
        question: dict[str, object] = {
            "search_param": marker,
            "search_type": "BY_IMAGE",
            "top_k": _TOP_K,
            "tag": marker,
        }
        if unique_id:
            question["unique_id"] = unique_id
        body = json.dumps(question).encode("ascii")
        headers = self._headers | {
            "Authorization": key,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        try:
            answer = self._transport.post(self._search_url, headers, body, timeout=self._timeout, limit=_SEARCH_LIMIT)
        except TROUBLE as trouble:
            return SearchFailed(_without(key, explain(trouble)))
        found = read_search(answer.status, answer.headers, answer.body, self._clock())
        if isinstance(found, SearchFailed) and _repeats(answer, key, found.message):
            return replace(found, message=_HELD_BACK)
        return found


def _lost(outgoing: Outgoing, trouble: BaseException, key: str) -> NotSent | Unanswered:
    """Say what a broken connection means. Only what the network never got whole was certainly not stored."""
    cause = _without(key, "the service stopped reading" if outgoing.stalled else explain(trouble))
    if outgoing.complete:
        return Unanswered(Doubt.NO_ANSWER, cause)
    return NotSent(cause)


def _discreet(reply: Reply, answer: Answer, key: str) -> Reply:
    """Hold back a message whose source repeats the key: a part of it may have survived the cut to length."""
    match reply:
        case Stored() | Changed():
            return reply
        case NotSent():
            return replace(reply, cause=_HELD_BACK) if _repeats(answer, key, reply.cause) else reply
        case _:
            return replace(reply, message=_HELD_BACK) if _repeats(answer, key, reply.message) else reply


def _repeats(answer: Answer, key: str, message: str) -> bool:
    return key in message or key.encode("utf-8") in (answer.body or b"") or _in_headers(answer.headers, key)


def _in_headers(headers: Mapping[str, str], key: str) -> bool:
    return any(key in value for value in headers.values())


def _without(key: str, message: str) -> str:
    return message.replace(key, "[key]")


def _fits_a_header(key: str) -> bool:
    return _KEY.fullmatch(key) is not None
