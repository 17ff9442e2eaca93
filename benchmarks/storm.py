"""A burst of files while uploads run, against the real process: none missed, bounded memory, arrivals still served.

    python benchmarks/storm.py [--files 50000]

Writes the files as fast as it can into a watched folder while `syncd run` uploads what was there before; every second
one more photo arrives elsewhere. The service is the fault server of the tests, which keeps its own account.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fakes.fault_server import FaultServer
from tests.fakes.program import KEY, Program, padded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as home, FaultServer() as server:
        server.account.key = KEY
        with Program(Path(home), server.base_url) as program:
            return storm(program, server, files)


def storm(program: Program, server: FaultServer, files: int) -> int:
    sample = program.photo("before/0.jpg", taken_at=None).read_bytes()
    program.write_config(upload={"in_flight": 2, "batch_files": 10}, watch={"settle": "2s"})
    digests = {hashlib.sha256(sample).hexdigest()}

    def write(path: Path) -> str:
        content = padded(sample, 32)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        digests.add(digest)
        return digest

    for number in range(1, 200):
        write(program.library / "before" / f"{number}.jpg")
    running = program.start("run")
    server.wait_for_stored(20, 60)
    began = time.monotonic()
    for number in range(files):
        folder = program.library / "burst" / f"{number // 1000:03d}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        write(folder / f"{number}.jpg")
    written = time.monotonic() - began
    peak, waits, arrivals = 0, [], 0
    waiting: dict[str, float] = {}
    (program.library / "urgent").mkdir()
    while len(server.account.billed()) < len(digests) and time.monotonic() - began < 3600:
        peak = max(peak, memory(running.pid))
        billed = server.account.billed()
        waits += [time.monotonic() - waiting.pop(digest) for digest in list(waiting) if digest in billed]
        if not waiting and len(billed) < len(digests) - 100:
            arrivals += 1
            waiting[write(program.library / "urgent" / f"{arrivals}.jpg")] = time.monotonic()
        time.sleep(0.5)
    took = time.monotonic() - began
    billed = server.account.billed()
    missed = len(digests - billed.keys())
    twice = sum(count > 1 for count in billed.values())
    status = program.status()
    running.send(signal.SIGTERM)
    running.wait(60)
    print(f"files                     {len(digests):,} ({files:,} written in {written:.1f} s)")
    print(f"all stored after          {took:.1f} s ({len(digests) / took:.0f} a second)")
    print(f"missed, stored twice      {missed}, {twice}")
    print(f"found only by the rescan  {status['found_only_by_rescan']}")
    print(f"peak memory, all processes {peak / 1e6:.0f} MB")
    if waits:
        waits.sort()
        shares = ", ".join(
            f"{name} {waits[int(len(waits) * at)]:.1f} s" for name, at in (("median", 0.5), ("9 in 10", 0.9))
        )
        print(f"arrivals meanwhile        {len(waits)}: {shares}, worst {waits[-1]:.1f} s")
    return 1 if missed or twice else 0


def memory(pid: int) -> int:
    """Resident bytes of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in [str(pid), *children] if alive(one))
    return pages * os.sysconf("SC_PAGE_SIZE")


def alive(pid: str) -> bool:
    return Path(f"/proc/{pid}/statm").exists()


if __name__ == "__main__":
    sys.exit(main())
