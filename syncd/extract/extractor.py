"""The parent's side of extraction: hands open files to the worker and bounds what a hostile one can do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from syncd.errors import WorkerError
from syncd.extract.fingerprint import Fingerprint
from syncd.extract.process import LostError, WorkerProcess
from syncd.extract.wire import Task, Unreadable, decode_capture, decode_fingerprint
from syncd.model import Capture, Dropped, Photo

_PROGRAM: Final = ("-m", "syncd.extract.worker")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    time_limit: float
    """Seconds, for parsing only: reading a large file may take its time."""
    memory_limit: int
    """Bytes of address space of the worker."""


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """A file that a worker was asked for. Each is another, whatever it holds."""

    worker: WorkerProcess


class Extractor:
    """Reads photos through a worker process that is started when needed and serves many files.

    Not thread-safe: one for each thread. The worker dies with the thread that started it.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        idle_after: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
        program: Sequence[str] = _PROGRAM,
        noted: Callable[[str, str], None] = lambda _digest, _checksum: None,
    ) -> None:
        """`idle_after` in seconds; `program` are the arguments to Python that run the worker.

        `noted` hears the digest and the checksum of each large file.
        """
        self._limits = limits
        self._idle_after = idle_after
        self._monotonic = monotonic
        self._program = tuple(program)
        self._noted = noted
        self._worker: WorkerProcess | None = None
        self._begun: deque[Begun] = deque()
        """What the present worker was asked for and has not been taken from it, in its order."""
        self._used_at = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker, where one is running."""
        return self._worker.pid if self._worker else None

    def begin(self, fd: int) -> Begun | None:
        """Have the worker read a file while other things are done; `extract` then takes what it found.

        What is begun is to be extracted in the same order, from the same descriptor. None: it cannot be begun, and
        `extract` will do it all.
        """
        try:
            begun = Begun(self._ready())
            begun.worker.ask(Task.EXTRACT, fd)
        except (LostError, WorkerError):
            return None  # the same will come out of `extract`, which knows what to do
        self._begun.append(begun)
        return begun

    def extract(self, fd: int, *, begun: Begun | None = None, stop: Callable[[], bool] | None = None) -> Photo:
        """Read an open regular file from its start, whatever its offset; or take what was begun with it.

        Metadata that cannot be parsed within the limits is left out, with the reason in `capture.dropped`. Raises
        OSError where the file cannot be read, WorkerError where no worker can be had, NotNowError once `stop` says so.
        """
        # A worker that has served may be lost for reasons of its own: only a fresh one's death is blamed on the file.
        tasks = [Task.EXTRACT, Task.HASH] if self._worker is None else [Task.EXTRACT, Task.EXTRACT, Task.HASH]
        reasons: list[str] = []
        for task in tasks:
            try:
                photo = self._attempt(fd, task, begun, stop)
            except LostError as lost:
                self.close()
                reasons.append(str(lost))
            except BaseException as error:
                if not isinstance(error, OSError):
                    self.close()
                raise
            else:
                self._used_at = self._monotonic()
                return _without_capture(photo, f"the parser {reasons[-1]}") if task is Task.HASH else photo
        raise WorkerError(
            f"the extraction worker {reasons[-1]}",
            hint="Look at the memory that is free and at memory_limit under [extract] in the configuration.",
        )

    def retire_if_idle(self) -> None:
        """End the worker once it has had nothing to do for `idle_after` seconds."""
        if self._worker and self._monotonic() - self._used_at >= self._idle_after:
            self.close()

    def close(self) -> None:
        """End the worker. The extractor stays usable: the next file starts another."""
        worker, self._worker = self._worker, None
        self._begun.clear()
        if worker:
            worker.end()

    def _ready(self) -> WorkerProcess:
        if self._worker is None:
            self._worker = WorkerProcess(self._program, self._limits.memory_limit)
        return self._worker

    def _asked(self, fd: int, task: Task, begun: Begun | None) -> WorkerProcess:
        """Give the worker whose next answer is that of a file: it was begun, or is asked for now."""
        if begun is not None and self._begun and self._begun[0] is begun:
            self._begun.popleft()
            return begun.worker
        if self._begun:
            # Something that was begun was given up: its answers must not be taken for those of another file.
            self.close()
        worker = self._ready()
        worker.ask(task, fd)
        return worker

    def _attempt(self, fd: int, task: Task, begun: Begun | None, stop: Callable[[], bool] | None) -> Photo:
        """Ask once. Raises LostError where the worker is lost before it knows what the bytes are."""
        worker = self._asked(fd, task, begun)
        found = _believe(decode_fingerprint, worker.receive(seconds=None, stop=stop))
        if isinstance(found, Unreadable):
            raise OSError(found.errno, found.message)
        if found.checksum is not None:
            self._noted(found.digest, found.checksum)
        try:
            answer = worker.receive(seconds=self._limits.time_limit, stop=stop)
            return _photo(found, _believe(decode_capture, answer))
        except TimeoutError:
            reason = f"the parser ran out of time ({self._limits.time_limit:g} s)"
        except LostError as lost:
            reason = f"the parser {lost}"
        self.close()
        return _without_capture(_photo(found, Capture()), reason)


def _believe(decode: Callable[[bytes], _T], message: bytes) -> _T:
    try:
        return decode(message)
    except ValueError as error:
        raise LostError(f"gave no valid answer ({error})") from None


def _photo(found: Fingerprint, capture: Capture) -> Photo:
    return Photo(found.digest, found.picture_digest, found.size, found.type, capture, found.unfit)


def _without_capture(photo: Photo, reason: str) -> Photo:
    dropped = Dropped("all", "", reason)
    return Photo(photo.digest, photo.picture_digest, photo.size, photo.type, Capture(dropped=(dropped,)), photo.unfit)
