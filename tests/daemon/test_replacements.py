from __future__ import annotations

from dataclasses import replace

from syncd.daemon.replacements import MOST, QUIET, WINDOW, Replacements
from tests.fakes.ledgers import photo, sighting

ROOT = b"/photos"


def test_a_hundred_pass_once_it_is_quiet_and_one_more_is_too_many() -> None:
    replacements = Replacements()
    assert replacements.next_due() is None
    for number in range(MOST):
        assert not replacements.keep(sighting(b"%d.jpg" % number, photo(number)), 100.0)
    assert replacements.next_due() == 100.0 + QUIET
    assert not replacements.take_quiet(100.0 + QUIET / 2)
    assert len(replacements.take_quiet(100.0 + QUIET)) == MOST
    assert replacements.next_due() is None
    assert replacements.keep(sighting(b"one more.jpg", photo(5000)), 200.0), "within the hour they still count"
    assert len(replacements.drop(ROOT)) == MOST + 1
    assert not replacements.take()


def test_places_count_not_changes() -> None:
    replacements = Replacements()
    for number in range(3 * MOST):
        assert not replacements.keep(sighting(b"latest.jpg", photo(number)), float(number))
    (last,) = replacements.take()
    assert last.photo == photo(3 * MOST - 1)


def test_after_an_hour_they_no_longer_count() -> None:
    replacements = Replacements()
    for number in range(2 * MOST):
        assert not replacements.keep(sighting(b"%d.jpg" % number, photo(number)), number * WINDOW / MOST + 1)
        replacements.take()


def test_each_root_counts_for_itself() -> None:
    replacements = Replacements()
    for root in (b"/a", b"/b"):
        for number in range(MOST):
            assert not replacements.keep(sighting(b"%d.jpg" % number, photo(number), root=root), 1.0)
    assert replacements.keep(sighting(b"x.jpg", photo(9999), root=b"/a"), 1.0)
    replacements.drop(b"/a")
    assert {each.place.root for each in replacements.take()} == {b"/b"}


def test_what_is_looked_at_anew_is_let_go() -> None:
    replacements = Replacements()
    one = sighting(b"1.jpg", photo(1))
    replacements.keep(one, 1.0)
    replacements.forget(one.place)
    assert not replacements.take(ROOT)


def test_a_persons_word_lasts_for_a_while() -> None:
    replacements = Replacements()
    replacements.allow(ROOT, 10.0)
    assert replacements.allowed(ROOT, 11.0)
    assert not replacements.allowed(ROOT, 10.0 + WINDOW)
    assert not replacements.allowed(b"/other", 11.0)


def test_another_look_at_what_is_kept_back_does_not_begin_its_wait_anew() -> None:
    replacements = Replacements()
    kept = sighting(b"a.jpg", photo(1))
    replacements.keep(kept, 100.0)
    assert replacements.keeps(kept.place, kept.look)
    assert not replacements.keeps(kept.place, replace(kept.look, mtime_ns=1))
    replacements.take_quiet(100.0 + QUIET)
    assert not replacements.keeps(kept.place, kept.look)
