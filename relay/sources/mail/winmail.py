"""Outlook's winmail.dat (application/ms-tnef): text, HTML and the names of what is attached. Source: MS-OXTNEF.

Read here and not by a library: those that exist follow counts in the file without bound, so that a few bytes keep them
busy for hours. Every step here goes forward in the data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from relay.event import Attachment
from relay.sources.mail.headers import attachment
from relay.sources.mail.rtf import text_of_rtf, unpacked
from relay.sources.read.charset import decode_bytes

MAX_OBJECTS = 5000
MAX_PROPERTIES = 5000

_SIGNATURE = b"\x78\x9f\x3e\x22"
_BODY = 0x800C
_CODE_PAGE = 0x9007
_MAPI = 0x9003
_ATTACH_BEGIN = 0x9002
_ATTACH_TITLE = 0x8010
_ATTACH_DATA = 0x800F
_ATTACH_MAPI = 0x9005

_PROPERTY_BODY = 0x1000
_PROPERTY_RTF = 0x1009
_PROPERTY_HTML = 0x1013
_PROPERTY_CODE_PAGE = 0x3FDE
_PROPERTY_LONG_NAME = 0x3707

#: Bytes of a value by its type; what is not here has its length before it.
_FIXED = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_VARIABLE = frozenset([13, 30, 31, 258])
_MANY = 0x1000
_UNICODE = 31


@dataclass(slots=True)
class Winmail:
    text: str = ""
    html: str = ""
    rtf: bytes = b""
    files: list[Attachment] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    name: str = ""
    size: int = 0


def read_winmail(raw: bytes) -> Winmail | None:
    """Return what the file holds as far as it can be read; None where it is no winmail.dat."""
    if not raw.startswith(_SIGNATURE):
        return None
    found = Winmail()
    charset = "cp1252"
    files: list[_File] = []
    for kind, data in _objects(raw):
        if kind == _CODE_PAGE and len(data) >= 4:
            charset = _charset(data)
        elif kind == _BODY:
            found.text = _string(data, charset)
        elif kind == _MAPI:
            charset = _take_properties(found, data, charset)
        elif kind == _ATTACH_BEGIN:
            files.append(_File())
        elif files and kind == _ATTACH_TITLE:
            files[-1].name = files[-1].name or _string(data, charset)
        elif files and kind == _ATTACH_DATA:
            files[-1].size = len(data)
        elif files and kind == _ATTACH_MAPI:
            for identity, unicode, value in _properties(data):
                if identity == _PROPERTY_LONG_NAME:
                    files[-1].name = _string(value, "utf-16-le" if unicode else charset)
    found.files = [attachment(file.name, "", file.size) for file in files]
    if not found.text and not found.html and found.rtf:
        found.text = text_of_rtf(unpacked(found.rtf))
    return found


def _take_properties(found: Winmail, data: bytes, charset: str) -> str:
    values = {identity: (value, unicode) for identity, unicode, value in _properties(data)}
    if _PROPERTY_CODE_PAGE in values and len(values[_PROPERTY_CODE_PAGE][0]) >= 4:
        charset = _charset(values[_PROPERTY_CODE_PAGE][0])
    if _PROPERTY_BODY in values:
        value, unicode = values[_PROPERTY_BODY]
        found.text = found.text or _string(value, "utf-16-le" if unicode else charset)
    if _PROPERTY_HTML in values:
        value, unicode = values[_PROPERTY_HTML]
        found.html = _string(value, "utf-16-le" if unicode else charset)
    if _PROPERTY_RTF in values:
        found.rtf = values[_PROPERTY_RTF][0]
    return charset


def _objects(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Each object's kind and data, in their order; level and checksum are not looked at."""
    at = 6
    for _ in range(MAX_OBJECTS):
        if at + 9 > len(raw):
            return
        kind, _type, length = struct.unpack_from("<HHI", raw, at + 1)
        yield kind, raw[at + 9 : at + 9 + length]
        at += 9 + length + 2


def _properties(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Each MAPI property's number, whether it is Unicode, and its first value."""
    at = 4
    for _ in range(MAX_PROPERTIES):
        if at + 4 > len(data):
            return
        kind, identity = struct.unpack_from("<HH", data, at)
        at += 4
        if identity >= 0x8000:
            at = _after_name(data, at)
        many = bool(kind & _MANY)
        kind &= ~_MANY
        if kind in _FIXED and not many:
            yield identity, False, data[at : at + _FIXED[kind]]
            at += _FIXED[kind]
            continue
        if at + 4 > len(data):
            return
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
        if kind in _FIXED:
            at += _FIXED[kind] * count
        elif kind in _VARIABLE:
            for nth in range(min(count, MAX_PROPERTIES)):
                if at + 4 > len(data):
                    return
                (length,) = struct.unpack_from("<I", data, at)
                if nth == 0:
                    yield identity, kind == _UNICODE, data[at + 4 : at + 4 + length]
                at += 4 + length + (-length % 4)
        else:
            return


def _after_name(data: bytes, at: int) -> int:
    """The place behind a named property's name."""
    at += 16
    if at + 8 > len(data):
        return len(data)
    kind, length = struct.unpack_from("<II", data, at)
    return at + 8 if kind == 0 else at + 8 + length + (-length % 4)


def _charset(data: bytes) -> str:
    (page,) = struct.unpack_from("<I", data)
    known = {65001: "utf-8", 20127: "us-ascii", 20866: "koi8-r", 28591: "iso-8859-1", 932: "cp932"}
    return known.get(page, f"cp{page}")


def _string(data: bytes, charset: str) -> str:
    if charset == "utf-16-le":
        text = data.decode("utf-16-le", "replace")
    else:
        text = decode_bytes(data, charset)
    return text.partition("\x00")[0].replace("\r\n", "\n")
