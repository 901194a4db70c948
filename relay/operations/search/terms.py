"""What is looked for, and what an event is found by, as numbers: keyed hashes, so that the index tells no words to whoever
reads Redis without the key.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from relay.event import Event
from relay.operations.search.words import distinct_words, search_words, text_as_compared

#: The kinds of terms: a word of the text, the sender, the kind, the rule, the company.
_TEXT, _FROM, _KIND, _RULE, _COMPANY = "t", "f", "k", "r", "c"
#: Of a domain of addresses.
_AT: Final = "@"
#: No company is known yet: whoever looks for one has to look at the conversation itself.
NO_COMPANY: Final = "?"
#: Numbers that are remembered, so that a common word is hashed once.
_REMEMBERED: Final = 200_000


class Terms:
    """Makes terms under one key. `mark` tells one key from another."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32, person=b"relay-index").digest()
        self.mark = blake2b(self._key, digest_size=6).hexdigest()
        self._known: dict[str, int] = {}

    def _term(self, kind: str, word: str) -> int:
        name = f"{kind}\x1f{word}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(name, key=self._key, digest_size=4).digest(), "little")

    def _words(self, words: list[str]) -> list[int]:
        known = self._known
        if len(known) > _REMEMBERED:
            known.clear()
        found = []
        for word in words:
            term = known.get(word)
            if term is None:
                term = known[word] = self._term(_TEXT, word)
            found.append(term)
        return found

    # -- what an event is found by ----------------------------------------------------------------------------

    def of_event(self, event: Event, rule: str) -> array[int]:
        """Give the terms of an event, ascending, each once."""
        sender = event.sender
        found = self._senders(sender.email, sender.name, sender.id)
        found.add(self._term(_KIND, event.kind))
        found.update(self._rules(rule))
        found.update(self._words(distinct_words(*_texts(event))))
        return array("I", sorted(found))

    def of_facts(self, facts: Mapping[str, Any]) -> array[int]:
        """Return the same of what is known of an event that cannot be read."""
        who = str(facts.get("from") or "")
        found = self._senders(who if _AT in who else "", "" if _AT in who else who, "")
        if facts.get("kind"):
            found.add(self._term(_KIND, str(facts["kind"])))
        found.update(self._rules(str(facts.get("rule") or "")))
        found.update(self._words(distinct_words(str(facts.get("subject") or ""), who)))
        return array("I", sorted(found))

    def _senders(self, email: str, name: str, ident: str) -> set[int]:
        found = set()
        if _AT in email:
            address = text_as_compared(email.strip())
            found |= {self._term(_FROM, address), self._term(_FROM, _AT + address.rpartition(_AT)[2])}
        found |= {
            self._term(_FROM, word) for word in (*search_words(name), *search_words(ident)) if _AT not in word
        }
        return found

    def _rules(self, rule: str) -> tuple[int, ...]:
        return (self._term(_RULE, rule),) if rule else ()

    def company(self, company_id: str) -> int:
        """Return the company of a conversation, `NO_COMPANY` where it is not known yet."""
        return self._term(_COMPANY, company_id)

    # -- what is looked for -----------------------------------------------------------------------------------

    def text(self, words: str) -> list[int]:
        """Return the terms all of which an event must hold. None: there is no word in it."""
        asked = []
        for part in words.split():
            found = list(search_words(part))
            # An address as a whole; its parts are words as well, and would find more.
            asked += [word for word in found if _AT in word] or found
        return self._words(list(dict.fromkeys(asked)))

    def sender(self, who: str) -> list[int]:
        """Return an address, a domain (`@example.com`, `example.com`), or words of a name or id."""
        asked = text_as_compared(who.strip())
        if _AT in asked:
            local, _, domain = asked.rpartition(_AT)
            return [self._term(_FROM, asked if local else _AT + domain)] if domain else []
        if "." in asked and " " not in asked:
            return [self._term(_FROM, _AT + asked)]
        return [self._term(_FROM, word) for word in dict.fromkeys(search_words(asked))]

    def kind(self, kind: str) -> int:
        return self._term(_KIND, kind)

    def rule(self, rule: str) -> int:
        return self._term(_RULE, rule)


def _texts(event: Event) -> Iterable[str]:
    yield event.subject
    yield event.text
    sender = event.sender
    yield f"{sender.name} {sender.email}"
    for person in event.recipients:
        yield f"{person.name} {person.email}"
    for file in event.attachments:
        yield file.name
    yield f"{event.channel.name} {event.channel.id} {event.ticket.id} {event.label}"
    yield from event.tags
    if not event.text:
        yield event.html
