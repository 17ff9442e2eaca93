"""Tells a person outside the log: by a command of theirs, by a notification on the desktop. Both are opt-in.

What is told is gathered first, so that a night of trouble is one message. Whatever fails here stops nothing.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from syncd.daemon.voice import Said, Voice
from syncd.figures import amount
from syncd.printable import path_text, printable
from syncd.settings import NotifySettings

GATHER: Final = 10.0
"""Seconds that are waited for more of the same before anything is told."""
DISTANCE: Final = 600.0
"""Seconds between two messages that a person is needed."""
_FAREWELL: Final = 5.0
"""Seconds that a message may take once syncd ends."""
_NAMED: Final = 5
_LONGEST: Final = 16_000
"""Characters of a message: what the kernel takes of one variable is bounded (execve(2))."""
_HANDED_ON: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
)  # fmt: skip
"""What a command gets of the environment: nothing that may hold the API key."""


class Occasion(StrEnum):
    """What a person is told of. The values are what the command finds in $SYNCD_EVENT."""

    NEEDS_A_PERSON = "needs-a-person"
    IMPORT_DONE = "import-done"


class Announcer:
    """A voice that hands everything on, and tells of what needs a person."""

    def __init__(
        self,
        voice: Voice,
        settings: NotifySettings,
        env: Mapping[str, str],
        *,
        gather: float = GATHER,
        distance: float = DISTANCE,
    ) -> None:
        self._voice = voice
        self._settings = settings
        self._env = env
        self._gather = gather
        self._distance = distance
        self._changed = threading.Condition()
        self._heard: list[tuple[Said, str]] = []
        self._ended = False
        self._thread = threading.Thread(target=self._go_on, name="announcer", daemon=True)

    def __enter__(self) -> Self:
        if self._settings.command or self._settings.desktop:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(2 * _FAREWELL)

    def say(self, said: Said, path: bytes | None, detail: str) -> None:
        """Hear that something happened, hand it on, and keep what a person is to be told of."""
        self._voice.say(said, path, detail)
        if said.needs_a_person and self._thread.ident is not None:
            where = f"{path_text(path)}: " if path is not None else ""
            with self._changed:
                self._heard.append((said, f"{where}{said}{': ' if detail else ''}{printable(detail, 200)}"))
                self._changed.notify_all()

    def _go_on(self) -> None:
        told_at = float("-inf")
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or bool(self._heard))
                wait = max(self._gather, told_at + self._distance - time.monotonic())
                self._changed.wait_for(lambda: self._ended, wait)
                heard, self._heard = self._heard, []
                ended = self._ended
            if heard:
                told_at = time.monotonic()
                self._tell(heard, within=_FAREWELL if ended else self._settings.time_limit)
            if ended:
                return

    def _tell(self, heard: Sequence[tuple[Said, str]], within: float) -> None:
        for trouble in announce(self._settings, self._env, Occasion.NEEDS_A_PERSON, summary(heard), within=within):
            # Not to itself: a message that a message failed would fail, too.
            self._voice.say(Said.HOOK, None, trouble)


def summary(heard: Sequence[tuple[Said, str]]) -> str:
    """Put what was heard into a few lines: how much of what, then the first ones by name."""
    counts = Counter(said for said, _ in heard)
    lines = [", ".join(f"{count:,} {said}" for said, count in counts.most_common())]
    lines += list(dict.fromkeys(line for _, line in heard))[:_NAMED]
    if len(heard) > _NAMED:
        lines.append(f"and {amount(len(heard) - _NAMED, 'line')} more: see `syncd status`")
    return "\n".join(lines)


def announce(
    settings: NotifySettings, env: Mapping[str, str], occasion: Occasion, message: str, *, within: float | None = None
) -> list[str]:
    """Tell a person now, in every way that the settings want; give what went wrong. Never raises.

    `within`: seconds that each way may take; by default what the settings say.
    """
    limit = settings.time_limit if within is None else within
    message = message[:_LONGEST]
    clean = {name: env[name] for name in _HANDED_ON if name in env}
    troubles = []
    if settings.command:
        said = {"SYNCD_EVENT": occasion.value, "SYNCD_MESSAGE": message}
        stdin = json.dumps({"event": occasion.value, "message": message}) + "\n"
        troubles.append(_run(settings.command, clean | said, stdin, limit))
    if settings.desktop:
        title, _, body = message.partition("\n")
        # The body is markup (Desktop Notifications Specification); a name of a file is not.
        words = ("notify-send", "--app-name=syncd", "--", f"syncd: {title}", html.escape(body, quote=False))
        troubles.append(_run(words, clean, "", limit))
    return [trouble for trouble in troubles if trouble]


def _run(command: Sequence[str], env: Mapping[str, str], stdin: str, limit: float) -> str:
    """Run a command without a shell, and end it and its children at the limit; give what went wrong, "" if nothing."""
    name = printable(command[0], 100)
    try:
        process = subprocess.Popen(  # noqa: S603 (the person's own command, word by word)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(env),
            start_new_session=True,
            cwd="/",
        )
    except (OSError, ValueError) as error:
        return f"{name} cannot be started: {getattr(error, 'strerror', None) or error}"
    try:
        process.communicate(stdin.encode("utf-8", "replace"), timeout=limit)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return f"{name} did not end within {limit:g} s and was ended"
    except OSError as error:
        process.wait()
        return f"{name}: {error.strerror}"
    return f"{name} ended with {process.returncode}" if process.returncode else ""
