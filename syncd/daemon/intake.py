"""The way in: candidates -> settle -> extract -> rules -> ledger.

One thread works here. Hints only say where to look; what is new, changed or gone is always found by comparing the disk
with the ledger.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from syncd.daemon.ahead import Ahead
from syncd.daemon.clock import Clock
from syncd.daemon.reading import Changed, Labeller, NotRead, Reader, Reading, Stopped, Unreadable, Vanished
from syncd.daemon.replacements import MOST, Replacements
from syncd.daemon.voice import Said, Voice
from syncd.errors import ReachError
from syncd.ledger.holds import Holds
from syncd.ledger.sightings import Recorded, Sighting, Sightings
from syncd.ledger.territory import AsideReason, RootRecord, Territory
from syncd.model import Look, PlacePath
from syncd.printable import path_text
from syncd.watch.filters import Filter
from syncd.watch.reach import Root, split
from syncd.watch.scan import Absent, FolderListing, presence, walk
from syncd.watch.settle import Settled, Settling

_TOGETHER: Final = 64
"""Sightings that one transaction records."""
_BYTES_TOGETHER: Final = 16_000_000
"""Bytes of their files: what takes long to read does not keep from the way out what was read before."""
_AT_LATEST: Final = 0.5
"""Seconds after which they are recorded anyway."""
_BREATH: Final = 0.5
"""Seconds after which long work is interrupted for what is urgent."""
_DEEPEST: Final = 2
"""A scan is interrupted for a folder that appeared, and that for single files; those are quick."""
_HINTED_WITHIN: Final = 60.0
"""Seconds: a change younger than this may still be hinted at, and is not yet missed."""


@dataclass(slots=True)
class Tally:
    """What this run's intake came to."""

    recorded: Counter[Recorded] = field(default_factory=Counter)
    unreadable: int = 0
    gone: int = 0
    absent: set[bytes] = field(default_factory=set)
    held: set[bytes] = field(default_factory=set)
    missed: Counter[bytes] = field(default_factory=Counter)
    """By root: files that only a rescan found, although events were on."""


class Intake:
    """Brings the ledger in step with the disk. `stop` is asked between any two files."""

    def __init__(  # noqa: PLR0913  (what it joins is what it is)
        self,
        *,
        territory: Territory,
        sightings: Sightings,
        holds: Holds,
        filters: Mapping[bytes, Filter],
        reader: Reader,
        rules: Labeller,
        settling: Settling,
        max_file_bytes: int,
        clock: Clock,
        voice: Voice,
        stop: threading.Event,
        recorded: Callable[[], None] = lambda: None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`progress` hears of each step: a folder, a file; with the seconds that the next one may take."""
        self._territory = territory
        self._sightings = sightings
        self._holds = holds
        self._filters = filters
        self._reader = reader
        reading = Reading(reader=reader, rules=rules, max_file_bytes=max_file_bytes, clock=clock, stop=stop.is_set)
        self._ahead = Ahead(
            reading, self._conclude, is_wanted=self._is_wanted, progress=progress, waits_for=self._make_way
        )
        self._settling = settling
        self._clock = clock
        self._voice = voice
        self._stop = stop
        self._recorded = recorded
        self._progress = progress
        self._pending: list[Sighting] = []
        self._pending_bytes = 0
        self._pending_since = 0.0
        self._again: deque[PlacePath] = deque()
        self._busy = False
        self._given_up: set[PlacePath] = set()
        self._replacements = Replacements()
        self._held = {folder.root for folder in holds.held()}
        self._between: Callable[[bool], None] | None = None
        self._depth = 0
        self._breath_at = 0.0
        self._expects_nothing = False
        self._unhinted: dict[PlacePath, bool] = {}
        self.tally = Tally()

    def interleave(self, between: Callable[[bool], None]) -> None:
        """Have `between` called twice a second in the middle of long work: what is urgent must not wait for its end.

        It is told whether it is called in the middle of what it does itself, where it must not begin long work again.
        """
        self._between = between

    def scan(self, path: bytes, *, expects_nothing: bool = False) -> int | None:
        """Compare a whole root with the ledger; give how many folders it watches, None if it was not seen.

        With `expects_nothing` events were on since the last scan: what it finds nevertheless is counted as missed.
        """
        self._busy = True
        self._expects_nothing = expects_nothing
        try:
            return self._scan(path)
        finally:
            self._ahead.give_up()
            self._busy = self._expects_nothing = False
            self._unhinted.clear()

    def _scan(self, path: bytes) -> int | None:
        known = self._known(path)
        if known is not None and self._is_held(known):
            return None
        absent = self._absence(path)
        if absent is not None:
            self._note_absence(path, str(absent), known.absent if known else None)
            return None
        self.tally.absent.discard(path)
        if known is not None and known.absent is not None:
            self._voice.say(Said.RETURNED, path, "scanning it")
        with Root(path) as root:
            visited, unseen, counts = self._compare(root, b"")
            if not self._stop.is_set() and not self._is_settling(path):
                self._pending += self._replacements.take(path)
            self._record_pending()
            if self._stop.is_set() or path in self._held:
                return None
            self._forget_folders(root, visited, unseen)
            self._set_aside_unsettled(root)
            self.tally.unreadable += self._territory.note_unseen(path, unseen)
            self._territory.scanned(path, root.device, counts, self._clock.now())
        self._voice.say(Said.SCANNED, path, f"{len(visited)} folders")
        filters = self._filters[path]
        return sum(filters.folder(folder) is None for folder in visited)

    def _known(self, path: bytes) -> RootRecord | None:
        return next((root for root in self._territory.roots() if root.path == path), None)

    def _absence(self, path: bytes) -> Absent | None:
        """Tell why a root cannot be believed; None: it is there."""
        known = self._known(path)
        device, had_places = (known.device, known.has_places) if known is not None else (None, False)
        return presence(path, device, had_places, sample=self._territory.sample(path))

    def look_below(self, place: PlacePath) -> None:
        """Compare one folder that appeared (`place` names it) and all below it with the ledger."""
        if place.root not in self._filters:
            return
        try:
            with Root(place.root) as root:
                visited, unseen, _ = self._compare(root, place.relative)
                if not visited and not self._stop.is_set() and self._absence(place.root) is None:
                    self._forget_folders(root, visited, unseen, below=place.relative)
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
                    self._breathe()
                    if self._stop.is_set():
                        break
                    self._look_at(root, place)
                self._ahead.finish()

    def look_again(self, place: PlacePath) -> None:
        """Have a file looked at again at the next turn; from any thread."""
        self._again.append(place)

    def settle(self, most: int | None = None) -> None:
        """Look again at what waits to settle and is due, and at what others asked for; record what is pending.

        With `most` only at so many that are due, the latest: the others are due again soon.
        """
        asked = [self._again.popleft() for _ in range(len(self._again))]
        due = self._settling.due(self._clock.monotonic())
        self.look_at([*(due if most is None else due[-most:]), *asked])
        self._ahead.finish()
        self._pending += self._replacements.take_quiet(self._clock.monotonic())
        self._record_pending()

    def flush(self) -> None:
        """Record what was read so far, also what was kept back for a moment: no more of it is to come."""
        self._ahead.finish()
        self._pending += self._replacements.take()
        self._record_pending()

    def _record_pending(self) -> None:
        if not self._pending:
            return
        sightings, self._pending, self._pending_bytes = self._pending, [], 0
        results = self._sightings.record(sightings, self._clock.now())
        for sighting, result in zip(sightings, results, strict=True):
            self.tally.recorded[result] += 1
            was_known = self._unhinted.pop(sighting.place, None)
            if was_known is False or (was_known is True and result is not Recorded.KNOWN):
                self.tally.missed[sighting.place.root] += 1
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
        if self._again:
            return self._clock.monotonic()
        dues = (self._settling.next_due(), self._replacements.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _compare(self, root: Root, below: bytes) -> tuple[set[bytes], dict[bytes, str], Counter[str]]:
        visited: set[bytes] = set()
        unseen: dict[bytes, str] = {}
        counts: Counter[str] = Counter()
        nested = frozenset(path for path in self._filters if path != root.path)

        def stop() -> bool:
            return self._stop.is_set() or root.path in self._held

        for listing in walk(root, self._filters[root.path], nested=nested, stop=stop, below=below):
            self._progress(0.0)
            visited.add(listing.folder)
            counts.update({str(reason): files for reason, files in listing.ignored.items()})
            if listing.error is not None:
                unseen[listing.folder] = listing.error
                self._voice.say(Said.UNREADABLE, _join(root.path, listing.folder), listing.error)
            self._compare_folder(root, listing)
            self._breathe()
        self._ahead.finish()
        return visited, unseen, counts

    def _compare_folder(self, root: Root, listing: FolderListing) -> None:
        if self._territory.knows_all(root.path, listing.folder, listing.device, listing.files):
            return
        known = self._territory.known_looks(root.path, listing.folder)
        for name, stamp in listing.files.items():
            if known.get(name) != stamp[:4]:
                self._breathe()
                if self._stop.is_set() or root.path in self._held:
                    return
                place, look = PlacePath(root.path, listing.folder, name), Look(*stamp)
                if self._expects_nothing:
                    self._note_unhinted(place, look, is_known=name in known)
                self._consider(root, place, look, is_known=name in known)
        if listing.error is None:
            aside = self._territory.names_aside(root.path, listing.folder)
            missing = sorted((known.keys() | aside) - listing.files.keys())
            self._gone_unless_there(root, (PlacePath(root.path, listing.folder, name) for name in missing))

    def _note_unhinted(self, place: PlacePath, look: Look, *, is_known: bool) -> None:
        """Note a file that no event has told of, as far as can be told: it waits for nothing, and is not just made."""
        age = self._clock.now() - look.ctime_ns / 1e9
        if age > _HINTED_WITHIN and place not in self._settling and not self._territory.known_at(place)[1]:
            self._unhinted[place] = is_known

    def _breathe(self) -> None:
        """Do what is urgent, in the middle of long work."""
        if self._between is None or self._depth == _DEEPEST or self._clock.monotonic() < self._breath_at:
            return
        expects_nothing, self._expects_nothing = self._expects_nothing, False
        self._depth += 1
        self._breath_at = self._clock.monotonic() + _BREATH
        try:
            self._between(self._depth == _DEEPEST)
        finally:
            self._depth -= 1
            self._expects_nothing = expects_nothing
            self._breath_at = self._clock.monotonic() + _BREATH

    def _look_at(self, root: Root, place: PlacePath) -> None:
        filters = self._filters[place.root]
        if place.root in self._held:
            return
        if filters.folder(place.folder) is not None or filters.file(place.folder, place.name) is not None:
            return
        try:
            look = root.look(place)
            if look is None and self._ahead.finish():
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
            self._consider(root, place, look, is_known=known is not None)
        else:
            self._settling.forget(place)
            self._replacements.forget(place)

    def _consider(self, root: Root, place: PlacePath, look: Look, *, is_known: bool) -> None:
        if self._replacements.keeps(place, look):
            return
        self._replacements.forget(place)
        self._ahead.takes(look.size)
        settled = self._settling.look(place, look, self._clock.now(), self._clock.monotonic())
        if isinstance(settled, Settled):
            self._ahead.read(root, place, look, is_known=is_known)

    def _make_way(self, size: int) -> None:
        """Record what was read before a file that may take long."""
        if self._pending and self._pending_bytes + size > _BYTES_TOGETHER:
            self._record_pending()

    def _is_wanted(self, root: bytes) -> bool:
        return not self._stop.is_set() and root not in self._held

    def _conclude(self, place: PlacePath, read: Sighting | NotRead, *, is_known: bool) -> None:
        match read:
            case Sighting() as sighting:
                self._take_in(sighting, is_known=is_known)
            case Vanished():
                self._gone([place])
            case Unreadable(why):
                self._put_unreadable(place, why)
            case Changed(now):
                # Its times may be old enough by now: without a wait nobody would look at it before the next scan.
                self._settling.wait_anew(place, now, self._clock.monotonic())
            case Stopped():
                pass
            case unexpected:
                assert_never(unexpected)

    def _take_in(self, sighting: Sighting, *, is_known: bool) -> None:
        root, monotonic = sighting.place.root, self._clock.monotonic()
        if (
            is_known
            and not self._replacements.allowed(root, monotonic)
            and self._sightings.puts_another_picture(sighting)
        ):
            if self._replacements.keep(sighting, monotonic):
                self._hold(root)
            return
        self._keep(sighting)

    def _keep(self, sighting: Sighting) -> None:
        if not self._pending:
            self._pending_since = self._clock.monotonic()
        self._pending.append(sighting)
        self._pending_bytes += sighting.look.size
        enough = len(self._pending) >= _TOGETHER or self._pending_bytes >= _BYTES_TOGETHER
        if enough or self._clock.monotonic() - self._pending_since >= _AT_LATEST:
            self._record_pending()

    def _gone(self, places: Iterable[PlacePath]) -> None:
        some = list(places)
        if not some:
            return
        self._record_pending()
        for place in some:
            self._settling.forget(place)
            self._replacements.forget(place)
        self.tally.gone += self._sightings.gone(some, self._clock.now())
        for place in some:
            self._voice.say(Said.GONE, place.path, "")

    def _gone_unless_there(self, root: Root, places: Iterable[PlacePath]) -> None:
        """Mark as gone what a walk did not list, but not what came after the walk had passed."""
        some, gone = list(places), []
        if some:
            self._ahead.finish()
        if self._stop.is_set() or root.path in self._held:
            return  # what was started may be where it is now, and was given up
        for place in some:
            if self._is_there(root, place):
                self._again.append(place)
            else:
                gone.append(place)
        self._gone(gone)

    def _is_there(self, root: Root, place: PlacePath) -> bool:
        filters = self._filters[root.path]
        if filters.folder(place.folder) is not None or filters.file(place.folder, place.name) is not None:
            return False
        owner = split(place.path, list(self._filters))
        if owner is None or owner.root != root.path:
            return False
        try:
            return root.look(place) is not None
        except ReachError:
            return True

    def _forget_folders(
        self, root: Root, visited: Collection[bytes], unseen: Collection[bytes], *, below: bytes = b""
    ) -> None:
        """Mark as gone what lay in folders that are not there any more; what could not be seen is left as it is."""
        for folder in self._territory.folders_below(root.path):
            if not _is_below(folder, below):
                continue
            if folder in visited or any(_is_below(folder, error) for error in unseen):
                continue
            aside = self._territory.names_aside(root.path, folder)
            names = self._territory.known_looks(root.path, folder).keys() | aside
            self._gone_unless_there(root, (PlacePath(root.path, folder, name) for name in sorted(names)))

    def _set_aside_unsettled(self, root: Root) -> None:
        waiting: list[PlacePath] = []
        for place in self._settling.places():
            if place.root == root.path:
                self._progress(0.0)
                if self._is_there(root, place):
                    waiting.append(place)
                else:
                    self._settling.forget(place)
        detail = "it may still be written"
        self._territory.put_aside([(p, AsideReason.UNSETTLED, detail) for p in waiting], self._clock.now())

    def _put_unreadable(self, place: PlacePath, why: str) -> None:
        self._settling.forget(place)
        # One that could not be read before is tried again, and is no news: `status` counts it, `why` tells of it.
        if self._territory.put_aside([(place, AsideReason.UNREADABLE, why)], self._clock.now()):
            self.tally.unreadable += 1
            self._voice.say(Said.UNREADABLE, place.path, why)

    def _note_absence(self, path: bytes, reason: str, before: str | None) -> None:
        self._territory.set_absent(path, reason, self._clock.now())
        if before != reason or path not in self.tally.absent:
            self._voice.say(Said.ABSENT, path, reason)
        self.tally.absent.add(path)

    def _is_held(self, root: RootRecord) -> bool:
        """Tell whether a root is held; a person may have released it since."""
        if root.held is not None:
            self._note_hold(root.path, root.held)
            return True
        self._held.discard(root.path)
        self.tally.held.discard(root.path)
        if root.released:
            self._replacements.allow(root.path, self._clock.monotonic())
        return False

    def _is_settling(self, root: bytes) -> bool:
        return any(place.root == root for place in self._settling.places())

    def _hold(self, root: bytes) -> None:
        """Take nothing of a root in any more: too much of it changed at once for anybody's daily work."""
        replaced = self._replacements.drop(root)
        self._pending = [sighting for sighting in self._pending if sighting.place.root != root]
        self._pending_bytes = sum(sighting.look.size for sighting in self._pending)
        for place in self._settling.places():
            if place.root == root:
                self._settling.forget(place)
        some = ", ".join(path_text(place.relative) for place in replaced[:3])
        reason = f"more than {MOST} known photos have other pictures than before, among them {some}"
        self._holds.hold(root, reason, self._clock.now())
        self._note_hold(root, reason)

    def _note_hold(self, root: bytes, reason: str) -> None:
        if root not in self.tally.held:
            go = "look at them; `syncd release` with the folder's path goes on, and each is then uploaded and billed"
            self._voice.say(Said.HELD, root, f"{reason}; {go}")
        self._held.add(root)
        self.tally.held.add(root)

    def _tell(self, sighting: Sighting, result: Recorded) -> None:
        path = sighting.place.path
        if sighting.unwanted is not None:
            self._voice.say(Said.RECORDED, path, f"not to be uploaded: {sighting.unwanted}")
        elif result is Recorded.UNFIT:
            self._voice.say(Said.UNFIT, path, str(sighting.unfit))
        elif result is Recorded.DOUBTFUL:
            self._voice.say(Said.UNANSWERED, path, "the ledger was put back, and it may be stored already")
        elif result is Recorded.OWED:
            self._voice.say(Said.RECORDED, path, "")
        elif result is Recorded.EDIT:
            self._voice.say(Said.EDIT, path, "the same picture as before, it is not uploaded again")
        else:
            self._voice.say(Said.KNOWN, path, "")


def _join(root: bytes, folder: bytes) -> bytes:
    return root.rstrip(b"/") + b"/" + folder if folder else root


def _is_below(folder: bytes, above: bytes) -> bool:
    return not above or folder == above or folder.startswith(above + b"/")
