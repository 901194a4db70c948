"""What is asked for: the filters of `relay events`, checked in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from relay.event import KINDS
from relay.operations.search.terms import Terms
from relay.operations.selection import InputInvalid, read_moment, read_text
from relay.outbox.events import EventHead
from relay.outbox.items import STATES

#: The filters by their names in the API; the command line's options are the same.
FILTERS: Final = ("since", "until", "source", "kind", "state", "rule", "from", "company", "text")
#: What is not asked for has no end.
_ALWAYS_MS: Final = 10**14


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Everything that is given must fit; "" and nothing: anything does. Times are epoch ms, both inclusive."""

    since_ms: int = 0
    until_ms: int = _ALWAYS_MS
    source: str = ""
    kind: str = ""
    states: frozenset[str] = frozenset()
    rule: str = ""
    sender: str = ""
    company: str = ""
    text: str = ""

    @property
    def by_terms(self) -> bool:
        """Whether the index knows anything of it."""
        return bool(self.kind or self.rule or self.sender or self.company or self.text)

    def terms(self, terms: Terms) -> Iterator[int]:
        """Return what an event must hold, but for its company: that may be told later than the event. Raises InputInvalid for words in which
        there is nothing to look for."""
        for key, asked, made in (
            ("from", self.sender, terms.sender(self.sender)),
            ("text", self.text, terms.text(self.text)),
        ):
            if asked and not made:
                raise InputInvalid("there is no word in it", key)
            yield from made
        if self.kind:
            yield terms.kind(self.kind)
        if self.rule:
            yield terms.rule(self.rule)

    def fits_state(self, head: EventHead) -> bool:
        return not self.states or head.state in self.states

    def fits_head(self, head: EventHead) -> bool:
        """Tell whether it fits by what stands in the head; what the index knows of beside that is not asked here."""
        facts = head.facts
        received_ms = int(facts.get("received_ms") or 0)
        return (
            self.since_ms <= received_ms <= self.until_ms
            and (not self.kind or facts.get("kind") == self.kind)
            and (not self.rule or facts.get("rule") == self.rule)
        )


def read_wanted(asked: Mapping[str, Any], now_ms: int) -> EventQuery:
    """Read a query from the API's or the console's filters, of which empty ones say nothing. Raises InputInvalid."""
    kind, rule = read_text(asked, "kind", blank=True), read_text(asked, "rule", blank=True)
    if kind:
        _require_known("kind", kind, sorted(KINDS))
    states = [word.strip() for word in read_text(asked, "state", blank=True).split(",") if word.strip()]
    for state in states:
        _require_known("state", state, STATES)
    since_ms = read_moment(asked, "since", now_ms, blank=True)
    until_ms = read_moment(asked, "until", now_ms, blank=True) or _ALWAYS_MS
    if until_ms <= since_ms:
        raise InputInvalid("must be later than since", "until")
    return EventQuery(
        since_ms=since_ms,
        until_ms=until_ms,
        source=read_text(asked, "source", blank=True),
        kind=kind,
        states=frozenset(states),
        rule=rule,
        sender=read_text(asked, "from", blank=True).strip(),
        company=read_text(asked, "company", blank=True).strip(),
        text=read_text(asked, "text", blank=True).strip(),
    )


def _require_known(key: str, word: str, known: Any) -> None:
    if word not in known:
        close = get_close_matches(word, known, n=1, cutoff=0.6)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
        raise InputInvalid(f"{word[:80]!r} is none{hint}", key)
