"""Handshakes: senders that ask whether anybody is there before they send, and want back what they asked with.

handshake: {echo: query validationToken, as: text}

None of them carries a proof: often the secret comes only with their end. So what is given back is only ever what was asked
with, never read as anything, and no browser shows it as a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from relay.errors import PayloadInvalid
from relay.sources.base import Inbound, Reply
from relay.sources.read.json_scan import scan_path

MAX_ECHO_CHARS = 4096
#: A request that asks with a field holds little beside it.
MAX_ASKING_BYTES = 16_384
_PLACES = ("header", "query", "field")
_SAFE = {"x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Handshake:
    """`place` is "header", "query" or "field" (a dotted path of a JSON body), `name` which one; `answer` is "text", "json" or
    a header's name."""

    place: str
    name: str
    answer: str = "text"

    def may_follow(self, head: Inbound) -> bool:
        """Tell whether a request with this head may be a handshake, so that its proof is looked for only with its body."""
        if self.place != "field":
            return bool(self.asked(head))
        length = head.headers.get("content-length", "0")
        return not (length.isascii() and length.isdigit()) or int(length[:9]) <= MAX_ASKING_BYTES

    def asked(self, inbound: Inbound) -> str:
        """Return what the request asks with; "" where it is no handshake. Takes linear time and fixed memory."""
        if self.place == "header":
            found: Any = inbound.headers.get(self.name, "")
        elif self.place == "query":
            found = inbound.query.get(self.name, "")
        else:
            found = self._field(inbound)
        sound = isinstance(found, str) and 0 < len(found) <= MAX_ECHO_CHARS and found.isprintable()
        return found if sound else ""

    def _field(self, inbound: Inbound) -> Any:
        if inbound.method != "POST" or not 0 < len(inbound.body) <= MAX_ASKING_BYTES:
            return ""
        try:
            return scan_path(inbound.body, self.name)
        except PayloadInvalid:
            return ""

    def reply(self, inbound: Inbound) -> Reply | None:
        """Return the answer to a handshake, None to anything else."""
        value = self.asked(inbound)
        if not value:
            return None
        if self.answer == "json":
            told = {self.name.rpartition(".")[2]: value}
            return Reply(200, orjson.dumps(told), "application/json", _SAFE)
        if self.answer != "text":
            return Reply(200, headers={**_SAFE, self.answer: value}) if value.isascii() else None
        return Reply(200, value.encode(), headers=_SAFE)


def read_handshake(described: Mapping[str, Any]) -> Handshake:
    """Return the handshake of the config's `handshake:`. Raises ValueError with a sentence."""
    unknown = sorted(set(described) - {"echo", "as"})
    if unknown:
        raise ValueError(f"handshake: unknown key {unknown[0]!r}; known: echo, as")
    place, _, name = str(described.get("echo") or "").strip().partition(" ")
    name = name.strip()
    if place not in _PLACES or not name or " " in name:
        raise ValueError("handshake: echo should be `header NAME`, `query NAME` or `field PATH`")
    answer = str(described.get("as") or "text").strip()
    if answer.startswith("header "):
        answer = answer.removeprefix("header ").strip().lower()
        if not answer.replace("-", "").isalnum() or not answer.isascii() or answer in ("text", "json"):
            raise ValueError("handshake: as should be text, json or `header NAME`")
    elif answer not in ("text", "json"):
        raise ValueError("handshake: as should be text, json or `header NAME`")
    return Handshake(place, name.lower() if place == "header" else name, answer)
