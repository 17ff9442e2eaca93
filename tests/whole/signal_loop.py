"""Sends signals to the real `syncd run` at random moments, while photos come and answers are lost; looks at the bill.

    python -m tests.whole.signal_loop                   # 40 rounds: some four minutes
    python -m tests.whole.signal_loop --seed 42 --rounds 200

A round starts the daemon, adds photos, reloads good and broken configurations, asks for syncs, and ends it by SIGTERM,
SIGINT or SIGKILL, sooner or later. In the end everything is stored once, nothing is lost, and each reload was told
from its begin to its end.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.manager import ServiceManager
from tests.fakes.program import KEY, Program, Running

ENDS: Final = (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
WITHIN: Final = 40.0
"""Seconds in which an end must come: the answers that never come are given up after two."""
_FAREWELLS: Final = frozenset({0, -signal.SIGKILL, -signal.SIGTERM})


@dataclass(slots=True)
class SignalLoop:
    """One library, one service that loses answers, one manager that listens."""

    program: Program
    server: FaultServer
    manager: ServiceManager
    rng: random.Random
    good: str = ""
    photos: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def round(self) -> None:
        """Start it, disturb it, end it."""
        rng = self.rng
        self.take(rng.randrange(6))
        lost = act.held(threading.Event())
        self.server.script(*(rng.choice([act.OK, act.OK, act.CLOSE_AFTER_BODY, lost]) for _ in range(4)))
        before = len(self.manager.told)
        running = self.program.start("run", env=self.manager.environment(30.0))
        ready = rng.random() < 0.8
        if ready:
            self.manager.wait_for(lambda told: any("READY" in one for one in told[before:]), WITHIN)
        for _ in range(rng.randrange(6)):
            time.sleep(rng.random() * rng.choice([0.1, 0.5, 1.5]))
            self.disturb(running, ready=ready)
        self.program.config.write_text(self.good, encoding="utf-8")
        self.end(running, rng.choice(ENDS) if ready else rng.choice([signal.SIGTERM, signal.SIGKILL]))

    def take(self, count: int) -> None:
        for _ in range(count):
            self.photos += 1
            padding = self.rng.choice([0, 0, 200_000, 2_000_000])
            self.program.photo(f"{self.photos % 7}/{self.photos}.jpg", padding=padding)

    def disturb(self, running: Running, *, ready: bool) -> None:
        choice = self.rng.random()
        if choice < 0.2:
            self.take(1)
        elif not ready:
            pass  # a sync could be there first, and then a daemon that starts is not wanted
        elif choice < 0.3:
            self.program.call("sync", timeout=WITHIN)
        else:
            broken = "\n[upload]\nbroken = 1\n" if self.rng.random() < 0.4 else ""
            self.program.config.write_text(self.good + broken, encoding="utf-8")
            running.send(signal.SIGHUP)

    def end(self, running: Running, number: signal.Signals) -> None:
        running.send(number)
        asked = time.monotonic()
        ended = running.wait(WITHIN)
        self.slowest = max(self.slowest, time.monotonic() - asked)
        self.ends[f"{number.name} {ended.code}"] += 1
        assert ended.code in _FAREWELLS, ended
        assert "Traceback" not in ended.err, ended.err

    def settle_the_bill(self) -> None:
        """Everything is stored once, or known to be unanswered; no reload was left open."""
        self.server.script(act.OK)
        entries: dict[str, int] = {}
        for _ in range(5):
            entries = self.program.sync(wait="10s", timeout=120).json["status"]["entries"]
            if entries["ready"] == entries["sending"] == 0:
                break
        assert entries["ready"] == entries["sending"] == entries["refused"] == 0, entries
        assert entries["uploaded"] + entries["unanswered"] == self.photos, entries
        billed = self.server.account.billed()
        assert set(billed.values()) <= {1}, billed
        assert entries["uploaded"] <= len(billed) <= self.photos
        assert "RELOADING,RELOADING" not in ",".join(self.manager.states())


def prepared(folder: Path, server: FaultServer, manager: ServiceManager, seed: int) -> SignalLoop:
    server.account.key = KEY
    program = Program(folder, server.base_url)
    program.write_config(upload={"in_flight": 3, "lookup_after": "1s"})
    good = program.config.read_text("utf-8")
    return SignalLoop(program, server, manager, random.Random(seed), good)


def loop(seed: int, rounds: int, say: Callable[[str], None]) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="syncd-signals-") as folder,
        FaultServer() as server,
        ServiceManager() as manager,
    ):
        stage = prepared(Path(folder), server, manager, seed)
        with stage.program:
            for _ in range(rounds):
                stage.round()
            stage.settle_the_bill()
        say(f"seed {seed}: {rounds} rounds, {stage.photos} photos, none twice, none lost")
        say(f"  ends (signal and code): {dict(sorted(stage.ends.items()))}; the slowest took {stage.slowest:.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description="Signals at random moments to the real daemon.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    loop(chosen.seed, chosen.rounds, lambda line: print(line, flush=True))  # noqa: T201 -- a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
