"""Where verified copies of some bytes are at this moment, and what an import still owes a destination.

A copy counts while its file is as it was when it was verified (size, times, inode). One that was touched since is read
back and compared again: what is the same still counts. One that is gone, or has other bytes now, does not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.card.destination import look_of
from syncd.card.medium import read_back
from syncd.ledger.imports import Copy, Known, Upload
from syncd.ledger.imports import Kind as Kind  # noqa: PLC0414  (the kinds of copies, for who asks here)
from syncd.lifecycle import State
from syncd.model import Look


class Recorder(Protocol):
    """Notes what was found out about copies; the ledger stands behind it."""

    def refreshed(self, copy: Copy, look: Look) -> None:
        """Note how a copy looks that was touched, read back, and is the same."""
        ...

    def found(self, path: bytes, look: Look) -> None:
        """Note another file with the same bytes, which was read back."""
        ...


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What is known of the copies of one file. `present`: paths of verified copies; `lost`: of those that were."""

    present: tuple[tuple[Kind, bytes], ...]
    lost: tuple[tuple[Kind, bytes], ...]

    def serves(self, kind: Kind, below: bytes, *, here: bool) -> bool:
        """Tell whether a destination needs no copy: `here` asks for one below it, whatever lies elsewhere."""
        return any(_counts(found, path, kind, below, here=here) for found, path in self.present)

    def was_lost(self, kind: Kind, below: bytes) -> bool:
        """Tell whether a destination had a copy, which somebody moved, deleted or changed."""
        return any(_counts(found, path, kind, below, here=False) for found, path in self.lost)


def locate(
    known: Known,
    digest: str,
    recorder: Recorder,
    *,
    on_card: Callable[[bytes], bool] = lambda _: False,
    thorough: bool = False,
) -> Whereabouts:
    """Look for the verified copies of some bytes, and for other files in watched folders that hold them.

    What lies on the card itself (`on_card`) is none. `thorough`: every copy is read back, also one that looks
    untouched.
    """
    present: list[tuple[Kind, bytes]] = []
    lost: list[tuple[Kind, bytes]] = []
    for copy in known.copies:
        if copy.look is None or on_card(copy.path):
            continue
        look = _still_there(copy.path, None if thorough else copy.look, copy.prints.size, digest)
        (lost if look is None else present).append((copy.kind, copy.path))
        if look is not None and look != copy.look:
            recorder.refreshed(copy, look)
    if not any(kind is not Kind.SECOND for kind, _ in present):
        seen = {path for _, path in (*present, *lost)}
        for place in known.places:
            passed_by = place.path in seen or on_card(place.path)
            look = None if passed_by else _still_there(place.path, None, None, digest)
            if look is not None:
                recorder.found(place.path, look)
                present.append((Kind.FOUND, place.path))
                break
    return Whereabouts(tuple(present), tuple(lost))


def image_ids(uploads: Sequence[Upload]) -> tuple[str, ...]:
    """Give the image ids under which the service has some bytes."""
    return tuple(upload.image_id for upload in uploads if upload.state == State.UPLOADED and upload.image_id)


def _counts(found: Kind, path: bytes, wanted: Kind, below: bytes, *, here: bool) -> bool:
    if here or wanted is Kind.SECOND:
        return path.startswith(below.rstrip(b"/") + b"/")
    return found is not Kind.SECOND


def _still_there(path: bytes, before: Look | None, size: int | None, digest: str) -> Look | None:
    """Give the look at a file that still holds the bytes; None where it does not, or is not there."""
    try:
        seen = os.stat(path, follow_symlinks=False)  # noqa: PTH116  (bytes)
        if not stat.S_ISREG(seen.st_mode) or (size is not None and seen.st_size != size):
            return None
        look = look_of(seen)
        if before is not None and _same(look, before):
            return before
        if read_back(path).digest != digest:
            return None
        return look if look_of(os.stat(path, follow_symlinks=False)) == look else None  # noqa: PTH116  (bytes)
    except OSError:
        return None


def _same(now: Look, before: Look) -> bool:
    """Compare but for the device: many file systems get another number at every mount."""
    return (now.size, now.mtime_ns, now.ctime_ns, now.inode) == (
        before.size,
        before.mtime_ns,
        before.ctime_ns,
        before.inode,
    )
