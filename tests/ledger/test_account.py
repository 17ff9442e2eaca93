"""Which account the ledger belongs to: asked about when it changes, and no key in the file."""

from __future__ import annotations

import pytest

from syncd.ledger.account import difference, keep
from tests.fakes.ledgers import Ledger, photo, sighting

URL, KEY = "https://api.example/v1", "sk-mavi-sentinel-91c2"


def test_the_first_account_becomes_the_ledgers_own(ledger: Ledger) -> None:
    assert difference(ledger.store, URL, KEY) is None
    assert difference(ledger.store, URL, KEY) is None


def test_the_first_key_may_have_had_a_slip_as_long_as_nothing_is_stored(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    assert difference(ledger.store, URL, "sk-mavi-slip") is None
    assert difference(ledger.store, URL, KEY) is None
    ledger.claim(1)
    assert difference(ledger.store, URL, "sk-mavi-slip") is not None, "this one may be stored"


@pytest.mark.parametrize(
    ("url", "key", "words"),
    [
        ("https://elsewhere/v1", KEY, ("https://elsewhere/v1", URL)),
        (URL, "sk-mavi-other", ("API key",)),
        (URL, KEY.upper(), ("API key",)),
        ("https://elsewhere/v1", "sk-mavi-other", ("https://elsewhere/v1", "API key")),
    ],
)
def test_another_account_is_told_until_a_person_says_that_it_is_the_same(
    ledger: Ledger, url: str, key: str, words: tuple[str, ...]
) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.upload(1)
    difference(ledger.store, URL, KEY)
    for _ in range(2):
        told = difference(ledger.store, url, key)
        assert told is not None
        assert all(word in told for word in words)
        assert key not in told
    keep(ledger.store, url, key)
    assert difference(ledger.store, url, key) is None
    assert difference(ledger.store, URL, KEY) is not None


def test_p2_the_ledger_holds_a_salted_hash_and_never_the_key(ledger: Ledger) -> None:
    difference(ledger.store, URL, KEY)
    first = ledger.rows("SELECT value FROM facts WHERE name = 'account'")[0].value
    keep(ledger.store, URL, KEY)
    assert ledger.rows("SELECT value FROM facts WHERE name = 'account'")[0].value != first, "salted"
    assert KEY not in first
    for path in ledger.path.parent.glob("ledger.db*"):
        assert KEY.encode() not in path.read_bytes()


def test_a_key_that_is_no_text_can_be_told_apart_as_well(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)))
    ledger.upload(1)
    assert difference(ledger.store, URL, "sk-\udcff") is None
    assert difference(ledger.store, URL, "sk-\udcfe") is not None
