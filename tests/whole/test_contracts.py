"""What programs may rely on: the JSON of the commands, their exit codes, and where --config may stand."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from syncd.extract.samples import write_sample
from syncd.model import Position
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import KEY, Program

TAKEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 -- a camera's wall clock has no zone


def test_list_status_and_why_keep_their_contracts(program: Program, server: FaultServer) -> None:
    program.write_config(
        folders=[{"tags": ["home"], "namespace": "family"}],
        rules=[{"match": "Trips/{trip}/**", "tags": ["trip", "{trip}", "{year}"]}],
    )
    path = program.photo(
        "Trips/Lisbon/a.jpg", taken_at=TAKEN, camera_model="Canon EOS R5", position=Position(-12.5, 77.25)
    )
    (program.library / "cut.jpg").write_bytes(path.read_bytes()[:300])
    (program.library / "undated.png").write_bytes(b"")
    write_sample(program.library / "undated.png", seed=5)
    assert program.sync().code == 3
    rows = {Path(row["path"]).name: row for row in program.call("list", "--json").json}
    stored = {image.sha256: image for image in server.stored}
    assert rows["a.jpg"] == {
        "path": str(path),
        "state": "uploaded",
        "image_id": str(stored[hashlib.sha256(path.read_bytes()).hexdigest()].id),
        "namespace": "family",
        "reason": None,
        "taken_at": "2024-05-06 07:08:09",
        "camera_model": "Canon EOS R5",
        "latitude": -12.5,
        "longitude": 77.25,
        "tags": ["home", "trip", "Lisbon", "2024"],
    }
    assert rows["cut.jpg"]["state"] == "unfit"
    assert rows["cut.jpg"]["image_id"] is None
    assert rows["cut.jpg"]["reason"]
    assert rows["undated.png"]["taken_at"] is None
    for row in rows.values():
        assert_types(row)
        assert row.keys() == rows["a.jpg"].keys()
    sent = stored[hashlib.sha256(path.read_bytes()).hexdigest()]
    assert sent.tags[:4] == ["home", "trip", "Lisbon", "2024"]
    assert re.fullmatch(r"syncd-[0-9a-f]{16}", sent.tags[4])
    assert sent.fields["datetime_taken"] == ["2024-05-06 07:08:09"]
    assert sent.fields["latitude"] == ["-12.500000"] or float(sent.fields["latitude"][0]) == -12.5

    status = program.status()
    assert status["entries"] == {
        "ready": 0, "sending": 0, "uploaded": 2, "unanswered": 0, "refused": 0, "unfit": 1,
    }  # fmt: skip
    assert (status["withdrawn"], status["unsettled"], status["places"]) == (0, 0, 3)
    assert (status["ignored"], status["absent"], status["paused"], status["requests"]) == ({}, [], None, 2)

    why = program.call("why", str(path))
    assert rows["a.jpg"]["image_id"] in why.out
    assert "sending" in why.out
    assert program.call("list", "--state", "unfit").out.count("\n") == 1


def test_inspect_tells_of_each_file_in_order_and_never_fails_because_of_one(program: Program, tmp_path: Path) -> None:
    inside = program.photo("2024/a.jpg", taken_at=TAKEN)
    outside = tmp_path / "outside.jpg"
    write_sample(outside, camera_model="Pixel 8")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(outside.read_bytes()[:400])
    text = tmp_path / "text.txt"
    text.write_text("no photo")
    program.write_config(folders=[{"tags": ["home"]}], rules=[{"match": "Private/**", "skip": True}])
    pipe, loop, private = tmp_path / "pipe.jpg", tmp_path / "loop.jpg", program.photo("Private/p.jpg")
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd-\xff\xed\xa0\xbd\n.jpg"))
    shutil.copyfile(outside, odd)
    files = [cut, tmp_path / "missing.jpg", inside, tmp_path, outside, text]
    files += [pipe, loop, odd, odd.with_name(odd.name + "-is-missing.jpg"), text / "below-a-file.jpg", private, outside]
    ended = program.call("inspect", "--json", *(os.fsencode(file) for file in files))
    assert ended.code == 0
    assert ended.err == ""
    assert ended.out.isascii()
    rows = ended.json
    assert [row["path"] for row in rows] == [str(file) for file in files], "in the order given, and each asked twice"
    for row in rows:
        assert_types(row)
    wanted = {
        "path", "sha256", "type", "size", "taken_at", "camera_model", "latitude", "longitude", "sources", "namespace",
        "tags", "fit", "reason",
    }  # fmt: skip
    assert all(wanted <= row.keys() for row in rows)
    assert [row["fit"] for row in rows[:6]] == [False, False, True, False, True, False]
    assert [row["fit"] for row in rows[6:]] == [False, False, True, False, False, True, True]
    assert all(row["fit"] or row["reason"] for row in rows)
    assert rows[8]["sha256"] == rows[4]["sha256"], "a name that is not UTF-8 is a name"
    assert "skips it" in rows[11]["reason"]
    assert rows[12] == rows[4]
    of_cut, missing, of_inside, _, of_outside, _ = rows[:6]
    assert of_cut["camera_model"] == "Pixel 8", "what its metadata says is still shown"
    assert missing["sha256"] is None
    assert (of_outside["namespace"], of_outside["tags"]) == (None, []), "no folder gives it any"
    assert (of_inside["taken_at"], of_inside["tags"]) == ("2024-05-06 07:08:09", ["home"])
    assert of_inside["sources"]["taken_at"]
    assert of_outside["sha256"] == hashlib.sha256(outside.read_bytes()).hexdigest()
    assert of_outside["type"] == "image/jpeg"
    assert not program.ledger.exists(), "nothing is recorded"


def assert_types(row: dict[str, Any]) -> None:
    """What is common to the rows of `list` and `inspect`."""
    assert isinstance(row["path"], str)
    assert row["path"].startswith("/")
    for name in ("reason", "camera_model"):
        assert row[name] is None or isinstance(row[name], str)
    if row["taken_at"] is not None:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["taken_at"])
    for name in ("latitude", "longitude"):
        assert row[name] is None or isinstance(row[name], (int, float))
    assert (row["latitude"] is None) == (row["longitude"] is None)
    assert isinstance(row["tags"], list)
    assert all(isinstance(tag, str) and not tag.startswith("syncd-") for tag in row["tags"])
    assert "image_id" not in row or row["image_id"] is None or re.fullmatch(r"[1-9]\d+", row["image_id"])


def test_config_stands_before_or_behind_the_command_or_in_the_environment(program: Program) -> None:
    def called(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "syncd", *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**program.env, **env},
            cwd=program.home,
            timeout=20,
            check=False,
        )

    config = str(program.config)
    program.photo("a.jpg")
    assert json.loads(called("sync", "--dry-run", "--json", "--config", config).stdout)["photos"] == 1
    assert json.loads(called("--config", config, "status", "--json").stdout)["places"] == 1
    assert json.loads(called("check", "--json", SYNCD_CONFIG=config).stdout)
    assert called(f"--config={config}", "list", "--json").returncode == 0
    nowhere = called("status")
    assert nowhere.returncode == 78
    assert "syncd init" in nowhere.stderr
    assert nowhere.stdout == ""


def test_usage_and_configuration_errors_have_their_own_exit_codes(program: Program) -> None:
    assert program.call("list", "--state", "nonsense").code == 2
    assert program.call("nonsense").code == 2
    assert program.call("status").code == 78, "no ledger yet"
    program.config.write_text('[api]\nkee_file = "x"\n[upload]\npace = "quick"\n', encoding="utf-8")
    ended = program.call("sync", "--json")
    assert ended.code == 78
    assert ended.out == ""
    assert "key_file" in ended.err
    assert "pace" in ended.err, "all problems at once"


def test_init_writes_what_loads_and_check_says_what_is_missing(program: Program) -> None:
    program.config.unlink()
    program.key_file.unlink()
    written = program.call("init", str(program.library))
    assert written.code == 0
    assert str(program.key_file) in written.out, "where the key belongs"
    assert "daily_uploads = 1000" in program.config.read_text(encoding="utf-8")
    again = program.call("init")
    assert again.code == 2
    assert "--force" in again.err
    checked = program.call("check", "--json")
    assert checked.code == 78
    assert {finding["subject"] for finding in checked.json if finding["level"] == "problem"} == {"key"}
    assert all(finding["hint"] for finding in checked.json if finding["level"] == "problem")
    program.use_key(KEY)
    assert program.call("check").code == 0


def test_the_demo_shows_a_newcomer_the_whole_way_in_under_a_minute(program: Program) -> None:
    ended = program.call("demo", timeout=60)
    assert ended.code == 0, ended.err
    assert "10 files" in ended.out or "uploaded" in ended.out
    assert re.search(r"IMG_0001\.JPG +2024-05-04 09:30:12 +Canon EOS R8 +image \d{15,}", ended.out)
    assert "once more: 0 photos uploaded, 0 new images" in ended.out
    assert "Traceback" not in ended.err
