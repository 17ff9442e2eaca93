"""The way in: where to look, and what is new, changed or gone there. What becomes of a candidate is `candidates`.

One thread works here. Hints only say where to look; what is new, changed or gone is always found by comparing the disk
with the ledger.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from syncd.daemon.candidates import Candidates
from syncd.daemon.clock import Clock
from syncd.daemon.holding import Holding
from syncd.daemon.interlude import Interludes
from syncd.daemon.reading import Labeller, Reader, Reading
from syncd.daemon.recording import Recording
from syncd.daemon.voice import Said, Voice
from syncd.errors import ReachError
from syncd.ledger.holds import Holds
from syncd.ledger.sightings import Sightings
from syncd.ledger.territory import AsideReason, RootRecord, Territory
from syncd.model import Look, PlacePath
from syncd.watch.filters import Filter
from syncd.watch.reach import Root, split
from syncd.watch.scan import Absent, FolderListing, presence, walk
from syncd.watch.settle import Settling

_HINTED_WITHIN: Final = 60.0
"""Seconds: a change younger than this may still be hinted at, and is not yet missed."""


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
        self._filters = filters
        self._reader = reader
        self._settling = settling
        self._clock = clock
        self._voice = voice
        self._stop = stop
        self._progress = progress
        self._recording = Recording(sightings, territory, clock, voice, recorded)
        self.tally = self._recording.tally
        self._holding = Holding(holds, clock, voice, self.tally.held)
        self._candidates = Candidates(
            reading=Reading(reader=reader, rules=rules, max_file_bytes=max_file_bytes, clock=clock, stop=stop.is_set),
            settling=settling,
            sightings=sightings,
            recording=self._recording,
            holding=self._holding,
            clock=clock,
            is_stopped=stop.is_set,
            progress=progress,
        )
        self._interludes = Interludes(clock.monotonic)
        self._again: deque[PlacePath] = deque()
        self._busy = False
        self._expects_nothing = False
        self._given_up: set[PlacePath] = set()

    def interleave(self, between: Callable[[bool], None]) -> None:
        """Have `between` called twice a second in the middle of long work: what is urgent must not wait for its end.

        It is told whether it is called in the middle of what it does itself, where it must not begin long work again.
        """
        self._interludes.serve(between)

    def scan(self, path: bytes, *, expects_nothing: bool = False) -> int | None:
        """Compare a whole root with the ledger; give how many folders it watches, None if it was not seen.

        With `expects_nothing` events were on since the last scan: what it finds nevertheless is counted as missed.
        """
        self._busy = True
        self._expects_nothing = expects_nothing
        try:
            return self._scan(path)
        finally:
            self._candidates.give_up()
            self._busy = self._expects_nothing = False
            self._recording.forget_unhinted()

    def _scan(self, path: bytes) -> int | None:
        known = self._known(path)
        if known is not None and self._holding.is_held(known):
            return None
        if known is not None and known.released:
            self._candidates.allow(path)
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
                self._candidates.let_pass(path)
            self._recording.record()
            if self._stop.is_set() or path in self._holding:
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
                    self._interludes.breathe()
                    if self._stop.is_set():
                        break
                    self._look_at(root, place)
                self._candidates.finish()

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
        self._candidates.finish()
        self._candidates.let_quiet_pass()
        self._recording.record()

    def flush(self) -> None:
        """Record what was read so far, also what was kept back for a moment: no more of it is to come."""
        self._candidates.finish()
        self._candidates.let_pass()
        self._recording.record()

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
        return self._candidates.next_due()

    def _compare(self, root: Root, below: bytes) -> tuple[set[bytes], dict[bytes, str], Counter[str]]:
        visited: set[bytes] = set()
        unseen: dict[bytes, str] = {}
        counts: Counter[str] = Counter()
        nested = frozenset(path for path in self._filters if path != root.path)

        def stop() -> bool:
            return self._stop.is_set() or root.path in self._holding

        for listing in walk(root, self._filters[root.path], nested=nested, stop=stop, below=below):
            self._progress(0.0)
            visited.add(listing.folder)
            counts.update({str(reason): files for reason, files in listing.ignored.items()})
            if listing.error is not None:
                unseen[listing.folder] = listing.error
                self._voice.say(Said.UNREADABLE, _join(root.path, listing.folder), listing.error)
            self._compare_folder(root, listing)
            self._interludes.breathe()
        self._candidates.finish()
        return visited, unseen, counts

    def _compare_folder(self, root: Root, listing: FolderListing) -> None:
        if self._territory.knows_all(root.path, listing.folder, listing.device, listing.files):
            return
        known = self._territory.known_looks(root.path, listing.folder)
        for name, stamp in listing.files.items():
            if known.get(name) != stamp[:4]:
                self._interludes.breathe()
                if self._stop.is_set() or root.path in self._holding:
                    return
                place, look = PlacePath(root.path, listing.folder, name), Look(*stamp)
                if self._expects_nothing and not self._interludes:
                    self._note_unhinted(place, look, is_known=name in known)
                self._candidates.consider(root, place, look, is_known=name in known)
        if listing.error is None:
            aside = self._territory.names_aside(root.path, listing.folder)
            missing = sorted((known.keys() | aside) - listing.files.keys())
            self._gone_unless_there(root, (PlacePath(root.path, listing.folder, name) for name in missing))

    def _note_unhinted(self, place: PlacePath, look: Look, *, is_known: bool) -> None:
        """Note a file that no event has told of, as far as can be told: it waits for nothing, and is not just made."""
        age = self._clock.now() - look.ctime_ns / 1e9
        if age > _HINTED_WITHIN and place not in self._settling and not self._territory.known_at(place)[1]:
            self._recording.unhinted(place, is_known=is_known)

    def _look_at(self, root: Root, place: PlacePath) -> None:
        filters = self._filters[place.root]
        if place.root in self._holding:
            return
        if filters.folder(place.folder) is not None or filters.file(place.folder, place.name) is not None:
            return
        try:
            look = root.look(place)
            if look is None and self._candidates.finish():
                look = root.look(place)
        except ReachError as error:
            self._candidates.unreadable(place, error.message)
            return
        known, is_aside = self._territory.known_at(place)
        if look is None:
            self._settling.forget(place)
            if known is not None or is_aside:
                self._candidates.gone([place])
        elif known != (look.size, look.mtime_ns, look.ctime_ns, look.inode):
            self._candidates.consider(root, place, look, is_known=known is not None)
        else:
            self._candidates.forget(place)

    def _gone_unless_there(self, root: Root, places: Iterable[PlacePath]) -> None:
        """Mark as gone what a walk did not list, but not what came after the walk had passed."""
        some, gone = list(places), []
        if some:
            self._candidates.finish()
        if self._stop.is_set() or root.path in self._holding:
            return  # what was started may be where it is now, and was given up
        for place in some:
            if self._is_there(root, place):
                self._again.append(place)
            else:
                gone.append(place)
        self._candidates.gone(gone)

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

    def _note_absence(self, path: bytes, reason: str, before: str | None) -> None:
        self._territory.set_absent(path, reason, self._clock.now())
        if before != reason or path not in self.tally.absent:
            self._voice.say(Said.ABSENT, path, reason)
        self.tally.absent.add(path)

    def _is_settling(self, root: bytes) -> bool:
        return any(place.root == root for place in self._settling.places())


def _join(root: bytes, folder: bytes) -> bytes:
    return root.rstrip(b"/") + b"/" + folder if folder else root


def _is_below(folder: bytes, above: bytes) -> bool:
    return not above or folder == above or folder.startswith(above + b"/")
