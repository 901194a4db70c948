"""Moments as people write them, and as programs read them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

#: What is taken, for help texts and messages.
MOMENT_FORMS = "2h, 1h30m, 14:05, yesterday, 2026-03-04, 2026-03-04T05:06:07Z"

_PART = r"(\d{1,6})\s?(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?)"
_AGO = re.compile(rf"(?:{_PART}\s?)+(?:ago)?", re.ASCII | re.IGNORECASE)
_PARTS = re.compile(_PART, re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = r"today|yesterday|(?:last )?(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_CLOCK = re.compile(
    rf"(?:(?P<day>{_DAY})(?:[\s,]+at)?[\s,]*)?(?P<time>(?P<h>\d{{1,2}})(?::(?P<m>\d{{2}})(?::(?P<s>\d{{2}}))?)?\s?(?P<half>am|pm)?)?",
    re.ASCII,
)
_LAST_MS = 253_402_300_799_000


def parse_moment(text: str, now_ms: int, zone: tzinfo | None = UTC) -> int:
    """Epoch ms of: `now`; `2h`, `1h30m`, `3 days ago` (so long ago); `14:05`, `2pm` (the last time that the clock said so), `today`,
    `yesterday`, `monday` (the last one), `yesterday 14:05`; ISO 8601, a day alone too. What names no zone is in `zone` (None: this
    machine's). Raises ValueError with a sentence."""
    text = text.strip()
    if text.lower() == "now":
        return now_ms
    if _AGO.fullmatch(text):
        seconds = sum(int(number) * _SECONDS[unit[0].lower()] for number, unit in _PARTS.findall(text))
        return max(0, now_ms - seconds * 1000)
    try:
        moment = _by_the_clock(text.lower(), now_ms, zone) or datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = _in_zone(moment, zone)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text[:40]!r} is no time: write {MOMENT_FORMS}") from None


def names_a_clock(text: str) -> bool:
    """Tell whether `text` is a moment that depends on whose clock it is: `14:05`, `yesterday`, ISO 8601 without a zone."""
    text = text.strip()
    if text.lower() == "now" or _AGO.fullmatch(text):
        return False
    if _clock(text.lower()):
        return True
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _clock(text: str) -> re.Match[str] | None:
    """A day, a time, or both. An hour alone is one with "am" or "pm"."""
    match = _CLOCK.fullmatch(text)
    if match is None or not text or (match["time"] and not match["m"] and not match["half"]):
        return None
    return match


def _by_the_clock(text: str, now_ms: int, zone: tzinfo | None) -> datetime | None:
    match = _clock(text)
    if match is None:
        return None
    now = datetime.fromtimestamp(now_ms / 1000, zone) if zone else datetime.fromtimestamp(now_ms / 1000)
    at = _time(match)
    word = (match["day"] or "").removeprefix("last ")
    week = word[:3] in _WEEKDAYS
    days = (now.weekday() - _WEEKDAYS.index(word[:3])) % 7 if week else int(word == "yesterday")
    day = now.date() - timedelta(days=days)
    moment = _on(day, at, zone)
    if (week or not word) and moment.timestamp() * 1000 > now_ms:
        # It has not been so late today.
        moment = _on(day - timedelta(days=7 if week else 1), at, zone)
    return moment


def _time(match: re.Match[str]) -> time:
    """Raises ValueError for one that no clock shows."""
    hours = int(match["h"] or 0)
    if match["half"]:
        if not 1 <= hours <= 12:
            raise ValueError("no such hour")
        hours = hours % 12 + (12 if match["half"] == "pm" else 0)
    return time(hours, int(match["m"] or 0), int(match["s"] or 0))


def _on(day: date, at: time, zone: tzinfo | None) -> datetime:
    return _in_zone(datetime.combine(day, at), zone)


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.replace(tzinfo=zone) if zone else moment.astimezone()


def iso(ms: int | float | None) -> str | None:
    """Write epoch ms as "2026-03-04T05:06:07.089Z"; None for what never was (None, 0, or out of range)."""
    if not ms or not 0 < ms <= _LAST_MS:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(ms) % 1000:03d}Z"
