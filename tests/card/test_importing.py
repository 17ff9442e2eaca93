"""An import as a whole, in this process: what is copied, where to, what is known, what goes wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

from syncd.card.destination import Destination, look_of
from syncd.card.layout import CardFile
from syncd.card.report import Standing
from syncd.card.walk import Card
from syncd.ledger.imports import Fingerprints, Intended, Kind, Unless
from syncd.model import Look
from tests.card.rig import DAY, Rig, standings, taken
from tests.fakes.ledgers import photo, sighting


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_every_kind_of_file_is_copied_read_back_and_keeps_its_time(rig: Rig) -> None:
    names = ["IMG_1.JPG", "IMG_2.CR3", "IMG_3.HEIC", "MVI_4.MP4", "SND_5.WAV", "IMG_6.XMP", "odd", "a.dat"]
    for number, name in enumerate(names):
        rig.put(f"DCIM/100CANON/{name}", b"%d" % number * 1000)
    rig.put("AUTORUN.TXT", b"beside")
    report = rig.run()
    assert report.is_safe
    assert report.exit_code == 0
    assert report.counts[Standing.COPIED] == len(names) + 1
    assert sorted(rig.copies().values()) == sorted([*(b"%d" % n * 1000 for n in range(len(names))), b"beside"])
    for path in rig.to.rglob("*"):
        assert path.is_dir() or path.stat().st_mtime == DAY
    assert rig.pace.bytes_read == rig.pace.bytes_verified == report.size


def test_each_file_is_read_from_the_card_once(rig: Rig) -> None:
    rig.put("DCIM/a.jpg", b"a" * 300_000)
    rig.put("DCIM/b.mp4", b"b" * 9_000_000)
    assert rig.run(also=True).is_safe
    assert rig.pace.bytes_read == 9_300_000
    assert rig.copies() == rig.copies(rig.second)


def test_files_are_placed_by_the_camera_s_day_and_companions_stay_together(rig: Rig) -> None:
    rig.dates.by_head[b"photo"] = taken(2023, 12, 31)
    rig.put("DCIM/100CANON/IMG_0007.JPG", b"photo")
    rig.put("DCIM/100CANON/IMG_0007.CR3", b"raw")
    rig.put("DCIM/100CANON/IMG_0007.CR3.xmp", b"edits")
    rig.put("DCIM/100CANON/IMG_0007.WAV", b"voice")
    rig.put("DCIM/101CANON/IMG_0007.JPG", b"photo of another folder")
    rig.put("DCIM/101CANON/IMG_0007.THM", b"small")
    rig.run()
    assert rig.copies() == {
        "2023/12/31/IMG_0007.JPG": b"photo",
        "2023/12/31/IMG_0007.CR3": b"raw",
        "2023/12/31/IMG_0007.CR3.xmp": b"edits",
        "2023/12/31/IMG_0007.WAV": b"voice",
        "2023/12/31/IMG_0007-2.JPG": b"photo of another folder",
        "2023/12/31/IMG_0007-2.THM": b"small",
    }


def test_a_companion_that_comes_later_lies_beside_its_photo(rig: Rig) -> None:
    rig.put("DCIM/100CANON/IMG_1.JPG", b"one")
    rig.put("DCIM/101CANON/IMG_1.JPG", b"two")
    rig.run()
    rig.put("DCIM/101CANON/IMG_1.XMP", b"of two", at=DAY + 90_000)
    assert rig.run().is_safe
    assert rig.copies()["2024/05/04/IMG_1-2.XMP"] == b"of two"


def test_nothing_that_lies_there_is_overwritten_and_what_is_the_same_serves_as_the_copy(rig: Rig) -> None:
    there = rig.to / "2024/05/04"
    there.mkdir(parents=True)
    (there / "IMG_1.JPG").write_bytes(b"somebody's own")
    (there / "IMG_2.JPG").write_bytes(b"the same")
    rig.put("DCIM/IMG_1.JPG", b"from the card")
    rig.put("DCIM/IMG_2.JPG", b"the same")
    assert rig.run().is_safe
    assert rig.copies() == {
        "2024/05/04/IMG_1.JPG": b"somebody's own",
        "2024/05/04/IMG_1-2.JPG": b"from the card",
        "2024/05/04/IMG_2.JPG": b"the same",
    }


def test_trap_12_a_card_that_comes_back_after_a_change_of_summer_time_brings_nothing_new(rig: Rig) -> None:
    path = rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    os.utime(path, (DAY + 3600, DAY + 3600))
    report = rig.run()
    assert report.is_safe
    assert report.counts == {Standing.KNOWN: 1}
    assert len(rig.copies()) == 1


def test_the_same_bytes_under_another_name_on_another_card_are_known(rig: Rig) -> None:
    rig.put("DCIM/100CANON/IMG_1.JPG", b"photo")
    rig.run()
    (rig.source / "DCIM/100CANON/IMG_1.JPG").rename(rig.source / "DCIM/100CANON/DSC_9.JPG")
    report = rig.run()
    assert report.counts == {Standing.KNOWN: 1}
    assert len(rig.copies()) == 1


def test_trap_24_what_was_deleted_on_purpose_comes_back_with_again_alone(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.put("DCIM/IMG_2.JPG", b"kept")
    rig.run()
    (rig.to / "2024/05/04/IMG_1.JPG").unlink()
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_1.JPG": Standing.LOST}
    assert "IMG_1.JPG" in report.unsafe[0].reason
    assert report.exit_code == 3
    assert list(rig.copies()) == ["2024/05/04/IMG_2.JPG"]
    assert rig.run(again=True).is_safe
    assert sorted(rig.copies()) == ["2024/05/04/IMG_1.JPG", "2024/05/04/IMG_2.JPG"]


def test_a_copy_that_was_moved_within_the_watched_folders_still_counts(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    moved = rig.to / "best" / "sunset.jpg"
    moved.parent.mkdir()
    (rig.to / "2024/05/04/IMG_1.JPG").rename(moved)
    seen = replace(photo(1, size=5), digest=hashlib.sha256(b"photo").hexdigest())
    rig.ledger.see(sighting(b"sunset.jpg", seen, root=os.fsencode(rig.to), folder=b"best"))
    report = rig.run()
    assert report.is_safe
    assert list(rig.copies()) == ["best/sunset.jpg"]


def test_a_copy_whose_bytes_changed_does_not_count(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    (rig.to / "2024/05/04/IMG_1.JPG").write_bytes(b"PHOTO")
    assert standings(rig.run()) == {"DCIM/IMG_1.JPG": Standing.LOST}


def test_a_copy_that_was_only_touched_still_counts(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    (rig.to / "2024/05/04/IMG_1.JPG").touch()
    assert rig.run().is_safe


def test_equal_files_on_one_card_share_a_copy(rig: Rig) -> None:
    for number in range(3):
        rig.put(f"DCIM/IMG_{number}.JPG", b"burst")
    report = rig.run()
    assert report.is_safe
    assert len(rig.copies()) == 1


class DamagedCard(Card):
    """A card on which files named BAD give a read error in their middle."""

    def open_file(self, file: CardFile) -> tuple[int, Look]:
        fd, look = super().open_file(file)
        self.bad = b"BAD" in file.name
        return fd, look

    def read_into(self, fd: int, buffer: memoryview) -> int:
        if self.bad and os.lseek(fd, 0, os.SEEK_CUR) >= 65536:
            raise OSError(errno.EIO, "Input/output error")
        return super().read_into(fd, buffer)


def test_a_read_error_on_one_file_names_it_and_the_rest_goes_on(rig: Rig) -> None:
    rig.card_class = DamagedCard
    rig.put("DCIM/IMG_1.JPG", b"one")
    rig.put("DCIM/IMG_2_BAD.JPG", b"x" * 200_000)
    rig.put("DCIM/IMG_3.JPG", b"three")
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_2_BAD.JPG": Standing.UNREADABLE}
    assert "read error" in report.unsafe[0].reason
    assert report.exit_code == 3
    assert sorted(rig.copies().values()) == [b"one", b"three"]


class PulledCard(Card):
    """A card that is pulled in the middle of the file named LAST."""

    pulled = False

    def open_file(self, file: CardFile) -> tuple[int, Look]:
        self.last = b"LAST" in file.name
        return super().open_file(file)

    def read_into(self, fd: int, buffer: memoryview) -> int:
        if self.last and os.lseek(fd, 0, os.SEEK_CUR):
            type(self).pulled = True
            raise OSError(self.error, os.strerror(self.error))
        return super().read_into(fd, buffer)

    def is_there(self) -> bool:
        return not self.pulled

    error = errno.ENODEV


class PulledCardWithReadError(PulledCard):
    error = errno.EIO
    pulled = False


@pytest.mark.parametrize("kind", [PulledCard, PulledCardWithReadError])
def test_s4_a_card_that_is_pulled_ends_the_import_and_names_all_that_was_not_reached(
    rig: Rig, kind: type[Card]
) -> None:
    rig.card_class = kind
    rig.put("DCIM/IMG_1.JPG", b"one")
    rig.put("DCIM/IMG_2_LAST.JPG", b"x" * 200_000)
    rig.put("DCIM/IMG_3.JPG", b"three")
    report = rig.run()
    assert report.exit_code == 3
    assert "pulled" in report.stopped
    assert standings(report) == {"DCIM/IMG_2_LAST.JPG": Standing.NOT_READ, "DCIM/IMG_3.JPG": Standing.NOT_READ}
    assert list(rig.copies()) == ["2024/05/04/IMG_1.JPG"]


def test_a_file_that_changes_while_it_is_read_is_not_taken(rig: Rig) -> None:
    path = rig.put("DCIM/IMG_1.MP4", b"x" * 9_000_000)
    rig.pace.on_read = lambda _: os.utime(path, (DAY + 50, DAY + 50))
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_1.MP4": Standing.UNREADABLE}
    assert report.changed
    assert rig.copies() == {}


def test_a_file_that_comes_onto_the_card_meanwhile_is_not_overlooked(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"one")

    def write_another(_: int) -> None:
        rig.put("DCIM/IMG_2.JPG", b"two")

    rig.pace.on_read = write_another
    report = rig.run()
    assert report.changed
    assert report.exit_code == 3


def test_links_and_devices_are_not_followed_and_keep_the_card_from_being_safe(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"one")
    (rig.source / "DCIM" / "secret.jpg").symlink_to("/etc/passwd")
    os.mkfifo(rig.source / "DCIM" / "fifo.jpg")
    report = rig.run()
    assert standings(report) == {"DCIM/secret.jpg": Standing.UNREADABLE, "DCIM/fifo.jpg": Standing.UNREADABLE}
    assert list(rig.copies().values()) == [b"one"]


def test_n1_names_in_odd_encodings_are_kept_byte_for_byte(rig: Rig) -> None:
    names = [
        b"DSC\xe9\xff.JPG",
        "IMG_é.JPG".encode(),
        "e\u0301.JPG".encode(),
        b"-rf.JPG",
        b"a\nb\x1b[2J.JPG",
        b"x" * 251 + b".JPG",
    ]
    for number, name in enumerate(names):
        rig.put(b"DCIM/100CANON/" + name, b"%d" % number)
    assert rig.run().is_safe
    found = {os.fsencode(path.name) for path in rig.to.rglob("*") if path.is_file()}
    assert found == set(names)


class FullDestination(Destination):
    """A destination that takes so many bytes and no more."""

    room = 100_000

    def temporary(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 -- the signature of its parent
        made = super().temporary()
        if made is not None:
            outer = self

            class Cut(type(made)):  # type: ignore[misc]
                def write(self, piece: memoryview) -> None:
                    outer.room -= len(piece)
                    if outer.room < 0:
                        self.fail(OSError(errno.ENOSPC, "No space left on device"))
                    else:
                        super().write(piece)

            made = Cut(made.destination, made.name, made.fd)
        return made


def test_a_destination_that_fills_up_keeps_what_it_has_and_names_the_rest(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.destination = lambda path, kind, token: (FullDestination if kind is Kind.COPY else Destination)(  # type: ignore[method-assign]
        os.fsencode(path), kind, token
    )
    for number in range(3):
        rig.put(f"DCIM/IMG_{number}.JPG", b"%d" % number * 60_000)
    report = rig.run(also=True)
    assert standings(report) == {"DCIM/IMG_1.JPG": Standing.NOT_COPIED, "DCIM/IMG_2.JPG": Standing.NOT_COPIED}
    assert all("full" in one.reason for one in report.unsafe)
    assert report.exit_code == 3
    assert list(rig.copies()) == ["2024/05/04/IMG_0.JPG"]
    assert len(rig.copies(rig.second)) == 3, "the other destination goes on"


def test_ctrl_c_ends_cleanly_and_the_next_import_goes_on(rig: Rig) -> None:
    stop = threading.Event()
    rig.stop = stop.is_set
    for number in range(4):
        rig.put(f"DCIM/IMG_{number}.JPG", b"%d" % number * 70_000)
    rig.pace.on_read = lambda count: stop.set() if count > 150_000 else None
    report = rig.run()
    assert report.interrupted
    assert report.exit_code == 75
    assert report.counts == {Standing.COPIED: 2, Standing.NOT_READ: 2}
    assert len(rig.copies()) == 2
    stop.clear()
    rig.pace.on_read = lambda _: None
    report = rig.run()
    assert report.is_safe
    assert report.counts == {Standing.COPIED: 2, Standing.KNOWN: 2}


def test_a_bad_copy_never_gets_its_name(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"x" * 100_000)

    class Rotten(Destination):
        def temporary(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- the signature of its parent
            made = super().temporary()
            assert made is not None
            os.write(made.fd, b"!")  # a byte that the card never had
            return made

    rig.destination = lambda path, kind, token: Rotten(os.fsencode(path), kind, token)  # type: ignore[method-assign]
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_1.JPG": Standing.NOT_COPIED}
    assert "read back" in report.unsafe[0].reason
    assert rig.copies() == {}


def test_with_uploaded_a_photo_without_image_id_is_named_and_the_code_is_not_now(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.put("DCIM/IMG_1.CR3", b"raw")
    report = rig.run(uploaded=True)
    assert [one.file.name for one in report.unsafe] == [b"IMG_1.JPG"]
    assert report.exit_code == 75


def test_templates_give_camera_label_and_number(rig: Rig) -> None:
    rig.dates.by_head[b"one"] = taken(2024, 5, 4, camera="../../Canon/EOS\x1b")
    rig.put("DCIM/100CANON/IMG_1.JPG", b"one")
    rig.put("DCIM/100CANON/IMG_2.JPG", b"two")
    rig.put("PRIVATE/AVCHD/BDMV/INDEX.BDM", b"index")
    rig.run(template="{label}/{camera}/{year}{month}{day}_{hour}{minute}{second}_{sequence}")
    assert sorted(rig.copies()) == [
        "CARD/_._.._Canon_EOS_/20240504_120000_0001.JPG",
        "CARD/unknown camera/20240504_093012_0002.JPG",
        "Card files/2024-05-04 CARD/PRIVATE/AVCHD/BDMV/INDEX.BDM",
    ]


def test_what_lies_on_the_card_itself_is_no_copy_of_it(rig: Rig) -> None:
    """A card that is watched, too: its photos are places, and formatting would take them."""
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.ledger.territory.configure([os.fsencode(rig.to), os.fsencode(rig.source)])
    seen = replace(photo(1, size=5), digest=hashlib.sha256(b"photo").hexdigest())
    rig.ledger.see(sighting(b"IMG_1.JPG", seen, root=os.fsencode(rig.source), folder=b"DCIM"))
    report = rig.run()
    assert report.counts == {Standing.COPIED: 1}
    assert rig.copies() == {"2024/05/04/IMG_1.JPG": b"photo"}


def test_copies_elsewhere_count_and_are_told_of(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    rig.to = rig.to.with_name("Other")
    report = rig.run()
    assert report.is_safe
    assert report.elsewhere == 1
    assert rig.copies() == {}
    assert rig.run(again=True).elsewhere == 0
    assert list(rig.copies()) == ["2024/05/04/IMG_1.JPG"]


def test_the_card_is_not_written_to_not_even_when_it_was_read(rig: Rig) -> None:
    path = rig.put("DCIM/IMG_1.JPG", b"photo")
    for each in (path, path.parent, rig.source):
        os.utime(each, (1, DAY))
    rig.run()
    assert [each.stat().st_atime for each in (path, path.parent, rig.source)] == [1, 1, 1]


def test_a_photo_that_is_refused_waits_for_a_person(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    seen = replace(photo(1, size=5), digest=hashlib.sha256(b"photo").hexdigest())
    rig.ledger.see(sighting(b"IMG_1.JPG", seen, root=os.fsencode(rig.to), folder=b"2024/05/04"))
    rig.ledger.leave_unanswered(1)
    report = rig.run(uploaded=True)
    assert report.exit_code == 3
    assert "unanswered" in report.unsafe[0].sending_reason
    rig.ledger.rows("SELECT 1")


def test_the_destination_may_not_be_a_link_below_its_own_root(rig: Rig) -> None:
    outside = rig.to.with_name("outside")
    outside.mkdir()
    rig.to.mkdir()
    (rig.to / "2024").symlink_to(outside)
    rig.put("DCIM/IMG_1.JPG", b"photo")
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_1.JPG": Standing.NOT_COPIED}
    assert "link" in report.unsafe[0].reason
    assert list(outside.iterdir()) == []
    assert not list(rig.to.glob(".syncd*"))


def test_a_copy_at_the_second_place_makes_a_file_safe_whose_first_was_deleted_on_purpose(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run(also=True)
    (rig.to / "2024/05/04/IMG_1.JPG").unlink()
    for also in (False, True):
        report = rig.run(also=also)
        assert report.is_safe
        assert report.counts == {Standing.KNOWN: 1}
        assert rig.copies() == {}
    (rig.second / "2024/05/04/IMG_1.JPG").unlink()
    assert standings(rig.run(also=True)) == {"DCIM/IMG_1.JPG": Standing.LOST}


def test_a_second_place_that_comes_later_gets_everything(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.put("DCIM/IMG_2.JPG", b"deleted")
    rig.run()
    (rig.to / "2024/05/04/IMG_2.JPG").unlink()
    report = rig.run(also=True)
    assert report.is_safe
    assert sorted(rig.copies(rig.second).values()) == [b"deleted", b"photo"]
    assert list(rig.copies()) == ["2024/05/04/IMG_1.JPG"]


def test_files_that_another_import_is_copying_are_read_once_and_waited_for(rig: Rig) -> None:
    rig.put("DCIM/IMG_1.JPG", b"photo")
    rig.run()
    rig.put("DCIM/IMG_2.JPG", b"x" * 100_000)
    prints: dict[str, Fingerprints] = {}

    def planned_by_another(count: int) -> None:
        if count >= 5 and not prints:
            read = b"x" * 65536
            head = xxhash.xxh3_128(read).hexdigest()
            prints["two"] = Fingerprints(hashlib.sha256(b"x" * 100_000).hexdigest(), "q", head, 100_000)
            number = rig.imports.begin("other", b"/card", "OTHER", [b"/elsewhere"], 1.0)
            rig.imports.plan(number, [Intended(Kind.COPY, b"/elsewhere/a", b"/elsewhere", prints["two"], Unless.ANY)])

    rig.pace.bytes_read = 0
    rig.pace.on_read = planned_by_another
    report = rig.run()
    assert rig.pace.bytes_read == 100_005
    assert standings(report) == {"DCIM/IMG_2.JPG": Standing.NOT_COPIED}
    assert "another import" in report.unsafe[0].reason
    rig.pace.on_read = lambda _: None
    assert rig.run().is_safe, "the dead one was cleared away"


def test_times_that_no_calendar_has_stop_nothing(rig: Rig) -> None:
    try:
        rig.put("DCIM/IMG_1.JPG", b"photo", at=2.0**35)
        rig.put("DCIM/IMG_2.JPG", b"old", at=-(2.0**31))
    except OSError:
        pytest.skip("this file system has no such times")
    assert rig.run().is_safe
    assert len(rig.copies()) == 2


def test_a_destination_that_cannot_be_looked_at_fails_the_file_and_not_the_import(rig: Rig) -> None:
    class Blind(Destination):
        def look(self, folder: bytes, name: bytes) -> os.stat_result | None:
            if b"IMG_1" in name:
                raise OSError(errno.ENAMETOOLONG, "File name too long")
            return super().look(folder, name)

    rig.destination = lambda path, kind, token: Blind(os.fsencode(path), kind, token)  # type: ignore[method-assign]
    rig.put("DCIM/IMG_1.JPG", b"one")
    rig.put("DCIM/IMG_2.JPG", b"two")
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_1.JPG": Standing.NOT_COPIED}
    assert list(rig.copies()) == ["2024/05/04/IMG_2.JPG"]


class ShortCard(Card):
    """A card whose files end before their size says, as with a cut chain of clusters."""

    def read_into(self, fd: int, buffer: memoryview) -> int:
        return 0 if os.lseek(fd, 0, os.SEEK_CUR) else super().read_into(fd, buffer[:1000])


def test_a_file_that_ends_before_its_size_is_not_taken(rig: Rig) -> None:
    rig.card_class = ShortCard
    rig.put("DCIM/IMG_1.JPG", b"x" * 5000)
    rig.put("DCIM/IMG_2.JPG", b"y" * 1000)
    report = rig.run()
    assert standings(report) == {"DCIM/IMG_1.JPG": Standing.UNREADABLE}
    assert "1,000 of its 5,000 bytes" in report.unsafe[0].reason


def test_a_copy_that_was_once_verified_on_the_card_itself_does_not_count(rig: Rig) -> None:
    path = rig.put("DCIM/IMG_1.JPG", b"photo")
    content = b"photo"
    prints = Fingerprints(hashlib.sha256(content).hexdigest(), "q", xxhash.xxh3_128(content).hexdigest(), len(content))
    number = rig.imports.begin("before", b"/card", "CARD", [], 1.0)
    rig.imports.adopt(number, os.fsencode(path), prints, look_of(path.stat()), 1.0)
    report = rig.run()
    assert report.is_safe
    assert report.counts == {Standing.COPIED: 1}
