"""The way out: ask the ledger what is due, plan, commit the intent, send, commit what came of it.

The plan is single-threaded: `turn` is called by one thread. The threads of `in_flight` only move bytes.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from syncd.daemon.clock import Clock, local_midnight, next_local_midnight
from syncd.daemon.inquiries import Findings, Inquiries, Searcher
from syncd.daemon.line import SMALL_FILE, SMALL_REQUEST, Line
from syncd.daemon.opening import Opened, Opener, Opening
from syncd.daemon.planner import Chosen, Labeller, Planner
from syncd.daemon.receipts import Meaning, Request, given_up, meaning
from syncd.daemon.rest import Idle, Rest
from syncd.daemon.turnstile import Turn, Turnstile
from syncd.daemon.voice import Said, Voice
from syncd.ledger.lookups import Lookups
from syncd.ledger.queue import Claim, Queue
from syncd.ledger.rows import Owed
from syncd.lifecycle import BACKOFF_CAP, Outcome, State
from syncd.model import PlacePath, RequestMetadata
from syncd.settings import UploadSettings
from syncd.upload import pace
from syncd.upload.batches import marked
from syncd.upload.body import SendFile
from syncd.upload.names import new_marker
from syncd.upload.replies import Doubt, NotSent, Reply, Stored, Unanswered

OLDEST_EVERY: Final = 10
"""Every so many requests takes the longest waiting, so that nothing waits for ever."""
LINGER: Final = 2.0
"""Seconds for which an entry waits for mates while the intake is at work."""
_HEADS: Final = 16


class Sender(Searcher, Protocol):
    """The client of the service."""

    def send(
        self,
        metadata: RequestMetadata,
        files: Sequence[SendFile],
        *,
        completing: Callable[[], None],
        leaving: Callable[[], None] | None = None,
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


class Dispatch:
    """Sends what is owed. Everything that it decides is in the ledger before it happens, or can be decided again."""

    def __init__(  # noqa: PLR0913  (what it joins is what it is)
        self,
        *,
        queue: Queue,
        lookups: Lookups,
        rules: Labeller,
        settings: UploadSettings,
        as_utc: bool,
        sender: Sender,
        opener: Opener,
        executor: Executor,
        clock: Clock,
        voice: Voice,
        rng: random.Random,
        look_again: Callable[[PlacePath], None],
        returned: threading.Event | None = None,
        intake_busy: Callable[[], bool] = lambda: False,
        answered: Callable[[], None] = lambda: None,
        shut: Callable[[float], Idle | None] = lambda _: None,
        turnstile: Turnstile | None = None,
    ) -> None:
        self._queue = queue
        self._inquiries = Inquiries(
            lookups=lookups,
            queue=queue,
            searcher=sender,
            executor=executor,
            settings=settings,
            clock=clock,
            voice=voice,
        )
        self._opening = Opening(opener=opener, queue=queue, look_again=look_again, clock=clock, rng=rng)
        self._planner = Planner(queue, rules, settings, as_utc=as_utc)
        self._settings = settings
        self._sender = sender
        self._executor = executor
        self._clock = clock
        self._voice = voice
        self._rng = rng
        self._look_again = look_again
        self._returned = returned or threading.Event()
        self._intake_busy = intake_busy
        self._answered = answered
        self._shut = shut
        self._gate = pace.Gate.from_json(queue.gate())
        self._flights: dict[Future[Reply], Flight] = {}
        self._left_lock = threading.Lock()
        self._left_at = queue.last_sent_at() or 0.0
        self._turnstile = turnstile or Turnstile(clock.monotonic)
        self._since_oldest = 0
        self._launched_at = 0.0
        self._line = Line()
        self._lingering: dict[int, float] = {}
        """Until when entries wait for mates, while the intake is at work."""
        self._told_of_budget = 0.0
        self._unanswered: set[int] = set()
        """Entries that became unanswered in this run and were not found since."""
        self.outcomes: Counter[State] = Counter()
        """What became of entries in this run."""

    @property
    def gate(self) -> pace.Gate:
        """The gate as it stands."""
        return self._gate

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._flights) + len(self._inquiries)

    def probe_now(self) -> None:
        """Let one request try at once, where a pause or an open breaker has it wait."""
        self._set_gate(pace.probe_now(self._gate, self._clock.now()))

    def hold(self, reason: str) -> None:
        """Pause the queue until a person says how to go on."""
        self._set_gate(pace.held_for_a_person(self._gate, reason, self._clock.now()))

    def release(self) -> None:
        """End a pause."""
        self._set_gate(pace.released(self._gate))

    def turn(self) -> Idle | None:
        """Settle what came back, and let one request leave; None: call again at once."""
        self._collect()
        if self._returned.is_set():
            self._returned.clear()
            self._opening.try_again()
        now, monotonic = self._clock.now(), self._clock.monotonic()
        idle = self._nothing_may_leave(now)
        if idle is not None:
            return idle
        if self._inquiries.ask(now, self._answered):
            self._set_left(now)
            return None
        return self._upload(now, monotonic)

    def _nothing_may_leave(self, now: float) -> Idle | None:
        """Tell why neither an upload nor a look-up may leave now."""
        if self.in_flight >= self._settings.in_flight:
            return Idle(Rest.UNDER_WAY)
        idle = self._shut(now) or self._gate_is_shut(now)
        if idle is not None:
            return idle
        if self._one_waits_for_its_turn():
            return Idle(Rest.UNDER_WAY)
        slot = pace.next_slot(self._gate, self._settings.pace, now)
        lookup = self._inquiries.next_due() if slot > now else None
        # A look-up goes before what is owed, and is not made ahead.
        return Idle(Rest.PACE, slot) if lookup is not None and lookup <= slot else None

    def _upload(self, now: float, monotonic: float) -> Idle | None:
        opening = pace.opening(self._gate, self._settings.pace, now)
        if isinstance(opening, pace.Shut) or (opening.probe and self.in_flight):
            return Idle(Rest.UNDER_WAY)
        due = self._queue.next_due()
        if due is None:
            return Idle(Rest.NOTHING_OWED, self._inquiries.next_due())
        if opening.at > now + self._lead:
            rest = Rest.UNANSWERED if self._gate.unanswered else Rest.BACK_OFF
            return Idle(rest, opening.at - self._lead)
        if due > now + 2 * BACKOFF_CAP:
            # No back-off is that long: the clock was set back.
            self._queue.hasten(now)
            return None
        budget = self._budget(now)
        if budget == 0:
            return self._budget_is_spent(now)
        most = 1 if opening.probe else self._settings.batch_files
        turn = self._turnstile.turn(monotonic + max(0.0, opening.at - now), self._interval)
        departure = Departure(turn, max(now, opening.at), opening.probe)
        return self._send_next(most if budget is None else min(most, budget), due, now, departure)

    @property
    def _interval(self) -> float:
        return max(self._settings.pace or 0.0, self._gate.interval or 0.0)

    @property
    def _lead(self) -> float:
        """Seconds before its turn at which a request is made."""
        return self._turnstile.lead if self._interval else 0.0

    def _one_waits_for_its_turn(self) -> bool:
        """Tell whether a request is made and has not left yet, so that nobody knows when the next turn is."""
        waits = any(not flight.turn.left for flight in self._flights.values())
        return bool(self._interval and (waits or self._inquiries))

    def _gate_is_shut(self, now: float) -> Idle | None:
        """Tell whether neither uploads nor look-ups may leave: the queue is paused, or the pace has it wait."""
        with self._left_lock:
            # A clock that was set back starts the distance anew, once: else it would never be over.
            self._left_at = min(max(self._gate.left_at, self._left_at), now)
            self._gate = pace.leaving(self._gate, self._left_at)
        self._gate = pace.by_the_clock(self._gate, now)
        pause = self._gate.pause
        if pause is not None and (pause.probe_at is None or pause.probe_at > now):
            return Idle(Rest.PAUSED, pause.probe_at)
        slot = pace.next_slot(self._gate, self._settings.pace, now)
        if slot - self._lead > now:
            # A look-up that comes later is nothing that a sync would wait for the pace for.
            lookup = self._inquiries.next_due()
            owed = self._queue.next_due() is not None or (lookup is not None and lookup <= slot)
            return Idle(Rest.PACE, slot - self._lead) if owed else Idle(Rest.NOTHING_OWED, lookup)
        return None

    def collect(self, within: float) -> None:
        """Wait for an answer, at most so many seconds, and settle what came back."""
        wait(self._under_way(), timeout=within, return_when=FIRST_COMPLETED)
        self._collect()

    def finish(self, deadline: float | None) -> None:
        """Let what is under way come to its end, at most so many seconds; what is not complete then is given up."""
        if deadline is not None:
            wait(self._under_way(), timeout=deadline)
            self.give_up_what_is_incomplete()
        wait(self._under_way())
        self._collect()

    def give_up_what_is_incomplete(self) -> None:
        """Have the requests under way given up, where they are not complete yet."""
        for flight in self._flights.values():
            flight.turn.give_up("syncd ends")
            flight.turn.cancel.set()

    def _give_up_what_must_not_leave(self, now: float) -> None:
        """Take back what waits for its turn, where an answer has it wait longer, or shut the gate."""
        opening = pace.opening(self._gate, self._settings.pace, now)
        for flight in self._flights.values():
            later = isinstance(opening, pace.Shut) or opening.at > flight.departure.at + 0.001
            if later or (isinstance(opening, pace.Go) and opening.probe and not flight.departure.probe):
                flight.turn.give_up("another request's answer came between")

    def _under_way(self) -> list[Future[Any]]:
        return [*self._flights, *self._inquiries.futures]

    def _collect(self) -> None:
        """Settle every request that ended. What one of them raises is raised when the others are settled."""
        errors: list[BaseException] = []
        for future in [f for f in self._flights if f.done()]:
            flight = self._flights.pop(future)
            for file in flight.files:
                os.close(file.fd)
            if not flight.turn.left and not flight.turn.given_up:
                self._set_left(flight.departure.at)
            try:
                self._settle(flight, future.result())
            except BaseException as error:  # noqa: BLE001  (raised below)
                errors.append(error)
        if errors:
            raise errors[0]
        for findings in self._inquiries.collect():
            self._looked_up(findings)

    def _send_next(self, most: int, due: float, now: float, departure: Departure) -> Idle | None:
        """Plan around the entries that come first, and send the first batch that need not wait for mates."""
        busy = self._intake_busy()
        self._lingering = {entry_id: until for entry_id, until in self._lingering.items() if busy and until > now}
        with self._queue.view():
            chosen, put_off = self._choose(most, now)
        for entry_id in put_off:
            self._opening.put_off(entry_id, now)
        if chosen is not None:
            self._launch(chosen, now, departure)
            return None
        if self._lingering:
            return Idle(Rest.LINGER, now + LINGER / 4)
        lookup = self._inquiries.next_due()
        until = max(due, now + 0.05)
        return Idle(Rest.BACK_OFF, until if lookup is None else min(until, lookup))

    def _choose(self, most: int, now: float) -> tuple[Chosen | None, list[int]]:
        """Choose the next request; also give the entries that cannot be sent as things are."""
        if self._is_the_last_place_for_small_ones():
            small = self._queue.small_ones(self._settings.order, now, size=SMALL_FILE, limit=_HEADS)
            chosen, _ = self._first_that_need_not_linger(small, most, now, most_bytes=SMALL_REQUEST)
            if chosen is not None:
                return chosen, []
        oldest = self._is_the_turn_of_the_oldest(now)
        put_off: list[int] = []
        # While a scan records faster than is sent, those that come first are always new: then the oldest go.
        for waiting_longest in [True] if oldest else [False, True]:
            heads = self._queue.head(self._settings.order, now, oldest=waiting_longest, limit=_HEADS)
            chosen, unfit = self._first_that_need_not_linger(heads, most, now)
            put_off += unfit
            if chosen is not None:
                self._since_oldest = 0 if oldest else self._since_oldest + 1
                return chosen, put_off
            if not self._lingering:
                break
        return None, put_off

    def _first_that_need_not_linger(
        self, heads: Sequence[int], most: int, now: float, *, most_bytes: int | None = None
    ) -> tuple[Chosen | None, list[int]]:
        put_off: list[int] = []
        for head in heads:
            if self._lingering.get(head, 0.0) > now:
                continue  # a mate that came since is a head itself
            chosen = self._planner.around(head, min(most, self._gate.batch_cap or most), now, most_bytes=most_bytes)
            if chosen is None:
                put_off.append(head)
                continue
            age = now - chosen.batch[0].arrived_at
            if not chosen.full and self._intake_busy() and 0 <= age < LINGER:
                self._lingering[head] = now + LINGER - age
                continue
            self._lingering.pop(head, None)
            return chosen, put_off
        return None, put_off

    def _is_the_last_place_for_small_ones(self) -> bool:
        """Tell whether all places but one are taken by requests that take long: the last is kept for small files."""
        flights = self._flights.values()
        last = self._settings.in_flight > 1 and len(flights) == self._settings.in_flight - 1
        return last and all(self._line.is_long(_bytes(flight)) for flight in flights)

    def _is_the_turn_of_the_oldest(self, now: float) -> bool:
        """Tell whether the longest waiting goes. One that arrived since the last request goes before it, within limits.

        So an arrival is in the next request or, where that was made already, in the one after it.
        """
        if self._since_oldest < OLDEST_EVERY - 1:
            return False
        return self._since_oldest >= 2 * OLDEST_EVERY - 1 or not self._queue.has_arrived_since(self._launched_at, now)

    def _launch(self, chosen: Chosen, now: float, departure: Departure) -> None:
        self._launched_at = now
        opened: list[tuple[Owed, Opened]] = []
        try:
            for owed in chosen.batch:
                found = self._opening.open(owed)
                if found is None:
                    self._opening.put_off(owed.entry_id, now)
                else:
                    opened.append((owed, found))
            if opened:
                self._send(self._claim(opened, chosen, now, departure))
        except BaseException:
            for _, (_, file) in opened:
                os.close(file.fd)
            raise

    def _send(self, flight: Flight) -> None:
        request_id = flight.request_id
        future = self._executor.submit(
            self._sender.send,
            flight.request.metadata,
            flight.files,
            completing=lambda: self._queue.completing(request_id, self._clock.now()),
            leaving=lambda: self._leaves(flight.turn),
            cancel=flight.turn.cancel,
            waiting=flight.turn.wait,
        )
        self._flights[future] = flight
        future.add_done_callback(lambda _: self._answered())

    def _leaves(self, turn: Turn) -> None:
        """Let a request go when its turn comes; on the thread that sends it."""
        turn.leave()
        self._set_left(self._clock.now())
        if turn.interval:
            self._answered()  # the next one can be made now

    def _claim(
        self,
        opened: Sequence[tuple[Owed, tuple[PlacePath, SendFile]]],
        chosen: Chosen,
        now: float,
        departure: Departure,
    ) -> Flight:
        marker = new_marker(os.urandom(8))
        with_marker = self._settings.marker and all("tags" not in owed.omit for owed, _ in opened)
        outgoing = marked(chosen.metadata, marker) if with_marker else chosen.metadata
        files = tuple(file for _, (_, file) in opened)
        claim = Claim(
            marker=marker,
            marked=with_marker,
            metadata=outgoing,
            files=tuple((owed.entry_id, file.wire_name, file.size) for owed, (_, file) in opened),
            off=chosen.off,
            leaves_at=departure.at,
        )
        request_id = self._queue.claim(claim, now)
        request = Request(tuple(owed for owed, _ in opened), outgoing, with_marker, self._settings.lookup_after)
        return Flight(
            request_id=request_id,
            request=request,
            places=tuple(place for _, (place, _) in opened),
            files=files,
            departure=departure,
        )

    def _settle(self, flight: Flight, reply: Reply) -> None:
        now = self._clock.now()
        reply = self._refuse_known_ids(flight, reply)
        if isinstance(reply, Stored):
            self._line.note(_bytes(flight), self._clock.monotonic() - flight.turn.at)
        before = self._gate.pause
        if flight.turn.given_up and not flight.turn.left and isinstance(reply, NotSent):
            what = given_up(flight.request, flight.turn.given_up, now)
        else:
            what = meaning(flight.request, reply, now, self._rng)
            heard = replace(what.gate, left_at=flight.departure.at)
            self._gate = pace.after(self._gate, heard, self._settings.pace, now, self._rng)
        self._queue.settle(flight.request_id, what.answer, what.receipts, self._gate.to_json(), now)
        self._tell(flight, what)
        self._give_up_what_must_not_leave(now)
        if self._gate.pause is not None and (before is None or before.reason != self._gate.pause.reason):
            self._voice.say(Said.PAUSED, None, self._gate.pause.reason)
        elif before is not None and self._gate.pause is None:
            self._voice.say(Said.RESUMED, None, "the service takes photos again")
        if what.answer.outcome is Outcome.CHANGED:
            for place in flight.places:
                self._look_again(place)

    def _refuse_known_ids(self, flight: Flight, reply: Reply) -> Reply:
        if isinstance(reply, Stored):
            if not len(flight.files) == len(reply.ids) == len(set(reply.ids)):
                said = f"{len(flight.files)} files were sent, and the ids are {', '.join(reply.ids)}"
                return Unanswered(Doubt.IDS, said, 200, "0000")
            held = self._queue.held_ids(reply.ids)
            if held:
                said = f"the service gave an id that another photo has already: {', '.join(sorted(held))}"
                return Unanswered(Doubt.IDS, said, 200, "0000")
        return reply

    def _tell(self, flight: Flight, what: Meaning) -> None:
        for receipt, place in zip(what.receipts, flight.places, strict=True):
            self.outcomes[receipt.to] += 1
            if receipt.to is State.UNANSWERED:
                self._unanswered.add(receipt.entry_id)
            said = _SAID.get(receipt.to) or _SAID_OF_READY.get(what.answer.outcome, Said.NOT_SENT)
            self._voice.say(said, place.path, receipt.image_id or receipt.reason)

    def _looked_up(self, findings: Findings) -> None:
        now = self._clock.now()
        if self._interval:
            self._set_left(now)  # nobody said when its first byte left
        if findings.complaint is not None:
            self._set_gate(pace.after(self._gate, findings.complaint, self._settings.pace, now, self._rng))
        self.outcomes[State.UPLOADED] += len(findings.adopted)
        # What arose in this run and is settled in it needs nobody to look at it.
        arose = self._unanswered & findings.adopted.keys()
        self._unanswered -= arose
        self.outcomes[State.UNANSWERED] -= len(arose)

    def _budget(self, now: float) -> int | None:
        """Count the photos that may still leave today; None: no budget."""
        if not self._settings.daily_uploads:
            return None
        return max(0, self._settings.daily_uploads - self._queue.sent_since(local_midnight(now)))

    def _budget_is_spent(self, now: float) -> Idle:
        midnight = next_local_midnight(now)
        if self._told_of_budget != midnight:
            self._told_of_budget = midnight
            spent = f"the {self._settings.daily_uploads} photos of today are sent; it goes on after midnight"
            self._voice.say(Said.BUDGET, None, spent)
        return Idle(Rest.BUDGET, midnight)

    def _set_left(self, now: float) -> None:
        """Note that something leaves; called from the threads that send, too."""
        with self._left_lock:
            self._left_at = max(self._left_at, now)

    def _set_gate(self, gate: pace.Gate) -> None:
        self._gate = gate
        self._queue.set_gate(gate.to_json())


def _bytes(flight: Flight) -> int:
    return sum(file.size for file in flight.files)


_SAID = {
    State.UPLOADED: Said.UPLOADED,
    State.REFUSED: Said.REFUSED,
    State.UNANSWERED: Said.UNANSWERED,
}
_SAID_OF_READY = {
    Outcome.NOT_SENT: Said.NOT_SENT,
    Outcome.CHANGED: Said.CHANGED,
    Outcome.THROTTLED: Said.THROTTLED,
    Outcome.REJECTED: Said.REJECTED,
    Outcome.PAUSED: Said.NOT_SENT,
}
