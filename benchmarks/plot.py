"""Draw cost against library size: plot.py growth.jsonl growth.png (measure.py growth --out growth.jsonl)

On logarithmic axes: CPU seconds and peak megabytes of a run that finds nothing new, beside them `find`; and, where the
rows have them (`growth --first`), of a first run, which uploads all.
Drawn with Pillow, which syncd needs anyway.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 400, 70, 350, 30, 470
CURVES = (
    ("first_cpu", "CPU s of a first sync", (214, 130, 20), -6),
    ("first_peak_mb", "peak MB of a first sync", (70, 150, 90), -14),
    ("cpu", "CPU s of sync", (178, 34, 34), -6),
    ("beside_cpu", "CPU s of find", (120, 120, 120), -6),
    ("peak_mb", "peak MB of sync", (30, 80, 160), 2),
)


def main(source: Path, target: Path) -> None:
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    low, high = math.log10(rows[0]["files"]), math.log10(rows[-1]["files"])

    def x(files: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(files) - low) / max(0.001, high - low)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (math.log10(max(value, 0.01)) + 2) / 6

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    for power in range(-2, 5):
        draw.line([(LEFT, y(10**power)), (RIGHT, y(10**power))], fill=(225, 225, 225))
        draw.text((LEFT - 45, y(10**power) - 6), f"{10**power:g}", fill="black")
    for row in rows:
        draw.line([(x(row["files"]), TOP), (x(row["files"]), BOTTOM)], fill=(225, 225, 225))
        draw.text((x(row["files"]) - 20, BOTTOM + 8), f"{row['files']:,}", fill="black")
    draw.text((LEFT, BOTTOM + 28), "files in the library; sync: one that finds nothing new", fill="black")
    for field, label, colour, above in CURVES:
        points = [(x(row["files"]), y(row[field])) for row in rows if field in row]
        if not points:
            continue
        draw.line(points, fill=colour, width=2)
        for at in points:
            draw.ellipse([at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3], fill=colour)
        draw.text((points[-1][0] + 10, points[-1][1] + above), label, fill=colour)
    image.save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
