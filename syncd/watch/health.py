"""Whether a watched root is truly watched: from the vital signs of its observer to what is wrong. Pure.

watchdog goes deaf in many ways without a word, and `is_alive()` sees one of them. So nothing is believed: the threads
are asked, the root is compared with the folder that was watched, the watches are counted, and an echo is awaited.
What follows from a finding (build the observer anew, scan the root) is the Watcher's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from syncd.watch.mounts import Mount

ECHO_WITHIN: Final = 30.0
"""Seconds within which opening the root must have come back as an event. A burst in the queue delays it."""

_LIMITS: Final = Path("/proc/sys/fs/inotify")


class Fault(StrEnum):
    """What can be wrong with the watching of a root."""

    ABSENT = "the folder is not there"
    REPLACED = "another folder lies at the path"
    REMOUNTED = "file systems were mounted or unmounted"
    DEAD = "a thread of the watcher has died"
    DEAF = "no event arrives"
    UNWATCHED = "folders without a watch"
    OVERFLOW = "the kernel dropped events"
    LIMIT = "the limit on watches is reached"
    REFUSED = "it cannot be watched"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a root: what, in which detail, and what a person can do (nothing, if empty)."""

    root: bytes
    fault: Fault
    detail: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{os.fsdecode(self.root)!r}: {self.fault}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Vitals:
    """What was found out about a watched root in one look. `then` is when the watch was made."""

    identity_then: tuple[int, int]
    identity_now: tuple[int, int] | None
    """Device and inode at the path; None: nothing is there."""
    mounts_then: tuple[Mount, ...] = ()
    mounts_now: tuple[Mount, ...] = ()
    dead_threads: tuple[str, ...] = ()
    overflows: int = 0
    """Since the last look."""
    refused: Mapping[int, int] | None = None
    """How many folders got no watch, by errno."""
    watches: int | None = None
    folders: int | None = None
    """How many folders the last scan found; None: no scan since the last look."""
    silent_for: float = 0.0
    """Seconds since the root was opened without an echo."""


def diagnose(root: bytes, vitals: Vitals) -> list[Problem]:
    """Say what is wrong. An absent root has no other problem worth telling."""
    if vitals.identity_now is None:
        return [Problem(root, Fault.ABSENT, "it was watched, and is gone", "mount its disk, or put it back")]
    problems = []
    if vitals.identity_now != vitals.identity_then:
        problems.append(Problem(root, Fault.REPLACED, "it was deleted, renamed or mounted over; watched anew"))
    elif vitals.mounts_now != vitals.mounts_then:
        problems.append(Problem(root, Fault.REMOUNTED, "at it or below it; watched anew"))
    if vitals.dead_threads:
        problems.append(Problem(root, Fault.DEAD, f"{', '.join(vitals.dead_threads)}; started anew"))
    elif vitals.silent_for >= ECHO_WITHIN:
        problems.append(Problem(root, Fault.DEAF, f"none for {vitals.silent_for:.0f} s; started anew"))
    if vitals.overflows:
        problems.append(Problem(root, Fault.OVERFLOW, "the folder is scanned, nothing is lost"))
    if vitals.refused and vitals.refused.get(errno.ENOSPC):
        problems.append(limit_reached(root, errno.ENOSPC))
    elif vitals.watches is not None and vitals.folders is not None and vitals.watches < vitals.folders:
        detail = f"{vitals.folders - vitals.watches} of {vitals.folders}; watched anew"
        problems.append(Problem(root, Fault.UNWATCHED, detail))
    return problems


def limit_reached(root: bytes, number: int) -> Problem:
    """Say which limit of the kernel stands against watching, and how to raise it. `number` is ENOSPC or EMFILE."""
    name = "max_user_instances" if number == errno.EMFILE else "max_user_watches"
    limit = watch_limit(number)
    wanted = max(1024 if number == errno.EMFILE else 1_048_576, 2 * (limit or 0))
    return Problem(
        root,
        Fault.LIMIT,
        f"fs.inotify.{name} is {limit if limit is not None else 'unknown'}; the folder is polled instead",
        f"raise it: echo fs.inotify.{name}={wanted} | sudo tee /etc/sysctl.d/60-syncd.conf && sudo sysctl --system",
    )


def watch_limit(number: int = errno.ENOSPC) -> int | None:
    """Read the kernel's limit on watches (ENOSPC) or on instances (EMFILE). None: it cannot be read."""
    name = "max_user_instances" if number == errno.EMFILE else "max_user_watches"
    try:
        return int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return None
