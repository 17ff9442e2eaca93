"""A voice that keeps what was said."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.daemon.voice import Said


@dataclass(slots=True)
class FakeVoice:
    said: list[tuple[Said, bytes | None, str]] = field(default_factory=list)

    def say(self, said: Said, path: bytes | None, detail: str) -> None:
        self.said.append((said, path, detail))

    def count(self, said: Said) -> int:
        return sum(one is said for one, _, _ in self.said)

    def details(self, said: Said) -> list[str]:
        return [detail for one, _, detail in self.said if one is said]
