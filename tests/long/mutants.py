"""Breaks each core guarantee on purpose, one at a time, and shows that a test notices.

    python -m tests.long.mutants                 # all of them, as a table: some ten minutes
    python -m tests.long.mutants lock redirect   # those whose name holds one of the words

Each mutant is one small patch of a temporary copy of the tree; the tests that must catch it run there with the same
interpreter. First the same tests run over the copy as it is. A mutant that survives ends the command with 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[2]
_LEFT_OUT: Final = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
_CAUGHT, _NOT_CAUGHT = 1, 0
"""pytest's exit codes: a test failed, all passed. Any other is no verdict."""
LIMIT: Final = 600.0


@dataclass(frozen=True, slots=True)
class Mutant:
    """A patch that takes one guarantee away, and the tests that must notice."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def break_in(self, tree: Path) -> None:
        """Apply the patch. ValueError where its text is not there exactly once."""
        path = tree / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.before) != 1:
            raise ValueError(f"{self.name}: {self.file} has {text.count(self.before)} times {self.before!r}")
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")


CRASHES = "tests/whole/test_crashes.py"
LOOP = "tests/whole/test_crash_loop.py"
MACHINE = "tests/whole/test_machine.py"
ANSWERS = "tests/whole/test_lost_answers.py"
IDENTITY = "tests/whole/test_identity.py"
GUARD = "tests/whole/test_ledger_guard.py"
SECRETS = "tests/whole/test_secrets.py"
NASTY = "tests/whole/test_nasty_files.py"
REJECTIONS = "tests/whole/test_rejections.py"

MUTANTS: Final = (
    Mutant(
        "what may be stored is sent again after a crash",
        "syncd/ledger/queue.py",
        "to = State.UNANSWERED if maybe_stored else State.READY",
        "to = State.READY",
        (f"{CRASHES}::test_b2_killed_in_the_body_before_the_answer_and_before_the_commit",),
    ),
    Mutant(
        "no intent is committed before the request can be complete",
        "syncd/daemon/flights.py",
        "completing=lambda: self._queue.completing(request_id, self._clock.now()),",
        "completing=lambda: None,",
        (f"{CRASHES}::test_b2_killed_in_the_body_before_the_answer_and_before_the_commit",),
    ),
    Mutant(
        "no intent is committed: the order of the calls",
        "syncd/daemon/flights.py",
        "completing=lambda: self._queue.completing(request_id, self._clock.now()),",
        "completing=lambda: None,",
        (f"{LOOP}::test_b3_the_intent_is_on_the_disk_before_the_body_and_before_its_end",),
    ),
    Mutant(
        "the intent is committed after the last bytes",
        "syncd/upload/body.py",
        "        self._call(self._hooks.completing)\n        yield memory[: _put(memory, end, self._closing)]\n",
        "        yield memory[: _put(memory, end, self._closing)]\n        self._call(self._hooks.completing)\n",
        ("tests/upload/test_body.py",),
    ),
    Mutant(
        "synchronous=NORMAL: a power cut takes the intent",
        "syncd/ledger/store.py",
        "PRAGMA synchronous=FULL",
        "PRAGMA synchronous=NORMAL",
        (f"{LOOP}::test_b3_a_power_cut_that_takes_all_that_was_not_synced",),
    ),
    Mutant(
        "synchronous=NORMAL: the order of the calls",
        "syncd/ledger/store.py",
        "PRAGMA synchronous=FULL",
        "PRAGMA synchronous=NORMAL",
        (f"{LOOP}::test_b3_the_intent_is_on_the_disk_before_the_body_and_before_its_end",),
    ),
    Mutant(
        "a lost answer is taken for not sent, and tried again",
        "syncd/upload/client.py",
        "    if outgoing.complete:\n        return Unanswered(",
        "    if False:\n        return Unanswered(",
        (f"{ANSWERS}::test_b1_full_body_read_then_closed_reset_or_silent_is_never_sent_again",),
    ),
    Mutant(
        "5xx is taken for not processed",
        "syncd/upload/replies.py",
        "        return Unanswered(_doubt(answer), answer.message, status, answer.code)\n",
        "        return NotSent(answer.message, status, answer.code)\n",
        ("tests/upload/test_replies.py",),
    ),
    Mutant(
        "the hash is not checked before the end leaves",
        "syncd/upload/body.py",
        "if hashed.hexdigest() != wanted:",
        "if False:",
        ("tests/upload/test_body.py",),
    ),
    Mutant(
        "whatever has a checksum is sent unchecked",
        "syncd/upload/body.py",
        "if hashed.hexdigest() != wanted:",
        "if wanted == file.digest and hashed.hexdigest() != wanted:",
        ("tests/upload/test_body.py",),
    ),
    Mutant(
        "whatever has no checksum is sent unchecked",
        "syncd/upload/body.py",
        "if hashed.hexdigest() != wanted:",
        "if wanted != file.digest and hashed.hexdigest() != wanted:",
        ("tests/upload/test_body.py",),
    ),
    Mutant(
        "the checksum is of a part of the file",
        "syncd/extract/stream.py",
        "                self._checksum.update(memory[:length])\n",
        "                self._checksum.update(memory[: length - 1])\n",
        ("tests/extract/test_stream.py", "tests/extract/test_extractor.py"),
    ),
    Mutant(
        "the last chunk is not withheld",
        "syncd/upload/body.py",
        "            if hashed.hexdigest() != wanted:",
        "            yield memory[:end]\n            end = 0\n            if hashed.hexdigest() != wanted:",
        ("tests/upload/test_body.py",),
    ),
    Mutant(
        "redirects are followed",
        "syncd/upload/transport.py",
        "        try:\n            return Answer(",
        "        if response.status in {302, 307}:\n"
        "            request.url, request.body = response.fields['location'], b''\n"
        "            response = self.send(request, timeout=timeout)\n"
        "        try:\n            return Answer(",
        (f"{REJECTIONS}::test_b5_redirects_are_not_followed_and_pause_the_queue",),
    ),
    Mutant(
        "the environment's proxy is used",
        "syncd/upload/transport.py",
        "timeout=timeout, proxies=self._proxies)",
        "timeout=timeout, proxies=self._proxies or requests.utils.get_environ_proxies(url))",
        (f"{SECRETS}::test_h4_netrc_proxies_and_authorities_of_the_environment_are_ignored",),
    ),
    Mutant(
        "the number of ids is not checked",
        "syncd/upload/envelope.py",
        "    if not isinstance(data, list) or len(data) != files or not files:\n        return None\n",
        "    if not isinstance(data, list):\n        return None\n    files = len(data)\n",
        ("tests/upload/test_envelope.py", "tests/upload/test_replies.py"),
    ),
    Mutant(
        "an id that another photo has is believed",
        "syncd/daemon/dispatch.py",
        "        held = set(self._queue.held_ids(given)) if given else set()\n",
        "        held = set[str]()\n",
        (f"{ANSWERS}::test_b14_ids_that_cannot_be_right_are_not_recorded",),
    ),
    Mutant(
        "the pace counts from when a request was let go, and not from when it left",
        "syncd/daemon/flights.py",
        "            left=flight.turn.has_left,\n",
        "            left=lambda: None,\n",
        ("tests/daemon/test_turnstile.py",),
    ),
    Mutant(
        "a sync that is interrupted in a transaction keeps its lock",
        "syncd/daemon/once.py",
        "        pipeline.store.let_go()\n",
        "",
        ("tests/daemon/test_once.py::test_an_interrupt_in_the_middle_of_a_transaction_keeps_nobody_waiting",),
    ),
    Mutant(
        "a daemon that is interrupted in a transaction keeps its lock",
        "syncd/daemon/service.py",
        "        closing.callback(pipeline.store.let_go)\n",
        "",
        ("tests/daemon/test_service.py::test_an_interrupt_in_the_middle_of_a_transaction_keeps_nobody_waiting",),
    ),
    Mutant(
        "what waits for its turn hears of no pause",
        "syncd/daemon/dispatch.py",
        "        idle = self._shut(self._clock.now()) if turn.interval else None\n",
        "        idle: Idle | None = None\n",
        ("tests/daemon/test_dispatch.py::test_a_request_whose_turn_comes_after_a_pause_does_not_leave",),
    ),
    Mutant(
        "what is made already leaves after a pause",
        "syncd/daemon/dispatch.py",
        "            self._flights.give_up_what_waits(shut.why)\n",
        "",
        ("tests/daemon/test_dispatch.py::test_a_request_that_is_made_and_has_not_left_does_not_leave_after_a_pause",),
    ),
    Mutant(
        "another marker goes out than the ledger knows",
        "syncd/daemon/flights.py",
        "            marker=marker,\n",
        "            marker=new_marker(os.urandom(8)),\n",
        (f"{ANSWERS}::test_unanswered_photos_are_looked_up_by_their_marker_and_adopted",),
    ),
    Mutant(
        "requests that leave together take the same photos",
        "syncd/daemon/choosing.py",
        "        self.taken.update(owed.entry_id for owed in chosen.batch)\n",
        "",
        ("tests/daemon/test_dispatch.py",),
    ),
    Mutant(
        "a note that shares another's transaction is believed whether that was committed or not",
        "syncd/ledger/queue.py",
        "                each.error = error\n",
        "                pass\n",
        ("tests/ledger/test_queue.py",),
    ),
    Mutant(
        "once it was too fast for long, whole batches never leave again",
        "syncd/upload/pace.py",
        "failures=0, throttles=0, not_before=0.0",
        "failures=0, not_before=0.0",
        ("tests/upload/test_pace.py",),
    ),
    Mutant(
        "a hit is adopted without the digits of its digest",
        "syncd/upload/lookup.py",
        "and digits in hit.name.lower():",
        "and digits:",
        ("tests/upload/test_lookup.py",),
    ),
    Mutant(
        "the lock file is unlinked",
        "syncd/daemon/lock.py",
        "        self._ledger_fd = self._fd = -1\n",
        "        self._ledger_fd = self._fd = -1\n        self.path.unlink(missing_ok=True)\n",
        ("tests/daemon/test_lock.py",),
    ),
    Mutant(
        "the lock is not taken",
        "syncd/daemon/lock.py",
        "        if not _taken(fd):",
        "        if False:",
        ("tests/daemon/test_lock.py",),
    ),
    Mutant(
        "where the lock was deleted, the ledger is not locked",
        "syncd/daemon/lock.py",
        "        self._fd = fd\n        try:\n            self.cover()\n",
        "        self._fd = fd\n        try:\n",
        ("tests/daemon/test_lock.py",),
    ),
    Mutant(
        "the mark beside the ledger is not compared",
        "syncd/ledger/migrate.py",
        "        if mark is not None:\n            _compare_with_mark(",
        "        if False:\n            _compare_with_mark(",
        (f"{GUARD}::test_b7_a_ledger_that_is_gone_emptied_older_or_damaged_uploads_nothing",),
    ),
    Mutant(
        "a ledger that is gone is made anew",
        "syncd/ledger/migrate.py",
        "    _refuse_a_missing_ledger(path, mark)\n    checked = False\n",
        "    mark = mark if path.exists() else None\n    checked = False\n",
        (f"{GUARD}::test_b7_a_ledger_that_is_gone_emptied_older_or_damaged_uploads_nothing",),
    ),
    Mutant(
        "a first start that was killed is not finished",
        "syncd/ledger/migrate.py",
        "        _finish_what_died(path)\n",
        "",
        (f"{LOOP}::test_b16_killed_while_the_ledger_is_made_it_starts_again",),
    ),
    Mutant(
        "the mark is made where it stands",
        "syncd/ledger/guard.py",
        "            if self.path.exists() and self.path.stat().st_size == len(text):",
        "            if True:",
        (f"{LOOP}::test_b2_killed_at_a_step_nothing_is_sent_twice_or_lost",),
    ),
    Mutant(
        "skip is not asked again at the claim",
        "syncd/daemon/planner.py",
        "its for its in found if its.skipped is None and (",
        "its for its in found if (",
        ("tests/daemon/test_planner.py",),
    ),
    Mutant(
        "an absent root counts as emptied",
        "syncd/daemon/intake.py",
        "        if absent is not None:\n            self._note_absence(",
        "        if False:\n            self._note_absence(",
        (f"{IDENTITY}::test_b15_an_emptied_or_missing_root_marks_nothing_as_gone",),
    ),
    Mutant(
        "a photo replaced under equal size and mtime is missed",
        "syncd/daemon/intake.py",
        "            if known.get(name) != stamp[:4]:",
        "            if (known.get(name) or ())[:2] != stamp[:2]:",
        (f"{IDENTITY}::test_b9_another_photo_under_the_same_name_size_and_mtime_is_sent",),
    ),
    Mutant(
        "the worker gets the environment",
        "syncd/extract/process.py",
        '        env={"PYTHONPATH"',
        '        env={**os.environ, "PYTHONPATH"',
        (f"{SECRETS}::test_p2_the_worker_has_no_key_and_a_crash_tells_none",),
    ),
    Mutant(
        "the worker's memory has no limit",
        "syncd/extract/worker.py",
        "        (resource.RLIMIT_AS, memory),\n",
        "",
        ("tests/extract/test_extractor.py::test_e1_a_parser_that_fails_costs_only_the_metadata",),
    ),
    Mutant(
        "the log does not keep the key out",
        "syncd/cli/logs.py",
        "            if secret in text:",
        "            if False:",
        ("tests/cli/test_logs.py",),
    ),
    Mutant(
        "an answer that repeats the key is shown",
        "syncd/upload/client.py",
        "    return key in message or key.encode(",
        "    return False and key.encode(",
        ("tests/upload/test_client.py",),
    ),
    Mutant(
        "the budget of the day is ignored",
        "syncd/daemon/dispatch.py",
        "        if not self._settings.daily_uploads:\n            return None\n        return max(",
        "        if True:\n            return None\n        return max(",
        (f"{IDENTITY}::test_the_budget_of_the_day_holds_across_restarts",),
    ),
    Mutant(
        "symbolic links are followed",
        "syncd/watch/reach.py",
        "_PHOTO = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "_PHOTO = os.O_RDONLY | os.O_NONBLOCK",
        ("tests/watch/test_reach.py",),
    ),
    Mutant(
        "a linked folder is walked into",
        "syncd/watch/reach.py",
        "_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW",
        "_STEP = os.O_PATH | os.O_DIRECTORY",
        ("tests/watch/test_reach.py",),
    ),
    Mutant(
        "unanswered requests do not open the breaker",
        "syncd/upload/pace.py",
        "            run = gate.unanswered + 1\n",
        "            run = 0\n",
        ("tests/upload/test_pace.py",),
    ),
    Mutant(
        "a bad key does not pause the queue",
        "syncd/upload/pace.py",
        "            return paused(gate, answer.message, now)\n",
        "            return gate\n",
        (f"{REJECTIONS}::test_b12_a_bad_key_no_credits_or_a_closed_account_pause_the_queue_at_once",),
    ),
    Mutant(
        "escapes of names reach the terminal",
        "syncd/printable.py",
        'return f"\\\\x{code:02x}"',
        "return character",
        ("tests/whole/test_hostile_text.py",),
    ),
    Mutant(
        "any move of an entry is legal",
        "syncd/lifecycle.py",
        "    return after in MOVES[before]\n",
        "    return True\n",
        ("tests/test_lifecycle.py",),
    ),
    Mutant(
        "an answer that was kept beside the ledger is not recorded",
        "syncd/ledger/queue.py",
        "        kept = self._outcomes.kept()\n",
        "        kept: list[Kept] = []\n",
        ("tests/ledger/test_outcomes.py",),
    ),
    Mutant(
        "a full disk is called a thing for a person",
        "syncd/ledger/transactions.py",
        "        if code in _OF_THE_DISK:",
        "        if False:",
        (f"{LOOP}::test_d2_a_write_or_sync_of_the_ledger_fails",),
    ),
    Mutant(
        "writers begin without the lock on the ledger",
        "syncd/ledger/transactions.py",
        'driver.execute("BEGIN IMMEDIATE")',
        'driver.execute("BEGIN")',
        ("tests/ledger/test_store.py",),
    ),
    Mutant(
        "any number of known photos may become other pictures",
        "syncd/daemon/replacements.py",
        "return len(seen) > MOST",
        "return len(seen) < 0",
        ("tests/whole/test_mass_change.py::test_more_than_a_hundred_hold_their_folder_and_no_other",),
    ),
    Mutant(
        "what is owed in a held folder leaves",
        "syncd/ledger/sightings.py",
        "THEN 0 ELSE 2 END",
        "THEN 0 ELSE 0 END",
        ("tests/ledger/test_holds.py",),
    ),
    Mutant(
        "an older backup is believed",
        "syncd/ledger/restore.py",
        "in_doubt = not complete and",
        "in_doubt = not now and",
        ("tests/ledger/test_restore.py",),
    ),
    Mutant(
        "what turns up after a backup was put back is owed",
        "syncd/ledger/doubt.py",
        "    return first_scan or ",
        "    return False and ",
        ("tests/ledger/test_restore.py",),
    ),
    Mutant(
        "what was under way in a backup was not sent",
        "syncd/ledger/restore.py",
        "connection.execute(_MAY_BE_STORED)",
        "str(_MAY_BE_STORED)",
        ("tests/ledger/test_restore.py",),
    ),
    Mutant(
        "a scan marks as gone what came behind its back",
        "syncd/daemon/intake.py",
        "            if self._is_there(root, place):\n                self._again",
        "            if self._stop.is_set():\n                self._again",
        ("tests/whole/test_watching.py",),
    ),
    Mutant(
        "nothing is served in the middle of a scan",
        "syncd/daemon/interlude.py",
        "self._depth == _DEEPEST or",
        "self._depth < _DEEPEST or",
        ("tests/whole/test_watching.py::test_w17_what_arrives_in_the_middle_of_a_long_scan_is_served_at_once",),
    ),
    Mutant(
        "a day of 429 is insisted through",
        "syncd/upload/pace.py",
        "slower * 2.0 ** max(0, min(run, 32) - SLOW_ENOUGH)",
        "slower",
        ("tests/whole/test_storms.py",),
    ),
    Mutant(
        "a core may hold the key",
        "syncd/cli/wiring.py",
        "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n",
        "    resource.getrlimit(resource.RLIMIT_CORE)\n",
        (f"{SECRETS}::test_p2_the_worker_has_no_key_and_a_crash_tells_none",),
    ),
    Mutant(
        "a damaged ledger is believed",
        "syncd/ledger/migrate.py",
        "            _refuse_a_damaged_one(path)\n",
        "            pass\n",
        (f"{GUARD}::test_b7_a_ledger_that_is_gone_emptied_older_or_damaged_uploads_nothing",),
    ),

)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said of a tree: the first that failed, if one did."""

    failed: str | None
    code: int
    seconds: float
    said: str

    @property
    def caught(self) -> bool:
        return self.code == _CAUGHT and self.failed is not None


def judge(tree: Path, tests: Sequence[str]) -> Verdict:
    """Run tests in a tree, up to the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-rf", *tests]
    began = time.monotonic()
    ended = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    failed = re.search(r"^FAILED (.+?)(?: - .*)?$", ended.stdout, re.MULTILINE)
    said = ended.stdout[-1500:] + ended.stderr[-500:]
    return Verdict(failed[1] if failed else None, ended.returncode, time.monotonic() - began, said)


@contextmanager
def copied() -> Iterator[Path]:
    """Give a copy of the tree, without what is not part of it."""
    with tempfile.TemporaryDirectory(prefix="syncd-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(TOP, tree, ignore=_LEFT_OUT, symlinks=True)
        yield tree


def run(tree: Path, mutant: Mutant) -> Verdict:
    """Break a guarantee in the tree, ask the tests, and mend it again."""
    path = tree / mutant.file
    sound = path.read_text(encoding="utf-8")
    mutant.break_in(tree)
    try:
        return judge(tree, mutant.tests)
    finally:
        path.write_text(sound, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Break each core guarantee, and see that a test notices.")
    parser.add_argument("words", nargs="*", help="only mutants whose name holds one of these")
    words = parser.parse_args().words
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    survived = 0
    with copied() as tree:
        sound = judge(tree, sorted({test for mutant in chosen for test in mutant.tests}))
        if sound.code != _NOT_CAUGHT:
            sys.exit(f"the tests fail without any mutant:\n{sound.said}")
        say(f"without a mutant all pass: {sound.seconds:.0f} s")
        say("| guarantee broken | caught by | seconds |\n|---|---|---|")
        for mutant in chosen:
            verdict = run(tree, mutant)
            survived += not verdict.caught
            caught = f"`{(verdict.failed or '').removeprefix('tests/')}`" if verdict.caught else "**nothing**"
            say(f"| {mutant.name} | {caught} | {verdict.seconds:.0f} |")
            if not verdict.caught:
                sys.stderr.write(verdict.said + "\n")
    say(f"{len(chosen)} mutants, {survived} survived")
    return 1 if survived else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
