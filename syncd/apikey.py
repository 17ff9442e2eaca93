"""The key of the service: where it is looked for, and a value that never shows it by accident."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from syncd.errors import ConfigError
from syncd.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.settings import Settings

USUAL_PREFIX: Final = "sk-mavi-"
_CREDENTIAL: Final = "api-key"
BESIDE: Final = "api-key"
"""The name of the key's file beside the configuration file."""
KEY_VARIABLE: Final = "SYNCD_API_KEY"
"""Nothing that syncd starts gets it."""
_LONGEST_KEY: Final = 4096


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the service. `str` and `repr` say where it came from; only `reveal` gives it."""

    _secret: str = field(repr=False)
    source: str
    """A path or the name of a variable."""
    warnings: tuple[str, ...] = ()

    def reveal(self) -> str:
        """Give the key itself, for the Authorization header and nothing else."""
        return self._secret

    def __str__(self) -> str:
        return f"the API key of {self.source}"


def read_key(settings: Settings, env: Mapping[str, str]) -> ApiKey:
    """Read the key, or raise ConfigError.

    From `key_file`, else systemd's credential `api-key`, else the file `api-key` beside the configuration file, else
    $SYNCD_API_KEY. A `key_file` that is set is the only place looked at: another key could belong to another account.
    """
    api, beside = settings.api, settings.source.parent / BESIDE
    credential = Path(env["CREDENTIALS_DIRECTORY"], _CREDENTIAL) if env.get("CREDENTIALS_DIRECTORY") else None
    if api.key_file is not None:
        return _from_file(api.key_file)
    if credential is not None and os.path.lexists(credential):
        return _from_file(credential)
    if os.path.lexists(beside):
        return _from_file(beside)
    if KEY_VARIABLE in env:
        return _checked(env[KEY_VARIABLE], f"${KEY_VARIABLE}", ())
    raise ConfigError(
        f"there is no API key: api.key_file is not set, there is no systemd credential {_CREDENTIAL}, "
        f"no file {printable(str(beside))}, and ${KEY_VARIABLE} is not set",
        hint=f"write the key into a file that only you can read: (umask 077; cat > {printable(str(beside))})",
    )


def _from_file(path: Path) -> ApiKey:
    name = printable(str(path))
    try:
        status, content = _read(path)
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise ConfigError(
            f"the key file {name} {what}", hint="write the key into it, or correct key_file in [api]"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"the key file {name} is not a regular file", hint="name a file as key_file in [api]")
    warnings = []
    if status.st_mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        mode = stat.S_IMODE(status.st_mode)
        warnings.append(f"others can read or change the key file {name} (mode {mode:o}); do: chmod 600 {name}")
    # Latin-1 takes every byte, so that what does not belong there is found and named below.
    return _checked(content.removeprefix(b"\xef\xbb\xbf").decode("latin-1"), name, tuple(warnings))


def _read(path: Path) -> tuple[os.stat_result, bytes]:
    """Give the status of a file, and its start if it is a regular one."""
    # Not blocking: a FIFO in the place of the key would otherwise hold the start up for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        return status, os.read(descriptor, _LONGEST_KEY + 1) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(descriptor)


def _checked(text: str, source: str, warnings: tuple[str, ...]) -> ApiKey:
    """Refuse what can be no key. What it says is never part of the message."""
    key = text.strip(" \t\r\n")
    if not key:
        raise ConfigError(f"the API key of {source} is empty", hint="put the key there, on one line")
    problem = None
    if len(key) > _LONGEST_KEY:
        problem = "is far too long to be one"
    elif key.casefold().startswith(("bearer ", "authorization:")):
        problem = "starts with more than the key"
    elif key[0] in "\"'" or key[-1] in "\"'":
        problem = "stands in quotes"
    elif any(character.isspace() for character in key):
        problem = "has blanks or more than one line"
    elif not (key.isascii() and key.isprintable()):
        at = next(n for n, character in enumerate(key, 1) if not (character.isascii() and character.isprintable()))
        problem = f"has a character at position {at} that cannot stand in a header"
    if problem:
        raise ConfigError(
            f"the API key of {source} {problem}", hint=f"put the key alone there, on one line: {USUAL_PREFIX}..."
        )
    if not key.startswith(USUAL_PREFIX):
        warnings = (*warnings, f"the API key of {source} does not start with {USUAL_PREFIX}: is it the right one?")
    return ApiKey(key, source, warnings)
