"""The way in: candidates -> settle -> extract -> rules -> ledger.

One thread works here. Hints only say where to look; what is new, changed or gone is always found by comparing the disk
with the ledger.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final, Protocol

from syncd.daemon.clock import Clock
from syncd.daemon.voice import Said, Voice
from syncd.errors import NotNowError, ReachError
from syncd.ledger.sightings import Recorded, Sighting, Sightings, too_large
from syncd.ledger.territory import AsideReason, Territory
from syncd.model import Capture, Labels, Look, Photo, PlacePath
from syncd.upload.batches import group_key
from syncd.watch.filters import Filter
from syncd.watch.reach import Root
from syncd.watch.scan import FolderListing, presence, walk
from syncd.watch.settle import Settled, Settling

_TOGETHER: Final = 64
"""Sightings that one transaction records."""
_AT_LATEST: Final = 0.5
"""Seconds after which they are recorded anyway."""
_TOMORROW: Final = 24 * 3600.0


class Reader(Protocol):
    """Reads a photo from an open file; the extraction worker stands behind it."""

    def extract(self, fd: int, *, stop: Callable[[], bool] | None = None) -> Photo:
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


@dataclass(slots=True)
class Tally:
    """What this run's intake came to."""

    recorded: Counter[Recorded] = field(default_factory=Counter)
    unreadable: int = 0
    gone: int = 0
    absent: set[bytes] = field(default_factory=set)


class Intake:
    """Brings the ledger in step with the disk. `stop` is asked between any two files."""

    def __init__(  # noqa: PLR0913  (what it joins is what it is)
        self,
        *,
        territory: Territory,
        sightings: Sightings,
        filters: Mapping[bytes, Filter],
        reader: Reader,
        rules: Labeller,
        settling: Settling,
        max_file_bytes: int,
        clock: Clock,
        voice: Voice,
        stop: threading.Event,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._territory = territory
        self._sightings = sightings
        self._filters = filters
        self._reader = reader
        self._rules = rules
        self._settling = settling
        self._max_file_bytes = max_file_bytes
        self._clock = clock
        self._voice = voice
        self._stop = stop
        self._recorded = recorded
        self._pending: list[Sighting] = []
        self._pending_since = 0.0
        self._again: deque[PlacePath] = deque()
        self._busy = False
        self._given_up: set[PlacePath] = set()
        self.tally = Tally()

    def scan(self, path: bytes) -> int | None:
        """Compare a whole root with the ledger; give how many folders it watches, None if it was not seen."""
        self._busy = True
        try:
            return self._scan(path)
        finally:
            self._busy = False

    def _scan(self, path: bytes) -> int | None:
        known = next((root for root in self._territory.roots() if root.path == path), None)
        absent = presence(
            path,
            known.device if known else None,
            known is not None and known.has_places,
            sample=self._territory.sample(path),
        )
        if absent is not None:
            self._note_absence(path, str(absent), known.absent if known else None)
            return None
        self.tally.absent.discard(path)
        if known is not None and known.absent is not None:
            self._voice.say(Said.RETURNED, path, "scanning it")
        with Root(path) as root:
            visited, unseen, counts = self._compare(root, b"")
            self.flush()
            if self._stop.is_set():
                return None
            self._forget_folders(path, visited, unseen)
            self._set_aside_unsettled(path)
            self._territory.scanned(path, root.device, counts, self._clock.now())
        self._voice.say(Said.SCANNED, path, f"{len(visited)} folders")
        filters = self._filters[path]
        return sum(filters.folder(folder) is None for folder in visited)

    def look_below(self, place: PlacePath) -> None:
        """Compare one folder that appeared (`place` names it) and all below it with the ledger."""
        if place.root not in self._filters:
            return
        try:
            with Root(place.root) as root:
                self._compare(root, place.relative)
        except (FileNotFoundError, ReachError):
            return

    def look_at(self, places: Iterable[PlacePath]) -> None:
        """Compare single files with the ledger."""
        by_root: dict[bytes, list[PlacePath]] = {}
        for place in places:
            by_root.setdefault(place.root, []).append(place)
        for path, some in by_root.items():
            try:
                root = Root(path)
            except (FileNotFoundError, ReachError):
                continue
            with root:
                for place in some:
                    if self._stop.is_set():
                        return
                    self._look_at(root, place)

    def look_again(self, place: PlacePath) -> None:
        """Have a file looked at again at the next turn; from any thread."""
        self._again.append(place)

    def settle(self) -> None:
        """Look again at what waits to settle and is due, and at what others asked for; record what is pending."""
        asked = [self._again.popleft() for _ in range(len(self._again))]
        self.look_at([*self._settling.due(self._clock.monotonic()), *asked])
        self.flush()

    def flush(self) -> None:
        """Record what was read so far."""
        if not self._pending:
            return
        sightings, self._pending = self._pending, []
        results = self._sightings.record(sightings, self._clock.now())
        for sighting, result in zip(sightings, results, strict=True):
            self.tally.recorded[result] += 1
            self._tell(sighting, result)
        self._recorded()

    def is_busy(self) -> bool:
        """Tell whether more photos may be recorded any moment. From any thread."""
        return self._busy

    def halt(self) -> None:
        """End after the file in hand; what is left is found by the next scan. From any thread."""
        self._stop.set()

    def waiting(self) -> int:
        """Count the files that have not settled."""
        return len(self._settling)

    def set_aside_given_up(self) -> None:
        """Name the files that have not settled for ten minutes, and set them aside as unsettled."""
        monotonic = self._clock.monotonic()
        told = {place for place, _ in self._settling.unsettled(monotonic)}
        for place in told - self._given_up:
            self._voice.say(Said.UNSETTLED, place.path, "it has been changing for ten minutes")
        detail = "it has been changing for ten minutes"
        new = sorted(told - self._given_up)
        self._territory.put_aside([(place, AsideReason.UNSETTLED, detail) for place in new], self._clock.now())
        self._given_up = told

    def rest(self) -> None:
        """Let what is idle go: the extraction worker."""
        self._reader.retire_if_idle()

    def next_due(self) -> float | None:
        """Tell, on the monotonic clock, when a file that waits is due for another look."""
        return self._clock.monotonic() if self._again else self._settling.next_due()

    def _compare(self, root: Root, below: bytes) -> tuple[set[bytes], set[bytes], Counter[str]]:
        visited: set[bytes] = set()
        unseen: set[bytes] = set()
        counts: Counter[str] = Counter()
        nested = frozenset(path for path in self._filters if path != root.path)
        for listing in walk(root, self._filters[root.path], nested=nested, stop=self._stop.is_set, below=below):
            visited.add(listing.folder)
            counts.update({str(reason): files for reason, files in listing.ignored.items()})
            if listing.error is not None:
                unseen.add(listing.folder)
                self._voice.say(Said.UNREADABLE, _join(root.path, listing.folder), listing.error)
            self._compare_folder(root, listing)
        return visited, unseen, counts

    def _compare_folder(self, root: Root, listing: FolderListing) -> None:
        known = self._territory.known_looks(root.path, listing.folder)
        for name, stamp in listing.files.items():
            if known.get(name) != stamp[:4]:
                if self._stop.is_set():
                    return
                self._consider(root, PlacePath(root.path, listing.folder, name), Look(*stamp))
        if listing.error is None:
            aside = self._territory.names_aside(root.path, listing.folder)
            missing = sorted((known.keys() | aside) - listing.files.keys())
            self._gone(PlacePath(root.path, listing.folder, name) for name in missing)

    def _look_at(self, root: Root, place: PlacePath) -> None:
        filters = self._filters[place.root]
        if filters.folder(place.folder) is not None or filters.file(place.folder, place.name) is not None:
            return
        try:
            look = root.look(place)
        except ReachError as error:
            self._put_unreadable(place, error.message)
            return
        known, is_aside = self._territory.known_at(place)
        if look is None:
            self._settling.forget(place)
            if known is not None or is_aside:
                self._gone([place])
        elif known != (look.size, look.mtime_ns, look.ctime_ns, look.inode):
            self._consider(root, place, look)
        else:
            self._settling.forget(place)

    def _consider(self, root: Root, place: PlacePath, look: Look) -> None:
        settled = self._settling.look(place, look, self._clock.now(), self._clock.monotonic())
        if isinstance(settled, Settled):
            self._admit(root, place, look)

    def _admit(self, root: Root, place: PlacePath, look: Look) -> None:
        """Read a settled file and have it recorded, unless it changed in between."""
        try:
            fd, opened = root.open_photo(place)
        except FileNotFoundError:
            self._gone([place])
            return
        except ReachError as error:
            self._put_unreadable(place, error.message)
            return
        try:
            photo = self._reader.extract(fd, stop=self._stop.is_set)
            after = os.fstat(fd)
        except NotNowError:
            return
        except OSError as error:
            self._put_unreadable(place, f"reading failed: {error.strerror or error}")
            return
        finally:
            os.close(fd)
        read = Look(after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino, after.st_dev)
        if not opened == read == look or photo.size != read.size:
            self._settling.look(place, read, self._clock.now(), self._clock.monotonic())
            return
        self._keep(place, look, photo)

    def _keep(self, place: PlacePath, look: Look, photo: Photo) -> None:
        labels = self._rules.labels(place, photo.capture)
        unfit = photo.unfit
        if unfit is None and photo.size > self._max_file_bytes:
            unfit = too_large(photo.size, self._max_file_bytes)
        now = self._clock.now()
        sighting = Sighting(
            place=place,
            look=look,
            photo=photo,
            unfit=unfit,
            namespace=labels.namespace,
            unwanted=labels.skipped,
            order_at=order_at(photo.capture, look, now),
            group_key=group_key(photo.capture),
        )
        if not self._pending:
            self._pending_since = self._clock.monotonic()
        self._pending.append(sighting)
        if len(self._pending) >= _TOGETHER or self._clock.monotonic() - self._pending_since >= _AT_LATEST:
            self.flush()

    def _gone(self, places: Iterable[PlacePath]) -> None:
        some = list(places)
        if not some:
            return
        self.flush()
        for place in some:
            self._settling.forget(place)
        self.tally.gone += self._sightings.gone(some, self._clock.now())
        for place in some:
            self._voice.say(Said.GONE, place.path, "")

    def _forget_folders(self, root: bytes, visited: Collection[bytes], unseen: Collection[bytes]) -> None:
        """Mark as gone what lay in folders that are not there any more; what could not be seen is left as it is."""
        for folder in self._territory.folders_below(root):
            if folder in visited or any(_is_below(folder, error) for error in unseen):
                continue
            names = self._territory.known_looks(root, folder).keys() | self._territory.names_aside(root, folder)
            self._gone(PlacePath(root, folder, name) for name in sorted(names))

    def _set_aside_unsettled(self, root: bytes) -> None:
        waiting = [place for place in self._settling.places() if place.root == root]
        detail = "it may still be written"
        self._territory.put_aside([(p, AsideReason.UNSETTLED, detail) for p in waiting], self._clock.now())

    def _put_unreadable(self, place: PlacePath, why: str) -> None:
        self._settling.forget(place)
        self.tally.unreadable += 1
        self._territory.put_aside([(place, AsideReason.UNREADABLE, why)], self._clock.now())
        self._voice.say(Said.UNREADABLE, place.path, why)

    def _note_absence(self, path: bytes, reason: str, before: str | None) -> None:
        self._territory.set_absent(path, reason, self._clock.now())
        if before != reason or path not in self.tally.absent:
            self._voice.say(Said.ABSENT, path, reason)
        self.tally.absent.add(path)

    def _tell(self, sighting: Sighting, result: Recorded) -> None:
        path = sighting.place.path
        if sighting.unwanted is not None:
            self._voice.say(Said.RECORDED, path, f"not to be uploaded: {sighting.unwanted}")
        elif result is Recorded.UNFIT:
            self._voice.say(Said.UNFIT, path, str(sighting.unfit))
        elif result is Recorded.OWED:
            self._voice.say(Said.RECORDED, path, "")
        elif result is Recorded.EDIT:
            self._voice.say(Said.EDIT, path, "the same picture as before, it is not uploaded again")
        else:
            self._voice.say(Said.KNOWN, path, "")


def order_at(capture: Capture, look: Look, now: float) -> float:
    """Give what the backlog is sorted by: the capture time as if it were UTC; mtime where it is undated or to come."""
    if capture.taken_at is not None:
        taken = capture.taken_at.replace(tzinfo=UTC).timestamp()
        if taken <= now + _TOMORROW:
            return taken
    return look.mtime_ns / 1e9


def _join(root: bytes, folder: bytes) -> bytes:
    return root.rstrip(b"/") + b"/" + folder if folder else root


def _is_below(folder: bytes, above: bytes) -> bool:
    return not above or folder == above or folder.startswith(above + b"/")
