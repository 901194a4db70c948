"""Quantities as people write them in YAML, durations `500ms 5s 15m 3d`, sizes `4MB 1MiB`, rates `50/s`; and durations as people read
them."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
}
DURATION = re.compile(r"\d{1,12}(?:\.\d{1,6})?\s?(ms|s|m|h|d|w)", re.ASCII)
SIZE = re.compile(r"\d{1,12}(?:\.\d{1,6})?\s?(B|[KMG]i?B)?", re.ASCII | re.IGNORECASE)
RATE = re.compile(r"\d{1,9}(?:\.\d{1,6})?\s?/\s?(s|m|h)", re.ASCII)
_NUMBER = re.compile(r"[\d.]+", re.ASCII)


def parse_duration(text: str) -> float:
    """Return seconds of "500ms", "5s", "15m", "2h", "3d", "1w". Raises ValueError with a sentence."""
    found = DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("should be a duration such as 500ms, 5s, 15m, 2h or 3d")
    return _number(text) * _SECONDS[found[1]]


def parse_size(text: str) -> int:
    """Return bytes of "4MB" (4,000,000), "1MiB" (1,048,576), "900". Raises ValueError with a sentence."""
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("should be a size such as 900KB, 4MB or 1MiB")
    return int(_number(text) * _BYTES[(found[1] or "").upper()])


def parse_rate(text: str) -> float:
    """Return events a second of "50/s", "300/m". Raises ValueError with a sentence."""
    found = RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError("should be a rate such as 50/s or 300/m")
    return _number(text) / _SECONDS[found[1]]


def took_words(ms: float) -> str:
    """93 as "93 ms", 30000 as "30 s"."""
    if ms < 999.5:
        return f"{ms:.3g} ms"
    return duration_words(ms / 1000)


def duration_words(seconds: float) -> str:
    """90 as "90 s", 5400 as "90 min"; the unit in which it is a short number."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"


def _number(text: str) -> float:
    found = _NUMBER.match(text.strip())
    return float(found[0]) if found else 0.0
