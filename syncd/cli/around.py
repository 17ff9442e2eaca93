"""What `status` says beside the counts: why nothing leaves at the moment, and who holds the lock."""

from __future__ import annotations

from collections.abc import Callable

from syncd.cli.summary import Around
from syncd.daemon.clock import SystemClock, local_midnight
from syncd.daemon.lock import holder_of
from syncd.daemon.metered import ask_network_manager
from syncd.daemon.standing import Owing, Waiting, why_waiting
from syncd.daemon.windows import shut
from syncd.ledger.queue import Queue
from syncd.ledger.reports import Status
from syncd.ledger.store import Store
from syncd.ledger.wishes import Wishes
from syncd.settings import OnMetered, Settings
from syncd.upload.pace import Gate, by_the_clock


def look_around(settings: Settings, store: Store, status: Status) -> Around:
    """Ask the ledger, the clock, the lock and, where the configuration wants it, NetworkManager."""
    now = SystemClock().now()
    waiting = waiting_now(settings, store, status, now, is_metered=lambda: bool(ask_network_manager()))
    return Around(waiting, Wishes(store).person_pause(), holder_of(store.path))


def waiting_now(
    settings: Settings, store: Store, status: Status, now: float, *, is_metered: Callable[[], bool]
) -> Waiting | None:
    """Say why owed photos wait. `is_metered` is asked only where the configuration makes a difference of it."""
    upload = settings.upload
    queue = Queue(store)
    metered = upload.metered is OnMetered.WAIT and is_metered()
    sent_today = queue.sent_since(local_midnight(now)) if upload.daily_uploads else 0
    owing = Owing(queue.next_due(), status.lookup_at, sent_today)
    gate = by_the_clock(Gate.from_json(status.gate), now)
    closed = shut(upload.hours, Wishes(store).person_pause(), now, metered=metered)
    return why_waiting(upload, closed, gate, owing, now)
