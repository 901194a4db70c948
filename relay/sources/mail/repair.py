"""Header blocks as senders break them, mended so that a bad line costs no more than itself.

The standard library's parser takes the first line that is no field for the end of the header, so that all fields below
it end up in the body.
"""

from __future__ import annotations

import re

#: A header is shorter; what is longer is left as it is.
MAX_HEADER_BYTES = 256 * 1024

_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n|\r[ \t]*\r")
#: Fields and what is folded; possessive, so that it goes over the header once.
_WELL = re.compile(rb"(?:From [^\r\n]*+\r?\n)?+(?:(?:[!-9;-~]++:|[ \t])[^\r\n]*+(?:\r?\n|\Z))*+")
_FIELD = re.compile(rb"([!-9;-~]{1,120})([ \t]{0,40}):")
#: A line below a stray one shows that the header goes on.
_KNOWN = re.compile(
    rb"(?:from|to|cc|bcc|subject|date|sender|reply-to|message-id|references|in-reply-to|mime-version|received|return-path"
    rb"|content-[a-z-]{2,40}|x-[a-z0-9-]{2,80}|list-[a-z-]{2,40}|dkim-signature|authentication-results|arc-[a-z-]{2,40}"
    rb"|thread-[a-z]{2,20}|auto-submitted|precedence|delivered-to|importance|user-agent|feedback-id)[ \t]{0,40}:",
    re.IGNORECASE,
)
#: Fields that may have been wrapped without the blank that folding asks for.
_WRAPPED = frozenset([b"subject", b"references", b"in-reply-to", b"content-type", b"content-disposition"])
_BOM = b"\xef\xbb\xbf"


def mended(raw: bytes) -> bytes:
    """Return the mail with its header block readable; the same object where nothing is wrong."""
    raw = raw.removeprefix(_BOM).lstrip(b"\r\n").removeprefix(_BOM)
    found = _BLANK_LINE.search(raw, 0, MAX_HEADER_BYTES)
    if found is None:
        return raw
    head = raw[: found.start()]
    if _WELL.fullmatch(head):
        return raw
    return b"\r\n".join(_mended(re.split(rb"\r\n|\n|\r", head))) + raw[found.start() :]


def _mended(lines: list[bytes]) -> list[bytes]:
    #: The last line at which a known field begins: below it a stray line begins the body.
    last = max((place for place, line in enumerate(lines) if _KNOWN.match(line)), default=-1)
    kept: list[bytes] = []
    name = b""
    for place, line in enumerate(lines):
        field = _FIELD.match(line)
        if field is not None:
            name = field[1].lower()
            kept.append(line[: field.end(1)] + line[field.end(2) :])
        elif line[:1] in b" \t" or (place == 0 and line.startswith(b"From ")):
            kept.append(line)
        elif place > last:
            # No field follows: the blank line before the body is missing.
            return [*kept, b"", *lines[place:]]
        elif (
            kept
            and (name in _WRAPPED or kept[-1].rstrip().endswith((b",", b";")))
            and not line.startswith(b">")
        ):
            kept.append(b" " + line)
    return kept
