"""What `status` says beside the counts: why nothing leaves at the moment, and who holds the lock."""

from __future__ import annotations

from syncd.cli.summary import Around
from syncd.daemon.clock import SystemClock, local_midnight
from syncd.daemon.lock import holder_of
from syncd.daemon.metered import ask_network_manager
from syncd.daemon.standing import Owing, why_waiting
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
    upload = settings.upload
    queue = Queue(store)
    pause = Wishes(store).person_pause()
    metered = upload.metered is OnMetered.WAIT and bool(ask_network_manager())
    sent_today = queue.sent_since(local_midnight(now)) if upload.daily_uploads else 0
    owing = Owing(queue.next_due(), status.lookup_at, sent_today)
    gate = by_the_clock(Gate.from_json(status.gate), now)
    waiting = why_waiting(upload, shut(upload.hours, pause, now, metered=metered), gate, owing, now)
    return Around(waiting, pause, holder_of(store.path))
