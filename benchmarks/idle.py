"""How often an idle daemon wakes up: idle.py [--seconds 60] [--folders 1]

`syncd run` uploads one photo, and is left alone until its worker has ended. Then the voluntary changes of context of
each of its threads are counted (/proc/PID/task/*/status): each is a wait that ended, and with it a wake-up.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
PORT = 8094
PATIENCE = 120.0


def waits(pid: int) -> dict[int, int]:
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found[int(task.name)] = next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))
    return found


def children(pid: int) -> list[str]:
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def until_it_is_alone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while children(pid):
        if time.monotonic() > deadline:
            raise SystemExit("the worker did not end")
        time.sleep(1)


def main(seconds: float, folders: int) -> None:
    import measure

    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as temporary:
        folder = Path(temporary)
        measure.PORT = PORT
        measure.write_photos(folder / "watched", 1)
        config = measure.write_config(folder, folder / "watched")
        for number in range(1, folders):
            (folder / f"watched {number}").mkdir()
            config.write_text(f'{config.read_text()}[[folder]]\npath = "{folder}/watched {number}"\n')
        service = [sys.executable, str(HERE / "service.py"), "--port", str(PORT)]
        with subprocess.Popen(service) as server:
            time.sleep(1)
            with subprocess.Popen(
                [*measure.SYNCD, "--config", str(config), "run"],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                env=measure.AS_INSTALLED,
            ) as daemon:
                assert daemon.stderr is not None
                while "uploaded" not in (line := daemon.stderr.readline()):
                    if not line:
                        raise SystemExit("the daemon ended")
                until_it_is_alone(daemon.pid)
                before = waits(daemon.pid)
                time.sleep(seconds)
                after = waits(daemon.pid)
                daemon.send_signal(signal.SIGTERM)
                daemon.communicate()
            server.terminate()
    rates = {task: (count - before.get(task, 0)) / seconds for task, count in after.items()}
    others = sorted((rate for task, rate in rates.items() if task != daemon.pid), reverse=True)
    told = ", ".join(f"{rate:.2f}" for rate in others)
    print(
        f"{folders} folders, {seconds:.0f} s: {sum(rates.values()):.2f} wake-ups a second, {rates[daemon.pid]:.2f} of "
        f"the main thread; the others: {told}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folders", type=int, default=1)
    given = parser.parse_args()
    main(given.seconds, given.folders)
