from __future__ import annotations

import pytest

from syncd.extract.blocks import BlockKind, Findings
from syncd.extract.gif import walk_gif
from tests.extract import pictures

PLAIN = pictures.gif()
ANIMATED = pictures.gif(frames=3)


def walked(content: bytes, chunk: int = 1 << 20) -> Findings:
    stream = pictures.stream_of(content, chunk)
    findings = walk_gif(stream)
    stream.drain()
    return findings


@pytest.mark.parametrize("chunk", [1, 9, 4096])
@pytest.mark.parametrize("content", [PLAIN, ANIMATED])
def test_e5_whole_pictures_are_fit(content: bytes, chunk: int) -> None:
    assert walked(content, chunk).damage is None


def test_only_a_missing_trailer_is_fit() -> None:
    assert PLAIN.endswith(b"\0;")
    assert walked(PLAIN[:-1]).damage is None
    assert walked(PLAIN[:-1] + b"\0\0").damage is None


@pytest.mark.parametrize("trailer", [b"trailer", bytes(1000)])
def test_what_follows_the_trailer_is_tolerated(trailer: bytes) -> None:
    assert walked(PLAIN + trailer).damage is None


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99])
def test_e4_a_cut_gif_is_damaged(part: float) -> None:
    length = int(len(PLAIN) * part)
    damage = walked(PLAIN[:length]).damage
    assert damage is not None
    assert damage.endswith(f"the file was cut at {length:,} bytes")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
def test_e4_a_gif_with_a_tail_of_zeros_is_damaged(part: float) -> None:
    content = pictures.gif((200, 200))
    length = int(len(content) * part)
    damage = walked(content[:length] + bytes(len(content) - length)).damage
    assert damage is not None
    assert "bytes are zeros" in damage


def test_xmp_is_kept() -> None:
    packet = pictures.xmp("<xmp:CreateDate>2020-01-02T03:04:05</xmp:CreateDate>")
    magic = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    content = PLAIN[:-1] + b"\x21\xff\x0bXMP DataXMP" + packet + magic + b";"
    findings = walked(content)
    assert findings.damage is None
    (block,) = findings.blocks
    assert block.kind is BlockKind.XMP_PACKET
    assert block.payload.startswith(packet)


def test_e2_endless_blocks_are_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.extract.gif.STEP_LIMIT", 50)
    hostile = PLAIN[:-1] + b"\x21\xfe" + b"\1x" * 10_000 + b"\0;"
    assert walked(hostile).damage is None
