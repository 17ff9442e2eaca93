"""Hypothesis: the suite draws the same examples each time; a long search is a command.

HYPOTHESIS_PROFILE=search SYNCD_MACHINE_EXAMPLES=5000 python -m pytest tests/whole/test_machine.py --timeout=7200
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
