"""Measure syncd as a whole process, beside what it is compared with: measure.py WHAT [--rounds 3] [--out FILE]

    start        `status` on a ledger of a million, and `--help`, beside `python -c pass`
    nothing-new  the second `sync` over --files files, beside `find -printf`
    rescan       a rescan inside the running daemon, asked for as `sync` beside it does, beside `find -printf`
    intake       new photos looked at, read and recorded, and none sent (`sync --dry-run`), beside an empty folder
    first-run    the first `sync` of --files photos of --kilobytes, pace off, beside the naive loop (naive.py)
    large        the same, beside what the machine can do at all (limit.py)
    among        the first `sync` of --files new photos, where --known others are in the ledger already
    rules        a start after a rule was changed, over a ledger of --files, beside a start without
    growth       the second `sync` for 1,000 to --files files: CPU, peak memory, bytes of ledger

The two commands run in turn; what is quoted are medians, and the ratio pair by pair. CPU is user and system time of the
process and its children, the steadier figure on a machine that others use too; `load` is what the machine was doing.
`peak` is the most that one process had, `together` the most that all of them had at a time, pages that they share
counted once (proportional set size, looked at every 20 ms).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
PORT = 8098
SYNCD = [sys.executable, "-m", "syncd"]
# As pip installs it: with its bytecode written once. Without that every run would compile all modules anew.
AS_INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float
    peak_mb: float
    together_mb: float


class Memory(threading.Thread):
    """Watches what a process and all below it have together."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, self._now(self._pid))

    def end(self) -> float:
        """Stop, and give the most in megabytes."""
        self._over.set()
        self.join()
        return self.peak / 1024

    def _now(self, pid: int) -> int:
        kilobytes = 0
        with contextlib.suppress(OSError):  # it has ended
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kilobytes = next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
            for thread in Path(f"/proc/{pid}/task").iterdir():
                kilobytes += sum(self._now(int(child)) for child in (thread / "children").read_text().split())
        return kilobytes


def run(command: Sequence[str], *, watched: bool = False) -> Run:
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=AS_INSTALLED) as process:
        assert process.stderr is not None
        memory = Memory(process.pid)
        if watched:
            memory.start()
        said = process.stderr.read()
        together = memory.end() if watched else 0.0
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}: {said.decode()[-2000:]}")
    return Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, together)


def pairs(rounds: int, one: Callable[[], Run], other: Callable[[], Run]) -> tuple[list[Run], list[Run]]:
    found = [(one(), other()) for _ in range(rounds)]
    return [each for each, _ in found], [each for _, each in found]


def told(what: str, ours: list[Run], beside: str, theirs: list[Run]) -> dict[str, object]:
    def middle(runs: list[Run], name: str) -> float:
        return statistics.median(getattr(each, name) for each in runs)

    row: dict[str, object] = {
        "what": what,
        "beside": beside,
        "wall": round(middle(ours, "wall"), 2),
        "cpu": round(middle(ours, "cpu"), 2),
        "peak_mb": round(middle(ours, "peak_mb")),
        "together_mb": round(middle(ours, "together_mb")),
        "beside_wall": round(middle(theirs, "wall"), 2),
        "beside_cpu": round(middle(theirs, "cpu"), 2),
        "wall_ratio": round(statistics.median(a.wall / b.wall for a, b in zip(ours, theirs, strict=True)), 2),
        "cpu_ratio": round(statistics.median(a.cpu / b.cpu for a, b in zip(ours, theirs, strict=True)), 2),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(row), flush=True)
    return row


def write_photos(library: Path, count: int, kilobytes: int = 20) -> None:
    """Write distinct JPEGs with EXIF, each of another second: one sample, with another date and other bytes in it."""
    from syncd.extract.samples import write_sample

    began = datetime(2015, 1, 1)  # noqa: DTZ001 - a camera's wall clock has no zone
    library.mkdir()
    sample = library / "sample.jpg"
    write_sample(sample, taken_at=began, camera_model="Benchmark")
    jpeg = sample.read_bytes()
    sample.unlink()
    written = f"{began:%Y:%m:%d %H:%M:%S}".encode()
    for number in range(count):
        taken = began + timedelta(minutes=7 * number)
        below = library / f"{taken:%Y-%m}"
        below.mkdir(exist_ok=True)
        own = jpeg.replace(written, f"{taken:%Y:%m:%d %H:%M:%S}".encode())
        left = kilobytes * 1000 - len(own)
        # Bit by bit: what this process once had counts as the peak of each process that it starts (getrusage(2)).
        with (below / f"IMG_{number:06d}.jpg").open("wb") as file:
            file.write(own[:2])
            while left > 0:
                size = max(16, min(60_000, left - 4))
                file.write(b"\xff\xfe" + (size + 2).to_bytes(2, "big") + os.urandom(size))
                left -= size + 4
            file.write(own[2:])


def write_config(folder: Path, library: Path) -> Path:
    (folder / "key").write_text("sk-mavi-benchmark\n")
    (folder / "key").chmod(0o600)
    config = folder / "config.toml"
    config.write_text(f"""
[api]
base_url = "http://127.0.0.1:{PORT}/serve/api/v1"
key_file = "{folder}/key"
[ledger]
url = "sqlite:///{folder}/ledger.db"
[upload]
pace = "off"
in_flight = 8
[watch]
settle = "0s"
[[folder]]
path = "{library}"
""")
    return config


def start(folder: Path, given: argparse.Namespace) -> None:
    import make_ledger

    make_ledger.make(given.files, folder / "ledger.db", owed=0.1, root="/photos")
    config = write_config(folder, Path("/photos"))
    nothing = [sys.executable, "-c", "pass"]
    status = [*SYNCD, "--config", str(config), "status"]
    for what, command in ((f"status, {given.files} photos", status), ("--help", [*SYNCD, "--help"])):
        run(command)
        ours, theirs = pairs(given.rounds, lambda command=command: run(command), lambda: run(nothing))
        told(what, ours, "python -c pass", theirs)


def nothing_new(folder: Path, given: argparse.Namespace, files: int | None = None) -> dict[str, object]:
    import known_ledger

    library = folder / "library"
    known_ledger.make_bare(library, files or given.files)
    known_ledger.write(library, folder / "ledger.db")
    config = write_config(folder, library)
    sync = [*SYNCD, "--config", str(config), "sync"]
    find = ["find", str(library), "-printf", "%s %T@ %C@ %i %p\n"]
    run(sync), run(find)
    ours, theirs = pairs(given.rounds, lambda: run(sync), lambda: run(find))
    row = told(f"nothing new, {files or given.files} files", ours, "find -printf", theirs)
    return row | {"files": files or given.files, "ledger_bytes": (folder / "ledger.db").stat().st_size}


def rescan(folder: Path, given: argparse.Namespace) -> None:
    import daemon
    import known_ledger

    library = folder / "library"
    known_ledger.make_bare(library, given.files)
    known_ledger.write(library, folder / "ledger.db")
    config = write_config(folder, library)
    find = ["find", str(library), "-printf", "%s %T@ %C@ %i %p\n"]
    running = daemon.Daemon([*SYNCD, "--config", str(config), "run"], folder / "ledger.db", AS_INSTALLED)

    def ours() -> Run:
        found = running.rescan()
        return Run(found.wall, found.cpu, found.peak_mb, found.peak_mb)

    try:
        ours(), run(find)
        one, other = pairs(given.rounds, ours, lambda: run(find))
        told(f"rescan in the daemon, {given.files} files", one, "find -printf", other)
    finally:
        running.end()


def among(folder: Path, given: argparse.Namespace) -> None:
    """A first run of new photos in a library of which --known files are in the ledger already."""
    import known_ledger

    library = folder / "library"
    known_ledger.make_bare(library, given.known)
    known_ledger.write(library, folder / "ledger.db")
    config = write_config(folder, library)
    run([*SYNCD, "--config", str(config), "sync"])  # it takes note of the settings
    write_photos(library / "new", given.files, given.kilobytes)
    service = subprocess.Popen([sys.executable, str(HERE / "service.py"), "--port", str(PORT)])
    time.sleep(1)
    try:
        one = run([*SYNCD, "--config", str(config), "sync"], watched=True)
        other = run(["find", str(library), "-printf", "%s %T@ %C@ %i %p\n"])
        told(f"{given.files} new photos among {given.known} known ones", [one], "find -printf", [other])
    finally:
        service.terminate()
        service.wait()


def rules(folder: Path, given: argparse.Namespace) -> None:
    import make_ledger

    make_ledger.make(given.files, folder / "ledger.db", owed=0.0, root=str(folder / "library"))
    config = write_config(folder, folder / "library")
    without = config.read_text()
    sync = [*SYNCD, "--config", str(config), "sync", "--dry-run"]
    numbers = itertools.count()

    def changed() -> Run:
        # By folder, by name and by camera. A tenth of all photos is not wanted any more, and another tenth is again.
        moving = (("match", f'"0{next(numbers) % 10}*/**"'), ("skip", "true"))
        still = [(("match", '"**/*.png"'), ("skip", "true")), (("match", '"**"'), ("camera", '"Canon*"'))]
        all_of_them = ("".join(f"{key} = {value}\n" for key, value in rule) for rule in (moving, *still))
        config.write_text(without + "".join(f"[[rule]]\n{rule}" for rule in all_of_them))
        return run(sync)

    run(sync)
    ours, same = pairs(given.rounds, changed, lambda: run(sync))
    told(f"another rule, {given.files} photos", ours, "the same rules", same)


def intake(folder: Path, given: argparse.Namespace) -> None:
    library, empty = folder / "library", folder / "empty"
    empty.mkdir()
    write_photos(library, given.files, given.kilobytes)

    def recorded(below: Path) -> Run:
        for old in folder.glob("ledger.db*"):
            old.unlink()
        return run([*SYNCD, "--config", str(write_config(folder, below)), "sync", "--dry-run"])

    recorded(empty)
    ours, nothing = pairs(given.rounds, lambda: recorded(library), lambda: recorded(empty))
    told(f"intake, {given.files} x {given.kilobytes} KB", ours, "the same of an empty folder", nothing)
    each = statistics.median((a.cpu - b.cpu) / given.files for a, b in zip(ours, nothing, strict=True))
    print(json.dumps({"cpu_ms_a_photo": round(1000 * each, 3)}), flush=True)


def first_run(folder: Path, given: argparse.Namespace) -> None:
    library, state = folder / "library", folder / "state"
    state.mkdir()
    write_photos(library, given.files, given.kilobytes)
    config = write_config(folder, library)
    service = subprocess.Popen([sys.executable, str(HERE / "service.py"), "--port", str(PORT)])
    time.sleep(1)
    url = f"http://127.0.0.1:{PORT}/serve/api/v1"

    def ours() -> Run:
        for old in folder.glob("ledger.db*"):
            old.unlink()
        return run([*SYNCD, "--config", str(config), "sync"], watched=True)

    def naive() -> Run:
        shutil.rmtree(state)
        state.mkdir()
        return run([sys.executable, str(HERE / "naive.py"), url, str(library), str(state)])

    def limit() -> Run:
        return run([sys.executable, str(HERE / "limit.py"), url, str(library)])

    beside, other = ("the limit", limit) if given.what == "large" else ("naive requests loop", naive)
    try:
        one, two = pairs(given.rounds, ours, other)
        told(f"first run, {given.files} x {given.kilobytes} KB", one, beside, two)
    finally:
        service.terminate()
        service.wait()


def first_of_all(folder: Path, given: argparse.Namespace, files: int) -> dict[str, object]:
    """A first run that uploads every file: half an hour for a million."""
    folder.mkdir()
    write_photos(folder / "library", files, given.kilobytes)
    config = write_config(folder, folder / "library")
    service = subprocess.Popen([sys.executable, str(HERE / "service.py"), "--port", str(PORT)])
    time.sleep(1)
    try:
        one = run([*SYNCD, "--config", str(config), "sync"], watched=True)
        return {
            "first_wall": round(one.wall, 1),
            "first_cpu": round(one.cpu, 1),
            "first_peak_mb": round(one.peak_mb),
            "first_ledger_bytes": (folder / "ledger.db").stat().st_size,
        }
    finally:
        service.terminate()
        service.wait()
        shutil.rmtree(folder)


def growth(folder: Path, given: argparse.Namespace) -> None:
    rows = []
    files = 1000
    while files <= given.files:
        part = folder / str(files)
        part.mkdir()
        row = nothing_new(part, given, files)
        shutil.rmtree(part)
        rows.append(row | (first_of_all(part, given, files) if given.first else {}))
        files *= 10
    if given.out:
        Path(given.out).write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=["start", "nothing-new", "rescan", "intake", "first-run", "large", "among", "rules", "growth"]
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--known", type=int, default=1_000_000)
    parser.add_argument("--kilobytes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out")
    parser.add_argument("--first", action="store_true", help="growth: measure a first run of each size, too")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = {
        "start": start,
        "nothing-new": nothing_new,
        "rescan": rescan,
        "intake": intake,
        "first-run": first_run,
        "large": first_run,
        "among": among,
        "rules": rules,
        "growth": growth,
    }[arguments.what]
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as temporary:
        work(Path(temporary), arguments)
