"""What the sandbox holds, in a folder: the images as files, and an index of JSON lines that survives any end.

DIR/images/ID.EXT    the bytes of each image
DIR/index.jsonl      one line for each request that was stored (all or nothing), and for each namespace made by a search
DIR/incoming/        uploads that are still arriving; emptied at start
DIR/lock             held by the one sandbox that uses the folder
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from syncd.errors import NotNowError, SetupError
from syncd.model import ImageType
from syncd.sandbox.contract import StoredImage, next_id
from syncd.sandbox.form import ArrivedFile

MODE: Final = 0o700


class Store:
    """The images and namespaces of a folder, which is made when missing. Not thread-safe: its owner holds a lock.

    Raises SetupError when the folder cannot be used, NotNowError while another sandbox uses it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.incoming = folder / "incoming"
        self._images_folder = folder / "images"
        self._index = folder / "index.jsonl"
        self._images: dict[str, StoredImage] = {}
        self._namespaces: set[str] = set()
        with ExitStack() as opened:
            try:
                for made in (self._folder, self.incoming, self._images_folder):
                    made.mkdir(mode=MODE, parents=True, exist_ok=True)
                opened.callback(os.close, self._take())
                for left in self.incoming.glob("*.part"):
                    left.unlink()
                self._log = os.open(self._index, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                opened.callback(os.close, self._log)
                self._load()
            except OSError as error:
                raise SetupError(
                    f"The sandbox cannot use the folder {self._folder}: {error.strerror}.",
                    hint="Choose another folder with --dir.",
                ) from error
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Let the folder go. What it holds can still be read."""
        self._opened.close()

    def images(self) -> list[StoredImage]:
        """All images, oldest first."""
        return list(self._images.values())

    def image(self, image_id: str) -> StoredImage | None:
        """Give the image with this id."""
        return self._images.get(image_id)

    def path(self, image: StoredImage) -> Path:
        """Where the bytes of an image lie."""
        return self._images_folder / f"{image.id}.{image.type}"

    def namespaces(self) -> list[str]:
        """Every namespace that was ever named, sorted."""
        return sorted(self._namespaces)

    def name(self, namespace: str) -> None:
        """Make a namespace, if it is new."""
        if namespace not in self._namespaces:
            self._append({"unique_id": namespace})
            self._namespaces.add(namespace)

    def add(self, arrived: Sequence[tuple[ArrivedFile, StoredImage]]) -> list[StoredImage]:
        """Keep all files of a request, or none: ids are given here, the index is written last. Raises OSError."""
        last = int(next(reversed(self._images), "0"))
        images: list[StoredImage] = []
        moved: list[Path] = []
        try:
            for file, unnamed in arrived:
                last = next_id(last, unnamed.created_at)
                image = replace(unnamed, id=str(last))
                images.append(image)
                sync(file.path)
                moved.append(file.path.rename(self.path(image)))
            sync(self._images_folder)
            self._append({"images": [asdict(image) for image in images]})
        except OSError:
            for path in moved:
                path.unlink(missing_ok=True)
            raise
        self._keep(images)
        return images

    def _keep(self, images: Sequence[StoredImage]) -> None:
        self._images |= {image.id: image for image in images}
        self._namespaces |= {image.unique_id for image in images}

    def _take(self) -> int:
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise NotNowError(
                f"Another sandbox is using the folder {self._folder}.",
                hint="Stop it first, or choose another folder with --dir.",
            ) from error
        return lock

    def _append(self, line: dict[str, object]) -> None:
        """Write one line durably. A write that failed half-way is taken back, so that the next line stays readable."""
        before = os.fstat(self._log).st_size
        raw = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        try:
            while raw:
                raw = raw[os.write(self._log, raw) :]
            os.fsync(self._log)
        except OSError:
            os.ftruncate(self._log, before)
            raise

    def _load(self) -> None:
        """Read the index. A last line without its end is what an interrupted write left: it was never answered."""
        whole, end, cut = self._index.read_bytes().rpartition(b"\n")
        if cut:
            os.ftruncate(self._log, len(whole) + len(end))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self._take_line(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise SetupError(
                    f"Line {number} of {self._index} is damaged: {error}.",
                    hint="Choose another folder with --dir, or remove this one to begin with an empty sandbox.",
                ) from error

    def _take_line(self, line: dict[str, object]) -> None:
        match line:
            case {"unique_id": str(namespace)}:
                self._namespaces.add(namespace)
            case {"images": list(rows)}:
                self._keep(
                    [StoredImage(**{**row, "type": ImageType(row["type"]), "tags": tuple(row["tags"])}) for row in rows]
                )
            case _:
                raise ValueError("neither images nor a namespace")


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
