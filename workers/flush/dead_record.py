"""What a dead letter says. `cause` groups letters and appears in metrics and logs: it holds no id, number or person.
`reason`, `answer` and `document` are for the operator's eyes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from relay.event import iso_time
from relay.outbox.dead_record import Stage, encode_record
from relay.outbox.items import Item
from relay.patch import Document
from relay.planhat.fields import EXTRAS, FIELDS

CAUSE_CHARS: Final = 120
_EXCERPT_CHARS: Final = 2_000
_ASKED_CHARS: Final = 320
_WORD: Final = re.compile(r"[\w'@.+-]+", re.UNICODE)
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|<[^>]*>")
#: Words of Planhat's own that may stand in a cause although the conversation uses them too.
_PLAIN_WORDS: Final = (
    "a an and any are be by cannot could duplicate duplicated error exist exists failed field for format found has in"
    " invalid is it key length limit long max missing more must no not of on only or permission property refused"
    " required should than that the this to too type unknown validation value was with"
)
_PLAIN: Final = frozenset([name.casefold() for name in (*FIELDS, *EXTRAS)] + _PLAIN_WORDS.split())


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """The record of one dead letter, before it is JSON."""

    stage: Stage
    cause: str
    reason: str
    answer: str = ""
    asked_for: tuple[tuple[str, str], ...] = ()

    def record(self, item: Item, document: Document | None) -> bytes:
        attempts = [] if document is None else [_attempt(entry) for entry in document.history]
        return encode_record(
            stage=self.stage,
            cause=self.cause,
            reason=self.reason[:_EXCERPT_CHARS],
            rule="" if document is None else document.rule,
            answer=self.answer[:_EXCERPT_CHARS],
            asked_for=[{"key": key, "value": value[:_ASKED_CHARS]} for key, value in self.asked_for],
            attempts=attempts,
            document={} if document is None else document.render(),
            source=item.lane_source,
            external_id=item.external_id,
        )


def dead_id(item: Item) -> str:
    """Return the same for the same claim, so that a settlement said twice makes one letter."""
    first = item.pending[0].event_id if item.pending else ""
    return (
        "dead_"
        + blake2b(f"{item.external_id}\x1f{item.token}\x1f{first}".encode(), digest_size=12).hexdigest()
    )


def cause_of(message: str, payload: Mapping[str, Any]) -> str:
    """Return `message` without what tells one letter from another: quotations, ids, numbers, addresses, and every word that
    the conversation itself holds."""
    own = {word.casefold() for text in _texts(payload) for word in _WORD.findall(text)}
    out: list[str] = []
    for word in _WORD.findall(_QUOTED.sub(" … ", message)):
        bare = word.strip("'.,:;-").casefold()
        hide = any(c.isdigit() or c == "@" for c in word) or len(word) > 40
        hide = hide or (bare not in _PLAIN and (bare in own or word.casefold() in own))
        piece = "…" if hide else word
        if piece != "…" or not out or out[-1] != "…":
            out.append(piece)
    return " ".join(out)[:CAUSE_CHARS].strip() or "no reason given"


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _attempt(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": iso_time(entry.get("at_ms", 0) / 1000),
        "what": entry.get("what", ""),
        "status": entry.get("status"),
        "error": entry.get("error", ""),
    }
