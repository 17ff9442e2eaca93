"""`demo`, as far as it refuses to begin. (The whole of it: whole/test_contracts.)"""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Home


def test_a_folder_that_is_none_and_a_place_to_keep_it_that_is_taken_are_refused(home: Home, tmp_path: Path) -> None:
    missing = home.call("demo", str(tmp_path / "missing"))
    assert missing.code == 2
    assert "not a folder" in missing.err
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_bytes(b"mine")
    taken = home.call("demo", "--keep", str(tmp_path / "taken"))
    assert taken.code == 2
    assert "not empty" in taken.err
    assert (tmp_path / "taken" / "file").read_bytes() == b"mine"
