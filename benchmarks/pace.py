"""Is the pace used up, and kept? pace.py [--minutes 10] simulates; pace.py --real SECONDS runs the real thing.

The simulation is the dispatch over a real ledger on a clock that jumps (tests/fakes/virtual.py): connections of 80 ms,
commits of 3 ms, answers after 300 ms, four requests at once, at 1/s, 10/s and 1/min. The real run is `syncd sync` as a
process (by noting.py, which notes when the first byte of each body leaves) against a service on this machine that
answers after 300 ms.
Quoted: requests that left, of those that the pace allows, and the shortest distance between two.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
PORT = 8097


def told(what: str, left: list[float], interval: float, seconds: float) -> None:
    allowed = seconds / interval
    closest = min((later - before for before, later in pairwise(left)), default=interval)
    print(
        f"{what}: {len(left)} of {allowed:.0f} requests ({100 * len(left) / allowed:.1f} %), "
        f"closest {1000 * closest:.2f} ms of {1000 * interval:.0f} ms",
        flush=True,
    )


def simulated(minutes: float) -> None:
    from syncd.settings import UploadSettings
    from tests.daemon.test_turnstile import Simulation, one_each
    from tests.fakes.ledgers import make_ledger

    for name, interval in (("1/s", 1.0), ("10/s", 0.1), ("1/min", 60.0)):
        with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder, make_ledger(Path(folder)) as ledger:
            one_each(ledger, int(60 * minutes / interval) + 5)
            simulation = Simulation(ledger, UploadSettings(pace=interval, in_flight=4, batch_files=1))
            told(f"simulated, {name}", simulation.run(60 * minutes), interval, 60 * minutes)


def real(seconds: float, pace: str, interval: float) -> None:
    import measure

    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as temporary:
        folder = Path(temporary)
        measure.PORT = PORT
        measure.write_photos(folder / "library", int(seconds / interval) + 50)
        config = measure.write_config(folder, folder / "library")
        config.write_text(config.read_text().replace('pace = "off"', f'pace = "{pace}"'))
        log = folder / "log"
        service = [sys.executable, str(HERE / "service.py"), "--port", str(PORT), "--latency", "0.3"]
        with subprocess.Popen(service) as server:
            time.sleep(1)
            noting = [sys.executable, str(HERE / "noting.py"), str(log)]
            sync = [*noting, "--config", str(config), "sync"]
            with subprocess.Popen(sync, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                while not log.exists() or not log.read_text():
                    time.sleep(0.05)
                time.sleep(seconds)
                process.send_signal(signal.SIGTERM)
                process.wait()
            server.terminate()
        left = sorted(float(line) for line in log.read_text().split())
        told(f"real, {pace}", [at for at in left if at < left[0] + seconds], interval, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--real", type=float, help="seconds")
    given = parser.parse_args()
    if given.real:
        real(given.real, "1/s", 1.0)
        real(given.real, "10/s", 0.1)
    else:
        simulated(given.minutes)
