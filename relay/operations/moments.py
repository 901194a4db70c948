"""Moments as people write them, and as programs read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LAST_MS = 253_402_300_799_000


def parse_moment(text: str, now_ms: int) -> int:
    """`2h`, `3d` (so long ago), `now`, or ISO 8601 (without a zone: UTC), as epoch ms. Raises ValueError with a
    sentence."""
    text = text.strip()
    if text == "now":
        return now_ms
    ago = _AGO.fullmatch(text)
    if ago:
        return max(0, now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no time: write 2h, 3d, or 2026-03-04T05:06:07Z") from None


def iso(ms: int | float | None) -> str | None:
    """Epoch ms as "2026-03-04T05:06:07.089Z"; None for what never was (None, 0, or out of range)."""
    if not ms or not 0 < ms <= _LAST_MS:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(ms) % 1000:03d}Z"
