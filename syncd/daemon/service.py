"""`run`: watch the folders and upload what is new, until told to stop or to take other settings.

Two workers: the intake on a thread of its own, the dispatch on the calling one. The observer starts before the first
scan, so that what changes during the scan is hinted at. Stop: no new work, the request in hand ends or is given up,
everything is closed in reverse.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from syncd.daemon.foreman import Ending, Foreman
from syncd.daemon.outside import Outside
from syncd.daemon.pipeline import Pipeline
from syncd.daemon.vigil import INTAKE
from syncd.daemon.voice import Said
from syncd.daemon.watchman import Hinting, Watching, Watchman
from syncd.errors import HungError
from syncd.figures import amount

PROVE_WITHIN: Final = 5.0
"""Seconds that the watcher has to show that events arrive, before syncd says that it is ready."""
_FAREWELL: Final = "what is under way is finished or given up, nothing new leaves"


def run(pipeline: Pipeline, watcher: Watching, hints: Hinting, outside: Outside) -> Ending:
    """Run until a stop, or until other settings are to be taken.

    Raises what ended a worker, HungError where one does not end: systemd then starts syncd again.
    """
    watchman = Watchman(pipeline, watcher, hints, outside)
    foreman = Foreman(pipeline, watchman, hints, outside)
    ending = Ending.STOPPED
    with ExitStack() as closing:
        closing.callback(watcher.stop)
        watcher.start()
        closing.callback(watchman.halt, outside.herald, outside.halt_within)
        closing.callback(foreman.finish)
        closing.callback(watchman.hurry)
        closing.callback(pipeline.store.let_go)
        _prove(pipeline, watcher)
        pipeline.voice.say(Said.READY, None, f"watching {amount(len(pipeline.roots), 'folder')}")
        outside.herald.ready(foreman.line())
        watchman.start()
        ending = foreman.until_it_ends()
        if ending is Ending.STOPPED:
            outside.herald.stopping(f"ending: {_FAREWELL}")
            pipeline.voice.say(Said.ENDING, None, _FAREWELL)
        else:
            pipeline.voice.say(Said.RELOADING, None, "the configuration can be used: all is built anew from it")
    if watchman.error is not None:
        raise watchman.error
    if watchman.hangs:
        raise HungError(
            f"{INTAKE} did not end within {outside.halt_within:.0f} s: a disk or network folder may hang",
            hint="Look at the folders and the kernel's log; nothing is lost, the next start goes on.",
        )
    return ending


def _prove(pipeline: Pipeline, watcher: Watching) -> None:
    for root in watcher.prove(PROVE_WITHIN):
        pipeline.voice.say(Said.WATCH, root, "no event has arrived yet; it is scanned, and watched anew if none comes")
