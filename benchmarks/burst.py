"""A burst of files beside a plain first run over the same files: burst.py [--files 50000] [--port 8097]

The plain run is `syncd sync` over a folder that is there; the burst is the same folder, copied by `cp -r` into one that
`syncd run` watches, with `settle` at its default. Both with pace off, to a service that
takes everything (service.py). What counts is the time from the first file to the last image id in the ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
PATIENCE = 3600.0


def uploaded(ledger: Path) -> int:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM entries WHERE state = 'uploaded'").fetchone()[0])


def plain(folder: Path, made: Path) -> float:
    import measure

    config = measure.write_config(folder, made)
    return measure.run([*measure.SYNCD, "--config", str(config), "sync"]).wall


def burst(folder: Path, made: Path, files: int) -> tuple[float, float, float]:
    """Give seconds to write the files, seconds until the last was uploaded, and megabytes of all processes at most."""
    import measure

    watched = folder / "watched"
    watched.mkdir()
    config = measure.write_config(folder, watched)
    config.write_text(config.read_text().replace('settle = "0s"', ""))
    command = [*measure.SYNCD, "--config", str(config), "run"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=measure.AS_INSTALLED
    ) as daemon:
        assert daemon.stderr is not None
        while "ready" not in daemon.stderr.readline():
            pass
        said = subprocess.Popen(["cat"], stdin=daemon.stderr, stdout=subprocess.DEVNULL)
        memory = measure.Memory(daemon.pid)
        memory.start()
        began = time.monotonic()
        subprocess.run(["cp", "-r", f"{made}/.", str(watched)], check=True)
        written = time.monotonic() - began
        while uploaded(folder / "ledger.db") < files and time.monotonic() - began < PATIENCE:
            time.sleep(0.5)
        took = time.monotonic() - began
        peak = memory.end()
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
        said.wait()
    return written, took, peak


def main(files: int, port: int) -> None:
    import measure

    measure.PORT = port
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as temporary:
        folder = Path(temporary)
        made = folder / "made"
        measure.write_photos(made, files)
        service = subprocess.Popen([sys.executable, str(HERE / "service.py"), "--port", str(port)])
        time.sleep(1)
        try:
            (folder / "plain").mkdir()
            (folder / "burst").mkdir()
            first = plain(folder / "plain", made)
            written, took, peak = burst(folder / "burst", made, files)
        finally:
            service.terminate()
            service.wait()
    row = {
        "files": files,
        "plain_s": round(first, 1),
        "written_s": round(written, 1),
        "burst_s": round(took, 1),
        "ratio": round(took / first, 2),
        "together_mb": round(peak),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--port", type=int, default=8097)
    given = parser.parse_args()
    main(given.files, given.port)
