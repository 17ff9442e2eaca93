"""The service in memory, behind the same door as the client: it takes real request bodies and bills what it stores.

What it stores is what was in the bytes of the body, not what the caller says was in them.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.model import RequestMetadata
from syncd.upload.body import Body, CallbackError, CancelledError, FileChangedError, Hooks, SendFile
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

BOUNDARY = "0123456789abcdef0123456789abcdef"


class Act(StrEnum):
    """What the service, or the way to it, does with one request."""

    OK = "ok"
    REFUSED = "connection refused"
    CUT = "cut before the body was complete"
    LOST_STORED = "stored, and the answer is lost"
    LOST = "not stored, and the answer is lost"
    BROKEN_STORED = "stored, 503"
    BROKEN = "not stored, 503"
    THROTTLED = "429"
    NO_CREDITS = "no credits"
    BAD_KEY = "bad key"
    KNOWN_ID = "stored, and the answer gives an id that another photo has"
    IDS_DO_NOT_FIT = "stored, and the answer has other ids than files"
    DIES_STORED = "stored, and syncd dies before it hears"


_NOT_STORED: dict[Act, Reply] = {
    Act.LOST: Unanswered(Doubt.NO_ANSWER, "the connection was closed"),
    Act.BROKEN: Unanswered(Doubt.SERVER_ERROR, "HTTP 503", 503),
    Act.THROTTLED: RateLimited(None, "Request has exceeded the limit.", 429, "0429"),
    Act.NO_CREDITS: Paused(PauseReason.NO_CREDITS, "0402", "You don't have enough points.", 200),
    Act.BAD_KEY: Paused(PauseReason.BAD_KEY, "0401", "Invalid key", 401),
}


class Died(BaseException):
    """The process is no more. No error: it stands for SIGKILL."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the account holds it."""

    id: str
    digest: str
    name: str
    namespace: str
    tags: tuple[str, ...]


@dataclass(slots=True)
class FakeService:
    """Knows the rules of API.md that matter to the plan. The attributes are switches."""

    acts: deque[Act] = field(default_factory=deque)
    """What becomes of the next requests; OK when it is empty."""
    always: Act = Act.OK
    stored: list[Image] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)
    """Digests for which a request is rejected as a whole."""
    bad_field: str | None = None
    """A metadata field that is rejected wherever it is sent."""
    cap: int | None = None
    search_finds: bool = True
    search_fails: SearchFailed | None = None
    meanwhile: Callable[[], None] | None = None
    """Called once, after the files were opened and before the first byte of the body is read."""
    requests: list[tuple[RequestMetadata, tuple[str, ...], Act]] = field(default_factory=list)
    """Every request with its wire names, whatever became of it."""
    searches: int = 0
    hang: threading.Event | None = None
    """Requests wait for it before anything is read."""
    _ids: int = 568102998803353600

    def billed(self) -> Counter[str]:
        return Counter(image.digest for image in self.stored)

    def send(
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
        act = self.acts.popleft() if self.acts else self.always
        self.requests.append((metadata, tuple(file.wire_name for file in files), act))
        if self.hang is not None:
            assert self.hang.wait(20)
        body = Body(metadata, files, BOUNDARY, Hooks(completing, leaving, left, cancel, waiting=waiting))
        try:
            received = self._receive(body, act)
        except FileChangedError as change:
            return Changed(change.index, change.detail)
        except CancelledError:
            return NotSent("stopped before the request was complete")
        except CallbackError as failed:
            raise failed.error from None
        return NotSent(str(act)) if received is None else self._answer(act, metadata, received)

    def search(self, marker: str, unique_id: str | None) -> tuple[Hit, ...] | SearchFailed:
        self.searches += 1
        if self.search_fails is not None:
            return self.search_fails
        if not self.search_finds:
            return ()
        return tuple(
            Hit(image.id, image.name.rsplit(".", 1)[0])
            for image in self.stored
            if marker in image.tags and unique_id in (None, image.namespace)
        )

    def _receive(self, body: Body, act: Act) -> list[tuple[str, str]] | None:
        body.check_ready()
        if act is Act.REFUSED:
            return None
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        pieces: list[bytes] = []
        while True:
            piece = bytes(body.read(-1 if act is not Act.CUT else 10))
            if act is Act.CUT:
                return None
            if not piece:
                assert body.complete
                return _files_of(b"".join(pieces))
            pieces.append(piece)

    def _answer(self, act: Act, metadata: RequestMetadata, files: list[tuple[str, str]]) -> Reply:
        without_effect = _NOT_STORED.get(act) or self._rejection(metadata, files)
        if without_effect is not None:
            return without_effect
        ids = tuple(self._store(metadata, name, digest) for name, digest in files)
        match act:
            case Act.LOST_STORED:
                return _NOT_STORED[Act.LOST]
            case Act.BROKEN_STORED:
                return _NOT_STORED[Act.BROKEN]
            case Act.DIES_STORED:
                raise Died
            case Act.KNOWN_ID if len(self.stored) > len(files):
                return Stored((self.stored[0].id, *ids[1:]))
            case Act.IDS_DO_NOT_FIT:
                return Unanswered(Doubt.IDS, "one id too few", 200, "0000")
            case _:
                return Stored(ids)

    def _rejection(self, metadata: RequestMetadata, files: list[tuple[str, str]]) -> Reply | None:
        if self.cap is not None and len(files) > self.cap:
            return TooMany(self.cap, f"at most {self.cap} files", 200, "0003")
        if self.bad_field is not None and getattr(metadata, self.bad_field):
            return BadRequest("0003", f"{self.bad_field} is invalid", self.bad_field, 200)
        if any(digest in self.bad for _, digest in files):
            return BadRequest("0003", "Invalid image", None, 200)
        return None

    def _store(self, metadata: RequestMetadata, name: str, digest: str) -> str:
        self._ids += 1
        self.stored.append(Image(str(self._ids), digest, name, metadata.unique_id, metadata.tags))
        return str(self._ids)


def _files_of(body: bytes) -> list[tuple[str, str]]:
    """Give the file name and the SHA-256 of the bytes of each `files` part."""
    found = []
    for part in body.split(b"--" + BOUNDARY.encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="files"; filename="([^"]*)"', head)
        if name is not None:
            found.append((name[1].decode(), hashlib.sha256(content[:-2]).hexdigest()))
    return found


@dataclass(slots=True)
class InterruptedService(FakeService):
    """A second Ctrl-C comes while the thread that sends is in a transaction, between two steps of it."""

    begin: Callable[[], object] = lambda: None
    """Begins the transaction."""

    def send(self, *_: object, **__: object) -> Reply:
        self.begin()
        raise KeyboardInterrupt
