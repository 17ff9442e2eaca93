"""A person is told by their own command; whatever that does, the daemon goes on."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from syncd.daemon.announcer import Announcer, Occasion, announce, summary
from syncd.daemon.voice import Said
from syncd.settings import NotifySettings
from tests.fakes.program import eventually
from tests.fakes.voice import FakeVoice

ENV = {"PATH": os.environ["PATH"], "HOME": "/home/u", "SYNCD_API_KEY": "sk-mavi-sentinel", "LD_PRELOAD": "x"}


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(stat.S_IRWXU)
    return str(path)


def test_the_command_gets_the_words_as_they_are_and_nothing_secret(tmp_path: Path) -> None:
    tell = script(tmp_path / "tell", f'env > {tmp_path}/env; cat > {tmp_path}/in; printf "%s|" "$@" > {tmp_path}/words')
    message = "1 refused\n/p/$(reboot) `x`.jpg"
    settings = NotifySettings((tell, "a b", "$HOME; rm -rf"))
    assert announce(settings, ENV, Occasion.NEEDS_A_PERSON, message) == []
    env = (tmp_path / "env").read_text("utf-8")
    assert "SYNCD_EVENT=needs-a-person" in env
    assert "SYNCD_MESSAGE=1 refused\n/p/$(reboot) `x`.jpg" in env
    assert "HOME=/home/u" in env
    assert "sentinel" not in env
    assert "LD_PRELOAD" not in env
    assert json.loads((tmp_path / "in").read_text("utf-8")) == {"event": "needs-a-person", "message": message}
    assert (tmp_path / "words").read_text("utf-8") == "a b|$HOME; rm -rf|"


def test_a_command_that_fails_hangs_or_is_not_there_is_said(tmp_path: Path) -> None:
    fails = NotifySettings((script(tmp_path / "fails", "exit 7"),))
    assert announce(fails, ENV, Occasion.IMPORT_DONE, "x") == [f"{fails.command[0]} ended with 7"]
    missing = NotifySettings(("/nowhere/tell",))
    assert announce(missing, ENV, Occasion.IMPORT_DONE, "x") == [
        "/nowhere/tell cannot be started: No such file or directory"
    ]
    hangs = NotifySettings((script(tmp_path / "hangs", f"sleep 60 & echo $! > {tmp_path}/pid; sleep 60"),))
    begun = time.monotonic()
    found = announce(hangs, ENV, Occasion.IMPORT_DONE, "x", within=0.3)
    assert found == [f"{hangs.command[0]} did not end within 0.3 s and was ended"]
    assert time.monotonic() - begun < 10
    child = int((tmp_path / "pid").read_text("utf-8"))
    eventually(lambda: not is_alive(child))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_message_of_any_length_and_with_any_bytes_is_told_or_its_failure_is(tmp_path: Path) -> None:
    tell = NotifySettings((script(tmp_path / "tell", f'printf %s "$SYNCD_MESSAGE" > {tmp_path}/told'),))
    assert announce(tell, ENV, Occasion.IMPORT_DONE, "x" * 10**6) == []
    assert len((tmp_path / "told").read_text("utf-8")) == 16_000
    assert announce(tell, ENV, Occasion.IMPORT_DONE, "caf\udce9 \U0001f600") == []
    assert announce(tell, ENV, Occasion.IMPORT_DONE, "a\0b") == [
        f"{tell.command[0]} cannot be started: embedded null byte"
    ]


def test_the_desktop_gets_text_and_no_markup(tmp_path: Path) -> None:
    script(tmp_path / "notify-send", f'printf "%s|" "$@" > {tmp_path}/words')
    env = ENV | {"PATH": f"{tmp_path}:{ENV['PATH']}"}
    assert announce(NotifySettings(desktop=True), env, Occasion.NEEDS_A_PERSON, "1 refused\n<b>-x</b>.jpg") == []
    assert (tmp_path / "words").read_text("utf-8") == "--app-name=syncd|--|syncd: 1 refused|&lt;b&gt;-x&lt;/b&gt;.jpg|"


def test_a_night_of_trouble_is_one_message_that_counts_and_names() -> None:
    heard = [(Said.UNANSWERED, f"/p/{number}.jpg: unanswered: silence") for number in range(9)]
    heard.append((Said.REFUSED, "/p/x.jpg: refused: no"))
    lines = summary(heard).splitlines()
    assert lines[0] == "9 unanswered, 1 refused"
    assert lines[1] == "/p/0.jpg: unanswered: silence"
    assert lines[-1] == "and 5 lines more: see `syncd status`"


def test_what_needs_a_person_is_gathered_and_told_and_all_of_it_handed_on(tmp_path: Path) -> None:
    voice = FakeVoice()
    tell = script(tmp_path / "tell", f'echo "$SYNCD_MESSAGE" >> {tmp_path}/told')
    with Announcer(voice, NotifySettings((tell,)), ENV, gather=0.2, distance=3600.0) as announcer:
        announcer.say(Said.REFUSED, b"/p/a.jpg", "no")
        announcer.say(Said.UPLOADED, b"/p/b.jpg", "image id 1")
        announcer.say(Said.UNFIT, b"/p/c\x1b.jpg", "cut")
        eventually((tmp_path / "told").exists)
        eventually(lambda: "c" in (tmp_path / "told").read_text("utf-8"))
        announcer.say(Said.REFUSED, b"/p/d.jpg", "no")
    told = (tmp_path / "told").read_text("utf-8")
    assert told.splitlines() == [
        "1 refused, 1 unfit", "/p/a.jpg: refused: no", "/p/c\\x1b.jpg: unfit: cut",
        "1 refused", "/p/d.jpg: refused: no",
    ]  # fmt: skip
    assert len(voice.said) == 4


def test_a_failing_command_is_said_by_the_voice_and_ends_nothing(tmp_path: Path) -> None:
    voice = FakeVoice()
    with Announcer(voice, NotifySettings(("/nowhere/tell",)), ENV, gather=0.01, distance=0.01) as announcer:
        for number in range(1, 3):
            announcer.say(Said.REFUSED, b"/p/a.jpg", "no")
            eventually(lambda number=number: voice.count(Said.HOOK) == number)  # type: ignore[misc]  # mypy cannot type defaults of a lambda


@pytest.mark.parametrize("settings", [NotifySettings(), NotifySettings(time_limit=1.0)])
def test_without_a_wish_nothing_is_started(settings: NotifySettings) -> None:
    voice = FakeVoice()
    with Announcer(voice, settings, ENV) as announcer:
        announcer.say(Said.REFUSED, b"/p/a.jpg", "no")
    assert voice.count(Said.REFUSED) == 1
