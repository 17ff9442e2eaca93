"""The parts of one running syncd, joined, and the steps that come before the first scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.daemon.clock import Clock
from syncd.daemon.dispatch import Dispatch
from syncd.daemon.intake import Intake
from syncd.daemon.voice import Said, Voice
from syncd.ledger.account import difference
from syncd.ledger.judgement import refit, rejudge
from syncd.ledger.queue import Queue
from syncd.ledger.reports import Status, status
from syncd.ledger.sightings import Policy
from syncd.ledger.store import Store
from syncd.ledger.territory import Territory
from syncd.rules import Rules
from syncd.settings import Settings
from syncd.watch.filters import Filter

OTHER_ACCOUNT = "another account"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that runs over one ledger."""

    settings: Settings
    store: Store
    queue: Queue
    territory: Territory
    rules: Rules
    policy: Policy
    filters: Mapping[bytes, Filter]
    intake: Intake
    dispatch: Dispatch
    clock: Clock
    voice: Voice

    @property
    def roots(self) -> list[bytes]:
        """The roots, in the order of the configuration."""
        return list(self.filters)

    def prepare(self, key: str | None) -> None:
        """Recover what a process that died left behind, and apply settings that changed. Before any scan."""
        now = self.clock.now()
        replayed, strange = self.queue.replay(now)
        if replayed:
            self.voice.say(Said.UPLOADED, None, f"what the ledger had no room for is recorded: {replayed} photos")
        if strange is not None:
            self.voice.say(Said.UNANSWERED, None, f"answers to requests that are not in this ledger lie in {strange}")
        unanswered, ready = self.queue.recover(now)
        if unanswered:
            self.voice.say(Said.UNANSWERED, None, f"{unanswered} photos were under way when syncd ended last time")
        if ready:
            self.voice.say(Said.NOT_SENT, None, f"{ready} photos were not sent completely last time, and will be")
        # A disk may have come since, or the clock may have been set: the gate alone says how soon to try.
        self.queue.hasten(now)
        self.territory.configure(self.roots)
        rejudge(self.store, self.rules, self.policy, self.settings.fingerprint, now)
        refit(self.store, self.settings.upload.max_file_bytes, now)
        if key is not None:
            self._check_account(key)

    def status(self) -> Status:
        """Count everything."""
        return status(self.store)

    def _check_account(self, key: str) -> None:
        changed = difference(self.store, self.settings.api.base_url, key)
        pause = self.dispatch.gate.pause
        if changed is not None:
            self.dispatch.hold(
                f"{OTHER_ACCOUNT}: {changed}. If it is the same account, run `syncd ledger account --same`; "
                "for a new one, in which none of the photos is, `syncd ledger account --new`"
            )
        elif pause is not None and pause.reason.startswith(OTHER_ACCOUNT):
            self.dispatch.release()
