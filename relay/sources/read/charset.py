"""Bytes in a named charset as text that may be stored: decoded, without control characters or lone surrogates."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

#: Names that mails use and Python does not know, or knows as something narrower than what is meant.
_CHARSETS = {"": "utf-8", "ascii": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "cp1252", "latin1": "cp1252"}
_CHARSETS |= {"latin-1": "cp1252", "iso-8859-8-i": "iso-8859-8", "gb2312": "gb18030", "gbk": "gb18030"}
_CHARSETS |= {"ks_c_5601-1987": "cp949", "unknown-8bit": "utf-8", "default": "utf-8", "utf8mb4": "utf-8"}


#: What mails are written in. Python knows more, and some of it is quadratic ("punycode") or no text at all.
_SAFE_CHARSET = re.compile(
    r"(?:x-)?(?:utf|iso|windows|cp|koi8|gb|big5|euc|shift|sjis|ks_c|mac|tis|hz|johab|latin|ibm|hp-roman|kz|ptcp)[a-z0-9_.:-]{0,24}"
)


def decode_bytes(raw: bytes, charset: str) -> str:
    """Bytes as text: in the charset named, else UTF-8, else Windows-1252 with replacements. Never raises."""
    name = charset.strip().strip("\"'").lower()
    name = _CHARSETS.get(name, name)
    for candidate in (name if _SAFE_CHARSET.fullmatch(name) else "utf-8", "utf-8"):
        try:
            return raw.decode(candidate)
        except (LookupError, ValueError):
            continue
    return raw.decode("cp1252", "replace")


def printable(text: str) -> str:
    """Text without lone surrogates and control characters. Raw bytes that `email` kept as surrogates are
    read as UTF-8, else as Windows-1252."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            try:
                text = _of_bytes(text.encode("utf-8", "surrogateescape"))
            except UnicodeEncodeError:
                text = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub("", text)


def _of_bytes(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
