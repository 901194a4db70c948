"""How old a signed mail delivery may be: mail providers retry for hours, maybe under the first signature."""

from __future__ import annotations

import re

from relay.errors import NotAuthentic
from relay.source_options import SourceOptions

#: A sender's clock that runs ahead.
AHEAD_S = 300
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s?(ms|s|m|h|d)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}


def require_window(sent_at_s: str, options: SourceOptions, *, now_s: float, default_s: float) -> None:
    """`sent_at_s` is decimal digits, seconds since 1970. The window is `signature: {tolerance: 2m}`, else
    `default_s`. A delivery seen before is known by its Message-ID or token, so the window may be wide."""
    if not (sent_at_s.isascii() and sent_at_s.isdigit() and len(sent_at_s) < 15):
        raise NotAuthentic("timestamp")
    age_s = now_s - int(sent_at_s)
    if age_s > _tolerance_s(options, default_s) or age_s < -AHEAD_S:
        raise NotAuthentic("stale")


def _tolerance_s(options: SourceOptions, default_s: float) -> float:
    given = options.signature.get("tolerance")
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return float(given)
    found = _DURATION.fullmatch(given.strip()) if isinstance(given, str) else None
    return float(found[1]) * _UNIT_S[found[2]] if found else default_s
