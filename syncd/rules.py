"""The folder rules: what namespace and tags a place gets, and whether a rule keeps it at home. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from syncd.model import Labels, PlacePath
from syncd.patterns import PathGlob, TagTemplate, composed, glob_matches
from syncd.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from syncd.model import Capture
    from syncd.settings import FolderSettings, RuleSettings

MOST_TAGS: Final = 48
"""API.md: at most 50 a request, of which the server may count its own `api` as one and the marker is another."""
LONGEST_TAG: Final = 200
"""In characters. The service documents no limit; a name of a folder has at most 255 bytes."""

_INVISIBLE: Final = frozenset("\u00ad\u061c\u180e\u200b\u200e\u200f\ufeff") | {
    chr(code) for start, end in ((0x202A, 0x202E), (0x2060, 0x206F), (0xFFF9, 0xFFFB)) for code in range(start, end + 1)
}
"""Characters that only steer how a text is shown: bidirectional overrides, zero widths.

Joiners (U+200C, U+200D) stay: words of some scripts and many emoji need them."""

_EDGES: Final = " \u200c\u200d"
"""What means nothing at the ends of a tag: blanks, and joiners with nothing to join."""

NOT_CONFIGURED: Final = "its folder is no longer in the configuration"
NO_PLACE: Final = "it has no place any more"


def clean(text: str) -> str:
    """Give a text as it can go on the wire as a tag; "" where nothing is left of it.

    A comma may split a tag at the service (API.md), so it becomes a space. Control and invisible characters go. What
    is not UTF-8 in the name of a file becomes U+FFFD. Runs of blanks become one. Composed form (NFC), so that a word is
    one tag however the file system spells it. At most LONGEST_TAG characters.
    """
    if text.isascii() and text.isprintable() and "," not in text:
        return " ".join(text.split())[:LONGEST_TAG].rstrip()
    kept = (_on_the_wire(character) for character in text)
    return " ".join(composed("".join(kept)).split()).strip(_EDGES)[:LONGEST_TAG].rstrip(_EDGES)


def _on_the_wire(character: str) -> str:
    if character == ",":
        return " "
    if character in _INVISIBLE:
        return ""
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category == "Cc" else character


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule, ready to be asked. `number` counts from 1, as `[[rule]]` in the file."""

    number: int
    settings: RuleSettings
    glob: PathGlob
    tags: tuple[TagTemplate, ...]

    def match(self, segments: Sequence[str], capture: Capture) -> Mapping[str, str] | None:
        """Give the captured words, or None where the rule does not apply."""
        return self.glob.match(segments) if self.is_for(capture.camera_model) else None

    def is_for(self, camera_model: str | None) -> bool:
        """Tell whether it is for photos of a camera."""
        wanted = self.settings.camera
        if wanted is None:
            return True
        return camera_model is not None and glob_matches(composed(wanted), composed(camera_model))

    def decide(self, namespace: str, skipped: str | None) -> tuple[str, str | None]:
        """Give namespace and skip of a photo that it applies to; both as they were, where it says nothing of them."""
        if self.settings.skip is not None:
            skipped = f"{self} skips it" if self.settings.skip else None
        return namespace if self.settings.namespace is None else self.settings.namespace, skipped

    def __str__(self) -> str:
        return f"rule {self.number} ({printable(self.settings.match)})"


@dataclass(frozen=True, slots=True)
class _Folder:
    """One watched folder with its own tags."""

    settings: FolderSettings
    tags: tuple[TagTemplate, ...]


@dataclass(frozen=True, slots=True)
class FolderRules:
    """What holds for the files of one folder, but for tags: what can be said of all of them is worked out once."""

    _without: Labels
    """Of a file that no rule applies to."""
    _rules: tuple[tuple[_Rule, str], ...]
    """Each that may apply, with the glob for the names of its files."""
    _of_camera: dict[str | None, Labels | list[tuple[_Rule, str]]] = field(default_factory=dict)

    def labels(self, name: bytes, camera_model: str | None) -> Labels:
        """Give namespace and skip of a photo, as `Rules.labels` would; without tags."""
        found = self._of_camera.get(camera_model)
        if found is None:
            rules = [(rule, glob) for rule, glob in self._rules if rule.is_for(camera_model)]
            whatever_its_name = all(glob == "*" for _, glob in rules)
            found = self._of_camera[camera_model] = self._decided(rules) if whatever_its_name else rules
        if isinstance(found, Labels):
            return found
        text = _decoded(name)
        return self._decided([(rule, glob) for rule, glob in found if glob_matches(glob, text)])

    def _decided(self, rules: Sequence[tuple[_Rule, str]]) -> Labels:
        if not rules:
            return self._without
        namespace, skipped = self._without.namespace, self._without.skipped
        for rule, _ in rules:
            namespace, skipped = rule.decide(namespace, skipped)
        return Labels(namespace, (), skipped)


@dataclass(frozen=True, slots=True)
class Rules:
    """All folders and rules of a configuration, compiled once."""

    _folders: Mapping[bytes, _Folder]
    _rules: tuple[_Rule, ...]
    _tagged: bool
    """Whether any of them gives tags."""

    @classmethod
    def compile(cls, folders: Iterable[FolderSettings], rules: Iterable[RuleSettings]) -> Self:
        """Make rules of settings; raises PatternError for globs and tags that `config.parse` would have refused."""
        compiled = []
        for number, rule in enumerate(rules, 1):
            glob = PathGlob.parse(rule.match)
            compiled.append(_Rule(number, rule, glob, tuple(TagTemplate.parse(tag, glob.words) for tag in rule.tags)))
        watched = {
            bytes(folder.path): _Folder(folder, tuple(TagTemplate.parse(tag, ()) for tag in folder.tags))
            for folder in folders
        }
        tagged = any(folder.tags for folder in watched.values()) or any(rule.tags for rule in compiled)
        return cls(watched, tuple(compiled), tagged)

    def owner(self, path: bytes) -> FolderSettings | None:
        """Give the innermost watched folder that an absolute path lies in (or is)."""
        folder = self._owner(path)
        return folder.settings if folder else None

    def labels(self, place: PlacePath, capture: Capture) -> Labels:
        """Give what the folder and the rules say of a photo at one place."""
        folder = self._owner(place.path) if place.root in self._folders else None
        if folder is None:
            return Labels("", (), skipped=NOT_CONFIGURED)
        if not (self._rules or folder.tags):
            return Labels(folder.settings.namespace, ())
        root = bytes(folder.settings.path)
        segments = _segments(root, place)
        values = _values(root, segments, capture) if self._tagged else {}
        tags = [tag.fill(values) for tag in folder.tags]
        namespace, skipped = folder.settings.namespace, None
        for rule in self._rules:
            captured = rule.match(segments, capture)
            if captured is None:
                continue
            # What the rule captured comes first: {year} of "{year}/**" is the folder's.
            known = values | {word: clean(text) for word, text in captured.items()}
            tags += [tag.fill(known) for tag in rule.tags]
            namespace, skipped = rule.decide(namespace, skipped)
        kept, warnings = _kept(clean(tag) for tag in tags if tag is not None)
        return Labels(namespace, kept, skipped, warnings)

    def of_folder(self, root: bytes, folder: bytes) -> FolderRules:
        """Give what the rules say of the files right in one folder, but for tags."""
        place = PlacePath(root, folder, b"")
        watched = self._owner(place.path) if root in self._folders else None
        if watched is None:
            return FolderRules(Labels("", (), skipped=NOT_CONFIGURED), ())
        segments = _segments(bytes(watched.settings.path), place)
        found = ((rule, rule.glob.of_names(segments)) for rule in self._rules)
        rules = tuple((rule, glob) for rule, glob in found if glob is not None)
        return FolderRules(Labels(watched.settings.namespace, ()), rules)

    def _owner(self, path: bytes) -> _Folder | None:
        while path not in self._folders:
            if path in {b"", b"/"}:
                return None
            path = path.rpartition(b"/")[0] or b"/"
        return self._folders[path]


def union(labels: Sequence[Labels]) -> Labels:
    """Join the labels of the present places of one photo, first seen first.

    A skipped place gives nothing, so that what is private about it stays at home; the photo is skipped where no place
    is wanted. The namespace is that of the first wanted place.
    """
    wanted = [each for each in labels if each.skipped is None]
    if not wanted:
        return labels[0] if labels else Labels("", (), skipped=NO_PLACE)
    tags, cut = _kept(tag for each in wanted for tag in each.tags)
    warnings = dict.fromkeys([*(text for each in wanted for text in each.warnings), *cut])
    return Labels(wanted[0].namespace, tags, warnings=tuple(warnings))


def wire_tags(labels: Labels, marker: str | None) -> tuple[str, ...]:
    """Give the tags of a request: those of the labels, then the marker."""
    return labels.tags[:MOST_TAGS] + ((marker,) if marker else ())


def _values(root: bytes, segments: Sequence[str], capture: Capture) -> dict[str, str]:
    """Give the values of the placeholders that every tag may use; one that is missing or empty has no value.

    `{folder}` of a file right below the root is the name of the root, for that is the folder it lies in.
    """
    folders = segments[:-1]
    values = {
        "camera": capture.camera_model or "",
        "folder": folders[-1] if folders else _decoded(root.rpartition(b"/")[2]),
        "path": "/".join(folders),
    }
    if capture.taken_at is not None:
        taken = capture.taken_at
        values |= {"year": f"{taken.year:04}", "month": f"{taken.month:02}", "day": f"{taken.day:02}"}
    return {word: clean(text) for word, text in values.items()}


def _kept(tags: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop empty tags and repeats, and cut to MOST_TAGS with a warning."""
    distinct = [tag for tag in dict.fromkeys(tags) if tag]
    if len(distinct) <= MOST_TAGS:
        return tuple(distinct), ()
    warning = f"{len(distinct)} tags are more than the service takes: only the first {MOST_TAGS} are sent"
    return tuple(distinct[:MOST_TAGS]), (warning,)


def _segments(root: bytes, place: PlacePath) -> list[str]:
    """Give the path of a place below a watched folder that it lies in."""
    return [_decoded(part) for part in place.path[len(root) :].split(b"/") if part]


def _decoded(name: bytes) -> str:
    """Give the name of a file as text in composed form; bytes that are not UTF-8 become lone surrogates."""
    return composed(name.decode("utf-8", "surrogateescape"))
