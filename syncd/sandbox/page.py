"""The sandbox's page for a person: what it holds, as plain HTML without scripts. Pure.

Names, models and tags come from strangers' files. Everything is escaped, and control and direction-changing characters
are shown by their code points.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from syncd.sandbox.contract import SERVER_TAG, StoredImage
from syncd.sandbox.service import Holdings
from syncd.sandbox.switches import Switches, shown

PAGE_SIZE: Final = 50
INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Unicode categories that could hide or reorder text."""

CONTENT_POLICY: Final = (
    "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of everything that a browser may be shown."""

HEADINGS: Final = "".join(
    f"<th>{name}</th>" for name in ("Image", "Name", "Taken", "Camera", "Position", "Tags", "Image id")
)
STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .4rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
img { object-fit: cover; border-radius: 4px; background: #8882; }
code, .id { font-family: ui-monospace, monospace; font-size: .85em; }
.tag { border: 1px solid #8886; border-radius: 1em; padding: 0 .5em; margin-right: .2em; display: inline-block; }
.quiet { opacity: .7; }
bdi { unicode-bidi: isolate; }
nav a { margin-right: 1rem; }
"""


def render(holdings: Holdings, number: int, page_url: str) -> str:
    """Make the page with that number, counted from 1; beyond the last it is the last."""
    pages = max(1, -(-len(holdings.images) // PAGE_SIZE))
    number = min(max(1, number), pages)
    shown_images = holdings.images[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    rows = "".join(map(image_row, shown_images))
    if not rows:
        rows = '<tr><td colspan="7" class="quiet">Nothing has arrived yet.</td></tr>'
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>syncd sandbox</title><link rel="stylesheet" href="/sandbox/style.css"></head>
<body>
<h1>syncd sandbox</h1>
<p class="quiet">A stand-in for the image library, on this computer. Nothing has left it, and nothing costs.</p>
{summary(holdings)}
<table>
<thead><tr>{HEADINGS}</tr></thead>
<tbody>{rows}</tbody>
</table>
{navigation(number, pages)}
{controls(holdings.switches, page_url)}
</body>
</html>
"""


def summary(holdings: Holdings) -> str:
    """Say in a sentence or two what is held and what happened."""
    counts = holdings.counts
    size = sum(image.size for image in holdings.images)
    distinct = len({image.sha256 for image in holdings.images})
    count = len(holdings.images)
    twice = count - distinct
    copies = f" <strong>Second copies of the same bytes: {twice:,}.</strong>" if twice else ""
    names = ", ".join(plain(name) for name in holdings.namespaces) or "none yet"
    return (
        f"<p><strong>{count:,} image{'' if count == 1 else 's'}</strong>, {size / 1e6:,.1f} MB. "
        f"Namespaces: {names}.{copies}</p>\n"
        f"<p>Since the start: {counts.requests:,} requests, {counts.uploads:,} of them uploads: "
        f"{counts.accepted:,} good, {counts.rejected:,} rejected, "
        f"{counts.lost:,} with a lost answer, {counts.failed:,} failed.</p>"
    )


def image_row(image: StoredImage) -> str:
    """Make the row of one image."""
    position = "" if image.latitude is None else f"{plain(image.latitude)}, {plain(image.longitude or '')}"
    tags = "".join(f'<span class="tag">{plain(tag)}</span>' for tag in (*image.tags, SERVER_TAG))
    arrived = datetime.fromtimestamp(image.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    link = f"/sandbox/images/{image.id}"
    return (
        f'<tr><td><a href="{link}"><img src="{link}" alt="" width="96" height="72" loading="lazy"></a></td>'
        f'<td>{plain(image.name)}<br><span class="quiet">{image.size:,} bytes, arrived {arrived}</span></td>'
        f"<td>{plain(image.datetime_taken or '')}</td><td>{plain(image.camera_model or '')}</td><td>{position}</td>"
        f'<td>{tags}<br><span class="quiet">in {plain(image.unique_id)}</span></td>'
        f'<td class="id">{plain(image.id)}</td></tr>\n'
    )


def navigation(number: int, pages: int) -> str:
    """Make the links to the neighbouring pages."""
    if pages == 1:
        return ""
    newer = f'<a href="/?page={number - 1}" rel="prev">newer</a>' if number > 1 else ""
    older = f'<a href="/?page={number + 1}" rel="next">older</a>' if number < pages else ""
    return f"<nav><p>{newer}{older}page {number} of {pages}</p></nav>"


def controls(switches: Switches, page_url: str) -> str:
    """Show the switches and how to move one."""
    rows = "".join(
        f"<tr><td><code>{plain(name)}</code></td><td>{plain('off' if value is None else str(value).lower())}</td></tr>"
        for name, value in shown(switches).items()
    )
    command = f"curl -X POST -H 'Content-Type: application/json' -d '{{\"credits\": 0}}' {page_url}sandbox/switches"
    return (
        f"<h2>Switches</h2><p>To play an account without credits: <code>{plain(command)}</code></p>"
        f"<table>{rows}</table>"
    )


def plain(text: str) -> str:
    """Escape a text for HTML, isolate its direction, and show characters that cannot be seen by their code points."""
    visible = "".join(
        f"\\u{ord(character):04x}" if unicodedata.category(character) in INVISIBLE else character for character in text
    )
    return f"<bdi>{html.escape(visible)}</bdi>"
