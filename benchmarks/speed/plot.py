"""The figures as pictures: `python -m benchmarks.speed.plot FILE… --into docs`, of what `benchmarks.speed --json` kept.

`speed-growth.svg`: the CPU time of a cycle by the size of the pair, both axes logarithmic, so that "twice the records,
twice the cost" is a slope and "the same cost" a level line. `speed-ratio.svg`: how many times the bare loop's CPU time
the engine takes, case by case.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import groupby
from math import ceil, floor, log10
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.speed.cases import cases

Measured = dict[str, Any]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 190, 36, 48
COLORS = {"engine": "#0b6e99", "bare": "#b5651d"}
GROWTH = ("unchanged", "few", "idle")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}.axis{stroke:#777}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.axis{stroke:#999}}"
)


def _svg(title: str, parts: Sequence[str], height: int = HEIGHT) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    told = f'<title>{escape(title)}</title><style>{STYLE}</style><text x="{LEFT}" y="20">{escape(title)}</text>'
    return "\n".join([head, told, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def growth(rows: Sequence[Measured]) -> str:
    """CPU time of a cycle by the number of records on each side; engine and bare loop."""
    chosen = [row for row in rows if row["case"] in GROWTH]
    sizes = sorted({row["records"] for row in chosen})
    costs = [row[contender]["cpu"] * 1000 for row in chosen for contender in COLORS]
    low, high = floor(log10(min(costs))), ceil(log10(max(costs)))
    first, last = log10(sizes[0]), log10(sizes[-1])

    def x(records: int) -> float:
        return LEFT + (log10(records) - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT)

    def y(cost: float) -> float:
        return HEIGHT - BOTTOM - (log10(cost) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for power in range(low, high + 1):
        level = y(10.0**power)
        parts.append(f'<path class="grid" d="M{LEFT} {level:.0f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, level + 4, f"{10.0**power:g} ms", "end"))
    for records in sizes:
        parts.append(f'<path class="grid" d="M{x(records):.0f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(x(records), HEIGHT - BOTTOM + 18, f"{records:,}", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "records on each side", "middle"))
    for name, group in groupby(sorted(chosen, key=lambda row: (row["case"], row["records"])), lambda row: row["case"]):
        points = list(group)
        for contender, color in COLORS.items():
            places = [(x(row["records"]), y(row[contender]["cpu"] * 1000)) for row in points]
            line = " ".join(f"{at:.0f},{height:.0f}" for at, height in places)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
            parts += [f'<circle cx="{at:.0f}" cy="{height:.0f}" r="3" fill="{color}"/>' for at, height in places]
        what = next(case.what for case in cases(points[-1]["records"]) if case.name == name)
        parts.append(_text(WIDTH - RIGHT + 10, y(points[-1]["engine"]["cpu"] * 1000) + 4, what))
    for at, (contender, color) in enumerate(COLORS.items()):
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 16 * at}" style="fill:{color}">{contender}</text>')
    return _svg("CPU time of a cycle, by the size of the pair", parts)


def ratios(rows: Sequence[Measured]) -> str:
    """How many times the bare loop's CPU time the engine takes: a bar for each case, at its largest size."""
    largest = {row["case"]: row for row in sorted(rows, key=lambda row: row["records"])}
    step, label = 30, 330
    height = TOP + step * len(largest) + 20
    most = max(row["ratio"] for row in largest.values())
    scale = (WIDTH - label - 80) / most
    parts = []
    for at, (name, row) in enumerate(largest.items()):
        middle = TOP + step * at + step / 2
        what = next(case.what for case in cases(row["records"]) if case.name == name)
        parts.append(_text(label - 10, middle + 4, f"{what}, {row['records']:,}", "end"))
        width = row["ratio"] * scale
        parts.append(
            f'<rect x="{label}" y="{middle - 9:.0f}" width="{width:.0f}" height="18" fill="{COLORS["engine"]}"/>'
        )
        parts.append(_text(label + width + 8, middle + 4, f"{row['ratio']:.1f}"))
    one = label + scale
    parts.append(f'<path class="axis" d="M{one:.0f} {TOP}V{height - 20}" stroke-dasharray="4 3"/>')
    return _svg("CPU time of the engine, as a multiple of the bare loop's (dashed)", parts, height)


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.plot", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--into", type=Path, default=Path("docs"))
    options = parser.parse_args()
    rows = [row for file in options.files for row in json.loads(file.read_text(encoding="utf-8"))]
    for name, draw in (("speed-growth.svg", growth), ("speed-ratio.svg", ratios)):
        (options.into / name).write_text(draw(rows), encoding="utf-8")
        print(options.into / name)


if __name__ == "__main__":
    main()
