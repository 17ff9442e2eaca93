"""The requests under way: how they are made of what was chosen, and how they come back.

The intent to send is in the ledger before anything moves. The threads of `in_flight` only move bytes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol

from syncd.daemon.clock import Clock
from syncd.daemon.inquiries import Searcher
from syncd.daemon.opening import Opened
from syncd.daemon.planner import Chosen
from syncd.daemon.receipts import Request
from syncd.daemon.turnstile import Turn
from syncd.ledger.queue import Claim, Queue
from syncd.ledger.rows import Owed
from syncd.model import PlacePath, RequestMetadata
from syncd.settings import UploadSettings
from syncd.upload.batches import marked
from syncd.upload.body import SendFile
from syncd.upload.names import new_marker
from syncd.upload.replies import Reply


class Sender(Searcher, Protocol):
    """The client of the service."""

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
        """Send one request; never raises for trouble of the network."""
        ...


@dataclass(frozen=True, slots=True)
class Departure:
    """How a request may leave: its turn, when that is in seconds since the epoch, and whether it is but a probe."""

    turn: Turn
    at: float
    probe: bool


@dataclass(frozen=True, slots=True)
class Load:
    """A request to make: what was chosen, the files of it that could be opened, and how it may leave."""

    chosen: Chosen
    files: Sequence[tuple[Owed, Opened]]
    departure: Departure


@dataclass(frozen=True, slots=True)
class Flight:
    """A request under way."""

    request_id: int
    request: Request
    places: tuple[PlacePath, ...]
    files: tuple[SendFile, ...]
    departure: Departure

    @property
    def turn(self) -> Turn:
        """Its turn among the others."""
        return self.departure.turn

    @property
    def bytes(self) -> int:
        """The bytes of its files."""
        return sum(file.size for file in self.files)


class Flights:
    """All requests under way. Called by the thread of the dispatch; only the sending is on others."""

    def __init__(  # noqa: PLR0913  (what it joins is what it is)
        self,
        *,
        queue: Queue,
        sender: Sender,
        executor: Executor,
        settings: UploadSettings,
        clock: Clock,
        waits: Callable[[Turn], None],
        leaves: Callable[[Turn], None],
        answered: Callable[[], None],
    ) -> None:
        """Have requests wait by `waits` until their turn is near, and go by `leaves`, each on the thread that sends it.

        `answered` hears that one came back.
        """
        self._queue = queue
        self._sender = sender
        self._executor = executor
        self._settings = settings
        self._clock = clock
        self._waits = waits
        self._leaves = leaves
        self._answered = answered
        self._under_way: dict[Future[Reply], Flight] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def futures(self) -> Sequence[Future[Reply]]:
        """The requests under way, to be waited for."""
        return [*self._under_way]

    def __iter__(self) -> Iterator[Flight]:
        return iter([*self._under_way.values()])

    def launch(self, loads: deque[Load], now: float) -> None:
        """Commit the intent for all of them at once, and have them sent.

        Each is taken out of `loads` before: from then on its files are not the caller's, but closed when it is back.
        """
        claims = [self._claim(load) for load in loads]
        for claim, request_id in zip(claims, self._queue.claim(claims, now), strict=True):
            load = loads.popleft()
            batch = tuple(owed for owed, _ in load.files)
            flight = Flight(
                request_id=request_id,
                request=Request(batch, claim.metadata, claim.marked, self._settings.lookup_after),
                places=tuple(place for _, (place, _) in load.files),
                files=tuple(file for _, (_, file) in load.files),
                departure=load.departure,
            )
            self._send(flight)

    def give_up_what_waits(self, why: str) -> None:
        """Have those not leave that have not left."""
        for flight in self._under_way.values():
            flight.turn.give_up(why)

    def come_back(self) -> list[tuple[Flight, Future[Reply]]]:
        """Give the requests that ended, with what came of them; they are under way no more."""
        done = [(self._under_way.pop(future), future) for future in self.futures if future.done()]
        for flight, _ in done:
            for file in flight.files:
                os.close(file.fd)
        return done

    def _claim(self, load: Load) -> Claim:
        marker = new_marker(os.urandom(8))
        with_marker = self._settings.marker and all("tags" not in owed.omit for owed, _ in load.files)
        return Claim(
            marker=marker,
            marked=with_marker,
            metadata=marked(load.chosen.metadata, marker) if with_marker else load.chosen.metadata,
            files=tuple((owed.entry_id, file.wire_name, file.size) for owed, (_, file) in load.files),
            off=load.chosen.off,
            leaves_at=load.departure.at,
        )

    def _send(self, flight: Flight) -> None:
        request_id = flight.request_id
        future = self._executor.submit(
            self._sender.send,
            flight.request.metadata,
            flight.files,
            completing=lambda: self._queue.completing(request_id, self._clock.now()),
            leaving=lambda: self._leaves(flight.turn),
            left=flight.turn.has_left,
            cancel=flight.turn.cancel,
            waiting=lambda: self._waits(flight.turn),
        )
        self._under_way[future] = flight
        future.add_done_callback(lambda _: self._answered())
