"""Files come, change and go, the service fails in every way it has, syncd dies at every point: and no photo is stored
twice, none is lost, and the ledger tells the truth after every step.

Intake, dispatch and ledger are the real ones, over real files; the service, the clock and the reader are not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from syncd.daemon.rest import Rest
from syncd.ledger.decisions import Verdict, resolve, retry
from syncd.ledger.exchange import adopt, export
from syncd.ledger.lookups import Lookups
from syncd.ledger.migrate import backup, open_ledger
from syncd.ledger.queue import Claim, Queue, Settlement
from syncd.ledger.reports import status
from syncd.ledger.restore import rebuild, restore
from syncd.ledger.store import Store
from syncd.ledger.wishes import Wishes
from syncd.lifecycle import State, may_move
from syncd.settings import Copies, FolderSettings, OnMetered, RuleSettings
from tests.fakes.executor import StepExecutor
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import UNPACED, Rig, copy_of_ledger
from tests.fakes.service import Act, Died

NAMES = ("a.jpg", "b.jpg", "sub/c.jpg", "sub/d.jpg", "private/e.jpg", "trip/f.jpg", "trip/g.jpg")
JUNK = ("note.txt", ".hidden.jpg", "sub/movie.mp4")
TRIP = RuleSettings("trip/**", namespace="trip", tags=("trip",))
PRIVATE = RuleSettings("private/**", skip=True)
POINTS = ("before the claim", "after the claim", "after completing", "before the settlement", "after the settlement")
DAY = 24 * 3600.0

names = st.sampled_from(NAMES)
few = st.integers(0, 5)


class MortalQueue(Queue):
    """Dies at a named point, once, and looks at each claim: nothing may be sent that the rules keep at home."""

    def __init__(self, store: Store, machine: SyncMachine) -> None:
        super().__init__(store)
        self._machine = machine

    def claim(self, claims: Sequence[Claim], now: float) -> list[int]:
        self._die("before the claim")
        numbers = super().claim(claims, now)
        for claim in claims:
            self._machine.look_at_claim([entry_id for entry_id, _, _ in claim.files])
        self._die("after the claim")
        return numbers

    def completing(self, request_id: int, now: float) -> None:
        super().completing(request_id, now)
        self._die("after completing")

    def settle(self, settlements: Sequence[Settlement], gate: Mapping[str, Any], now: float) -> None:
        self._die("before the settlement")
        super().settle(settlements, gate, now)
        self._die("after the settlement")

    def _die(self, point: str) -> None:
        if self._machine.dies_at == point:
            self._machine.dies_at = None
            raise Died


class SyncMachine(RuleBasedStateMachine):
    """The world around one ledger."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        copy_of_ledger(self.template, self.folder / "ledger.db")
        self.dies_at: str | None = None
        self.serial = 0
        self.removed: dict[str, bytes] = {}
        self.permitted: Counter[str] = Counter()
        self.insisted: set[str] = set()
        """Damaged photos that a person had sent as they are."""
        self.dismissed: set[int] = set()
        self.was_put_back = False
        self.once = True
        self.ever_seen: set[str] = set()
        (self.folder / "photos").mkdir()
        self.executor = StepExecutor(inline=False)
        self.rig = Rig(
            self.folder,
            upload=replace(UNPACED, metered=OnMetered.WAIT, in_flight=3),
            folders=(FolderSettings(self.folder / "photos"),),
            rules=(TRIP, PRIVATE),
            executor=self.executor,
            make_queue=lambda store: MortalQueue(store, self),
        )

    @initialize(per_namespace=st.booleans(), paced=st.booleans())
    def choose(self, per_namespace: bool, paced: bool) -> None:  # noqa: FBT001 -- hypothesis calls it by name
        self.once = not per_namespace
        copies = Copies.PER_NAMESPACE if per_namespace else Copies.ONCE
        self.rig.upload = replace(self.rig.upload, copies=copies, pace=1.0 if paced else None)
        self.rig.restart()

    # What people and cameras do to the disk.

    @rule(name=names, camera=st.sampled_from("CN"), fit=st.sampled_from((True, True, True, False)))
    def write(self, name: str, camera: str, fit: bool) -> None:  # noqa: FBT001 -- hypothesis calls it by name
        """A new file, or another photo in place of one."""
        self.rig.write(name, self.new_photo(camera=camera, fit=fit))

    @rule(names=st.lists(names, min_size=3, max_size=5, unique=True))
    def write_alike(self, names: list[str]) -> None:
        for name in names:
            self.rig.write(name, self.new_photo(camera="C"))

    @rule(name=names)
    def edit(self, name: str) -> None:
        """Other metadata, the same picture."""
        path = self.rig.root / name
        if path.exists():
            path.write_bytes(path.read_bytes() + b"k" * self.next_serial())

    @rule(source=names, to=names, how=st.sampled_from(("copy", "rename", "link")))
    def spread(self, source: str, to: str, how: str) -> None:
        here, there = self.rig.root / source, self.rig.root / to
        if here.exists() and source != to:
            there.parent.mkdir(exist_ok=True)
            there.unlink(missing_ok=True)
            if how == "copy":
                shutil.copyfile(here, there)
            elif how == "rename":
                here.rename(there)
            else:
                os.link(here, there)

    @rule(name=names)
    def remove(self, name: str) -> None:
        path = self.rig.root / name
        if path.exists():
            self.removed[name] = path.read_bytes()
            path.unlink()

    @rule(name=names)
    def put_back(self, name: str) -> None:
        if name in self.removed:
            self.rig.write(name, self.removed[name])

    @rule(name=names)
    def date_from_the_future(self, name: str) -> None:
        path = self.rig.root / name
        if path.exists():
            later = self.rig.clock.now() + 100 * DAY
            os.utime(path, (later, later))

    @rule(name=st.sampled_from(JUNK))
    def write_junk(self, name: str) -> None:
        self.rig.write(name, b"junk")

    @rule()
    def move_folder(self) -> None:
        here, there = self.rig.root / "sub", self.rig.root / "moved"
        here, there = (here, there) if here.exists() else (there, here)
        if here.exists() and not there.exists():
            here.rename(there)

    @rule()
    def unmount_or_mount(self) -> None:
        away = self.folder / "away"
        if away.exists():
            shutil.rmtree(self.rig.root)
            away.rename(self.rig.root)
        else:
            self.rig.root.rename(away)
            self.rig.root.mkdir()

    # What the service and the way to it do.

    @rule(acts=st.lists(st.sampled_from(Act), min_size=1, max_size=3))
    def have_it_act(self, acts: list[Act]) -> None:
        self.rig.service.acts.extend(acts)

    @rule(name=names)
    def reject(self, name: str) -> None:
        path = self.rig.root / name
        if path.exists():
            self.rig.service.bad.add(hashlib.sha256(path.read_bytes()).hexdigest())

    @rule(cap=st.sampled_from((None, 1, 2)), field=st.sampled_from((None, None, "camera_model", "tags")))
    def change_the_rules_of_the_service(self, cap: int | None, field: str | None) -> None:
        self.rig.service.cap = cap
        self.rig.service.bad_field = field

    @rule(finds=st.booleans())
    def index(self, finds: bool) -> None:  # noqa: FBT001 -- hypothesis calls it by name
        self.rig.service.search_finds = finds

    @rule(name=names, again=st.booleans())
    def rewrite_while_sending(self, name: str, again: bool) -> None:  # noqa: FBT001 -- hypothesis calls it by name
        self.rig.service.meanwhile = lambda: self.edit(name) if again else self.write(name, "N", fit=True)

    # What syncd does.

    @rule()
    def scan(self) -> None:
        with self.mortal():
            self.rig.scan()
            self.check_accounts()

    @rule(name=names)
    def hint_at_file(self, name: str) -> None:
        with self.mortal():
            self.rig.intake.look_at([self.rig.place(name)])
            self.rig.intake.settle()

    @rule(folder=st.sampled_from(("sub", "moved", "trip")))
    def hint_at_folder(self, folder: str) -> None:
        with self.mortal():
            self.rig.intake.look_below(self.rig.place(folder))
            self.rig.intake.flush()

    @rule(seconds=st.sampled_from((0.5, 5.0, 5.0)))
    def settle(self, seconds: float) -> None:
        self.rig.clock.advance(seconds)
        with self.mortal():
            self.rig.intake.settle()

    @rule(turns=st.integers(1, 4))
    def send(self, turns: int) -> None:
        """Let requests leave; what is under way stays so."""
        held, under_way = self.nothing_may_leave(), self.rig.dispatch.in_flight
        with self.mortal():
            for _ in range(turns):
                self.rig.dispatch.turn()
        assert not held or self.rig.dispatch.in_flight <= under_way

    @rule(turns=st.integers(1, 8), together=st.integers(1, 3))
    def work(self, turns: int, together: int) -> None:
        """Let requests leave and answers come, some of them together."""
        held, under_way = self.nothing_may_leave(), self.rig.dispatch.in_flight
        with self.mortal():
            for _ in range(turns):
                self.rig.dispatch.turn()
                for _ in range(together):
                    self.executor.step()
        assert not held or self.rig.dispatch.in_flight <= under_way

    @rule(point=st.sampled_from(POINTS))
    def will_die(self, point: str) -> None:
        self.dies_at = point

    @rule()
    def die(self) -> None:
        self.restart()

    @rule(seconds=st.sampled_from((60.0, 3600.0, DAY)))
    def wait(self, seconds: float) -> None:
        self.rig.clock.advance(seconds)

    @rule(seconds=st.sampled_from((DAY, -3600.0)))
    def set_the_clock(self, seconds: float) -> None:
        self.rig.clock.jump(seconds)

    @rule(seconds=st.sampled_from((600.0, DAY)))
    def suspend(self, seconds: float) -> None:
        self.rig.clock.suspend(seconds)

    @rule(metered=st.booleans())
    def go_elsewhere(self, metered: bool) -> None:  # noqa: FBT001 -- hypothesis calls it by name
        self.rig.metered = metered

    def nothing_may_leave(self) -> bool:
        pause = Wishes(self.rig.store).person_pause()
        return self.rig.metered or (pause is not None and pause.holds(self.rig.clock.now()))

    # What the person does.

    @rule(seconds=st.sampled_from((None, 600.0)))
    def pause(self, seconds: float | None) -> None:
        now = self.rig.clock.now()
        Wishes(self.rig.store).pause(now, None if seconds is None else now + seconds)
        self.rig.clock.advance(1.0)

    @rule()
    def resume(self) -> None:
        Wishes(self.rig.store).resume()
        self.rig.clock.advance(1.0)

    @rule(skip=st.booleans(), budget=st.sampled_from((0, 0, 2)))
    def configure(self, skip: bool, budget: int) -> None:  # noqa: FBT001 -- hypothesis calls it by name
        self.rig.rules = (TRIP, PRIVATE) if skip else (TRIP,)
        self.rig.upload = replace(self.rig.upload, daily_uploads=budget)
        self.restart()

    @rule(which=few, verdict=st.sampled_from(Verdict))
    def resolve(self, which: int, verdict: Verdict) -> None:
        waiting = self.rig.rows("""
            SELECT entries.id, digest FROM entries JOIN photos ON photos.id = photo_id WHERE state = 'unanswered'
        """)
        if not waiting:
            return
        entry = waiting[which % len(waiting)]
        image_id = None
        if verdict is Verdict.STORED:
            held = {row.image_id for row in self.rig.rows("SELECT image_id FROM entries")}
            free = [i.id for i in self.rig.service.stored if i.digest == entry.digest and i.id not in held]
            if not free:
                return
            image_id = free[0]
        assert resolve(self.rig.store, entry.id, verdict, image_id, self.rig.clock.now())
        if verdict is Verdict.RESEND:
            self.permitted[entry.digest] += 1
        if verdict is Verdict.DISMISS:
            self.dismissed.add(entry.id)

    @rule()
    def retry(self) -> None:
        rows = self.rig.rows("""
            SELECT entries.id, digest, state FROM entries JOIN photos ON photos.id = photo_id
            WHERE state IN ('refused', 'unfit')
        """)
        retry(self.rig.store, [row.id for row in rows], self.rig.clock.now())
        self.insisted |= {row.digest for row in rows if row.state == State.UNFIT}
        for row in rows:
            if row.id in self.dismissed or self.was_put_back:
                self.dismissed.discard(row.id)
                self.permitted[row.digest] += 1

    @rule()
    def back_up(self) -> None:
        backup(self.rig.ledger, self.folder / "backup.db")

    @rule()
    def export(self) -> None:
        lines = export(self.rig.store, self.rig.clock.now())
        (self.folder / "export.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    @rule(how=st.sampled_from(("restore", "lose and restore", "lose and import", "adopt")))
    def bring_the_ledger_back(self, how: str) -> None:
        """The ledger is lost, or an older one comes back; what is known of it helps, and nobody believes anything."""
        kept = self.folder / ("backup.db" if "restore" in how else "export.jsonl")
        if not kept.exists():
            return
        self.close_flights()
        self.rig.close()
        if how.startswith("lose"):
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.rig.ledger}{suffix}").unlink(missing_ok=True)
        if "restore" in how:
            restore(self.rig.ledger, kept, complete=False, now=self.rig.clock.now())
        elif how == "adopt":
            with open_ledger(self.rig.ledger, now=self.rig.clock.now()) as store:
                adopt(store, kept, self.rig.clock.now())
        else:
            rebuild(self.rig.ledger, kept, complete=False, now=self.rig.clock.now())
        self.was_put_back = True
        self.executor = self.rig.executor = StepExecutor(inline=False)
        self.rig.open()

    @rule(name=names, how=st.sampled_from(("restore", "lose and restore", "lose and import")))
    def work_after_a_backup_and_lose_it(self, name: str, how: str) -> None:
        """What random steps seldom put together: photos are uploaded of which the backup knows nothing."""
        self.back_up()
        self.export()
        self.write(name, "C", fit=True)
        self.scan()
        self.settle(5.0)
        self.work(8, 1)
        self.bring_the_ledger_back(how)

    # What is true after each step.

    @invariant()
    def nothing_is_stored_more_often_than_permitted(self) -> None:
        stored = self.rig.service.stored
        if self.once:
            for digest, times in Counter(image.digest for image in stored).items():
                assert times <= 1 + self.permitted[digest], f"{digest[:12]} was stored {times} times"
        else:
            for (digest, _), times in Counter((image.digest, image.namespace) for image in stored).items():
                assert times <= 1 + self.permitted[digest], f"{digest[:12]} was stored {times} times"

    @invariant()
    def what_is_uploaded_is_there(self) -> None:
        held = {image.id: image.digest for image in self.rig.service.stored}
        for row in self.rig.rows("""
            SELECT image_id, digest FROM entries JOIN photos ON photos.id = photo_id WHERE state = 'uploaded'
        """):
            assert held.get(row.image_id) == row.digest

    @invariant()
    def no_unfit_photo_was_stored(self) -> None:
        unfit = {row.digest for row in self.rig.rows("SELECT digest FROM photos WHERE unfit_code IS NOT NULL")}
        assert not (unfit - self.insisted) & set(self.rig.service.billed())

    @invariant()
    def only_requests_under_way_are_sending(self) -> None:
        under_way = {owed.entry_id for flight in self.rig.dispatch._flights for owed in flight.request.batch}
        assert {row.id for row in self.rig.rows("SELECT id FROM entries WHERE state = 'sending'")} == under_way

    @invariant()
    def history_is_whole(self) -> None:
        last: dict[int, str] = {}
        for row in self.rig.rows('SELECT entry_id, "before", "after" FROM history ORDER BY id'):
            assert last.get(row.entry_id) == row.before
            assert row.before is None or may_move(State(row.before), State(row.after))
            last[row.entry_id] = row.after
        assert last == {row.id: row.state for row in self.rig.rows("SELECT id, state FROM entries")}

    def teardown(self) -> None:
        try:
            self.check_that_all_ends_well()
        finally:
            self.close_flights()
            self.rig.close()
            shutil.rmtree(self.folder)

    def check_that_all_ends_well(self) -> None:
        """Once the faults are over, every photo that is wanted and fit gets to a state that is an answer."""
        if (self.folder / "away").exists():
            self.unmount_or_mount()
        self.dies_at = None
        self.rig.metered = False
        Wishes(self.rig.store).resume()
        service = self.rig.service
        service.acts.clear()
        service.cap = service.bad_field = service.meanwhile = None
        self.rig.upload = replace(self.rig.upload, daily_uploads=0)
        self.restart()
        self.executor.inline = True
        for _ in range(3):
            self.rig.clock.advance(3700.0)
            self.rig.scan()
            self.rig.clock.advance(10.0)
            self.rig.intake.settle()
            assert not self.rig.intake.waiting()
            assert self.rig.drain().rest is Rest.NOTHING_OWED
        self.check_accounts()
        assert Lookups(self.rig.store).next_due() is None
        self.check_every_file()
        self.nothing_is_stored_more_often_than_permitted()
        self.what_is_uploaded_is_there()
        self.history_is_whole()

    def check_every_file(self) -> None:
        skip = PRIVATE in self.rig.rules
        entries = self.entries_by_digest()
        for name, content in self.on_disk().items():
            digest = hashlib.sha256(content).hexdigest()
            # Each namespace has an entry of its own; that of another one may be withdrawn for good.
            own = "trip" if name.startswith("trip/") else "default"
            states = {state for state, namespaces in entries[digest] if self.once or own in namespaces}
            assert states, f"{name} owes nothing"
            if content.startswith(b"X") and digest not in self.insisted:
                assert states == {State.UNFIT}
            elif not (skip and name.startswith("private/")):
                # What a person decided is forgotten with the ledger that knew it.
                forgotten = {State.UNFIT} if digest in self.insisted and self.was_put_back else set()
                assert states <= {State.UPLOADED, State.UNANSWERED, State.REFUSED, *forgotten}, f"{name}: {states}"
                if State.REFUSED in states and not self.dismissed and not self.was_put_back:
                    assert digest in service_bad(self.rig), f"{name} was refused by nobody"

    # What the rules need.

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial

    def new_photo(self, *, camera: str = "", fit: bool = True) -> bytes:
        # Of a length of its own: two writes within one tick of the file system's clock are then told apart.
        number = self.next_serial()
        return photo_bytes(str(number), camera=camera, more="x" * number * 50, fit=fit)

    def on_disk(self) -> dict[str, bytes]:
        found = {}
        for path in sorted(self.rig.root.rglob("*.jpg")):
            if not path.name.startswith("."):
                found[str(path.relative_to(self.rig.root))] = path.read_bytes()
        return found

    def entries_by_digest(self) -> dict[str, list[tuple[State, set[str | None]]]]:
        """For each photo its entries: the state, and the namespaces that it is for."""
        found: dict[str, list[tuple[State, set[str | None]]]] = {}
        for row in self.rig.rows("""
            SELECT photos.digest, entries.state, entries.namespace,
                   json_extract(entries.sent_metadata, '$.unique_id') AS sent_to
            FROM photos LEFT JOIN entries ON entries.photo_id = coalesce(photos.edit_of, photos.id)
        """):
            entries = found.setdefault(row.digest, [])
            if row.state is not None:
                entries.append((State(row.state), {row.namespace, row.sent_to}))
        return found

    def look_at_claim(self, entry_ids: list[int]) -> None:
        for entry_id in entry_ids:
            rows = self.rig.rows(
                """
                SELECT folders.text AS folder, photos.unfit_code, photos.digest FROM entries
                JOIN photos ON photos.id = entries.photo_id JOIN places ON places.photo_id = photos.id
                JOIN folders ON folders.id = places.folder_id
                WHERE entries.id = :entry_id AND places.gone_at IS NULL
                """,
                {"entry_id": entry_id},
            )
            wanted = [row for row in rows if not (PRIVATE in self.rig.rules and row.folder == "private")]
            assert wanted, "it was sent although no place of it is there and wanted"
            assert all(row.unfit_code is None or row.digest in self.insisted for row in wanted)

    def check_accounts(self) -> None:
        """Every file on the disk is a place, ignored, or set aside by name."""
        counted = status(self.rig.store)
        if counted.absent or self.rig.intake._stop.is_set():
            return
        on_disk = [path for path in self.rig.root.rglob("*") if path.is_file()]
        assert counted.places + sum(counted.ignored.values()) + counted.unsettled == len(on_disk)
        if self.rig.intake.waiting():
            return
        known = {
            f"{row.folder}/{row.name}".lstrip("/"): row.digest
            for row in self.rig.rows("""
                SELECT folders.text AS folder, places.text AS name, photos.digest FROM places
                JOIN folders ON folders.id = places.folder_id JOIN photos ON photos.id = places.photo_id
                WHERE places.gone_at IS NULL
            """)
        }
        assert known == {name: hashlib.sha256(content).hexdigest() for name, content in self.on_disk().items()}

    @contextmanager
    def mortal(self) -> Iterator[None]:
        try:
            yield
        except Died:
            self.restart()

    def restart(self) -> None:
        self.close_flights()
        self.executor = self.rig.executor = StepExecutor(inline=False)
        self.rig.restart()

    def close_flights(self) -> None:
        """Close what the kernel closes for a process that died: one that is only said to be dead keeps it open."""
        for flight in self.rig.dispatch._flights:
            for file in flight.files:
                os.close(file.fd)


def service_bad(rig: Rig) -> set[str]:
    return rig.service.bad


def template_ledger() -> Path:
    folder = Path(tempfile.mkdtemp())
    (folder / "photos").mkdir()
    Rig(folder).close()
    return folder / "ledger.db"


SyncMachine.template = template_ledger()
TestSync = SyncMachine.TestCase
TestSync.pytestmark = pytest.mark.timeout(600)  # type: ignore[attr-defined]  # pytest looks for it
TestSync.settings = settings(
    max_examples=int(os.environ.get("SYNCD_MACHINE_EXAMPLES", "40")),
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
