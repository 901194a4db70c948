"""Bytes in a named charset as text that may be stored: decoded, without control characters or lone surrogates."""

from __future__ import annotations

import re

from relay.sources.read.jis import decode_jis

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

#: Names that mails use and Python does not know, or knows as something narrower than what is meant.
_CHARSETS = {"": "utf-8", "ascii": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "cp1252", "latin1": "cp1252"}
_CHARSETS |= {"latin-1": "cp1252", "iso-8859-8-i": "iso-8859-8", "gb2312": "gb18030", "gbk": "gb18030"}
_CHARSETS |= {"iso-2022-jp-ms": "iso-2022-jp", "cp50220": "iso-2022-jp", "cp50221": "iso-2022-jp"}
_CHARSETS |= {"windows-874": "cp874", "dos-874": "cp874", "x-mac-roman": "mac-roman", "x-sjis": "cp932"}
_CHARSETS |= {"shift_jis": "cp932", "shift-jis": "cp932", "windows-31j": "cp932", "windows-936": "gb18030"}
_CHARSETS |= {"windows-949": "cp949", "euc-kr": "cp949", "x-gbk": "gb18030", "x-euc-jp": "euc-jp"}
_CHARSETS |= {"ks_c_5601-1987": "cp949", "unknown-8bit": "utf-8", "default": "utf-8", "utf8mb4": "utf-8"}


_REPLACEMENT = "\ufffd"
_JIS = frozenset(
    ["iso-2022-jp", "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "iso2022-jp"]
)

#: What mails are written in. Python knows more, and some of it is quadratic ("punycode") or no text at all.
_SAFE_CHARSET = re.compile(
    r"(?:x-)?(?:utf|iso|windows|cp|koi8|gb|big5|euc|shift|sjis|ks_c|mac|tis|hz|johab|latin|ibm|hp-roman|kz|ptcp)[a-z0-9_.:-]{0,24}"
)


#: Where a page names its charset; browsers look no further. Source: HTML, "prescan a byte stream".
_META_BYTES = 4096
_META = re.compile(
    rb"<meta\b[^>]{0,300}?\bcharset\s{0,9}=\s{0,9}[\"']?\s{0,9}([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE
)


def decode_bytes(raw: bytes, charset: str, *, cut: bool = False) -> str:
    """Return bytes as text in the charset named, else UTF-8, else Windows-1252. Never raises.

    A byte that the charset does not know costs one character; another charset is only tried where such bytes
    outnumber what was decoded. `cut` says that the bytes may end inside a character.
    """
    name = charset.strip().strip("\"'").lower()
    name = _CHARSETS.get(name, name)
    if not _SAFE_CHARSET.fullmatch(name):
        name = "utf-8"
    best = ""
    for candidate in dict.fromkeys((name, "utf-8", "cp1252")):
        text = _decoded(raw, candidate)
        if text is None:
            continue
        if cut and text.endswith(_REPLACEMENT):
            text = text[:-1]
        bad = text.count(_REPLACEMENT)
        if bad and candidate != "utf-8" and (other := _strictly_utf8(raw)) is not None:
            return other  # what is UTF-8 throughout is nothing else
        if bad <= _beyond_ascii(text) - bad:
            return text
        best = best or text
    return best


def charset_of_page(raw: bytes, named: str) -> str:
    """Return the charset in which a page of HTML is to be read: the one named beside it, else, for what is no UTF-8, the one that
    the page names itself; "" for none."""
    if named.strip("\"' ").lower() not in ("", "us-ascii", "ascii"):
        return named
    found = _META.search(raw, 0, _META_BYTES)
    return found[1].decode() if found and _strictly_utf8(raw) is None else named


def _strictly_utf8(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _decoded(raw: bytes, name: str) -> str | None:
    try:
        text = raw.decode(name, "replace")
    except (LookupError, ValueError):
        return None
    if name in _JIS and (_REPLACEMENT in text):
        return decode_jis(raw)
    return text


def _beyond_ascii(text: str) -> int:
    return 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))


def printable(text: str) -> str:
    """Return text without lone surrogates and control characters. Raw bytes that `email` kept as surrogates are
    read as UTF-8, else as Windows-1252."""
    if text.isprintable():
        return text
    return _CONTROL.sub("", encodable(text))


def encodable(text: str, charset: str = "") -> str:
    """Return text without lone surrogates: raw bytes kept as such are read as UTF-8, else in the charset named."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace").decode()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return decode_bytes(raw, charset or "cp1252")
    return text
