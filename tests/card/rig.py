"""A card, a ledger and destinations in one folder, and an import over them in this process.

    rig = Rig(tmp_path)
    rig.put("DCIM/100CANON/IMG_0001.JPG", b"...")
    report = rig.run()
    assert report.is_safe

`card_class` puts a card in the place of the real one that fails where a test wants it to.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from syncd.card.destination import Destination
from syncd.card.finishing import Finisher
from syncd.card.importing import Import
from syncd.card.inventory import Inventory
from syncd.card.layout import CardFile
from syncd.card.naming import Template
from syncd.card.report import Finding, Report, Standing
from syncd.card.session import Life, clear_away, is_alive
from syncd.card.walk import Card
from syncd.ledger.imports import Imports, Kind, Unless
from syncd.ledger.migrate import open_for_single_moves
from syncd.model import Capture
from syncd.settings import CardSettings
from tests.fakes.ledgers import Ledger, make_ledger

DAY = 1_714_815_012.0
"""2024-05-04 09:30:12 UTC: when the files of a rig were taken, by their times."""


class Dates:
    """Gives captures by the first bytes of a file."""

    def __init__(self) -> None:
        self.by_head: dict[bytes, Capture] = {}

    def capture(self, head: bytes) -> Capture:
        return next((capture for start, capture in self.by_head.items() if head.startswith(start)), Capture())


@dataclass
class Counting:
    """A pace that counts, and lets a test act when so many bytes have been read."""

    bytes_read: int = 0
    bytes_verified: int = 0
    problems: list[Finding] = field(default_factory=list)
    on_read: Callable[[int], None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, count: int) -> None:
        self.bytes_read += count
        self.on_read(self.bytes_read)

    def begins(self, files: int, count: int, destinations: Sequence[Destination]) -> None: ...

    def passed(self, file: CardFile) -> None: ...

    def spared(self, destination: Destination, count: int) -> None: ...

    def verified(self, destination: Destination, count: int) -> None:
        with self._lock:
            self.bytes_verified += count

    def problem(self, finding: Finding) -> None:
        self.problems.append(finding)


class Rig:
    def __init__(self, folder: Path) -> None:
        (folder / "card").mkdir()
        make_ledger(folder, roots=[os.fsencode(folder / "Pictures")]).store.close()
        self.open(folder)

    def open(self, folder: Path) -> None:
        """Work with what lies in a folder, also what another process left there."""
        self.source = folder / "card"
        self.to = folder / "Pictures"
        self.second = folder / "Backup"
        self.ledger: Ledger = Ledger(open_for_single_moves(folder / "ledger.db"))
        self.imports = Imports(self.ledger.store)
        self.dates = Dates()
        self.pace = Counting()
        self.card_class: type[Card] = Card
        self.stop: Callable[[], bool] = lambda: False
        self.now = DAY + 1000

    def put(self, name: str | bytes, content: bytes, *, at: float = DAY) -> Path:
        path = self.source / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (at, at))
        return path

    def run(
        self,
        *,
        also: bool = False,
        again: bool = False,
        template: str = CardSettings().template,
        uploaded: bool = False,
    ) -> Report:
        """Import the card, as the command does."""
        with ExitStack() as stack:
            card = stack.enter_context(closing(self.card_class(os.fsencode(self.source), "CARD")))
            clear_away(self.imports, self.ledger.path, self.clock)
            life = stack.enter_context(Life(self.ledger.path))
            paths = [(self.to, Kind.COPY), *([(self.second, Kind.SECOND)] if also else [])]
            destinations = [
                stack.enter_context(closing(self.destination(path, kind, life.token))) for path, kind in paths
            ]
            number = self.imports.begin(
                life.token, card.path, card.label, [one.path for one in destinations], self.clock()
            )
            work = Import(
                card=card,
                inventory=stack.enter_context(Inventory(card, self.imports.knows_size)),
                destinations=destinations,
                imports=self.imports,
                number=number,
                finisher=Finisher(
                    imports=self.imports,
                    number=number,
                    template=Template.parse(template),
                    label="CARD",
                    dater=self.dates,
                    unless=Unless.THIS_IMPORT if again else Unless.ANY,
                    now=self.clock,
                    started_at=self.now,
                    verified=self.pace.verified,
                    pool=stack.enter_context(ThreadPoolExecutor(2)),
                ),
                executor=stack.enter_context(ThreadPoolExecutor(1)),
                report=Report(wants_uploads=uploaded, below=tuple(one.path + b"/" for one in destinations)),
                pace=self.pace,
                candidate=lambda path: path.lower().endswith(b".jpg") and path.startswith(os.fsencode(self.to)),
                again=again,
                now=self.clock,
                stop=self.stop,
            )
            work.run()
            work.settle_twins(lambda: self.others_live(number), lambda: None)
            self.imports.end(number, self.clock())
            return work.report

    def destination(self, path: Path, kind: Kind, token: str) -> Destination:
        return Destination(os.fsencode(path), kind, token)

    def others_live(self, number: int) -> bool:
        return any(one.number != number and is_alive(self.ledger.path, one.token) for one in self.imports.unfinished())

    def clock(self) -> float:
        self.now += 1
        return self.now

    def copies(self, below: Path | None = None) -> Mapping[str, bytes]:
        """What lies in a destination, by relative path; temporary files included."""
        root = below or self.to
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def taken(year: int, month: int, day: int, *, camera: str | None = None) -> Capture:
    return Capture(taken_at=datetime(year, month, day, 12), camera_model=camera)  # noqa: DTZ001 -- a camera's clock


def standings(report: Report) -> dict[str, Standing]:
    """The standings of what is not safe, by name."""
    return {os.fsdecode(one.file.relative): one.standing for one in report.unsafe}
