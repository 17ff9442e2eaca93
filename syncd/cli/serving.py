"""`run`: the daemon as this process joins it, built anew from other settings at each reload that can be used."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from syncd.apikey import ApiKey
from syncd.cli import context
from syncd.cli.exporting import exporting
from syncd.cli.places import ledger_path
from syncd.cli.planning import done_at
from syncd.cli.signals import Signals
from syncd.cli.telling import PlainVoice
from syncd.cli.wiring import alarm, assembled, watching
from syncd.daemon import service
from syncd.daemon.announcer import Announcer
from syncd.daemon.clock import SystemClock
from syncd.daemon.foreman import Ending
from syncd.daemon.herald import Herald
from syncd.daemon.lock import DAEMON, InstanceLock
from syncd.daemon.moderator import Moderator
from syncd.daemon.notify import Notifier
from syncd.daemon.outside import Outside, WatchHealth
from syncd.daemon.vigil import PATIENCE, Overdue, Vigil
from syncd.errors import ConfigError, SyncdError
from syncd.settings import Settings

log = logging.getLogger("syncd")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Settings that can be used, with their key."""

    settings: Settings
    key: ApiKey


@dataclass(slots=True)
class Choice:
    """What the daemon runs with, and what it is to run with next."""

    now: Chosen
    next: Chosen | None = None
    read: Callable[[], Chosen] = field(default_factory=lambda: choose)

    def reconsider(self) -> bool:
        """Read the configuration again; what cannot be used is told, and the settings of before stay."""
        try:
            found = self.read()
            if found.settings.source != self.now.settings.source:
                raise ConfigError(
                    f"{self.now.settings.source} is not there any more, and {found.settings.source} is another file",
                    hint="put it back, or restart syncd to take the other one",
                )
            if ledger_path(found.settings) != ledger_path(self.now.settings):
                raise ConfigError(
                    "[ledger] url cannot be changed by a reload",
                    hint="restart syncd for another ledger; until then it goes on with the settings of before",
                )
        except SyncdError as error:
            _say_not_taken(error)
            return False
        self.next = found
        return True


def choose() -> Chosen:
    """Read configuration and key, or raise ConfigError."""
    settings = context.load_settings()
    if not settings.folders:
        raise ConfigError(f"{settings.source} names no folder to watch", hint="add a [[folder]] with its path")
    return Chosen(settings, context.load_key(settings))


def serve(signals: Signals) -> None:
    """Run until a stop. Raises SyncdError where nothing can start, and whatever ended a worker."""
    notifier = Notifier.from_environment(os.environ)
    with suppress(AttributeError, OSError):  # there may be no standard error
        # A watchdog of the service manager ends a hung process by SIGABRT: the log then shows where it hung.
        faulthandler.enable(sys.stderr.fileno(), all_threads=True)
    clock = SystemClock()
    vigil = Vigil(clock.monotonic, notifier.watchdog or PATIENCE)
    herald = Herald(notifier, vigil, clock, lambda overdue: _say_hung(overdue, supervised=bool(notifier.watchdog)))
    choice = Choice(choose())
    daemon = _Daemon(choice, signals, herald, Moderator(PlainVoice(), clock.monotonic), clock.now())
    notifier.status("starting: opening the ledger")
    with InstanceLock(ledger_path(choice.now.settings), DAEMON) as lock:
        while daemon.run(lock) is Ending.RELOAD:
            pass


@dataclass(frozen=True, slots=True)
class _Daemon:
    """What stays the same over all reloads."""

    choice: Choice
    signals: Signals
    herald: Herald
    moderator: Moderator
    started_at: float

    def run(self, lock: InstanceLock) -> Ending:
        """Run with the settings that were chosen last; where they fail at the start, with those of before."""
        choice = self.choice
        before, choice.now = choice.now, choice.next or choice.now
        choice.next = None
        with ExitStack() as stack:
            voice = stack.enter_context(Announcer(self.moderator, choice.now.settings.notify, os.environ))
            try:
                with self.herald.building():
                    parts = stack.enter_context(
                        assembled(choice.now.settings, choice.now.key, voice, self.signals, lock, self.herald.vigil)
                    )
            except SyncdError as error:
                if choice.now is before:
                    raise
                _say_not_taken(error)
                choice.now = before
                return Ending.RELOAD
            context.take_log_settings(choice.now.settings.log)
            parts.client.client()  # now, and not while the first photo waits for it
            health = WatchHealth()
            stack.enter_context(exporting(parts, self.moderator, health, self.started_at))
            hints, watcher = watching(choice.now.settings)
            outside = Outside(
                herald=self.herald,
                stop=self.signals.stop,
                wake=self.signals.wake,
                written=stack.enter_context(alarm(choice.now.settings, self.signals)),
                reload=self.signals.reload,
                reconsider=choice.reconsider,
                abandon=lambda: parts.client.abandon(complete=True),
                done_at=lambda: done_at(parts.pipeline.settings, parts.pipeline.store),
                health=health,
            )
            return service.run(parts.pipeline, watcher, hints, outside)


def _say_not_taken(error: SyncdError) -> None:
    problems = error.problems if isinstance(error, ConfigError) else ()
    lines = [error.message, *problems, *([error.hint] if error.hint else [])]
    for line in ["the new configuration was not taken; syncd goes on with the one of before", *lines]:
        log.log(logging.ERROR, "%s", line)


def _say_hung(overdue: Sequence[Overdue], *, supervised: bool) -> None:
    for one in overdue:
        log.critical("%s; the stacks of all threads follow", one)
    faulthandler.dump_traceback(all_threads=True)
    if not supervised:
        # Nobody else would end it, and a thread cannot be ended from outside: the next start goes on where it was.
        log.critical("syncd ends; start it again")
        os._exit(1)
