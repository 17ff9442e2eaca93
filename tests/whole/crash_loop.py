"""Kills, cuts the power of and starves the real `syncd sync` at each of its durable steps, then starts it again.

    python -m tests.whole.crash_loop                    # the steps where something changes: some ten minutes
    python -m tests.whole.crash_loop --all              # every step: an hour and more
    python -m tests.whole.crash_loop --scene first --strike power

A step is a write or sync of the ledger's folder, a file made or removed there, or bytes on the network, in whatever
thread (see tracer.py). The service is the fault server, which keeps its own account. After each strike and the start
that follows it: nothing is stored twice, nothing is lost, the ledger is whole, no photo was touched.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.lifecycle import MOVES, State
from tests.fakes import behaviours as act
from tests.fakes.account import StoredFile
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import KEY, Ended, Program
from tests.whole import tracer

LIMIT: Final = 40.0
"""Seconds for one run. Nothing that goes wrong with the ledger may make syncd hang."""
STRIKES: Final = ("kill", "power", "ENOSPC", "ENOSPC+", "EIO", "EIO+")
"""With "+" each later write and sync fails too, until the program ends."""


@dataclass(frozen=True, slots=True)
class Call:
    """One step of a run, as the tracer saw it."""

    number: int
    thread: int
    name: str
    target: str

    @property
    def changes_the_ledger(self) -> bool:
        return self.target != "network" and self.name not in {"unlink", "unlinkat"}


class Stage:
    """A library, a ledger and a service, brought back to the same beginning before each run."""

    def __init__(self, folder: Path, server: FaultServer) -> None:
        self.server = server
        self.home = folder / "home"
        self.home.mkdir()
        self.program = Program(self.home, server.base_url)
        self.calls = folder / "calls"
        self._kept = folder / "kept"
        self._stored: list[StoredFile] = []
        self._photos: dict[Path, tuple[str, int]] = {}

    def keep(self) -> None:
        """Take the present state for the beginning."""
        shutil.copytree(self.home, self._kept, ignore=shutil.ignore_patterns("process-*"))
        self._stored = list(self.server.stored)
        photos = sorted(self.program.library.rglob("*.jpg"))
        self._photos = {path: (digest_of(path), path.stat().st_mtime_ns) for path in photos}

    def set_up(self) -> None:
        """Bring the beginning back."""
        shutil.rmtree(self.home)
        shutil.copytree(self._kept, self.home)
        self.program._started.clear()
        self.server.script(act.OK)
        with self.server.account.lock:
            self.server.account.stored[:] = self._stored

    def traced(self, strike: tracer.Strike) -> Ended:
        """Run `sync` under the tracer."""
        command = [sys.executable, tracer.__file__, "--below", str(self.program.ledger.parent)]
        command += ["--log", str(self.calls), "--at", str(strike.at), "--strike", strike.what]
        command += ["--on"] if strike.on else []
        running = self.program.start("sync", "--json", "--wait", "3s", before=[*command, "--"])
        return running.wait(LIMIT)

    def steps(self) -> list[Call]:
        """Give the steps of the last traced run."""
        lines = self.calls.read_text("utf-8", "surrogateescape").splitlines()
        rows = [line.split("\t") for line in lines]
        return [Call(int(number), int(thread), name, target) for number, thread, name, target in rows]

    def faults_after(self, struck: Ended, what: str) -> list[str]:
        """Start syncd again, as if nothing had happened, and name all that is wrong with what it makes of it."""
        found = list(wrong_with_the_end(struck, what))
        # The service may still be at work on what the dead process had sent.
        self.server.wait_until(lambda: not self.server._open, LIMIT)
        again = self.program.sync(wait="3s", timeout=LIMIT)
        if again.code not in {0, 75} or "Traceback" in again.err:
            return [*found, f"started again it ends with {again.code}: {again.err[-600:]}"]
        found += [
            f"stored {count} times: {digest}" for digest, count in self.server.account.billed().items() if count > 1
        ]
        found += self._lost()
        found += wrong_with_the_ledger(self.program.ledger)
        found += [f"{path} was touched" for path, before in self._photos.items() if looks(path) != before]
        found += [f"{path} holds the API key" for path in self.program.leaks()]
        return found + self.server.account.violations

    def _lost(self) -> Iterator[str]:
        """Each photo has the id of what the service holds, or is unanswered: not held, or still to be looked up."""
        ids = {image.sha256: str(image.id) for image in self.server.stored}
        known = states(self.program.ledger)
        for path, (digest, _) in self._photos.items():
            state, image_id, looked_up_yet = known.get(digest, ("unknown", None, False))
            held = ids.get(digest)
            if state == State.UPLOADED and image_id == held is not None:
                continue
            if state != State.UNANSWERED or (held is not None and not looked_up_yet):
                yield f"{path.name} is {state} with id {image_id}; the service holds {held}"


def first(stage: Stage) -> None:
    """No ledger yet: it is made and migrated, the library scanned, everything sent, in more than one piece each."""
    original = stage.program.photo("a.jpg", padding=200_000)
    stage.program.photo("trip/b.jpg", padding=200_000)
    shutil.copy2(original, stage.program.library / "copy of a.jpg")


def recovery(stage: Stage) -> None:
    """The process was killed while it waited for an answer, and photos came meanwhile: what a restart has to mend."""
    stage.program.photo("known.jpg")
    assert stage.program.sync().code == 0
    stage.program.photo("a.jpg")
    release = threading.Event()
    stage.server.script(act.held(release))
    dying = stage.program.start("sync")
    stage.server.wait_for_stored(2, LIMIT)
    dying.kill()
    release.set()
    stage.server.wait_until(lambda: not stage.server._open, LIMIT)
    stage.program.photo("b.jpg")


def together(stage: Stage) -> None:
    """Several requests are claimed, noted and settled in one transaction; their order differs from run to run."""
    stage.program.write_config(upload={"lookup_after": "1ms", "in_flight": 3})
    for number in range(5):
        stage.program.photo(f"{number}.jpg")


SCENES: Final[dict[str, Callable[[Stage], None]]] = {"first": first, "recovery": recovery, "together": together}


def prepared(folder: Path, server: FaultServer, scene: str) -> Stage:
    """Build a stage for a scene."""
    server.account.key = KEY
    stage = Stage(folder, server)
    stage.program.write_config(upload={"lookup_after": "1ms"})
    SCENES[scene](stage)
    stage.keep()
    return stage


def strike_of(name: str, at: int) -> tracer.Strike:
    return tracer.Strike(at, name.removesuffix("+"), on=name.endswith("+"))


def turning_points(steps: Sequence[Call]) -> list[Call]:
    """Leave out, of a row of writes to the same file, all but the first, the second and the last."""
    kept: list[Call] = []
    for index, call in enumerate(steps):
        alike = [
            0 <= other < len(steps) and (steps[other].name, steps[other].target) == (call.name, call.target)
            for other in (index - 2, index - 1, index + 1)
        ]
        if not all(alike):
            kept.append(call)
    return kept


def wrong_with_the_end(struck: Ended, what: str) -> Iterator[str]:
    """Say what is wrong with how a struck run ended. What could not go on says so, and that it may pass by itself."""
    if what in {"kill", "power"}:
        return
    if "Traceback" in struck.err:
        yield f"a traceback: {struck.err[-600:]}"
    if struck.code == 0:
        if struck.json["status"]["entries"]["ready"] or struck.json["status"]["entries"]["sending"]:
            yield "it ended with 0 although photos are owed"
    elif struck.code != 75:
        yield f"it ended with {struck.code}: {struck.err[-300:]}"
    elif "  -> " not in struck.err:
        yield f"it does not say what to do: {struck.err[-300:]}"


def wrong_with_the_ledger(ledger: Path) -> Iterator[str]:
    """Let SQLite check the file, and follow the history of each entry from its birth to its state."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        for pragma in ("integrity_check", "foreign_key_check"):
            yield from (f"{pragma}: {row}" for row in connection.execute(f"PRAGMA {pragma}") if row != ("ok",))
        rows = connection.execute("SELECT entry_id, before, after FROM history ORDER BY entry_id, id").fetchall()
        present: dict[int, str | None] = dict.fromkeys((entry for entry, _, _ in rows), None)
        for entry, before, after in rows:
            legal = before is None or State(after) in MOVES[State(before)]
            if before != present[entry] or not legal:
                yield f"the history of entry {entry} goes from {present[entry]} on with {before} -> {after}"
            present[entry] = after
        for entry, state in connection.execute("SELECT id, state FROM entries"):
            if present.get(entry) != state:
                yield f"entry {entry} is {state}, its history ends with {present.get(entry)}"


def states(ledger: Path) -> dict[str, tuple[str, str | None, bool]]:
    """Give by digest: the state, the image id, and whether a look-up of the last request is planned."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        rows = connection.execute("""
            SELECT digest, state, image_id, (
                SELECT lookup_at FROM requests JOIN sent ON sent.request_id = requests.id
                WHERE sent.entry_id = entries.id ORDER BY requests.id DESC LIMIT 1)
            FROM entries JOIN photos ON photos.id = entries.photo_id
        """)
        return {digest: (state, image_id, planned is not None) for digest, state, image_id, planned in rows}


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def looks(path: Path) -> tuple[str, int]:
    return digest_of(path), path.stat().st_mtime_ns


def loop(stage: Stage, name: str, *, every: bool, say: Callable[[str], None]) -> tuple[int, int]:
    """Strike at one step after the other; give how many runs there were, and how many went wrong."""
    stage.set_up()
    stage.traced(tracer.Strike(0, "kill"))
    steps = [call for call in stage.steps() if name in {"kill", "power"} or call.changes_the_ledger]
    ends: Counter[int] = Counter()
    wrong = 0
    for call in steps if every else turning_points(steps):
        stage.set_up()
        struck = stage.traced(strike_of(name, call.number))
        ends[struck.code] += 1
        faults = stage.faults_after(struck, name)
        wrong += bool(faults)
        for fault in faults:
            say(f"  step {call.number} ({call.name} {Path(call.target).name}): {fault}")
    say(
        f"  {ends.total()} runs of {len(steps)} steps, {wrong} went wrong; they ended with {dict(sorted(ends.items()))}"
    )
    return ends.total(), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Strike at each durable step of `syncd sync`, and start it again.")
    parser.add_argument("--all", action="store_true", help="every step, not only those where something changes")
    parser.add_argument("--scene", choices=SCENES, action="append")
    parser.add_argument("--strike", choices=STRIKES, action="append")
    chosen = parser.parse_args()
    reason = tracer.unavailable()
    if reason is not None:
        sys.exit(reason)
    runs, wrong, began = 0, 0, time.monotonic()
    for scene in chosen.scene or SCENES:
        for name in chosen.strike or STRIKES:
            sys.stdout.write(f"{scene}, {name}:\n")
            with tempfile.TemporaryDirectory(prefix="syncd-crash-") as folder, FaultServer() as server:
                stage = prepared(Path(folder), server, scene)
                counts = loop(stage, name, every=chosen.all, say=say)
            runs, wrong = runs + counts[0], wrong + counts[1]
    sys.stdout.write(f"{runs} runs in {time.monotonic() - began:.0f} s, {wrong} went wrong\n")
    return 1 if wrong else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
