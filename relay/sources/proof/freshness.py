"""How old a signed delivery may be where the sender names no window: it repeats for hours, maybe under the first signature."""

from __future__ import annotations

import re

from relay.errors import NotAuthentic
from relay.source_options import SourceOptions

#: A sender's clock that runs ahead.
AHEAD_S = 300
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s?(ms|s|m|h|d)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}


def require_window(sent_at_s: str, options: SourceOptions, *, now_s: float, default_s: float) -> None:
    """Require `sent_at_s` (decimal digits, seconds since 1970) to lie in the window: `signature: {tolerance: 2m}` (0: any age), else
    `default_s`. A delivery seen before is remembered for as long, so the window may be wide."""
    if not (sent_at_s.isascii() and sent_at_s.isdigit() and len(sent_at_s) < 15):
        raise NotAuthentic("timestamp")
    _require(now_s - int(sent_at_s), options, default_s)


def require_moment(sent_at_us: int | None, options: SourceOptions, *, now_s: float, default_s: float) -> None:
    """Require, as `require_window` does, for a moment in microseconds since 1970; None: it could not be read."""
    tolerance_s = _tolerance_s(options, default_s)
    if sent_at_us is None:
        if tolerance_s:
            raise NotAuthentic("timestamp")
        return
    _require(now_s - sent_at_us / 1_000_000, options, default_s)


def window_s(options: SourceOptions, default_s: float) -> float:
    """Return how long such a proof may be accepted, from the earliest moment to the last."""
    return _tolerance_s(options, default_s) + AHEAD_S


def _require(age_s: float, options: SourceOptions, default_s: float) -> None:
    tolerance_s = _tolerance_s(options, default_s)
    if tolerance_s and (age_s > tolerance_s or age_s < -AHEAD_S):
        raise NotAuthentic("stale")


def _tolerance_s(options: SourceOptions, default_s: float) -> float:
    given = options.signature.get("tolerance")
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return float(given)
    found = _DURATION.fullmatch(given.strip()) if isinstance(given, str) else None
    return float(found[1]) * _UNIT_S[found[2]] if found else default_s
