"""How soon a new photo is noticed: noticing.py [--files 20]

`syncd run` watches an empty folder, with `settle` at its default. Files are written one by one; what counts is the time
from close() to the first byte of the body (noted by noting.py), less the settle time.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
PORT = 8096
SETTLE = 2.0


def main(files: int) -> None:
    import measure

    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as temporary:
        folder = Path(temporary)
        measure.PORT = PORT
        measure.write_photos(folder / "made", files)
        watched = folder / "watched"
        watched.mkdir()
        config = measure.write_config(folder, watched)
        config.write_text(config.read_text().replace('settle = "0s"', ""))
        log = folder / "log"
        service = [sys.executable, str(HERE / "service.py"), "--port", str(PORT)]
        command = [sys.executable, str(HERE / "noting.py"), str(log), "--config", str(config), "run"]
        with (
            subprocess.Popen(service) as server,
            subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as daemon,
        ):
            assert daemon.stderr is not None
            while "ready" not in daemon.stderr.readline():
                pass
            waits = []
            for number, made in enumerate(sorted((folder / "made").rglob("*.jpg"))):
                shutil.copyfile(made, watched / made.name)
                closed = time.monotonic()
                while not log.exists() or len(lines := log.read_text().split()) <= number:
                    time.sleep(0.01)
                waits.append(1000 * (float(lines[number]) - closed - SETTLE))
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate()
            server.terminate()
        print(
            f"{files} files, beyond the settle time of {SETTLE:g} s: median {statistics.median(waits):.0f} ms, "
            f"worst {max(waits):.0f} ms"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20)
    main(parser.parse_args().files)
