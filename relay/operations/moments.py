"""Moments as people write them, and as programs read them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

#: What is taken, for help texts and messages.
MOMENT_FORMS = "2h, 1h30m, 14:05, yesterday, 2026-03-04, 2026-03-04T05:06:07Z"

_PART = r"(\d{1,6})\s?(s|m|h|d|w)"
_AGO = re.compile(rf"(?:{_PART}\s?)+(?:ago)?", re.ASCII | re.IGNORECASE)
_PARTS = re.compile(_PART, re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CLOCK = re.compile(r"(?:(today|yesterday)[\s,]*)?(?:(\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_LAST_MS = 253_402_300_799_000


def parse_moment(text: str, now_ms: int, zone: tzinfo | None = UTC) -> int:
    """Epoch ms of: `now`; `2h`, `1h30m`, `3d ago` (so long ago); `14:05` (the last time that the clock said so), `today`,
    `yesterday`, `yesterday 14:05`; ISO 8601, a day alone too. What names no zone is in `zone` (None: this machine's). Raises
    ValueError with a sentence."""
    text = text.strip()
    if text.lower() == "now":
        return now_ms
    if _AGO.fullmatch(text):
        seconds = sum(int(number) * _SECONDS[unit.lower()] for number, unit in _PARTS.findall(text))
        return max(0, now_ms - seconds * 1000)
    try:
        moment = _by_the_clock(text.lower(), now_ms, zone) or datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = _in_zone(moment, zone)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text[:40]!r} is no time: write {MOMENT_FORMS}") from None


def names_a_clock(text: str) -> bool:
    """Whether `text` is a moment that depends on whose clock it is: `14:05`, `yesterday`, ISO 8601 without a zone."""
    text = text.strip()
    if text.lower() == "now" or _AGO.fullmatch(text):
        return False
    if _CLOCK.fullmatch(text.lower()) and text:
        return True
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _by_the_clock(text: str, now_ms: int, zone: tzinfo | None) -> datetime | None:
    match = _CLOCK.fullmatch(text)
    if match is None or not text:
        return None
    word, hours, minutes, seconds = match.groups()
    now = datetime.fromtimestamp(now_ms / 1000, zone) if zone else datetime.fromtimestamp(now_ms / 1000)
    at = time(int(hours or 0), int(minutes or 0), int(seconds or 0))
    day = now.date() - timedelta(days=word == "yesterday")
    moment = _on(day, at, zone)
    if not word and moment.timestamp() * 1000 > now_ms:
        # It has not been so late today.
        moment = _on(day - timedelta(days=1), at, zone)
    return moment


def _on(day: date, at: time, zone: tzinfo | None) -> datetime:
    return _in_zone(datetime.combine(day, at), zone)


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.replace(tzinfo=zone) if zone else moment.astimezone()


def iso(ms: int | float | None) -> str | None:
    """Epoch ms as "2026-03-04T05:06:07.089Z"; None for what never was (None, 0, or out of range)."""
    if not ms or not 0 < ms <= _LAST_MS:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(ms) % 1000:03d}Z"
