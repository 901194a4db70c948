"""ISO-2022-JP as mail programs write it: with the characters that NEC and IBM added, which Python's codec refuses."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\x1b(\$[@B]|\$\([@BDO-Q]|\([BJIH])")


def decode_jis(raw: bytes) -> str:
    """Return the text, read by way of code page 932; what that does not know is replaced."""
    pieces: list[str] = []
    mode, at = b"(B", 0
    for found in _ESCAPE.finditer(raw):
        pieces.append(_segment(raw[at : found.start()], mode))
        mode, at = found[1], found.end()
    pieces.append(_segment(raw[at:], mode))
    return "".join(pieces)


def _segment(raw: bytes, mode: bytes) -> str:
    if mode.startswith(b"$"):
        return b"".join(_lines(raw)).decode("cp932", "replace")
    if mode == b"(I":
        return bytes(byte | 0x80 if byte >= 0x21 else byte for byte in raw).decode("cp932", "replace")
    return raw.decode("cp932", "replace")


def _lines(raw: bytes) -> list[bytes]:
    """Pairs of seven-bit bytes as Shift_JIS writes them; a line's end stays what it is."""
    found: list[bytes] = []
    at = 0
    while at < len(raw):
        first = raw[at]
        if first < 0x21 or at + 1 >= len(raw):
            found.append(raw[at : at + 1])
            at += 1
            continue
        second = raw[at + 1]
        row = (first - 0x21) // 2 + 0x81
        row += 0x40 if row > 0x9F else 0
        if first % 2:
            cell = second + 0x1F + (second >= 0x60)
        else:
            cell = second + 0x7E
        found.append(bytes((row, cell & 0xFF)))
        at += 2
    return found
