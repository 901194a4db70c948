"""Moments as senders write them: seconds, milliseconds, ISO 8601, RFC 5322 dates; here microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_LAST_US = 253_402_300_799_999_999  # the end of year 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: A mail's date without its weekday, which may be left out. Source: RFC 5322, section 3.3.
_DAY_AND_MONTH = re.compile(r"\d{1,2}[ -][A-Za-z]{3}")


def moment_us(value: Any) -> int | None:
    """Return microseconds since 1970, or None for what is no moment after 1970. A number's unit is told by its size:
    seconds, milliseconds, microseconds or nanoseconds."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, int):
        return _of_number(value, 0)
    if isinstance(value, float) and 0 <= value < 1e20:
        whole = int(value)
        return _of_number(whole, round((value - whole) * 1_000_000))
    return None


def _of_number(whole: int, micros: int) -> int | None:
    if whole < 0:
        return None
    if whole < 10**11:
        found = whole * 1_000_000 + micros
    elif whole < 10**14:
        found = whole * 1000 + micros // 1000
    elif whole < 10**17:
        found = whole
    else:
        found = whole // 1000
    return found if found <= _LAST_US else None


def _of_text(text: str) -> int | None:
    if not text or len(text) > 64:
        return None
    if text[0].isdigit() and text.isascii() and not _DAY_AND_MONTH.match(text):
        whole, _, fraction = text.partition(".")
        if whole.isdigit() and len(whole) > 8 and (not fraction or fraction.isdigit()):
            return _of_number(int(whole), int(fraction[:6].ljust(6, "0")))
        try:
            return _since_epoch(datetime.fromisoformat(text))
        except ValueError:
            pass
        # "2017-12-14 15:54:26 UTC", "2017-12-14 21:17:29 +0530"
        head, _, zone = text.rpartition(" ")
        try:
            return _since_epoch(
                datetime.fromisoformat(head + ("+00:00" if zone in ("UTC", "GMT", "Z") else zone))
            )
        except ValueError:
            return None
    try:
        return _since_epoch(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _since_epoch(moment: datetime) -> int | None:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        elapsed = moment - _EPOCH
    except OverflowError:
        return None
    found = (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    return found if 0 <= found <= _LAST_US else None
