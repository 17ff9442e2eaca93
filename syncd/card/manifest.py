"""The lists that an import leaves beside its copies: JSON with everything, and a media hash list for professionals.

MHL v1.1 (mediahashlist.org) is one XML file beside the files, whose paths are relative to it, and whose hash is
XXH64 in big-endian hex. What its XML cannot hold (names that are not UTF-8, control characters) stands in the JSON.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import tempfile
from datetime import UTC, datetime
from typing import IO, Any, Final
from xml.sax.saxutils import escape

from syncd import __version__
from syncd.card import placing
from syncd.card.destination import PREFIX, SUFFIX, Destination
from syncd.card.naming import numbered, safe_label
from syncd.card.report import Finding, Standing
from syncd.printable import path_json

FORMAT: Final = "syncd import 1"
_KEPT_IN_MEMORY: Final = 1 << 20


class Manifest:
    """The list for one destination: taken down while the import runs, written when it ends."""

    def __init__(self, destination: Destination, token: str, head: dict[str, Any], label: str) -> None:
        self._destination = destination
        self._token = token
        self._head = head
        self._label = label
        self._rows: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY)  # noqa: SIM115
        self._copied = 0

    def close(self) -> None:
        """Forget what was taken down."""
        self._rows.close()

    def note(self, finding: Finding) -> None:
        """Take one finding down, where a copy of the file lies at this destination."""
        start = self._destination.path.rstrip(b"/") + b"/"
        path = next((path for path in finding.copies if path.startswith(start)), None)
        if path is None or finding.prints is None or not finding.standing.is_safe:
            return
        self._copied += finding.standing is Standing.COPIED
        row = {
            "path": path_json(path[len(start) :]),
            "card_path": path_json(finding.file.relative),
            "size": finding.prints.size,
            "modified": _moment(finding.file.mtime_ns / 1e9),
            "sha256": finding.prints.digest,
            "xxh64": finding.prints.quick,
        }
        self._rows.write(json.dumps(row).encode("ascii") + b"\n")

    def write(self, verdict: dict[str, Any], started_at: float, ended_at: float) -> list[bytes]:
        """Write both lists; give their paths, none where this import copied nothing. Raises OSError."""
        if not self._copied:
            return []
        stamp = datetime.fromtimestamp(started_at).astimezone().strftime("%Y-%m-%d %H.%M.%S")
        stem = os.fsencode(f"{stamp} {safe_label(self._label)}")
        return [
            self._publish(stem, b".json", lambda file: self._write_json(file, verdict)),
            self._publish(stem, b".mhl", lambda file: self._write_mhl(file, started_at, ended_at)),
        ]

    def _publish(self, stem: bytes, ending: bytes, fill: Any) -> bytes:
        """Write a temporary file, sync it, give it a name that is free."""
        folder = self._destination.fd
        temporary = PREFIX + self._token.encode("ascii") + b"-list" + SUFFIX
        fd = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder
        )
        try:
            with os.fdopen(fd, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            for candidate in numbered(stem, longest=len(ending)):
                with contextlib.suppress(FileExistsError):
                    placing.place(folder, temporary, folder, candidate + ending)
                    placing.sync_folder(folder)
                    return self._destination.absolute(b"", candidate + ending)
        except BaseException:
            self._destination.unlink_temporary(temporary)
            raise
        raise AssertionError("unreachable: numbers do not end")

    def _lines(self) -> Any:
        self._rows.seek(0)
        return iter(self._rows)

    def _write_json(self, file: IO[bytes], verdict: dict[str, Any]) -> None:
        head = json.dumps({"format": FORMAT, **self._head, "verdict": verdict}, indent=1)
        file.write(head.removesuffix("\n}").encode("ascii") + b',\n "files": [')
        separator = b"\n  "
        for line in self._lines():
            file.write(separator + line.rstrip(b"\n"))
            separator = b",\n  "
        file.write(b"\n ]\n}\n")

    def _write_mhl(self, file: IO[bytes], started_at: float, ended_at: float) -> None:
        said = [
            ("name", getpass.getuser()),
            ("username", getpass.getuser()),
            ("hostname", socket.gethostname()),
            ("tool", f"syncd {__version__}"),
            ("startdate", _moment(started_at)),
            ("finishdate", _moment(ended_at)),
        ]
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<hashlist version="1.1">', " <creatorinfo>"]
        lines += [f"  <{tag}>{escape(text)}</{tag}>" for tag, text in said]
        file.write(("\n".join([*lines, " </creatorinfo>"]) + "\n").encode())
        left_out = 0
        for line in self._lines():
            row = json.loads(line)
            if not _fits_xml(row["path"]):
                left_out += 1
                continue
            file.write(
                f" <hash>\n  <file>{escape(row['path'])}</file>\n  <size>{row['size']}</size>\n"
                f"  <lastmodificationdate>{row['modified']}</lastmodificationdate>\n"
                f"  <xxhash64be>{row['xxh64']}</xxhash64be>\n  <hashdate>{_moment(ended_at)}</hashdate>\n"
                " </hash>\n".encode()
            )
        if left_out:
            file.write(b" <!-- %d more, whose names XML cannot hold, stand in the JSON list alone -->\n" % left_out)
        file.write(b"</hashlist>\n")


def _fits_xml(text: str) -> bool:
    """Tell whether XML 1.0 can hold a text (its production Char)."""
    return all(c in "\t\n" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" for c in text)


def _moment(seconds: float) -> str:
    """Write a moment; one that no calendar has (a damaged file system) as the epoch."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
