from __future__ import annotations

import errno
import hashlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import xxhash

from syncd.errors import NotNowError, WorkerError
from syncd.extract.extractor import Extractor, Limits
from syncd.extract.fingerprint import read_fingerprint
from syncd.extract.samples import write_sample
from syncd.extract.stream import LARGE
from syncd.model import Capture, Dropped, ImageType, Photo, UnfitCode
from tests.extract import pictures

LIMITS = Limits(time_limit=20.0, memory_limit=512 << 20)
HOSTILE = ("-m", "tests.extract.hostile")


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor(LIMITS) as one:
        yield one


@pytest.fixture
def hostile() -> Iterator[Extractor]:
    with Extractor(Limits(time_limit=2.0, memory_limit=400 << 20), program=HOSTILE) as one:
        yield one


def extract(extractor: Extractor, path: Path) -> Photo:
    fd = os.open(path, os.O_RDONLY)
    try:
        return extractor.extract(fd)
    finally:
        os.close(fd)


def written(folder: Path, first: str) -> Path:
    path = folder / first
    path.write_text(f"{first} and more")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def descriptors(pid: int | str) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (links of /proc may vanish, names are enough)


def test_a_photo_is_read(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_sample(path, camera_model="E-P3")
    photo = extract(extractor, path)
    fd = os.open(path, os.O_RDONLY)
    expected = read_fingerprint(fd)
    os.close(fd)
    assert photo == Photo(
        digest(path),
        expected.picture_digest,
        path.stat().st_size,
        ImageType.JPEG,
        Capture(camera_model="E-P3", model_from="EXIF:Model"),
    )


def test_the_checksum_of_a_large_file_is_told_with_its_digest(tmp_path: Path) -> None:
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    write_sample(small)
    large.write_bytes(small.read_bytes() + os.urandom(LARGE))
    noted: list[tuple[str, str]] = []
    with Extractor(LIMITS, noted=lambda digest, checksum: noted.append((digest, checksum))) as extractor:
        extract(extractor, small)
        extract(extractor, large)
    assert noted == [(digest(large), xxhash.xxh3_128(large.read_bytes()).hexdigest())]


def test_the_worker_is_used_again_and_nothing_leaks(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_sample(path)
    extract(extractor, path)
    pid = extractor.worker_pid
    assert pid
    before = descriptors("self"), descriptors(pid)
    for _ in range(200):
        extract(extractor, path)
    assert extractor.worker_pid == pid
    assert (descriptors("self"), descriptors(pid)) == before


def test_the_offset_of_the_descriptor_does_not_matter(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_sample(path)
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        assert extractor.extract(file.fileno()).digest == digest(path)


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[int]]:
    fds = [os.open(path, os.O_RDONLY) for path in paths]
    yield fds
    for fd in fds:
        os.close(fd)


def test_what_is_begun_is_taken_in_its_order(extractor: Extractor, tmp_path: Path) -> None:
    paths = [written(tmp_path, f"number {number}") for number in range(20)]
    with opened(paths) as fds:
        begun = [extractor.begin(fd) for fd in fds]
        assert [extractor.extract(fd, begun=one).digest for fd, one in zip(fds, begun, strict=True)] == [
            digest(path) for path in paths
        ]


def test_what_was_begun_and_given_up_is_never_taken_for_another_file(extractor: Extractor, tmp_path: Path) -> None:
    paths = [written(tmp_path, name) for name in ("first", "given up", "third", "not begun")]
    with opened(paths) as fds:
        first, _, third = (extractor.begin(fd) for fd in fds[:3])
        assert extractor.extract(fds[0], begun=first).digest == digest(paths[0])
        assert extractor.extract(fds[2], begun=third).digest == digest(paths[2])
        extractor.begin(fds[1])
        assert extractor.extract(fds[3]).digest == digest(paths[3])
        assert extractor.extract(fds[3]).digest == digest(paths[3])


@pytest.mark.parametrize("first", ["HANG", "ABORT"])
def test_e1_what_was_begun_behind_a_file_that_kills_the_worker_is_read_all_the_same(
    first: str, hostile: Extractor, tmp_path: Path
) -> None:
    paths = [written(tmp_path, name) for name in ("before", first, "behind", "last")]
    with opened(paths) as fds:
        begun = [hostile.begin(fd) for fd in fds]
        photos = [hostile.extract(fd, begun=one) for fd, one in zip(fds, begun, strict=True)]
    assert [photo.digest for photo in photos] == [digest(path) for path in paths]
    assert [bool(photo.capture.dropped) for photo in photos] == [False, True, False, False], "it alone is blamed"


def test_what_cannot_be_read_does_not_disturb_what_was_begun_behind_it(extractor: Extractor, tmp_path: Path) -> None:
    paths = [tmp_path, written(tmp_path, "behind")]
    with opened(paths) as fds:
        begun = [extractor.begin(fd) for fd in fds]
        with pytest.raises(OSError, match="not a regular file"):
            extractor.extract(fds[0], begun=begun[0])
        assert extractor.extract(fds[1], begun=begun[1]).digest == digest(paths[1])


@pytest.mark.parametrize("first", ["HANG", "ABORT", "EXIT", "FLOOD", "NONSENSE"])
def test_e1_a_file_whose_parsing_kills_the_worker_is_read_without_metadata(
    first: str, hostile: Extractor, tmp_path: Path
) -> None:
    path = written(tmp_path, first)
    photo = extract(hostile, path)
    reason = {
        "HANG": "the parser ran out of time (2 s)",
        "ABORT": "the parser died of SIGABRT",
        "EXIT": "the parser ended with 1 (parsing was too much)",
        "FLOOD": "the parser sent a message that is too long",
        "NONSENSE": "the parser gave no valid answer (not an object)",
    }[first]
    assert photo.digest == digest(path)
    assert photo.capture == Capture(dropped=(Dropped("all", "", reason),))
    assert photo.unfit
    assert photo.unfit.code is UnfitCode.FORMAT
    assert not extract(hostile, written(tmp_path, "harmless")).capture.dropped


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("MEMORY", "the parser ran out of memory"),
        ("RAISE", "the parser failed: ZeroDivisionError"),
        ("RECURSE", "the parser failed: RecursionError"),
    ],
)
def test_e1_a_parser_that_fails_costs_only_the_metadata(
    first: str, reason: str, hostile: Extractor, tmp_path: Path
) -> None:
    path = written(tmp_path, first)
    photo = extract(hostile, path)
    assert photo.digest == digest(path)
    assert photo.capture == Capture(dropped=(Dropped("all", "", reason),))
    for _ in range(3):
        assert not extract(hostile, written(tmp_path, "harmless")).capture.dropped


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("WALKDIES", "the parser died of SIGABRT"),
        ("LIES", "the parser gave no valid answer (other fields than agreed)"),
    ],
)
def test_e1_a_file_on_whose_structure_the_worker_dies_is_hashed_only(
    first: str, reason: str, hostile: Extractor, tmp_path: Path, *, used: bool
) -> None:
    if used:
        extract(hostile, written(tmp_path, "harmless"))
    path = written(tmp_path, first)
    photo = extract(hostile, path)
    assert photo.digest == digest(path)
    assert photo.picture_digest == digest(path)[:32]
    assert photo.capture == Capture(dropped=(Dropped("all", "", reason),))


def test_e1_where_no_worker_survives_the_error_says_so(hostile: Extractor, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="the extraction worker died of SIGABRT") as caught:
        extract(hostile, written(tmp_path, "CURSED"))
    assert "memory_limit" in caught.value.hint
    assert not extract(hostile, written(tmp_path, "harmless")).capture.dropped


def test_e1_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    path = written(tmp_path, "harmless")
    with (
        Extractor(LIMITS, program=("-m", "syncd.no_such_module")) as one,
        pytest.raises(WorkerError, match=r"ended with 1 .*no_such_module"),
    ):
        extract(one, path)


def test_e1_without_descriptors_there_is_a_worker_error(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fd = os.open(written(tmp_path, "harmless"), os.O_RDONLY)
    try:
        with Extractor(LIMITS) as one:
            resource.setrlimit(resource.RLIMIT_NOFILE, (fd + 1, hard))
            with pytest.raises(WorkerError, match="cannot be started: Too many open files"):
                one.extract(fd)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(fd)


def test_e1_the_time_limit_does_not_count_the_hashing(hostile: Extractor, tmp_path: Path) -> None:
    path = written(tmp_path, "SLOW")
    photo = extract(hostile, path)
    assert photo.digest == digest(path)
    assert not photo.capture.dropped


def test_e1_a_read_that_hangs_ends_when_told_to_stop(hostile: Extractor, tmp_path: Path) -> None:
    stopping = threading.Event()
    timer = threading.Timer(0.3, stopping.set)
    with written(tmp_path, "STUCK").open("rb") as file:
        timer.start()
        with pytest.raises(NotNowError, match="stopped before the photo was read"):
            hostile.extract(file.fileno(), stop=stopping.is_set)
    timer.join()
    assert hostile.worker_pid is None
    assert not extract(hostile, written(tmp_path, "harmless")).capture.dropped


def test_e1_a_worker_that_was_killed_while_idle_is_replaced(extractor: Extractor, tmp_path: Path) -> None:
    path = written(tmp_path, "harmless")
    extract(extractor, path)
    pid = extractor.worker_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    photo = extract(extractor, path)
    assert not photo.capture.dropped
    assert extractor.worker_pid != pid


def test_an_idle_worker_is_retired(tmp_path: Path) -> None:
    now = [1000.0]
    path = written(tmp_path, "harmless")
    with Extractor(LIMITS, idle_after=60.0, monotonic=lambda: now[0]) as one:
        assert one.worker_pid is None
        extract(one, path)
        now[0] += 59
        one.retire_if_idle()
        pid = one.worker_pid
        assert pid
        now[0] += 1
        one.retire_if_idle()
        assert one.worker_pid is None
        assert not Path(f"/proc/{pid}").exists()
        one.retire_if_idle()
        extract(one, path)


def test_what_cannot_be_read_is_an_oserror_and_the_worker_stays(extractor: Extractor, tmp_path: Path) -> None:
    path = written(tmp_path, "harmless")
    extract(extractor, path)
    pid = extractor.worker_pid
    fd = os.open(path, os.O_WRONLY)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        extractor.extract(fd)
    os.close(fd)
    assert caught.value.errno == errno.EBADF
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="not a regular file"):
        extractor.extract(fd)
    os.close(fd)
    assert extract(extractor, path).digest == digest(path)
    assert extractor.worker_pid == pid


def test_p2_the_worker_has_no_key_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_API_KEY", "sk-mavi-sentinel")
    secret = (tmp_path / "key").open("w+")
    os.set_inheritable(secret.fileno(), True)
    with Extractor(LIMITS) as one, secret:
        extract(one, written(tmp_path, "harmless"))
        proc = Path(f"/proc/{one.worker_pid}")
        environment = dict(line.split(b"=", 1) for line in (proc / "environ").read_bytes().split(b"\0") if line)
        assert environment.keys() == {b"PYTHONPATH", b"LC_ALL"}
        assert b"sentinel" not in (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
        assert descriptors(proc.name) == 3
        assert (proc / "cwd").readlink() == Path("/")
        lines = (proc / "limits").read_text().splitlines()[1:]
        limits = {line[:26].strip(): line[26:].split()[0] for line in lines}
        assert limits["Max address space"] == str(LIMITS.memory_limit)
        assert limits["Max core file size"] == "0"
        assert limits["Max processes"] == "0"
        assert os.getsid(one.worker_pid or 0) == one.worker_pid


def test_the_worker_dies_with_its_parent(tmp_path: Path) -> None:
    path = written(tmp_path, "HANG")
    program = f"""
import os
from syncd.extract.extractor import Extractor, Limits

def tell():
    print(one.worker_pid, flush=True)

one = Extractor(Limits(60.0, 400 << 20), program={HOSTILE})
one.extract(os.open({str(path)!r}, os.O_RDONLY), stop=tell)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with parent:
        assert parent.stdout
        worker = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([worker], [], [], 10)[0], "the worker outlives its parent"
    os.close(worker)


def test_h3_memory_stays_flat_whatever_the_size(tmp_path: Path) -> None:
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    small.write_bytes(pictures.jpeg())
    large.write_bytes(pictures.jpeg())
    os.truncate(large, 300 << 20)
    with Extractor(LIMITS) as one:
        extract(one, small)
        before = peak(one)
        photo = extract(one, large)
        assert photo.unfit is None
        assert photo.size == 300 << 20
        assert peak(one) - before < 16 << 10


def peak(extractor: Extractor) -> int:
    """The most memory that the worker ever had, in KB."""
    status = Path(f"/proc/{extractor.worker_pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def test_e2_bombs_are_refused_within_the_limits(extractor: Extractor, tmp_path: Path) -> None:
    huge = bytearray(pictures.png())
    huge[16:24] = b"\0\0\x7f\xff\0\0\x7f\xff"
    contents = {
        "169 megapixels and more": bytes(huge),
        "EPS as JPEG": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n{} loop\n",
        "FITS as JPEG": b"SIMPLE  =                    T" + bytes(2850),
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        photo = extract(extractor, path)
        assert photo.capture == Capture()
        assert (photo.unfit is None) == (photo.type is ImageType.PNG)
