"""Charts as SVG, drawn here: no script draws them, so they are there without JavaScript and under a strict CSP. The numbers beside
the axes are HTML, so that they stay readable at any width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup, escape

from relay.operations.moments import iso
from relay.web.console.words import count_words

WIDTH: Final = 240
HEIGHT: Final = 48
_STEPS: Final = (2, 4, 6, 8, 10)
#: None: nobody looked then, so it is not known.
Value = float | None


def spark(values: Sequence[Value], label: str) -> Markup:
    """Return a bar a value, the oldest first, without axes: for a line of a table. `label` says in words what it shows."""
    if not any(values):
        return Markup('<span class="quiet-word">none</span>')
    drawn = _bars(values, max(value or 0 for value in values), ())
    return _picture(drawn, _told(values, label, str), "spark")


def chart(
    values: Sequence[Value],
    label: str,
    *,
    end_ms: int,
    step_ms: int = 60_000,
    kind: str = "bars",
    words: Callable[[float], str] = count_words,
) -> Markup:
    """Return a figure with axes: a value a step, the oldest first, the last step ending at `end_ms`. `words` gives a number as people
    read it; `label` is the figure's caption, with its unit."""
    if not values or all(value is None for value in values):
        return Markup(
            '<figure class="chart"><figcaption>{}</figcaption><p class="plot-empty">No samples yet</p></figure>'
        ).format(label)
    begin_ms = end_ms - step_ms * len(values)
    top = _ceiling(max(value or 0 for value in values))
    hints = [_hint(value, begin_ms + n * step_ms, words) for n, value in enumerate(values)]
    drawn = _grid() + (_bars(values, top, hints) if kind == "bars" else _line(values, top))
    times = (begin_ms, (begin_ms + end_ms) // 2, end_ms)
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption><div class="axes"><div class="y" aria-hidden="true"><span>{}</span><span>{}</span>'
        '<span>0</span></div>{}<div class="x" aria-hidden="true">{}</div></div></figure>'
    ).format(
        label,
        words(top),
        words(top / 2),
        _picture(drawn, _told(values, label, words), "plot"),
        Markup("").join(_clock(at) for at in times),
    )


def _bars(values: Sequence[Value], top: float, hints: Sequence[str]) -> Markup:
    step = WIDTH / len(values)
    parts = []
    for n, value in enumerate(values):
        hint = Markup("<title>{}</title>").format(hints[n]) if hints else Markup("")
        height = max((value or 0) / max(top, 1) * HEIGHT, 0.8) if value else 0.0
        if value is None:
            parts.append(
                Markup('<rect class="unknown" x="{}" y="0" width="{}" height="{}">{}</rect>').format(
                    _n(n * step), _n(step), HEIGHT, hint
                )
            )
        elif value:
            parts.append(
                Markup('<rect x="{}" y="{}" width="{}" height="{}">{}</rect>').format(
                    _n(n * step), _n(HEIGHT - height), _n(max(step * 0.8, 0.5)), _n(height), hint
                )
            )
    return Markup("").join(parts)


def _line(values: Sequence[Value], top: float) -> Markup:
    """A step of the line for each stretch that is known."""
    step = WIDTH / max(len(values) - 1, 1)
    drawn, stretch = Markup(""), list[str]()
    for n, value in enumerate([*values, None]):
        if value is not None:
            stretch.append(f"{_n(n * step)},{_n(HEIGHT - value / max(top, 1) * HEIGHT)}")
            continue
        if stretch:
            first, last = stretch[0].partition(",")[0], stretch[-1].partition(",")[0]
            drawn += Markup('<polygon points="{},{} {} {},{}"/><polyline points="{}"/>').format(
                first, HEIGHT, " ".join(stretch), last, HEIGHT, " ".join(stretch)
            )
        stretch = []
    return drawn


def _grid() -> Markup:
    return Markup("").join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(WIDTH, y, y)
        for y in (0, HEIGHT // 2, HEIGHT)
    )


def _picture(drawn: Markup, label: str, kind: str) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(kind, WIDTH, HEIGHT, label, drawn)


def _told(values: Sequence[Value], label: str, words: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    return f"{label}: {words(known[-1])} last, {words(max(known))} at most"


def _hint(value: Value, begin_ms: int, words: Callable[[float], str]) -> str:
    clock = (iso(begin_ms) or "")[11:16]
    return f"{clock} UTC: {'not known, the web side was not running' if value is None else words(value)}"


def _clock(at_ms: int) -> Markup:
    moment = iso(at_ms) or ""
    return Markup('<time datetime="{}" data-clock>{} UTC</time>').format(escape(moment), moment[11:16])


def _ceiling(most: float) -> float:
    """The end of the axis: a round number whose half is round, too."""
    size = 1
    while True:
        for step in _STEPS:
            if most <= step * size:
                return step * size
        size *= 10


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")
