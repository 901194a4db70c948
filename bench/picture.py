"""Growth as a picture: lines over a logarithmic axis, as SVG that any browser shows; written by hand, no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 780, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 44, 88, 56
COLOURS = ("#1f5fa8", "#c2501a", "#2f7d3b", "#7b3fa0", "#8a6d00", "#555555")

#: (x, median, smallest, largest)
Point = tuple[float, float, float, float]


def draw(path: Path, title: str, x_label: str, y_label: str, lines: Mapping[str, Sequence[Point]]) -> None:
    """One line a name; x logarithmic, y from 0; a thin bar from the smallest to the largest run."""
    points = [point for line in lines.values() for point in line]
    xs = sorted({point[0] for point in points})
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    step = _step(max(point[3] for point in points))
    top = step * math.ceil(max(point[3] for point in points) / step)

    def at_x(x: float) -> float:
        return LEFT + (math.log10(x) - low) / ((high - low) or 1) * (WIDTH - LEFT - RIGHT)

    def at_y(y: float) -> float:
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    for number in range(round(top / step) + 1):
        y = at_y(number * step)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e2e2e2"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number * step:,g}</text>')
    for x in xs:
        out.append(
            f'<line x1="{at_x(x):.1f}" y1="{TOP}" x2="{at_x(x):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>'
        )
        out.append(f'<text x="{at_x(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,g}</text>')
    out.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>'
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    out.append(
        f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{escape(y_label)}</text>'
    )
    at, row = float(LEFT), 0
    for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
        if at + 20 + 7.2 * len(name) > WIDTH:
            at, row = float(LEFT), row + 1
        out.append(f'<rect x="{at:.1f}" y="{43 + 18 * row}" width="14" height="4" fill="{colour}"/>')
        out.append(f'<text x="{at + 20:.1f}" y="{50 + 18 * row}">{escape(name)}</text>')
        at += 42 + 7.2 * len(name)
        path_of = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y, _, _ in line)
        out.append(f'<polyline points="{path_of}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, least, most in line:
            out.append(
                f'<line x1="{at_x(x):.1f}" y1="{at_y(least):.1f}" x2="{at_x(x):.1f}" y2="{at_y(most):.1f}" '
                f'stroke="{colour}" stroke-width="1.2"/>'
            )
            out.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3.2" fill="{colour}"/>')
    path.write_text("\n".join([*out, "</svg>"]) + "\n", encoding="utf-8")


def _step(most: float) -> float:
    """A round distance of grid lines, so that there are four to nine."""
    rough = max(most, 1e-9) / 5
    unit = 10 ** math.floor(math.log10(rough))
    return next(float(unit * factor) for factor in (1, 2, 5, 10) if unit * factor >= rough)
