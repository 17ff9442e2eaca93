"""Reads one settled file, and makes of it what the ledger is to record; or says why that cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Protocol

from syncd.daemon.clock import Clock
from syncd.errors import NotNowError, ReachError
from syncd.ledger.sightings import Sighting, too_large
from syncd.model import Capture, Labels, Look, Photo, PlacePath
from syncd.upload.batches import group_key
from syncd.watch.reach import Root

_TOMORROW: Final = 24 * 3600.0


class Reader(Protocol):
    """Reads a photo from an open file; the extraction worker stands behind it."""

    def begin(self, fd: int) -> Any:
        """Begin to read, while other things are done; what is begun is extracted in the same order."""
        ...

    def extract(self, fd: int, *, begun: Any = None, stop: Callable[[], bool] | None = None) -> Photo:
        """Give digests, type, fitness and capture; raises OSError where the file cannot be read."""
        ...

    def retire_if_idle(self) -> None:
        """Let the worker go where it has not been needed for a while."""
        ...


class Labeller(Protocol):
    """The folder rules."""

    def labels(self, place: PlacePath, capture: Capture) -> Labels:
        """Give what the rules say of a place."""
        ...


@dataclass(frozen=True, slots=True)
class Vanished:
    """The file is not there any more."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file cannot be opened or read: why."""

    why: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The file was written to while it was read: how it looked then."""

    look: Look


@dataclass(frozen=True, slots=True)
class Stopped:
    """The reading was ended before the file was."""


NotRead = Vanished | Unreadable | Changed | Stopped


@dataclass(frozen=True, slots=True)
class Started:
    """A file that is open and being read. It is to be finished, or given up."""

    place: PlacePath
    look: Look
    """How it looked when it had settled."""
    fd: int
    opened: Look
    begun: Any
    """What the reader knows it by."""


class Reading:
    """Opens a photo below its root, has it read, and judges it by the rules and settings of this moment."""

    def __init__(
        self, *, reader: Reader, rules: Labeller, max_file_bytes: int, clock: Clock, stop: Callable[[], bool]
    ) -> None:
        self._reader = reader
        self._rules = rules
        self._max_file_bytes = max_file_bytes
        self._clock = clock
        self._stop = stop

    def start(self, root: Root, place: PlacePath, look: Look) -> Started | Vanished | Unreadable:
        """Open a file that looked like this when it had settled, and begin to read it."""
        try:
            fd, opened = root.open_photo(place)
        except FileNotFoundError:
            return Vanished()
        except ReachError as error:
            return Unreadable(error.message)
        return Started(place, look, fd, opened, self._reader.begin(fd))

    def give_up(self, started: Started) -> None:
        """Close a file without waiting for what is in it."""
        os.close(started.fd)

    def finish(self, started: Started) -> Sighting | NotRead:
        """Give what was read. Those that were started first are finished first."""
        fd, opened, look = started.fd, started.opened, started.look
        try:
            photo = self._reader.extract(fd, begun=started.begun, stop=self._stop)
            after = os.fstat(fd)
        except NotNowError:
            return Stopped()
        except OSError as error:
            return Unreadable(f"reading failed: {error.strerror or error}")
        finally:
            os.close(fd)
        read = Look(after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino, after.st_dev)
        if not opened == read == look or photo.size != read.size:
            return Changed(read)
        return self._sighting(started.place, look, photo)

    def _sighting(self, place: PlacePath, look: Look, photo: Photo) -> Sighting:
        labels = self._rules.labels(place, photo.capture)
        unfit = photo.unfit
        if unfit is None and photo.size > self._max_file_bytes:
            unfit = too_large(photo.size, self._max_file_bytes)
        return Sighting(
            place=place,
            look=look,
            photo=photo,
            unfit=unfit,
            namespace=labels.namespace,
            unwanted=labels.skipped,
            order_at=order_at(photo.capture, look, self._clock.now()),
            group_key=group_key(photo.capture),
        )


def order_at(capture: Capture, look: Look, now: float) -> float:
    """Give what the backlog is sorted by: the capture time as if it were UTC; mtime where it is undated or to come."""
    if capture.taken_at is not None:
        taken = capture.taken_at.replace(tzinfo=UTC).timestamp()
        if taken <= now + _TOMORROW:
            return taken
    return look.mtime_ns / 1e9
