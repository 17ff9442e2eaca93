"""One import: every file of a card is read once, copied, read back, and said to be safe or not.

Two halves work at the same time: this thread reads from the card and writes temporary files, another one finishes
batches of them. What an earlier import has made is known by content; of two that run at once, one copies each file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from syncd.card.copying import CardGoneError, Copier, Opener, Read, StoppedError, Unread
from syncd.card.destination import Destination
from syncd.card.finishing import Copying, Finisher, Work, sized
from syncd.card.inventory import Inventory
from syncd.card.judging import Candidate, LedgerRecord, judged, why_lost
from syncd.card.layout import CardFile, Group
from syncd.card.report import Finding, Report, Standing
from syncd.card.whereabouts import Whereabouts, locate
from syncd.ledger.imports import Fingerprints, Hint, Imports, Known

_TOGETHER: Final = 32
"""Files of a batch, at most: each holds a descriptor at every destination."""
_BATCH_BYTES: Final = 128_000_000


class Slot(Opener, Protocol):
    """The card, as far as an import needs it."""

    def is_there(self) -> bool:
        """Whether it is still in its reader."""
        ...

    def holds(self, path: bytes) -> bool:
        """Whether a file lies on it: then it is no copy."""
        ...


class Pace(Protocol):
    """Is told how far the import is; a progress bar stands behind it. Called from two threads."""

    def begins(self, files: int, count: int, destinations: Sequence[Destination]) -> None:
        """Say how many files and bytes there are, and where they go."""
        ...

    def read(self, count: int) -> None:
        """Count bytes that were read from the card."""
        ...

    def passed(self, file: CardFile) -> None:
        """Count the bytes of a file that will not be read as done."""
        ...

    def spared(self, destination: Destination, count: int) -> None:
        """Count bytes as done that a destination need not get."""
        ...

    def verified(self, destination: Destination, count: int) -> None:
        """Count bytes that were read back from a destination."""
        ...

    def problem(self, finding: Finding) -> None:
        """Say at once that a file is not safe."""
        ...


class NoDestinationError(Exception):
    """Every destination has failed, and the file is not known."""


@dataclass(slots=True)
class Twin:
    """A file whose bytes another import, or another file of this one, was copying when its turn came."""

    file: CardFile
    prints: Fingerprints


@dataclass(slots=True)
class Import:
    """Everything that one import works with. `again` copies what was moved or deleted since, too."""

    card: Slot
    inventory: Inventory
    destinations: Sequence[Destination]
    imports: Imports
    number: int
    finisher: Finisher
    executor: Executor
    report: Report
    pace: Pace
    candidate: Candidate
    again: bool
    now: Callable[[], float]
    stop: Callable[[], bool]
    twins: list[Twin] = field(default_factory=list)
    _batch: list[Work] = field(default_factory=list)
    _finishing: Future[None] | None = None
    _taken: int = 0

    def run(self) -> None:
        """Import everything. What became of each file stands in the report."""
        self.report.system = self.inventory.system
        for file, reason in self.inventory.refused:
            self._say(Finding(file, Standing.UNREADABLE, reason))
        copier = Copier(self.card, went=self.pace.read, stop=self.stop)
        try:
            for group in self.inventory.groups() if not self.report.stopped else ():
                self._take_group(copier, group)
                reads = sum(len(work.reads) for work in self._batch)
                if reads >= _TOGETHER or sum(map(sized, self._batch)) >= _BATCH_BYTES:
                    self._hand_over()
        except StoppedError:
            self.report.interrupted = True
        except CardGoneError:
            self.report.stopped = "the card was pulled, or its reader failed"
        finally:
            self._hand_over()
            self._wait()
        self._name_the_rest()
        if not self.report.stopped and not self.report.interrupted:
            if not self.card.is_there():
                self.report.stopped = "the card was pulled before the last look at it"
                return
            self.report.changed = not self.inventory.is_still_true()

    def settle_twins(self, others_live: Callable[[], bool], wait: Callable[[], object]) -> None:
        """Say of each twin whether its copy has come about, as long as another import may still make it."""
        waiting = list(self.twins)
        while waiting:
            lives = others_live()
            waiting = [twin for twin in waiting if not self._settle_twin(twin)]
            if not waiting or not lives or self.stop():
                break
            wait()
        for twin in waiting:
            reason = "another import was copying the same bytes, and has not finished: import once more"
            self._say(Finding(twin.file, Standing.NOT_COPIED, reason, twin.prints))

    def _take_group(self, copier: Copier, group: Group) -> None:
        work = Work(group)
        self._batch.append(work)
        for file in group.files:
            if len(work.reads) >= _TOGETHER:
                # A stem that hundreds of files share: descriptors do not suffice for all of them at once.
                self._hand_over()
                work = Work(group)
                self._batch.append(work)
            self._take(copier, file, work)
            self._taken += 1

    def _take(self, copier: Copier, file: CardFile, work: Work) -> None:
        hints: list[Hint] = []

        def wanted_by(size: int, head: str) -> Sequence[Destination]:
            hints.append(self.imports.hint(size, head))
            if hints[0].copied:
                # It is read only to know it: for what a card still holds of earlier imports nothing is written.
                return ()
            usable = [one for one in self.destinations if one.out is None]
            if not usable:
                raise NoDestinationError
            return usable

        try:
            found = self._read(copier, file, wanted_by)
        except NoDestinationError:
            self.pace.passed(file)
            self._say(Finding(file, Standing.NOT_COPIED, self._why_out()))
            return
        if found is not None:
            self._decide(copier, found, work, hints[0])

    def _decide(self, copier: Copier, found: Read, work: Work, hint: Hint) -> None:
        """Say of a file, by its digest, which destinations need a copy of it."""
        file, prints = found.file, found.prints
        known, where = self._locate(prints) if hint.copied or hint.seen else (Known(), Whereabouts((), ()))
        lacking = [one for one in self.destinations if not where.serves(one.kind, one.path, here=self.again)]
        wanted = [one for one in lacking if self.again or not where.was_lost(one.kind, one.path)]
        for temporary in found.temporaries:
            if temporary.destination not in wanted:
                temporary.drop()
        for destination in self.destinations:
            if destination not in wanted:
                self.pace.spared(destination, prints.size)
        if not wanted:
            # What somebody deleted at a destination does not come back; another verified copy still makes it safe.
            standing = Standing.KNOWN if where.present else Standing.LOST
            one = judged(file, prints, known, standing, [path for _, path in where.present], self.candidate)
            self._say(one if where.present else _because(one, why_lost(where)))
            self._remember_anchor(work, file, where)
            return
        made = tuple(temporary for temporary in found.temporaries if temporary.destination in wanted)
        work.facts[file] = known, tuple(path for _, path in where.present)
        if made:
            work.reads.append(Read(file, prints, made))
            return
        if not self.again and any(copy.look is None for copy in known.copies):
            # Another import, or another file of this one, is copying the same bytes at this moment.
            self.twins.append(Twin(file, prints))
            return
        usable = [one for one in wanted if one.out is None]
        if not usable:
            self._say(Finding(file, Standing.NOT_COPIED, self._why_out(), prints))
            return
        # It was only read to know it, and a destination has no copy: the one case of a second read.
        again = self._read(copier, file, lambda _size, _head: usable)
        if again is not None:
            work.reads.append(again)

    def _read(
        self, copier: Copier, file: CardFile, wanted_by: Callable[[int, str], Sequence[Destination]]
    ) -> Read | None:
        found = copier.read(file, wanted_by)
        if isinstance(found, Read):
            return found
        self.pace.passed(file)
        self._refuse(found)
        return None

    def _refuse(self, unread: Unread) -> None:
        if not self.card.is_there():
            raise CardGoneError
        self._say(Finding(unread.file, Standing.UNREADABLE, unread.reason))

    def _remember_anchor(self, work: Work, file: CardFile, where: Whereabouts) -> None:
        """Note where a companion lies, so that those which are new come to lie beside it."""
        rest = file.name[len(work.group.stem) :]
        for destination in self.destinations:
            if destination in work.anchor:
                continue
            start = destination.path.rstrip(b"/") + b"/"
            paths = [path for _, path in where.present if path.startswith(start) and path.endswith(rest)]
            if paths:
                work.anchor[destination] = paths[0][: len(paths[0]) - len(rest)]

    def _hand_over(self) -> None:
        """Give the batch to the other thread, once that has finished the one before."""
        batch, self._batch = [work for work in self._batch if work.reads], []
        if not batch:
            return
        try:
            self._wait()
        except BaseException:
            for work in batch:
                for read in work.reads:
                    for temporary in read.temporaries:
                        temporary.drop()
            raise
        self._finishing = self.executor.submit(self._finish, batch)

    def _wait(self) -> None:
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            finishing.result()

    def _finish(self, batch: Sequence[Work]) -> None:
        self.finisher.finish(batch)
        for work in batch:
            for read in work.reads:
                self._settle(work, read, [copy for copy in work.copies if copy.read is read])

    def _settle(self, work: Work, read: Read, copies: Sequence[Copying]) -> None:
        """Say what became of a file after its batch."""
        made = [copy.path for copy in copies if copy.look is not None and copy.path is not None and not copy.failed]
        known, before = work.facts[read.file]
        self.report.ways.update(copy.way.value for copy in copies if copy.way is not None)
        if len(made) == len(copies) == len(self.destinations):
            paths = [*made, *before]
            self._say(judged(read.file, read.prints, known, Standing.COPIED, paths, self.candidate))
            return
        if any(copy.needless for copy in copies) and not any(copy.failed for copy in copies):
            twin = Twin(read.file, read.prints)
            if not self._settle_twin(twin):
                self.twins.append(twin)
            return
        reasons = dict.fromkeys(copy.failed for copy in copies if copy.failed)
        known, where = self._locate(read.prints)
        present = [path for _, path in where.present]
        if not reasons and self._is_served(where):
            self._say(judged(read.file, read.prints, known, Standing.COPIED, present, self.candidate))
            return
        reason = "; ".join(reasons) or self._why_out() or why_lost(where) or "no copy of it came about"
        self._say(_because(judged(read.file, read.prints, known, Standing.NOT_COPIED, present, self.candidate), reason))

    def _settle_twin(self, twin: Twin) -> bool:
        known, where = self._locate(twin.prints)
        if not self._is_served(where):
            return False
        present = [path for _, path in where.present]
        self._say(judged(twin.file, twin.prints, known, Standing.KNOWN, present, self.candidate))
        return True

    def _is_served(self, where: Whereabouts) -> bool:
        """Tell whether a verified copy is wherever it is to be; what was deleted on purpose is not to be there."""
        return bool(where.present) and all(
            where.serves(one.kind, one.path, here=self.again) or (not self.again and where.was_lost(one.kind, one.path))
            for one in self.destinations
        )

    def _locate(self, prints: Fingerprints) -> tuple[Known, Whereabouts]:
        known = self.imports.known(prints.digest)
        record = LedgerRecord(self.imports, self.number, prints, self.now)
        return known, locate(known, prints.digest, record, on_card=self.card.holds)

    def _why_out(self) -> str:
        return "; ".join(dict.fromkeys(one.out for one in self.destinations if one.out is not None))

    def _name_the_rest(self) -> None:
        """Name what was not reached."""
        reason = self.report.stopped or "interrupted before its turn"
        seen = 0
        for group in self.inventory.groups():
            for file in group.files:
                seen += 1
                if seen > self._taken:
                    self.report.add(Finding(file, Standing.NOT_READ, reason))

    def _say(self, finding: Finding) -> None:
        self.report.add(finding)
        if not finding.standing.is_safe:
            self.pace.problem(finding)


def _because(finding: Finding, reason: str) -> Finding:
    return Finding(
        file=finding.file,
        standing=finding.standing,
        reason=reason,
        prints=finding.prints,
        copies=finding.copies,
        sending=finding.sending,
        image_ids=finding.image_ids,
        sending_reason=finding.sending_reason,
    )
