"""Feeds wrong photos and wrong names to what reads them, within limits of time and memory.

    python -m tests.long.fuzz --seconds 600 --seed 1
    python -m tests.long.fuzz --seed 1 --only 4711 --write case.bin     # one case again, and its bytes

The code is that of the extraction worker, in a child process with the worker's limit on memory. A case is wrong when
it raises, takes longer than its time, kills the process, says something that the parent would not believe, or puts on
the wire, on a terminal or into a log what must not be there. Every case is told by its seed and its number.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final

from syncd.extract import worker
from syncd.extract.fingerprint import Fingerprint, read_fingerprint
from syncd.extract.wire import LENGTH, decode_capture, decode_fingerprint, encode_capture, encode_fingerprint
from syncd.model import Capture, ImageType, Labels, PlacePath
from syncd.printable import path_json, path_text, printable
from syncd.rules import Rules
from syncd.sandbox.page import plain
from syncd.settings import FolderSettings, RuleSettings
from syncd.upload.batches import group_key, marked, metadata_for
from syncd.upload.names import new_marker, wire_name
from syncd.watch.filters import Filter
from tests.fakes.account import breach_of_fields
from tests.long import mutations

MEMORY: Final = 512_000_000
"""Bytes of address space: the worker's own default."""
TIME: Final = 2.0
"""Seconds for one file of at most some hundred kilobytes; the worker's default limit is 20."""
DIGEST: Final = "0123456789abcdef" * 4
ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""What steers a terminal, breaks a line, or cannot be encoded."""


@dataclass(slots=True)
class Report:
    """What a run came to."""

    cases: int = 0
    wrong: int = 0
    slowest: float = 0.0
    slowest_case: int = -1
    believed: int = 0
    """Cases of which a date, camera or position was believed."""
    unfit: int = 0


class TooSlowError(Exception):
    """A case took more than its time."""


def check_photo(seed: int, number: int, folder: Path) -> tuple[Capture, bool]:
    """Read one case as the worker does, and hold what it says to all that is promised of it."""
    _, content = mutations.photo(seed, number)
    path = folder / "case"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        found = read_fingerprint(fd, walk=True)
        # Where a chunk ends must not matter to what is found.
        small = read_fingerprint(fd, walk=True, chunk=7 + number % 4096)
        capture = parse(fd, found)
    finally:
        os.close(fd)
    assert small == found, "other chunks, another fingerprint"
    assert (found.digest, found.size) == (hashlib.sha256(content).hexdigest(), len(content)), "digest or size"
    assert replace(found, blocks=()) == decode_fingerprint(unframed(encode_fingerprint(found))), "fingerprint"
    assert decode_capture(unframed(encode_capture(capture))).camera_model == capture.camera_model, "capture"
    check_capture(capture)
    return capture, found.unfit is not None


def parse(fd: int, found: Fingerprint) -> Capture:
    """Parse as the worker does. What Pillow raises over formats that are never sent is no news; what ours raises is."""
    try:
        return worker.parse(fd, found)
    except Exception:
        if found.type is not None:
            raise
        return Capture()


def check_capture(capture: Capture) -> None:
    """Let a capture go all the way out: to the wire, by the service's rules, and to a terminal."""
    for as_utc in (False, True):
        metadata = marked(metadata_for(capture, Labels("default", ("home",)), as_utc=as_utc), new_marker(bytes(8)))
        fields = {
            name: value
            for name in ("unique_id", "datetime_taken", "camera_model", "latitude", "longitude")
            if (value := getattr(metadata, name)) is not None
        }
        breach = breach_of_fields(fields, list(metadata.tags))
        assert breach is None, breach
        for value in fields.values():
            assert not set(value) & set("\r\n\0\x1b\x9b\x85\u2028\u2029"), f"a control character goes out: {value!r}"
            assert value.encode("utf-8"), "a lone surrogate goes out"
    group_key(capture)
    texts = [capture.camera_model or "", *(part for d in capture.dropped for part in (d.field, d.tag, d.reason))]
    for text in texts:
        assert_inert(text)


def assert_inert(text: str) -> None:
    """Whatever the text is: as it is printed, it acts on nothing."""
    shown = printable(text)
    assert not set(map(unicodedata.category, shown)) & ACTING, f"it acts on a terminal: {shown!r}"
    shown.encode("utf-8")
    json.dumps(text, ensure_ascii=True).encode("ascii")
    inner = plain(text).removeprefix("<bdi>").removesuffix("</bdi>")
    assert not set(inner) & set("<>\"'\r\n\0\x1b\u2028\u202e"), f"it acts on a page: {inner!r}"


RULES: Final = Rules.compile(
    [FolderSettings(path=Path("/photos"), tags=("{folder}",))],
    [
        RuleSettings(match="{trip}/**", tags=("trip {trip}", "{path}", "{camera}")),
        RuleSettings(match="**", camera="*", tags=("{camera}", "{year}")),
    ],
)


def check_name(seed: int, number: int) -> None:
    """Take one name, for a file and for the folder that it lies in, through all that meets it."""
    found = mutations.name(seed, number)
    place = PlacePath(b"/photos", found, found)
    shown = path_text(place.path)
    assert not set(map(unicodedata.category, shown)) & ACTING, f"it acts on a terminal: {shown!r}"
    assert os.fsencode(json.loads(json.dumps(path_json(place.path)))) == place.path, "JSON lost the path"
    for kind in ImageType:
        sent = wire_name(found, DIGEST, kind)
        assert sent.isascii(), sent
        assert set(sent) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."), sent
        assert sent.endswith(f"-{DIGEST[:12]}.{kind.value}"), sent
    filters = Filter(("**/exports/", "*.tmp.jpg"))
    filters.folder(found)
    filters.file(found, found)
    assert_inert(path_json(found))
    labels = RULES.labels(place, Capture(camera_model=shown[:200].strip() or "x"))
    breach = breach_of_fields({"unique_id": labels.namespace or "default"}, list(labels.tags))
    assert breach is None, breach
    for tag in labels.tags:
        assert not set(tag) & set(",\r\n\0\x1b\x9b\u202e\u2066"), f"a tag goes out: {tag!r}"
        assert tag.encode("utf-8") == tag.strip().encode("utf-8"), f"a tag with blanks at its ends: {tag!r}"


def unframed(message: bytes) -> bytes:
    return message[LENGTH.size :]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TooSlowError in the block once the time is over."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def case(seed: int, number: int, folder: Path, report: Report) -> None:
    """Run case `number`, a photo and a name; raises what is wrong with it."""
    began = time.monotonic()
    with within(TIME):
        capture, unfit = check_photo(seed, number, folder)
        check_name(seed, number)
    took = time.monotonic() - began
    report.cases += 1
    report.unfit += unfit
    report.believed += bool(capture.taken_at or capture.camera_model or capture.position)
    if took > report.slowest:
        report.slowest, report.slowest_case = took, number


def run(
    seed: int, *, first: int = 0, most: int, until: float, progress: mmap.mmap, say: Callable[[str], None]
) -> Report:
    """Run case after case in this process; note the number of each before it begins."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="syncd-fuzz-") as folder:
        for number in range(first, most):
            if time.monotonic() >= until:
                break
            progress[:8] = struct.pack("q", number)
            try:
                case(seed, number, Path(folder), report)
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is what we look for
                report.wrong += 1
                say(f"seed {seed}, case {number} ({mutations.photo(seed, number)[0]}): {type(error).__name__}: {error}")
    return report


def fuzz(seed: int, *, most: int, seconds: float, say: Callable[[str], None]) -> tuple[Report, int]:
    """Run in a child of limited memory, and in another one behind a case that kills it. Give the sum and the deaths."""
    until = time.monotonic() + seconds
    total, deaths, first = Report(), 0, 0
    mutations.bases()
    while first < most and time.monotonic() < until:
        progress = mmap.mmap(-1, 8)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            warnings.simplefilter("ignore")  # Pillow tells of each broken tag
            report = run(seed, first=first, most=most, until=until, progress=progress, say=say)
            os.write(writing, json.dumps([getattr(report, name) for name in Report.__slots__]).encode("ascii"))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        if said:
            part = Report(*json.loads(said))
            total = added(total, part)
            break
        deaths += 1
        died = struct.unpack("q", progress[:8])[0]
        say(f"seed {seed}, case {died} killed the process ({os.waitstatus_to_exitcode(status)})")
        first = died + 1
    return total, deaths


def added(one: Report, other: Report) -> Report:
    slower = one if one.slowest > other.slowest else other
    return Report(
        one.cases + other.cases,
        one.wrong + other.wrong,
        slower.slowest,
        slower.slowest_case,
        one.believed + other.believed,
        one.unfit + other.unfit,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Feed wrong photos and names to what reads them.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cases", type=int, default=1 << 62)
    parser.add_argument("--only", type=int, help="run this case alone, in this process")
    parser.add_argument("--write", type=Path, help="with --only: keep its bytes here")
    chosen = parser.parse_args()
    if chosen.only is not None:
        if chosen.write is not None:
            chosen.write.write_bytes(mutations.photo(chosen.seed, chosen.only)[1])
        with tempfile.TemporaryDirectory(prefix="syncd-fuzz-") as folder:
            case(chosen.seed, chosen.only, Path(folder), Report())
        return 0
    began = time.monotonic()
    report, deaths = fuzz(chosen.seed, most=chosen.cases, seconds=chosen.seconds, say=say)
    say(
        f"seed {chosen.seed}: {report.cases} photos and names in {time.monotonic() - began:.0f} s; "
        f"{report.wrong} went wrong, {deaths} killed the process; the slowest took {report.slowest * 1000:.0f} ms "
        f"(case {report.slowest_case}); {report.believed} were believed in part, {report.unfit} found unfit"
    )
    return 1 if report.wrong or deaths else 0


def say(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
