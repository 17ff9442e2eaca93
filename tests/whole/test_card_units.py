"""The units and the udev rule for cards: systemd takes them, nothing hostile gets a way in, nothing starts unasked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
RULES = (SYSTEMD / "90-syncd-card.rules").read_text(encoding="ascii")


@pytest.mark.parametrize("source", ["syncd-card@.service", "syncd-card-user@.service"])
@pytest.mark.parametrize("instance", ["sdb1", "mmcblk0p1"])
def test_the_units_are_verified_by_systemd(tmp_path: Path, source: str, instance: str) -> None:
    analyze = shutil.which("systemd-analyze")
    program = shutil.which("true")
    if analyze is None or program is None:
        pytest.skip("systemd-analyze is not installed")
    text = (SYSTEMD / source).read_text(encoding="utf-8")
    assert "ExecStart=/usr/local/bin/syncd " in text
    (tmp_path / "syncd-card@.service").write_text(text.replace("/usr/local/bin/syncd", program), encoding="utf-8")
    unit = tmp_path / f"syncd-card@{instance}.service"
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_card_is_mounted_read_only_and_bound_to_its_device() -> None:
    text = (SYSTEMD / "syncd-card@.service").read_text(encoding="utf-8")
    assert "\nBindsTo=dev-%i.device\n" in text
    assert re.search(r"^ExecStartPre=\+/usr/bin/mount -o ro,nosuid,nodev,noexec /dev/%i ", text, re.MULTILINE)
    assert "/bin/sh" not in text


def test_nothing_is_imported_until_a_person_takes_a_line_in() -> None:
    active = [line for line in RULES.splitlines() if line and not line.startswith("#")]
    assert not [line for line in active if 'ENV{SYNCD_CARD}="1"' in line or "WANTS" in line]
    assert [line for line in active if line == 'ENV{SYNCD_CARD}!="1", GOTO="syncd_card_end"']


def test_label_and_uuid_are_compared_and_never_handed_on() -> None:
    taken_in = RULES.replace("\n#", "\n")
    starts = [line for line in taken_in.splitlines() if "WANTS}+=" in line]
    assert len(starts) == 2
    assert all(line.endswith('+="syncd-card@%k.service"') for line in starts)
    assert not re.search(r"RUN|PROGRAM|IMPORT|\$env|%E|SYMLINK", "".join(starts))
    for line in taken_in.splitlines():
        if "ID_FS_UUID" in line or "ID_FS_LABEL" in line:
            assert "WANTS" not in line
