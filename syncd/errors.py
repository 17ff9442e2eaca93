"""The one tree of errors of syncd.

SyncdError                 says what happened, and in `hint` what to do
├── SetupError             exit 78: nothing was sent, a person must put something right first
│   ├── ConfigError        the configuration cannot be used; carries every problem found
│   └── LedgerError        the ledger cannot be trusted or opened
│       ├── BusyError      exit 75: another program holds it; it will be right again by itself
│       └── LedgerDiskError  exit 75: its disk is full or fails; it may be right again by itself
├── NotNowError            exit 75: right as it is, but not at this moment
│   └── LockedError        another process holds the instance lock
├── IllegalMoveError       exit 1: the code asked the ledger for a move that lifecycle.MOVES does not have
├── ReachError             one file cannot be opened safely; the rest goes on
├── WorkerError            the extraction worker cannot be started or answers nonsense
├── HungError              a thread does not end: a disk or network folder hangs
└── UsageError             exit 2: the command line asks for something that is not there
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final


class SyncdError(Exception):
    """Something that a user has to know: what happened, and what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SetupError(SyncdError):
    """Nothing can start before a person has put something right."""

    exit_code = 78


class ConfigError(SetupError):
    """The configuration cannot be used. `problems` has one sentence for each thing that is wrong."""

    def __init__(self, message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class LedgerError(SetupError):
    """The ledger cannot be opened, or what it says cannot be trusted. Nothing is uploaded meanwhile."""


class BusyError(LedgerError):
    """Another program holds a transaction open on the ledger: not a thing to put right, but to wait for."""

    exit_code = 75


class LedgerDiskError(LedgerError):
    """The ledger cannot be written or read at the moment: its disk is full or fails.

    It may pass without a person, so the service manager is to start syncd again.
    """

    exit_code = 75


PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What the kernel says of a file when the file is not to blame, and trying again may help."""


def ledger_error(cause: OSError, message: str, *, hint: str = "") -> LedgerError:
    """Make the error for a file of the ledger that cannot be used: one that may pass by itself, or one that cannot."""
    kind = LedgerDiskError if cause.errno in PASSING else LedgerError
    return kind(message, hint=hint)


class NotNowError(SyncdError):
    """Everything is right, but it cannot be done at this moment."""

    exit_code = 75


class LockedError(NotNowError):
    """Another process holds the instance lock of this ledger."""


class IllegalMoveError(SyncdError):
    """An entry was to be moved between two states that lifecycle.MOVES does not join."""


class ReachError(SyncdError):
    """One file cannot be opened safely, or is not a regular file (any more)."""


class WorkerError(SyncdError):
    """The extraction worker cannot be started, or answered something that is no answer."""


class HungError(SyncdError):
    """A thread of the daemon does not go on, and does not end."""


class UsageError(SyncdError):
    """The command line names something that does not exist."""

    exit_code = 2
