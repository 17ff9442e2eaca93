"""Reads a multipart upload as it streams in: files go to disk and are hashed on the way, so memory stays small.

What is wrong with the contents is judged by `contract`; here only a form that cannot be read at all is an error.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from syncd.sandbox.contract import SIZE_LIMIT, START_BYTES, FilePart

FIELD_LIMIT: Final = 65_536
"""Bytes of one field's value."""
FIELDS_LIMIT: Final = 256
BUFFER: Final = 262_144


class FormError(Exception):
    """The body is not a form that can be read. Says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ArrivedFile:
    """A file of a request that is on disk, and not yet part of the account."""

    part: FilePart
    sha256: str
    path: Path


class OpenFile:
    """A file that is arriving. Bytes above the service's limit are counted and not kept."""

    def __init__(self, name: str, content_type: str, path: Path) -> None:
        self._name = name
        self._content_type = content_type
        self._path = path
        self._stream = path.open("xb", buffering=BUFFER)
        self._digest = hashlib.sha256()
        self._size = 0
        self._start = b""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._size += len(chunk)
        if self._size > SIZE_LIMIT:
            return
        if len(self._start) < START_BYTES:
            self._start += chunk[: START_BYTES - len(self._start)]
        self._digest.update(chunk)
        self._stream.write(chunk)

    def finish(self) -> ArrivedFile:
        """Close it and say what it is."""
        self.close()
        part = FilePart(self._name, self._content_type, self._size, self._start)
        return ArrivedFile(part, self._digest.hexdigest(), self._path)

    def close(self) -> None:
        """Close the file on disk."""
        self._stream.close()


class FormReader:
    """Takes the chunks of one body. `finish` ends it; `discard` in any case, when what is to be kept was moved away.

    Of more than `most_files` + 1 files the rest is passed over: the request will be rejected for them anyway.
    """

    def __init__(self, content_type: str, folder: Path, most_files: int) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[ArrivedFile] = []
        self._folder = folder
        self._most_files = most_files
        self._names: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._field: tuple[str, bytearray] | None = None
        self._file: OpenFile | None = None
        self._kept: list[Path] = []
        self._ended = False
        self._broken: Exception | None = None
        self._parser: MultipartParser | None = None
        try:
            self._parser = self._make_parser(content_type)
        except FormError as error:
            self._broken = error

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body. After the first error the rest is passed over; `finish` raises it."""
        if self._parser is None or self._broken is not None:
            return
        try:
            self._parser.write(chunk)
        except FormParserError:
            self._broken = FormError("The multipart body is malformed.")
        except (FormError, OSError) as error:
            self._broken = error

    def finish(self) -> None:
        """End the body. Raises FormError when it is no whole form, OSError when the disk did not take a file."""
        if self._broken is not None:
            raise self._broken
        if not self._ended:
            raise FormError("The multipart body ends before its closing boundary.")

    def discard(self) -> None:
        """Remove what was kept on disk and has not been moved away since."""
        if self._file is not None:
            self._file.close()
        for path in self._kept:
            path.unlink(missing_ok=True)

    def _make_parser(self, content_type: str) -> MultipartParser:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise FormError("The Content-Type must be multipart/form-data with a boundary.")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._names.clear,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise FormError("The boundary of the multipart body is too long.") from error

    def _on_header_end(self) -> None:
        name, value = self._header
        self._names[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._names.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise FormError("A part has no Content-Disposition with a name.")
        name = text(options[b"name"])
        if b"filename" not in options:
            if len(self.fields) >= FIELDS_LIMIT:
                raise FormError(f"The form has over {FIELDS_LIMIT} fields.")
            self._field = (name, bytearray())
            return
        if name != "files":
            raise FormError(f"The file part {name} must be named files.")
        if len(self.files) > self._most_files:
            return
        path = self._folder / f"{secrets.token_hex(8)}.part"
        self._kept.append(path)
        content_type = text(self._names.get(b"content-type", b""))
        self._file = OpenFile(text(options[b"filename"]), content_type, path)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        elif self._field is not None:
            self._field[1].extend(data[start:end])
            if len(self._field[1]) > FIELD_LIMIT:
                raise FormError(f"The field {self._field[0]} is too long.")

    def _on_part_end(self) -> None:
        if self._file is not None:
            self.files.append(self._file.finish())
            self._file = None
        elif self._field is not None:
            name, value = self._field
            self.fields.append((name, text(bytes(value))))
            self._field = None

    def _on_end(self) -> None:
        self._ended = True


def text(raw: bytes) -> str:
    """Decode a name or a value of the form."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormError("A name or value of the form is not UTF-8.") from error
