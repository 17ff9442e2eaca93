"""What is a candidate by its name, and why everything else is ignored. Pure.

Two layers. The defaults below hold everywhere and cannot be switched off by a pattern, so that a broad `!*.jpg` never
brings back trash or half-written files; whoever wants the photos of a hidden folder watches that folder itself, for
only what lies below a root is judged. Then come the patterns of the folder, in gitignore syntax.

- system folder: `@eaDir`, `#recycle`, `$RECYCLE.BIN`, `lost+found`, `.thumbnails`, `.Trash-1000`, ... (SYSTEM_FOLDERS)
- temporary or partial: `*.part`, `*.crdownload`, `*~`, `~$*`, `.syncthing.*`, `.nfs*`, rsync's `.name.XXXXXX`, ...
- hidden: every other name that starts with a dot, `._*` among them
- by extension: sidecars, videos, images that the service does not take, and everything else
- excluded by your pattern: `exclude` of the folder
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from syncd.errors import ConfigError
from syncd.model import EXTENSIONS

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Ignored(StrEnum):
    """Why a file on disk is no candidate. The values are what `status` shows."""

    HIDDEN = "hidden"
    SYSTEM = "system folder"
    TEMPORARY = "temporary or partial"
    EXCLUDED = "excluded by your pattern"
    SYMLINK = "symbolic link"
    SPECIAL = "not a regular file"
    UNSUPPORTED_IMAGE = "image format the service does not take"
    VIDEO = "video"
    SIDECAR = "sidecar"
    OTHER = "not an image"
    UNREADABLE = "cannot be read"


_SYSTEM_FOLDERS = """
    @eadir #recycle #snapshot @recycle @recently-snapshot @__thumb .@__thumb @tmp
    $recycle.bin recycler lost+found lost.dir .trash .trashes .dtrash
    .thumbnails .thumbnail .thumbs .picasaoriginals
    __macosx .appledouble .spotlight-v100 .fseventsd .temporaryitems .documentrevisions-v100
    .stfolder .stversions .sync .dropbox.cache .snapshots .snapshot .zfs .rsync-partial .rsync-tmp .~tmp~
"""
SYSTEM_FOLDERS: Final = frozenset(_SYSTEM_FOLDERS.encode().split()) | {b"system volume information"}
"""Names of folders, in lower case, that never hold the person's own photos: network storage (Synology, QNAP), trash and
repair, thumbnails, leavings of other systems, sync and backup tools. `.Trash-<uid>` is added by its prefix."""

_TEMPORARY_EXTENSIONS = """
    tmp temp part partial crdownload download opdownload filepart swp !sync !ut !qb aria2 bts
"""
_UNSUPPORTED_IMAGES = """
    heic heif hif heics avif avifs jxl jp2 j2k jpf jpx jpm j2c tif tiff apng jps insp psd psb xcf svg ico pcx tga
    exr hdr qoi 3fr ari arw bay cap cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw
    orf pef ptx pxn r3d raf raw rw2 rwl rwz sr2 srf srw x3f
"""
_VIDEOS = """
    mp4 mov m4v avi mkv 3gp 3g2 mts m2ts m2t mpg mpeg mpe wmv asf flv webm vob mod tod insv lrv dv ogv qt 360
"""
_SIDECARS = """
    xmp aae thm pp3 dop on1 arp cos rws vrd nksc xmf exif mie pto
"""
_TYPES: Final[dict[bytes, Ignored | None]] = {
    **dict.fromkeys(_TEMPORARY_EXTENSIONS.encode().split(), Ignored.TEMPORARY),
    **dict.fromkeys(_UNSUPPORTED_IMAGES.encode().split(), Ignored.UNSUPPORTED_IMAGE),
    **dict.fromkeys(_VIDEOS.encode().split(), Ignored.VIDEO),
    **dict.fromkeys(_SIDECARS.encode().split(), Ignored.SIDECAR),
    **dict.fromkeys((extension.encode() for extension in EXTENSIONS), None),
}
"""By extension, in lower case. None: a candidate. What is not here is OTHER."""

_TEMPORARY_PREFIXES: Final = (
    b"~$",  # office programs
    b"~syncthing~",
    b".syncthing.",
    b".goutputstream-",  # GLib, when it replaces a file
    b".nfs",  # deleted, but still open on NFS
    b".fuse_hidden",
    b".smbdelete",
    b".~lock",
    b".pending-",  # Android, while the camera writes
    b".trashed-",  # Android's trash
    b".com.google.Chrome.",
)
_TEMPORARY_SHAPES: Final = re.compile(
    rb"\..+\.[A-Za-z0-9]{6}"  # rsync: .name.XXXXXX
    rb"|\..+\.~[0-9a-f]+",  # Nextcloud: .name.~1a2b
    re.DOTALL,
)
_MARKS: Final = frozenset(b".~")
"""First characters that may say more than the extension."""
_BY_LAST_FOUR: Final[dict[bytes, Ignored | None]] = {
    b"." + spelling: reason
    for extension, reason in _TYPES.items()
    if len(extension) == 3
    for spelling in (extension, extension.upper())
}


class Filter:
    """What one folder of the configuration ignores. `exclude` has gitignore syntax, relative to the folder.

    Raises ConfigError, naming every pattern that cannot be used.
    """

    def __init__(self, exclude: Sequence[str]) -> None:
        self._patterns = [line for line in exclude if line]
        self._spec = _compile(self._patterns) if self._patterns else None
        self._searches = [p.regex.search for p in self._spec.patterns if p.regex is not None] if self._spec else []

    def file(self, folder: bytes, name: bytes) -> Ignored | None:
        """Judge a file by its name and the patterns; None: a candidate. Its folders are judged by `folder`."""
        # Called for every file of every rescan: the common names are decided by their last four bytes alone.
        if name[0] in _MARKS:
            reason = _by_first_character(name)
        else:
            try:
                reason = _BY_LAST_FOUR[name[-4:]]
            except KeyError:
                reason = _by_extension(name)
        if reason is None and self._spec is not None and self._excluded(folder + b"/" + name if folder else name):
            return Ignored.EXCLUDED
        return reason

    def folder(self, folder: bytes) -> Ignored | None:
        """Judge a folder below the root and the folders it lies in. A reason holds for all that is below."""
        end = 0
        while end >= 0 and folder:
            end = folder.find(b"/", end + 1)
            reason = self.subfolder(folder if end < 0 else folder[:end])
            if reason is not None:
                return reason
        return None

    def subfolder(self, folder: bytes) -> Ignored | None:
        """Judge the last component of a path alone: for a walk, which has judged those above on its way."""
        name = folder.rpartition(b"/")[2].lower()
        if name in SYSTEM_FOLDERS or name.startswith(b".trash-"):
            return Ignored.SYSTEM
        if name.startswith(b"."):
            return Ignored.HIDDEN
        return Ignored.EXCLUDED if self._spec is not None and self._excluded(folder + b"/") else None

    def why(self, folder: bytes, name: bytes) -> str | None:
        """Say in a sentence why a file is ignored, naming the folder or the pattern that decides. None: it is not."""
        parts = folder.split(b"/") if folder else []
        for depth in range(1, len(parts) + 1):
            path = b"/".join(parts[:depth])
            reason = self.subfolder(path)
            if reason is not None:
                return self._sentence(f"its folder {os.fsdecode(path)!r}", reason, path + b"/")
        reason = self.file(folder, name)
        path = folder + b"/" + name if folder else name
        return None if reason is None else self._sentence(f"its name {os.fsdecode(name)!r}", reason, path)

    def _excluded(self, path: bytes) -> bool:
        text = os.fsdecode(path)
        for search in self._searches:
            if search(text) is not None:
                # Only now does it matter which of the patterns has the last word.
                return self._spec is not None and self._spec.match_file(text)
        return False

    def _sentence(self, what: str, reason: Ignored, path: bytes) -> str:
        if reason is not Ignored.EXCLUDED or self._spec is None:
            return f"ignored by {what}: {reason}"
        index = self._spec.check_file(os.fsdecode(path)).index
        pattern = self._patterns[index] if index is not None else "?"
        return f"ignored by {what}: excluded by your pattern {pattern!r}"


def _by_first_character(name: bytes) -> Ignored | None:
    if name.startswith(_TEMPORARY_PREFIXES):
        return Ignored.TEMPORARY
    if not name.startswith(b"."):
        return _by_extension(name)
    by_extension = _TYPES.get(name.rpartition(b".")[2].lower())
    if by_extension is Ignored.TEMPORARY or _TEMPORARY_SHAPES.fullmatch(name):
        return Ignored.TEMPORARY
    return Ignored.HIDDEN


def _by_extension(name: bytes) -> Ignored | None:
    _, dot, extension = name.rpartition(b".")
    reason = _TYPES.get(extension.lower(), Ignored.OTHER) if dot else Ignored.OTHER
    return Ignored.TEMPORARY if reason is Ignored.OTHER and name.endswith(b"~") else reason


def _compile(patterns: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (thirty modules, for those who have patterns)

    problems = []
    for pattern in patterns:
        try:
            GitIgnoreSpec.from_lines([pattern])
        except ValueError:
            problems.append(f"exclude: {pattern!r} is not a gitignore pattern")
    if problems:
        raise ConfigError(
            "the patterns of `exclude` cannot be used", problems=problems, hint="see `man gitignore` for the syntax"
        )
    return GitIgnoreSpec.from_lines(patterns)
