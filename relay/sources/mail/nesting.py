"""How deep the parts of a mail lie in each other, counted before the mail is parsed.

The parser compares each line with the boundary of every multipart that is open around it, so that its time is lines
times depth.
"""

from __future__ import annotations

import re
from itertools import islice

#: A mail of some forwards and a list's footer has eight.
MAX_OPEN = 24

_WORD = re.compile(rb"boundary", re.IGNORECASE)
_MARK = re.compile(rb"boundary\*?0?\*?=\s{0,8}\"?([^\"\s;]{1,200})|\n--([^\r\n]{1,220})", re.IGNORECASE)


def is_too_nested(raw: bytes) -> bool:
    """Tell whether more than `MAX_OPEN` multiparts are open at once."""
    if sum(1 for _ in islice(_WORD.finditer(raw), MAX_OPEN + 1)) <= MAX_OPEN:
        return False
    open_now: dict[bytes, None] = {}
    for found in _MARK.finditer(raw):
        if found[1] is not None:
            open_now.setdefault(found[1])
            if len(open_now) > MAX_OPEN:
                return True
            continue
        line = found[2].rstrip()
        name, closing = line, False
        if name not in open_now and line.endswith(b"--"):
            name, closing = line[:-2], True
        if name not in open_now:
            continue
        # What began inside it has ended, closed or not.
        while next(reversed(open_now)) != name:
            open_now.popitem()
        if closing:
            open_now.popitem()
    return False
