"""Whether the network costs by volume, as NetworkManager says over D-Bus. Opt-in; asked every half minute.

D-Bus is reached through a tool that every system with D-Bus has, in a process with a time limit, so that a bus that
hangs hangs nothing here.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from syncd.daemon.voice import Said, Voice

ASK_EVERY: Final = 30.0
_ASK_WITHIN: Final = 3.0
_SERVICE: Final = "org.freedesktop.NetworkManager"
_OBJECT: Final = "/org/freedesktop/NetworkManager"
COMMANDS: Final = (
    ("busctl", "--system", "--timeout=2", "get-property", _SERVICE, _OBJECT, _SERVICE, "Metered"),
    (
        "gdbus", "call", "--system", "--timeout=2", f"--dest={_SERVICE}", f"--object-path={_OBJECT}",
        "--method=org.freedesktop.DBus.Properties.Get", _SERVICE, "Metered",
    ),
)  # fmt: skip
"""The first that is there is asked. They answer "u 4" and "(<uint32 4>,)"."""
_YES: Final = frozenset({1, 3})
"""NMMetered: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no."""


def ask_network_manager(commands: Sequence[Sequence[str]] = COMMANDS, within: float = _ASK_WITHIN) -> bool | None:
    """Ask once, for so many seconds at most; None where nobody knows: no NetworkManager, no bus, no tool."""
    for command in commands:
        try:
            done = subprocess.run(  # noqa: S603 (fixed words, no shell)
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="ascii",
                errors="replace",
                timeout=within,
                check=False,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
            )
        except FileNotFoundError:
            continue
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = re.search(r"\b(?:u|uint32) (\d{1,3})\b", done.stdout) if done.returncode == 0 else None
        return int(found[1]) in _YES if found else None
    return None


class Metered:
    """Keeps what was last heard of the network; the first answer is there when it starts."""

    def __init__(
        self,
        voice: Voice,
        ask: Callable[[], bool | None] = ask_network_manager,
        every: float = ASK_EVERY,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask nobody yet. `changed` is called when the network is another than before."""
        self._voice = voice
        self._ask = ask
        self._every = every
        self._changed = changed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on_asking, name="metered", daemon=True)
        self._known = True
        self._metered = False

    def __enter__(self) -> Self:
        self._ask_once()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def is_metered(self) -> bool:
        """Tell what was last heard; a network of which nobody knows anything is not."""
        return self._metered

    def _go_on_asking(self) -> None:
        while not self._ended.wait(self._every):
            self._ask_once()

    def _ask_once(self) -> None:
        found = self._ask()
        if found is None and self._known:
            detail = "NetworkManager cannot be asked whether the network is metered: uploads go on in any case"
            self._voice.say(Said.NETWORK, None, detail)
        elif found is not None and found != self._metered:
            detail = "the network is metered: uploads wait" if found else "the network is not metered any more"
            self._voice.say(Said.NETWORK, None, detail)
        self._known = found is not None
        before, self._metered = self._metered, bool(found)
        if self._metered != before:
            self._changed()
