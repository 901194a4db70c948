"""Rich text as Outlook packs it into winmail.dat: unpacked, and read as plain text. Source: MS-OXRTFCP, MS-OXRTFEX."""

from __future__ import annotations

import re
import struct

from relay.sources.read.charset import decode_bytes

_MAX_BYTES = 4 * 1024 * 1024
_WINDOW = 4096
_PACKED = 0x75465A4C
_PLAIN = 0x414C454D
#: What the window holds before the first byte.
_BEGIN = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_TOKEN = re.compile(
    rb"\\'([0-9a-fA-F]{2})|\\u(-?\d{1,6}) ?|\\([a-z]{1,32})(-?\d{0,9}) ?|\\([^a-z'])|([{}])|([^\\{}\r\n]{1,4096})|[\r\n]"
)
_BREAKS = {b"par": "\n", b"line": "\n", b"tab": "\t", b"cell": "\t", b"row": "\n"}
_QUIET = frozenset(
    [b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"header", b"footer", b"listtable"]
)
_SIGNS = {
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"bullet": "\u2022",
}
_SIGNS |= {b"ldblquote": "\u201c", b"rdblquote": "\u201d"}


def unpacked(data: bytes) -> bytes:
    """Return the rich text out of its compressed form; as much as can be read."""
    if len(data) < 16:
        return b""
    _, size, form, _ = struct.unpack_from("<IIII", data)
    if form == _PLAIN:
        return data[16 : 16 + size]
    if form != _PACKED:
        return b""
    limit = min(size, _MAX_BYTES)
    window = bytearray(_BEGIN.ljust(_WINDOW, b"\x00"))
    write, at, out = len(_BEGIN), 16, bytearray()
    while at < len(data) and len(out) < limit:
        control = data[at]
        at += 1
        for bit in range(8):
            if at >= len(data) or len(out) >= limit:
                break
            if not control >> bit & 1:
                piece = data[at : at + 1]
                at += 1
            else:
                if at + 1 >= len(data):
                    return bytes(out)
                token = data[at] << 8 | data[at + 1]
                at += 2
                offset, length = token >> 4, (token & 15) + 2
                if offset == write:
                    return bytes(out)
                piece = b""
                for step in range(length):
                    byte = window[(offset + step) % _WINDOW]
                    window[write] = byte
                    write = (write + 1) % _WINDOW
                    out.append(byte)
                continue
            window[write] = piece[0]
            write = (write + 1) % _WINDOW
            out += piece
    return bytes(out)


def text_of_rtf(rtf: bytes) -> str:
    """Return the text that is shown; of HTML packed into rich text, what stands between the tags."""
    pieces: list[str] = []
    pending = bytearray()
    charset = "cp1252"
    #: For each open group whether nothing in it is shown.
    quiet = [False]
    skip_rtf, after_unicode, first = False, 0, False

    def flush() -> None:
        if pending:
            pieces.append(decode_bytes(bytes(pending), charset))
            pending.clear()

    for found in _TOKEN.finditer(rtf[:_MAX_BYTES]):
        byte, code, word, number, sign, brace, text = found.groups()
        if brace == b"{":
            quiet.append(quiet[-1])
            first = True
            continue
        if brace == b"}":
            if len(quiet) > 1:
                quiet.pop()
            continue
        if word == b"htmlrtf":
            skip_rtf = number != b"0"
        elif word == b"ansicpg" and number:
            charset = f"cp{number.decode()}"
        elif sign == b"*" or (first and word in _QUIET):
            quiet[-1] = True
        first = False
        if quiet[-1] or skip_rtf:
            continue
        if byte or text:
            if after_unicode and byte:
                after_unicode -= 1
            elif byte:
                pending += bytes.fromhex(byte.decode())
            elif text:
                pending += text[after_unicode:]
                after_unicode = 0
        elif code:
            flush()
            value = int(code) % 65536
            pieces.append("" if 0xD800 <= value < 0xE000 else chr(value))
            after_unicode = 1
        elif word in _BREAKS or word in _SIGNS:
            flush()
            pieces.append(_BREAKS.get(word) or _SIGNS[word])
        elif sign in (b"\\", b"{", b"}"):
            pending += sign
        elif sign == b"~":
            flush()
            pieces.append(" ")
    flush()
    return "".join(pieces).strip()
