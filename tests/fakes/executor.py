"""Executors that let a test decide when the work of other threads is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class StepExecutor(Executor):
    """Work waits until `step` does it, in the caller's thread. With `inline` it is done at once."""

    def __init__(self, *, inline: bool = True) -> None:
        self.inline = inline
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.append(lambda: _do(future, lambda: fn(*args, **kwargs)))
        if self.inline:
            self.step()
        return future

    def step(self) -> bool:
        """Do one piece of work; tell whether there was one."""
        if not self._waiting:
            return False
        self._waiting.popleft()()
        return True


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 -- as the pool of the standard library does it
        future.set_exception(error)
