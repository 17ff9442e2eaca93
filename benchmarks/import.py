"""The speed of `syncd import` as a ratio to `cp`, `sync` and `sha256sum` of source and copy, and its peak memory.

    python benchmarks/import.py [--large 24] [--small 2000] [--memory] [FOLDER]

Both sides copy the same files in the same run, from and to the same disk, and read the source from the disk and not
from the page cache. The start of both programs is counted. Above 1.00 syncd is faster.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description="syncd import against cp + sync + sha256sum")
    parser.add_argument("folder", nargs="?", help="where to work; default: the folder for temporary files")
    parser.add_argument("--large", type=int, default=24, help="files of 16 MB")
    parser.add_argument("--middle", type=int, default=60, help="files of 4 MB")
    parser.add_argument("--small", type=int, default=1500, help="files of 20 KB")
    parser.add_argument("--memory", action="store_true", help="peak memory with 100 and with 10,000 files instead")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
        if wanted.memory:
            memory(Path(folder))
            return
        for count, size in ((wanted.large, 16_000_000), (wanted.middle, 4_000_000), (wanted.small, 20_000)):
            compare(Path(folder), count, size)


def compare(folder: Path, count: int, size: int) -> None:
    card = fill(folder / "card", count, size)
    ratios = []
    for number in range(ROUNDS):
        theirs = baseline(card, folder / f"cp-{number}")
        ours, _ = syncd(card, folder / f"syncd-{number}", folder / f"ledger-{number}.db")
        ratios.append(theirs / ours)
        print(f"  {count} x {size / 1e6:g} MB: cp + sync + sha256sum {theirs:.2f} s, syncd {ours:.2f} s")
        shutil.rmtree(folder / f"cp-{number}")
        shutil.rmtree(folder / f"syncd-{number}")
    shutil.rmtree(card)
    print(f"{count} files of {size / 1e6:g} MB: ratio {sorted(ratios)[len(ratios) // 2]:.2f} (median of {ROUNDS})")


def memory(folder: Path) -> None:
    for count in (100, 10_000):
        card = fill(folder / f"card-{count}", count, 2_000)
        seconds, peak = syncd(card, folder / f"copies-{count}", folder / f"ledger-{count}.db")
        print(f"{count:,} files: peak {peak / 1024:.0f} MB, {seconds:.1f} s")


def fill(card: Path, count: int, size: int) -> Path:
    """Write files of random bytes, in folders of 500 as cameras do."""
    for number in range(count):
        below = card / "DCIM" / f"{100 + number // 500}CANON"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"IMG_{number % 10_000:04}.JPG").write_bytes(os.urandom(size))
    return card


def baseline(card: Path, target: Path) -> float:
    forget(card)
    began = time.perf_counter()
    subprocess.run(["cp", "-a", card, target], check=True)
    subprocess.run(["sync"], check=True)
    script = 'cd "$1" && find . -type f -print0 | xargs -0 sha256sum > "$3" && cd "$2" && sha256sum --quiet -c "$3"'
    subprocess.run(["sh", "-c", script, "sh", card, target, target.with_suffix(".sums")], check=True)
    return time.perf_counter() - began


def syncd(card: Path, target: Path, ledger: Path) -> tuple[float, int]:
    """Import once; give the seconds, the start of the program included, and the peak memory in KB."""
    config = ledger.with_suffix(".toml")
    config.write_text(f'[ledger]\nurl = "sqlite:///{ledger}"\n[[folder]]\npath = "{target}"\n', encoding="utf-8")
    target.mkdir()
    subprocess.run([sys.executable, "-m", "syncd", "--config", config, "import", empty(card), "--json"], check=False,
                   stdout=subprocess.DEVNULL)  # fmt: skip  # makes the ledger
    forget(card)
    began = time.perf_counter()
    command = [sys.executable, "-m", "syncd", "--config", config, "import", card, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the import ended with {process.returncode}")
    return time.perf_counter() - began, used.ru_maxrss


def empty(card: Path) -> Path:
    folder = card.with_name("empty")
    folder.mkdir(exist_ok=True)
    return folder


def forget(folder: Path) -> None:
    """Have the kernel forget the files of a folder, so that both sides read them from the disk."""
    subprocess.run(["sync"], check=True)
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    main()
