"""What lies on a card, by its names: what is a picture, what belongs to it, what is no photographer's. Pure.

Everything on a card is copied, because formatting takes everything. By name alone it is decided which files are media
and are filed by date, which are companions and go with them, and which keep their folders, because they mean nothing
without: the databases and structures beside the clips of video cameras.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from syncd.model import EXTENSIONS
from syncd.watch.filters import Filter, Ignored

CAMERA_FOLDERS: Final = frozenset(
    {
        *(b"dcim", b"private", b"mp_root", b"avf_info", b"contents", b"bpav", b"xdroot", b"m4root", b"clip", b"avchd"),
        *(b"misc", b"voice", b"video", b"sonydata", b"canonmsc", b"nikon001", b"gopro"),
    }
)
"""Folders, in lower case, in which cameras put pictures: DCIM (DCF), PRIVATE and MP_ROOT (Sony), AVCHD, CONTENTS (P2),
BPAV and XDROOT (XDCAM), CLIP; and what they write beside them. Where one is, the folder above it is a card."""

_STRUCTURES: Final = frozenset({b"private", b"avf_info", b"contents", b"bpav", b"xdroot", b"m4root", b"avchd", b"clip"})
"""Folders whose files refer to each other by name and place: they are copied with their folders as they are."""

_SYSTEM_FOLDERS: Final = frozenset(
    {
        *(b"system volume information", b"$recycle.bin", b"recycler", b"lost+found"),
        *(b".spotlight-v100", b".fseventsd", b".trashes", b".temporaryitems", b".documentrevisions-v100"),
    }
)
_SYSTEM_FILES: Final = frozenset(
    {b".ds_store", b"thumbs.db", b"desktop.ini", b".volumeicon.icns", b".metadata_never_index"}
)

_SOUNDS: Final = frozenset({b"wav", b"mp3", b"m4a", b"aac", b"flac", b"wma", b"amr", b"ogg", b"aif", b"aiff"})
_PROXIES: Final = frozenset({b"lrv", b"lrf", b"sav"})
"""Small versions of clips that some cameras write beside them."""


class Rank(IntEnum):
    """Whose date and name a group of companions takes: the first of these that it has."""

    PHOTO = 0
    RAW = 1
    VIDEO = 2
    SOUND = 3
    COMPANION = 4
    """No picture by itself: sidecars, thumbnails, whatever else bears the same name."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file on a card as a listing saw it: its folder below the source (b"" for the source itself), name, size."""

    folder: bytes
    name: bytes
    size: int
    mtime_ns: int

    @property
    def relative(self) -> bytes:
        """The path below the source."""
        return self.folder + b"/" + self.name if self.folder else self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Files that stay together: the same stem in the same folder. The first one gives the date.

    `keeps_folders`: no picture is among them, or they are part of a structure.
    """

    stem: bytes
    files: tuple[CardFile, ...]
    keeps_folders: bool


def is_card(names: Iterable[bytes]) -> bool:
    """Tell whether a folder with these names in it is what a camera wrote."""
    return any(name.lower() in CAMERA_FOLDERS for name in names)


def is_system_folder(name: bytes) -> bool:
    """Tell whether a computer, and no camera or person, made this folder: it is left on the card, and counted."""
    lower = name.lower()
    return lower in _SYSTEM_FOLDERS or lower.startswith(b".trash-")


def is_system_file(name: bytes) -> bool:
    """Tell whether a computer, and no camera or person, made this file."""
    return name.lower() in _SYSTEM_FILES


def rank(name: bytes) -> Rank:
    """Say what a file is by its name."""
    if name.startswith(b"."):
        return Rank.COMPANION
    extension = _extension(name)
    if extension.decode("ascii", "replace") in EXTENSIONS:
        return Rank.PHOTO
    if extension in _SOUNDS:
        return Rank.SOUND
    if extension in _PROXIES:
        return Rank.COMPANION
    kind = _NAMES.file(b"", name)
    if kind is Ignored.UNSUPPORTED_IMAGE:
        return Rank.RAW
    return Rank.VIDEO if kind is Ignored.VIDEO else Rank.COMPANION


def groups(files: Iterable[CardFile]) -> Iterator[Group]:
    """Put the files of one folder, sorted by name, into groups of companions."""
    found: dict[bytes, list[CardFile]] = {}
    files = list(files)
    names = {file.name.lower() for file in files}
    for file in files:
        found.setdefault(stem(file.name, names).lower(), []).append(file)
    for members in found.values():
        members.sort(key=lambda file: (rank(file.name), file.name))
        first = members[0]
        structured = any(part.lower() in _STRUCTURES for part in first.folder.split(b"/"))
        yield Group(
            stem=stem(first.name, names),
            files=tuple(members),
            keeps_folders=structured or rank(first.name) is Rank.COMPANION,
        )


def stem(name: bytes, beside: Iterable[bytes] = ()) -> bytes:
    """Give what companions have in common: `IMG_1` of IMG_1.CR3, and of IMG_1.CR3.xmp where IMG_1.CR3 is beside it."""
    first, dot, _ = name.rpartition(b".")
    if not dot or not first.strip(b"."):
        return name
    if first.lower() in beside and b"." in first:
        return first.rpartition(b".")[0]
    return first


def _extension(name: bytes) -> bytes:
    return name.rpartition(b".")[2].lower() if b"." in name else b""


_NAMES: Final = Filter(())
