from __future__ import annotations

from syncd.daemon.checksums import Checksums


def test_what_was_noted_is_known_and_nothing_else() -> None:
    checksums = Checksums()
    checksums.note("digest", "checksum")
    assert checksums.of("digest") == "checksum"
    assert checksums.of("another") is None


def test_the_oldest_is_forgotten() -> None:
    checksums = Checksums(most=2)
    for digest in ("a", "b", "a", "c"):
        checksums.note(digest, f"of {digest}")
    assert [checksums.of(digest) for digest in ("a", "b", "c")] == ["of a", None, "of c"]
