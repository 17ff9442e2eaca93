"""What sending costs by itself: sending.py [--files 2000] [--kilobytes 20] [--profile]

One thread sends photos through the client to a service on this machine (service.py), one request for each, without the
ledger. Quoted is the CPU of that thread for each request: what requests, urllib3 and syncd cost beside the kernel.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
PORT = 8096


def send_all(files: list[Path], profile: cProfile.Profile | None) -> float:
    """Send each of them; give the CPU seconds of this thread."""
    from syncd.model import RequestMetadata
    from syncd.upload.body import SendFile
    from syncd.upload.client import Client, ClientSettings
    from syncd.upload.replies import Stored

    metadata = RequestMetadata("default", datetime_taken="2024-05-06 07:08:09", tags=("syncd-0123456789abcdef",))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    spent = 0.0
    with Client(ClientSettings(f"http://127.0.0.1:{PORT}/serve/api/v1", 5.0, 30.0), lambda: "sk-mavi-x") as client:
        for path, digest in zip(files, digests, strict=True):
            fd = os.open(path, os.O_RDONLY)
            photo = SendFile(fd, path.stat().st_size, digest, f"photo-{digest[:12]}.jpg", "image/jpeg")
            began = time.thread_time()
            if profile is not None:
                profile.enable()
            reply = client.send(metadata, [photo], completing=lambda: None)
            if profile is not None:
                profile.disable()
            spent += time.thread_time() - began
            os.close(fd)
            if not isinstance(reply, Stored):
                sys.exit(str(reply))
    return spent


def main(count: int, kilobytes: int, profile: cProfile.Profile | None) -> None:
    import measure

    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as temporary:
        measure.write_photos(Path(temporary) / "library", count, kilobytes)
        files = sorted(Path(temporary).rglob("*.jpg"))
        with subprocess.Popen([sys.executable, str(HERE / "service.py"), "--port", str(PORT)]) as service:
            time.sleep(1)
            try:
                spent = send_all(files, profile)
            finally:
                service.terminate()
    print(f"{1000 * spent / count:.3f} ms of CPU for each of {count} x {kilobytes} KB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kilobytes", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    profiler = cProfile.Profile(time.thread_time) if given.profile else None
    main(given.files, given.kilobytes, profiler)
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
