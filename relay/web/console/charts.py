"""Small plots as SVG, drawn here: no script draws them, so they are there without JavaScript and under a strict CSP."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 240, 48


def bars(values: Sequence[float], label: str) -> Markup:
    """A bar a value, the oldest first. `label` says in words what the picture shows."""
    if not values:
        return _empty(label)
    most = max(*values, 1) if len(values) > 1 else max(values[0], 1)
    step = WIDTH / len(values)
    drawn = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            _n(n * step),
            _n(HEIGHT - value / most * HEIGHT),
            _n(max(step - 1, 0.5)),
            _n(value / most * HEIGHT),
        )
        for n, value in enumerate(values)
        if value > 0
    )
    return _frame(drawn, f"{label}; most {most:g}, last {values[-1]:g}", "bars")


def line(values: Sequence[float], label: str) -> Markup:
    """A line through the values, the oldest first, from zero up."""
    if len(values) < 2:
        return _empty(label)
    most = max(*values, 1)
    step = WIDTH / (len(values) - 1)
    points = " ".join(
        f"{_n(n * step)},{_n(HEIGHT - 1 - value / most * (HEIGHT - 2))}" for n, value in enumerate(values)
    )
    area = Markup('<polygon points="0,{} {} {},{}"/><polyline points="{}"/>').format(
        HEIGHT, points, WIDTH, HEIGHT, points
    )
    return _frame(area, f"{label}; most {most:g}, last {values[-1]:g}", "line")


def _frame(drawn: Markup, label: str, kind: str) -> Markup:
    return Markup(
        '<svg class="plot {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(kind, WIDTH, HEIGHT, label, label, drawn)


def _empty(label: str) -> Markup:
    return Markup('<p class="plot-empty" aria-label="{}">no samples yet</p>').format(escape(label))


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")
