"""A reader of made-up photos: bytes whose picture, metadata and fitness are there to be read without any decoder.

`P<picture>;C<camera>;D<seconds>;...` where D is the capture time, counted from the start of 2024; a photo whose bytes
begin with `X` is damaged. What follows the third `;` is metadata: it changes the digest and not the picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta

from syncd.errors import NotNowError
from syncd.model import Capture, ImageType, Photo, Unfit, UnfitCode

_START = datetime(2024, 1, 1)  # noqa: DTZ001 -- a camera's wall clock has no zone


def photo_bytes(picture: str, *, camera: str = "", taken: int | None = None, more: str = "", fit: bool = True) -> bytes:
    """Make the bytes of a photo."""
    head = "P" if fit else "X"
    date = "" if taken is None else str(taken)
    return f"{head}{picture};C{camera};D{date};{more}".encode()


class FakeReader:
    """Reads whole files at once. `meanwhile` is called between the first and the last look, as a writer would be."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] | None = None
        self.fails: OSError | None = None
        self.begun = 0
        self.reads = 0
        self.retired = 0

    def begin(self, fd: int) -> None:
        self.begun += 1

    def extract(self, fd: int, *, begun: object = None, stop: Callable[[], bool] | None = None) -> Photo:
        if stop is not None and stop():
            raise NotNowError("stopped")
        self.reads += 1
        if self.fails is not None:
            raise self.fails
        content = os.pread(fd, 1 << 26, 0)
        if self.meanwhile is not None:
            self.meanwhile()
        picture, _, rest = content.decode().partition(";")
        camera, _, rest = rest.partition(";")
        date = rest.partition(";")[0].removeprefix("D")
        capture = Capture(
            taken_at=_START + timedelta(seconds=int(date)) if date else None,
            camera_model=camera.removeprefix("C") or None,
        )
        return Photo(
            digest=hashlib.sha256(content).hexdigest(),
            picture_digest=hashlib.md5(picture.encode()).hexdigest(),
            size=len(content),
            type=ImageType.JPEG,
            capture=capture,
            unfit=None if content[:1] == b"P" else Unfit(UnfitCode.DAMAGED, "it begins with an X"),
        )

    def retire_if_idle(self) -> None:
        self.retired += 1
