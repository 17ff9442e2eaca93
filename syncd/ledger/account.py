"""Which account the ledger belongs to: the service's address, and a salted hash of the key.

Image ids mean nothing in another account, and another account has none of the photos: so a change is asked about.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from syncd.ledger.plain import Connection, text
from syncd.ledger.store import Store, fact, set_fact


def difference(store: Store, base_url: str, key: str) -> str | None:
    """Say how the account differs from the one that the ledger belongs to; None where it is the same.

    The first account that a ledger meets becomes its own. So does another one as long as nothing is stored, or may be:
    nobody is asked because the first key had a slip of the pen.
    """
    with store.write() as connection:
        known = fact(connection, "account")
        if known is None or (_differs(known, base_url, key) and connection.execute(_MAY_BE_STORED).first() is None):
            _keep(connection, base_url, key)
            return None
    changes = []
    if known["base_url"] != base_url:
        changes.append(f"the address is {base_url}, the ledger's photos are at {known['base_url']}")
    if known["key"] != _hash(key, known["salt"]):
        changes.append("the API key is another one than before")
    return "; ".join(changes) or None


def _differs(known: Mapping[str, str], base_url: str, key: str) -> bool:
    return known["base_url"] != base_url or known["key"] != _hash(key, known["salt"])


def keep(store: Store, base_url: str, key: str) -> None:
    """Take an address and a key as those of the account that the ledger belongs to, because a person said so."""
    with store.write() as connection:
        _keep(connection, base_url, key)


def _keep(connection: Connection, base_url: str, key: str) -> None:
    salt = secrets.token_hex(16)
    account: dict[str, Any] = {"base_url": base_url, "salt": salt, "key": _hash(key, salt)}
    set_fact(connection, "account", account)


def _hash(key: str, salt: str) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), salt=bytes.fromhex(salt), digest_size=32).hexdigest()


_MAY_BE_STORED = text("SELECT 1 FROM entries WHERE state IN ('uploaded', 'unanswered', 'sending') LIMIT 1")
