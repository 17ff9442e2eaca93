"""The way out: ask the ledger what is due, plan, commit the intent, send, commit what came of it.

The plan is single-threaded: `turn` is called by one thread. The threads of `in_flight` only move bytes.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any

from syncd.daemon.choosing import LINGER, MOMENT, Choosing, Round
from syncd.daemon.clock import Clock, local_midnight, next_local_midnight
from syncd.daemon.flights import Departure, Flight, Flights, Load, Sender
from syncd.daemon.inquiries import Findings, Inquiries
from syncd.daemon.line import Line
from syncd.daemon.opening import Opener, Opening, close
from syncd.daemon.planner import Labeller, Planner
from syncd.daemon.receipts import Meaning, given_up, meaning
from syncd.daemon.rest import Idle, Rest
from syncd.daemon.turnstile import Turn, Turnstile
from syncd.daemon.voice import Said, Voice
from syncd.errors import SyncdError
from syncd.ledger.lookups import Lookups
from syncd.ledger.queue import Queue, Settlement
from syncd.lifecycle import BACKOFF_CAP, Outcome, State
from syncd.model import PlacePath
from syncd.settings import UploadSettings
from syncd.upload import pace
from syncd.upload.replies import Doubt, NotSent, Reply, Stored, Unanswered


@dataclass(frozen=True, slots=True)
class _Landed:
    """A request that came back, and what that means."""

    flight: Flight
    what: Meaning

    @property
    def settlement(self) -> Settlement:
        """What the ledger must know of it."""
        return Settlement(self.flight.request_id, self.what.answer, self.what.receipts)


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
        self._flights = Flights(
            queue=queue,
            sender=sender,
            executor=executor,
            settings=settings,
            clock=clock,
            waits=self._waits,
            leaves=self._leaves,
            answered=answered,
        )
        self._opening = Opening(opener=opener, queue=queue, look_again=look_again, clock=clock, rng=rng)
        self._line = Line()
        planner = Planner(queue, rules, settings, as_utc=as_utc)
        self._choosing = Choosing(queue, planner, settings, self._line, intake_busy)
        self._settings = settings
        self._clock = clock
        self._voice = voice
        self._rng = rng
        self._look_again = look_again
        self._returned = returned or threading.Event()
        self._answered = answered
        self._shut = shut
        self._gate = pace.Gate.from_json(queue.gate())
        self._left_lock = threading.Lock()
        self._left_at = queue.last_sent_at() or 0.0
        self._turnstile = turnstile or Turnstile(clock.monotonic)
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
        """Settle what came back, and let requests leave; None: call again at once."""
        self._collect()
        if self._returned.is_set():
            self._returned.clear()
            self._opening.try_again()
        now, monotonic = self._clock.now(), self._clock.monotonic()
        shut = self._shut(now)
        if shut is not None:
            self._flights.give_up_what_waits(shut.why)
            return shut
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
        idle = self._gate_is_shut(now)
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
        with self._queue.view():
            its = self._plan(opening, now)
        if its is None or isinstance(its, Idle):
            return its
        return self._send_next(its, lambda: self._departure(opening, now, monotonic))

    def _plan(self, opening: pace.Go, now: float) -> Round | Idle | None:
        """Choose the requests that leave now; else tell why none does, None: look again at once."""
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
        files = self._settings.batch_files
        most = 1 if opening.probe else min(files, self._gate.batch_cap or files)
        # With a pace nobody knows when the next turn is before this one has left; in trouble the next answer may say.
        alone = opening.probe or self._interval or self._gate.failures
        places = 1 if alone else self._settings.in_flight - self.in_flight
        its = Round(now=now, due=due, places=places, most=most, budget=budget, scarce=bool(self._interval))
        self._choosing.choose(its, [flight.bytes for flight in self._flights])
        return its

    def _departure(self, opening: pace.Go, now: float, monotonic: float) -> Departure:
        turn = self._turnstile.turn(monotonic + max(0.0, opening.at - now), self._interval)
        return Departure(turn, max(now, opening.at), opening.probe)

    @property
    def _interval(self) -> float:
        return max(self._settings.pace or 0.0, self._gate.interval or 0.0)

    @property
    def _lead(self) -> float:
        """Seconds before its turn at which a request is made."""
        return self._turnstile.lead if self._interval else 0.0

    def _one_waits_for_its_turn(self) -> bool:
        """Tell whether a request is made and has not left yet, so that nobody knows when the next turn is."""
        waits = any(not flight.turn.left for flight in self._flights)
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
        for flight in self._flights:
            flight.turn.give_up("syncd ends")
            flight.turn.cancel.set()

    def _give_up_what_must_not_leave(self, now: float) -> None:
        """Take back what waits for its turn, where an answer has it wait longer, or shut the gate."""
        opening = pace.opening(self._gate, self._settings.pace, now)
        for flight in self._flights:
            later = isinstance(opening, pace.Shut) or opening.at > max(now, flight.departure.at) + 0.001
            if later or (isinstance(opening, pace.Go) and opening.probe and not flight.departure.probe):
                flight.turn.give_up("another request's answer came between")

    def _under_way(self) -> list[Future[Any]]:
        return [*self._flights.futures, *self._inquiries.futures]

    def _collect(self) -> None:
        """Settle every request that ended. What one of them raises is raised when the others are settled."""
        errors: list[BaseException] = []
        back: list[tuple[Flight, Reply]] = []
        for flight, future in self._flights.come_back():
            if not flight.turn.left and not flight.turn.given_up:
                self._set_left(flight.departure.at)
            error = future.exception()
            if error is None:
                back.append((flight, future.result()))
            else:
                errors.append(error)
        if back:
            errors += self._settle(back)
        if errors:
            raise errors[0]
        for findings in self._inquiries.collect():
            self._looked_up(findings)

    def _send_next(self, its: Round, depart: Callable[[], Departure]) -> Idle | None:
        """Send what was chosen, and put off what cannot be sent as it lies."""
        for entry_id in its.put_off:
            self._opening.put_off(entry_id, its.now)
        if its.chosen:
            self._launch(its, depart)
            return None
        if self._choosing.lingers:
            return Idle(Rest.LINGER, its.now + (LINGER if its.scarce else MOMENT) / 4)
        lookup = self._inquiries.next_due()
        until = max(its.due, its.now + 0.05)
        return Idle(Rest.BACK_OFF, until if lookup is None else min(until, lookup))

    def _launch(self, its: Round, depart: Callable[[], Departure]) -> None:
        loads: deque[Load] = deque()
        try:
            for chosen in its.chosen:
                opened = self._opening.open_all(chosen.batch, its.now)
                if opened:
                    loads.append(Load(chosen, opened, depart()))
            if loads:
                self._flights.launch(loads, its.now)
        except BaseException:
            for load in loads:
                close(load.files)
            raise

    def _waits(self, turn: Turn) -> None:
        """Have a request wait until its turn is near; on the thread that sends it. What was said meanwhile counts."""
        turn.wait()
        idle = self._shut(self._clock.now()) if turn.interval else None
        if idle is not None:
            turn.give_up(idle.why)

    def _leaves(self, turn: Turn) -> None:
        """Let a request go when its turn comes; on the thread that sends it."""
        turn.leave()
        self._set_left(self._clock.now())
        if turn.interval:
            self._answered()  # the next one can be made now

    def _settle(self, back: Sequence[tuple[Flight, Reply]]) -> list[BaseException]:
        """Settle requests that were answered, all of them at once; give what went wrong with any of them."""
        now = self._clock.now()
        before = self._gate.pause
        landed = [self._judge(flight, reply, now) for flight, reply in self._without_known_ids(back)]
        errors = self._record(landed, now)
        self._give_up_what_must_not_leave(now)
        if self._gate.pause is not None and (before is None or before.reason != self._gate.pause.reason):
            self._voice.say(Said.PAUSED, None, self._gate.pause.reason)
        elif before is not None and self._gate.pause is None:
            self._voice.say(Said.RESUMED, None, "the service takes photos again")
        return errors

    def _judge(self, flight: Flight, reply: Reply, now: float) -> _Landed:
        """Say what a reply means, also to the gate."""
        if isinstance(reply, Stored):
            self._line.note(flight.bytes, self._clock.monotonic() - flight.turn.at)
        if flight.turn.given_up and not flight.turn.left and isinstance(reply, NotSent):
            what = given_up(flight.request, flight.turn.given_up, now)
        else:
            what = meaning(flight.request, reply, now, self._rng)
            heard = replace(what.gate, left_at=flight.departure.at)
            self._gate = pace.after(self._gate, heard, self._settings.pace, now, self._rng)
        return _Landed(flight, what)

    def _record(self, landed: Sequence[_Landed], now: float) -> list[BaseException]:
        """Commit what came of requests, and tell of it; give what went wrong. What cannot be is tried one by one."""
        try:
            self._queue.settle([each.settlement for each in landed], self._gate.to_json(), now)
        except SyncdError as error:
            if len(landed) == 1:
                return [error]
            return [wrong for each in landed for wrong in self._record([each], now)]
        for each in landed:
            self._tell(each.flight, each.what)
            if each.what.answer.lookup_at is not None:
                self._inquiries.arose()
            if each.what.answer.outcome is Outcome.CHANGED:
                for place in each.flight.places:
                    self._look_again(place)
        return []

    def _without_known_ids(self, back: Sequence[tuple[Flight, Reply]]) -> Iterator[tuple[Flight, Reply]]:
        """Believe no answer that gives an id twice, or one that another photo has."""
        given = [image_id for _, reply in back if isinstance(reply, Stored) for image_id in reply.ids]
        held = set(self._queue.held_ids(given)) if given else set()
        for flight, reply in back:
            if not isinstance(reply, Stored):
                yield flight, reply
            elif not len(flight.files) == len(reply.ids) == len(set(reply.ids)):
                said = f"{len(flight.files)} files were sent, and the ids are {', '.join(reply.ids)}"
                yield flight, Unanswered(Doubt.IDS, said, 200, "0000")
            elif not held.isdisjoint(reply.ids):
                known = ", ".join(sorted(held.intersection(reply.ids)))
                said = f"the service gave an id that another photo has already: {known}"
                yield flight, Unanswered(Doubt.IDS, said, 200, "0000")
            else:
                held.update(reply.ids)
                yield flight, reply

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
