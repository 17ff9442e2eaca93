"""Tells a person that an import is done, where the configuration wants it. What goes wrong is a warning, no more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from syncd.cli.cardtext import report_lines, sentence
from syncd.cli.output import message
from syncd.daemon.announcer import Occasion, announce
from syncd.printable import printable
from syncd.settings import NotifySettings

if TYPE_CHECKING:
    from syncd.cli.carding import Outcome


def announce_imports(settings: NotifySettings, outcomes: Sequence[Outcome]) -> None:
    """Tell what came of each card."""
    for outcome in outcomes:
        text = "\n".join([f"{printable(outcome.label)}: {sentence(outcome)}", *report_lines(outcome)])
        for trouble in announce(settings, os.environ, Occasion.IMPORT_DONE, text):
            message(f"warning: {trouble}")
