"""Numbers as people read them: counts with their thousands, sizes with their unit. Times: `relay.units`."""

from __future__ import annotations

from typing import Final

_SIZES: Final = ("B", "kB", "MB", "GB", "TB")


def count_words(number: float) -> str:
    """Write 12345 as "12,345", 1234567 as "1.23 M"; a broken number to one place."""
    if number >= 1_000_000:
        return f"{number / 1_000_000:.2f} M"
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def size_words(number: float | str) -> str:
    """Write 4000000 as "4 MB"."""
    size, unit = float(number), 0
    while size >= 1000 and unit < len(_SIZES) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_SIZES[unit]}"


def plural(number: int, word: str, many: str = "") -> str:
    """Write a number with its word: "1 dead letter", "2 dead letters"."""
    return f"{count_words(number)} {word if number == 1 else many or word + 's'}"
