"""Evidence in a line of text: a time of day, a date, a mail address.

Of no language: digits of any script, and separators that are in use somewhere. Every pattern is bounded, so that a
line costs no more than its length; lines come here only up to `MAX_LINE_CHARS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Longer lines are somebody's paragraph: no mail program writes an attribution or a header field of that length.
MAX_LINE_CHARS = 600

_TIME = re.compile(
    r"(?<![\d.:/@-])(?:[01]?\d|2[0-4])\s?[:.hH٫：]\s?[0-5]\d(?:\s?[:.]\s?[0-5]\d)?(?![.:/-]?\d)"
    r"|(?<![\d.:])(?:0?\d|1[0-2])\s?[aApP]\.?[mM]\b"
    r"|\d{1,2}\s?[时時点點시]\s?\d{0,2}"
    # Digits of other scripts, as Gmail sets them in Arabic and Persian.
    r"|(?<![\d.:/@-])(?![0-9])\d{1,2}[:٫]\d\d(?![.:/-]?\d)"
)
_DATE = re.compile(
    r"(?<!\d)\d{1,4}([-/.])\s?\d{1,2}\1\s?\d{1,4}(?!\d)"
    r"|\d{4}\s?[年년]\s?\d{1,2}\s?[月월]"
    r"|[^\W\d_]{3,12}-\d{1,2}-\d{2,4}(?!\d)|(?<!\d)\d{1,2}-[^\W\d_]{3,12}\.?-\d{2,4}(?!\d)"
    r"|(?<!\d)\d{1,2}(?!\d)[^\d\n]{1,30}\d{4}(?!\d)"
    r"|(?<!\d)\d{4}[^\d\n]{1,20}\d{1,2}(?!\d)"
)
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:@]{1,64}@[^\s<>()\[\]\"',;:@]{2,255}")
_IN_BRACKETS = re.compile(
    r"[<(\[]\s{0,3}(?:mailto:)?\s?[^\s<>()\[\]\"',;:@]{1,64}@[^\s<>()\[\]\"',;@]{2,255}"
)
#: What only a program writes: a zone behind the seconds, as RFC 5322 has it.
_MACHINE_DATE = re.compile(r"\d:[0-5]\d:[0-5]\d (?:[+-]\d{4}|GMT|UTC)\b")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a text holds. `bracketed` is an address in angle or round brackets, as attributions set them."""

    time: bool
    date: bool
    address: bool
    bracketed: bool

    def __bool__(self) -> bool:
        return self.time or self.date or self.address


def evidence_in(text: str) -> Evidence:
    address = "@" in text and _ADDRESS.search(text) is not None
    return Evidence(
        time=_TIME.search(text) is not None,
        date=_DATE.search(text) is not None,
        address=address,
        bracketed=address and _IN_BRACKETS.search(text) is not None,
    )


def has_time(text: str) -> bool:
    return _TIME.search(text) is not None


def has_address(text: str) -> bool:
    return "@" in text and _ADDRESS.search(text) is not None


def has_machine_date(text: str) -> bool:
    return _MACHINE_DATE.search(text) is not None
