"""What the documents say of the program is true of it, and leaves nothing out."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import typer.main

from syncd import settings
from syncd.cli.main import application
from syncd.daemon.foreman import ANSWER_WITHIN, STOP_WITHIN
from syncd.daemon.metrics import metrics
from syncd.daemon.rest import Rest
from syncd.daemon.voice import Said
from syncd.lifecycle import Outcome, State
from syncd.upload.replies import PauseReason
from syncd.watch.health import Fault
from tests.daemon.test_metrics import snapshot

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text("utf-8")
OPERATIONS = (TOP / "docs" / "operations.md").read_text("utf-8")
AT_WORK = {Rest.NOTHING_OWED, Rest.UNDER_WAY, Rest.PACE, Rest.LINGER}


def test_every_metric_is_explained_and_no_other() -> None:
    told = set(re.findall(r"`(syncd_[a-z_]+)[`{]", OPERATIONS.split("## Metrics")[1].split("Worth an alarm")[0]))
    assert told == {family.name for family in metrics(snapshot())}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_of_a_request_is_named(outcome: Outcome) -> None:
    assert f"`{outcome.value}`" in OPERATIONS


@pytest.mark.parametrize("said", list(Said))
def test_every_event_of_the_log_is_explained(said: Said) -> None:
    assert f"`{said.value}`" in OPERATIONS.split("## The log")[1].split("## Metrics")[0]


@pytest.mark.parametrize("rest", [rest for rest in Rest if rest not in AT_WORK])
def test_every_reason_to_wait_is_explained(rest: Rest) -> None:
    assert f"`{rest.value}`" in OPERATIONS


@pytest.mark.parametrize(
    "reason",
    [*PauseReason, *Fault, *(said.value for said in Said if said.needs_a_person), State.UNANSWERED, State.REFUSED],
)
def test_what_needs_a_person_says_what_to_do(reason: str) -> None:
    assert str(reason) in OPERATIONS.split("## What needs a person")[1]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 75, 78])
def test_every_exit_code_is_explained(code: int) -> None:
    for text in (README, OPERATIONS):
        assert re.search(rf"^\| {code} \|", text, re.MULTILINE)


def test_how_long_a_stop_takes_is_what_is_said() -> None:
    assert f"have {STOP_WITHIN:.0f} seconds" in OPERATIONS
    assert f"has {ANSWER_WITHIN:.0f} more" in OPERATIONS
    stop = int(re.findall(r"^TimeoutStopSec=(\d+)$", (TOP / "systemd" / "syncd.service").read_text(), re.MULTILINE)[0])
    assert stop > 2 * STOP_WITHIN + ANSWER_WITHIN


def test_every_command_is_in_the_readme() -> None:
    group = typer.main.get_command(application())
    for name in group.commands:  # type: ignore[attr-defined]  # a group it is
        assert re.search(rf"^\|.*`(?:[^`|]*, )?{name}\b", README, re.MULTILINE), name


@pytest.mark.parametrize(
    "section",
    [value for name, value in vars(settings).items() if name.endswith("Settings") and name != "Settings"],
)
def test_every_setting_is_in_the_readme(section: type) -> None:
    table = README.split("## Settings")[1]
    for field in dataclasses.fields(section):
        assert re.search(rf"^\|[^|]*`(\[+\w+\]+ )?{field.name}`", table, re.MULTILINE), field.name


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_links_inside_lead_somewhere(name: str) -> None:
    text = (TOP / name).read_text("utf-8")
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert ((TOP / name).parent / target.partition("#")[0]).exists(), target


def test_every_test_that_the_table_of_faults_names_is_there() -> None:
    named = 0
    for line in (TOP / "docs" / "reliability.md").read_text("utf-8").splitlines():
        file = ""
        for word in re.findall(r"`([^`]+)`", line):
            if re.fullmatch(r"[a-z_/]+\.py", word) and not word.startswith("benchmarks/"):
                file = (TOP / "tests" / word).read_text("utf-8")
            elif word.startswith("test_"):
                named += 1
                assert f"def {word}(" in file, word
    assert named > 100
