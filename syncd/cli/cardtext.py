"""The verdict on a card, as lines for a person and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from syncd.card.medium import Way
from syncd.card.report import Finding, Report, Sending, Standing
from syncd.cli.output import amount, size
from syncd.printable import path_json, path_text, printable

if TYPE_CHECKING:
    from syncd.cli.carding import Outcome

_MEANING = {
    Standing.COPIED: "copied now, each read back from the disk and compared",
    Standing.KNOWN: "known: a verified copy was there before",
    Standing.NEW: "new: never imported",
    Standing.LOST: "imported before, and the copy is not there any more",
    Standing.UNREADABLE: "unreadable: the card does not give them",
    Standing.NOT_COPIED: "read, but not copied",
    Standing.NOT_READ: "not reached",
}


def report_json(outcome: Outcome) -> dict[str, Any]:
    """Give the verdict with the fields that programs rely on."""
    report = outcome.report
    return {
        "source": path_json(outcome.source),
        "label": outcome.label,
        "whole_card": outcome.whole,
        "safe_to_format": report.is_safe,
        "exit_code": report.exit_code,
        "files": report.files,
        "bytes": report.size,
        "safe": report.safe_files,
        "counts": {standing.value: report.counts[standing] for standing in Standing},
        "uploads": {sending.value: report.sendings[sending] for sending in Sending},
        "elsewhere": report.elsewhere,
        "in_memory": [path_json(path) for path in outcome.in_memory],
        "system_files": report.system,
        "read_back": dict(report.ways),
        "stopped": report.stopped or None,
        "interrupted": report.interrupted,
        "changed_meanwhile": report.changed,
        "destinations": [path_json(path) for path in outcome.destinations],
        "manifests": [path_json(path) for path in outcome.manifests],
        "not_safe": [_finding_json(finding) for finding in report.unsafe],
    }


def report_lines(outcome: Outcome) -> Iterator[str]:
    """Give the verdict for a person: the counts, every file that is not safe with the reason, and the sentence."""
    report = outcome.report
    where = f"{printable(outcome.label)} ({path_text(outcome.source)})"
    yield f"{where}: {amount(report.files, 'file')}, {size(report.size)}"
    for standing in Standing:
        if report.counts[standing]:
            yield f"  {report.counts[standing]:>7,} {_MEANING[standing]}"
    if report.ways[Way.DROPPED]:
        through = f"{report.ways[Way.DROPPED]:,} of the copies were read back"
        yield f"          ({through} through the page cache, after it was dropped: past it is not possible there)"
    if report.system:
        left = amount(report.system, "file or folder", "files and folders")
        yield f"  ({left} that computers left there, like trash, are not counted)"
    sent = [f"{report.sendings[sending]:,} {sending}" for sending in Sending if report.sendings[sending]]
    if sent:
        yield f"  of the safe ones: {', '.join(sent)}"
    if outcome.destinations:
        yield f"  copies in {', '.join(path_text(path) for path in outcome.destinations)}"
    if report.elsewhere:
        kept = amount(report.elsewhere, "of them lies", "of them lie")
        yield f"  {kept} elsewhere, from an earlier import; --again copies them here"
    for path in outcome.manifests:
        yield f"  listed in {path_text(path)}"
    yield from _unsafe_lines(report)
    for path in outcome.in_memory:
        yield f"warning: {path_text(path)} lies in memory (tmpfs): what is in it is gone when the machine goes off"
    yield sentence(outcome)


def sentence(outcome: Outcome) -> str:
    """Give the verdict as one sentence."""
    report = outcome.report
    if report.is_safe:
        each = "its one file" if report.files == 1 else f"each of the {report.files:,} files"
        text = f"SAFE TO FORMAT: {each} has a verified copy"
        if report.files == 0:
            text = "SAFE TO FORMAT: there is no file on it"
        if report.wants_uploads and report.files:
            text += ", and each photo that is to be sent is uploaded"
        rest = (
            "." if outcome.whole else f". This speaks of {path_text(outcome.source)} alone, not of what lies beside it."
        )
        return text + rest
    if report.stopped:
        return f"NOT SAFE TO FORMAT: {report.stopped}."
    if report.interrupted:
        return (
            f"NOT SAFE TO FORMAT: interrupted. {amount(report.safe_files, 'file')} safe so far; "
            "the same command goes on with the rest."
        )
    return _what_is_lacking(report)


def _what_is_lacking(report: Report) -> str:
    lacking = report.files - report.safe_files
    if lacking:
        named = amount(lacking, "file has no verified copy; it is", "files have no verified copy; they are")
        return f"NOT SAFE TO FORMAT: {named} named above."
    if report.changed:
        return "NOT SAFE TO FORMAT: files on the card came, went or changed meanwhile; run it once more."
    held = report.sendings[Sending.HELD]
    if held:
        waiting = amount(held, "photo waits", "photos wait")
        return f"NOT YET: every file has a verified copy, but {waiting} for a person: see `syncd resolve` and `retry`."
    waiting = amount(len(report.unsafe), "photo is not uploaded; it is", "photos are not uploaded; they are")
    return f"NOT YET: every file has a verified copy, but {waiting} named above."


def _unsafe_lines(report: Report) -> Iterator[str]:
    before = None
    for finding in report.unsafe:
        reason = _reason(finding)
        if reason != before:
            yield f"not safe: {printable(reason)}"
            before = reason
        yield f"  {path_text(finding.file.relative)}"


def _reason(finding: Finding) -> str:
    if finding.standing.is_safe:
        return f"{finding.sending}{': ' if finding.sending_reason else ''}{finding.sending_reason}"
    return f"{finding.standing}: {finding.reason}" if finding.reason else finding.standing.value


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "path": path_json(finding.file.relative),
        "size": finding.file.size,
        "standing": finding.standing.value,
        "reason": _reason(finding) if finding.standing.is_safe else finding.reason,
        "sha256": finding.prints.digest if finding.prints else None,
        "copies": [path_json(path) for path in finding.copies],
        "upload": finding.sending.value,
        "image_ids": list(finding.image_ids),
    }
