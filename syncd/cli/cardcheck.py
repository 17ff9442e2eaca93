"""`card --check`: a folder held against its manifest, told to a person or a program."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from syncd.card.checking import Checked, State, check, read_manifest
from syncd.cli.output import amount, answer, answer_json
from syncd.printable import path_json, path_text, printable


def check_manifest(manifest: Path, *, as_json: bool) -> int:
    """Check, tell, and give the exit code: 0 where every listed file is there with the same bytes, else 3."""
    folder, lines = read_manifest(manifest)
    counts: Counter[State] = Counter()
    others: list[Checked] = []
    for checked in check(folder, lines, lambda _: None):
        counts[checked.state] += 1
        if checked.state is not State.SAME:
            others.append(checked)
    # A list that names nothing proves nothing.
    code = 3 if others or not counts else 0
    if as_json:
        answer_json(
            {
                "manifest": str(manifest),
                "same": code == 0,
                "exit_code": code,
                "counts": {state.value: counts[state] for state in State},
                "not_same": [
                    {"path": path_json(one.path), "state": one.state.value, "reason": one.reason} for one in others
                ],
            }
        )
        return code
    for one in others:
        answer(f"{one.state:<14} {path_text(one.path)}: {printable(one.reason)}")
    where = path_text(folder)
    if not counts:
        answer(f"{printable(str(manifest))} names no file: it says nothing of {where}")
    elif others:
        answer(f"{amount(len(others), 'file')} of {counts.total():,} in {where} differ from the list")
    else:
        answer(f"all {amount(counts.total(), 'file')} in {where} are as they were listed")
    return code
