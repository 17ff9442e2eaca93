"""`card`: where every file of a card stands at this moment. Nothing is copied; the ledger is only read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from syncd.card.copying import CardGoneError, Copier, Read, StoppedError
from syncd.card.importing import Pace, Slot
from syncd.card.inventory import Inventory
from syncd.card.judging import Candidate, NoRecord, judged, why_lost
from syncd.card.layout import CardFile
from syncd.card.report import Finding, Report, Standing
from syncd.card.whereabouts import locate
from syncd.ledger.imports import Known


@dataclass(slots=True)
class Look:
    """Everything that one look at a card works with."""

    card: Slot
    inventory: Inventory
    known: Callable[[str], Known]
    """What the ledger knows of a digest."""
    report: Report
    pace: Pace
    candidate: Candidate
    stop: Callable[[], bool]
    thorough: bool = False
    """Whether every copy is read back, also one that looks as it did when it was verified."""

    def run(self) -> None:
        """Read every file, and say of each where it stands."""
        self.report.system = self.inventory.system
        for file, reason in self.inventory.refused:
            self._say(Finding(file, Standing.UNREADABLE, reason))
        copier = Copier(self.card, went=self.pace.read, stop=self.stop)
        for group in self.inventory.groups():
            for file in group.files:
                self._say(self._finding(copier, file))
        if not self.report.stopped and not self.report.interrupted:
            if not self.card.is_there():
                self.report.stopped = "the card was pulled before the last look at it"
                return
            self.report.changed = not self.inventory.is_still_true()

    def _finding(self, copier: Copier, file: CardFile) -> Finding:
        if not self.report.stopped and not self.report.interrupted:
            try:
                return self._read(copier, file)
            except StoppedError:
                self.report.interrupted = True
            except CardGoneError:
                self.report.stopped = "the card was pulled, or its reader failed"
        return Finding(file, Standing.NOT_READ, self.report.stopped or "interrupted before its turn")

    def _read(self, copier: Copier, file: CardFile) -> Finding:
        found = copier.read(file, lambda _size, _head: ())
        if not isinstance(found, Read):
            if not self.card.is_there():
                raise CardGoneError
            self.pace.passed(file)
            return Finding(file, Standing.UNREADABLE, found.reason)
        known = self.known(found.prints.digest)
        where = locate(known, found.prints.digest, NoRecord(), on_card=self.card.holds, thorough=self.thorough)
        present = [path for _, path in where.present]
        if present:
            return judged(file, found.prints, known, Standing.KNOWN, present, self.candidate)
        if where.lost:
            return Finding(file, Standing.LOST, why_lost(where), found.prints)
        reason = "it was seen in a watched folder, and is not there any more" if known.is_photo else "never imported"
        return Finding(file, Standing.NEW, reason, found.prints)

    def _say(self, finding: Finding) -> None:
        self.report.add(finding)
        if finding.standing is Standing.UNREADABLE:
            self.pace.problem(finding)
