"""A large mail without most of what is attached to it: its parser makes five of whatever it is given.

In the place of what is left out stands a line that nobody else can have written; asked for its content, such a part has it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import Policy
from typing import Any

#: Smaller mails are parsed as they are.
SLIM_FROM_BYTES = 1024 * 1024
#: A run of base64 that is left out is at least as long.
RUN_BYTES = 64 * 1024
#: So much of one part without base64 stays, and so much of all; of each further part the least.
PART_BYTES, ALL_BYTES, LEAST_BYTES = 2_000_000, 2_500_000, 16 * 1024
#: Of base64 that was left out, so much is decoded: more is not read of a text, nor of a `winmail.dat`.
CONTENT_BYTES = 4_000_000

#: Possessive: each line is looked at once.
_RUN = re.compile(rb"^(?:[A-Za-z0-9+/]{56,998}={0,2}\r?\n)++", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Slim:
    """`lean` is what is parsed; `spans` are the places of `raw` that are missing in it, by the number in their line."""

    raw: bytes
    lean: bytes
    mark: str = ""
    spans: list[tuple[int, int]] = field(default_factory=list)


def slim(raw: bytes) -> Slim:
    """Return the mail itself where it is small."""
    if len(raw) <= SLIM_FROM_BYTES:
        return Slim(raw, raw)
    mark = f"left-out-{secrets.token_hex(16)}-"
    spans = list(_left_out(raw))
    pieces: list[bytes] = []
    at = 0
    for number, (start, end) in enumerate(spans):
        pieces += (raw[at:start], f"{mark}{number}\n".encode())
        at = end
    return Slim(raw, b"".join([*pieces, raw[at:]]), mark, spans)


class SlimPart(EmailMessage):
    """A part of such a mail."""

    def __init__(self, policy: Policy[Any] | None = None, *, slim: Slim) -> None:
        super().__init__(policy)
        self._slim = slim

    def get_payload(self, i: Any = None, decode: Any = False) -> Any:
        """Decoded, it is the content without marks, as far as anybody reads it."""
        pieces = self._pieces() if decode else []
        if not pieces:
            return super().get_payload(i, decode)
        whole = EmailMessage(self.policy)
        if encoding := self.get("content-transfer-encoding"):
            whole["content-transfer-encoding"] = str(encoding)
        raw, most = self._slim.raw, CONTENT_BYTES if self._is_base64() else 0
        whole.set_payload(
            "".join(
                raw[piece[0] : min(piece[1], piece[0] + most)].decode("ascii", "surrogateescape")
                if isinstance(piece, tuple)
                else piece
                for piece in pieces
            )
        )
        return whole.get_payload(decode=True)

    def content_size(self) -> int | None:
        """Return how many bytes its content is; None where it is all there, to be decoded."""
        pieces = self._pieces()
        if not pieces:
            return None
        size = letters = 0
        raw = self._slim.raw
        for piece in pieces:
            if isinstance(piece, tuple):
                others = sum(raw.count(one, *piece) for one in (b"\r", b"\n", b"="))
                size += piece[1] - piece[0]
                letters += piece[1] - piece[0] - others
            else:
                size += len(piece)
                letters += len(piece) - sum(map(piece.count, "\r\n="))
        return letters * 3 // 4 if self._is_base64() else size

    def _is_base64(self) -> bool:
        return str(self.get("content-transfer-encoding", "")).strip().lower() == "base64"

    def _pieces(self) -> list[str | tuple[int, int]]:
        """The payload with the places of what is left out; [] where nothing is."""
        held: Any = super().get_payload()
        mark = self._slim.mark
        if not mark or not isinstance(held, str) or mark not in held:
            return []
        first, *rest = held.split(mark)
        pieces: list[str | tuple[int, int]] = [first]
        for one in rest:
            number, _, after = one.partition("\n")
            pieces += (self._slim.spans[int(number)], after)
        return pieces


def _left_out(raw: bytes) -> Iterator[tuple[int, int]]:
    """Long runs of base64, and of the rest what is more than anybody reads."""
    kept = 0
    for start, end, is_run in _stretches(raw):
        if is_run:
            yield start, end
            continue
        room = min(PART_BYTES, ALL_BYTES - kept)
        most = max(room, LEAST_BYTES)
        line = raw.find(b"\n", start + most, end) if end - start > most else -1
        if line < 0 or line + 1 >= end:
            kept += end - start
            continue
        kept += line + 1 - start
        yield line + 1, end


def _stretches(raw: bytes) -> Iterator[tuple[int, int, bool]]:
    """The mail in runs of base64 and what is between two lines that may end a part."""
    at = 0
    runs = ((run.start(), run.end()) for run in _RUN.finditer(raw) if run.end() - run.start() >= RUN_BYTES)
    for start, end in (*runs, (len(raw), len(raw))):
        while at < start:
            delimiter = raw.find(b"\n--", at, start)
            cut = delimiter + 1 if delimiter >= 0 else start
            yield at, cut, False
            if cut < start:
                # The line itself stays whole.
                line = raw.find(b"\n", cut, start)
                at = line + 1 if line >= 0 else start
                yield cut, at, False
            else:
                at = start
        if start < end:
            yield start, end, True
        at = end
