"""A patch (what one event says about one conversation) and the document (the fold of all its patches).

The fold is a CRDT: `absorb` is commutative, associative and idempotent, so any order, duplication and replay of the
same patches gives the same document. That is what "newer never loses to older" rests on; `tests/outbox/test_patch.py` holds
it by property. Pure: no clock, no network, no Redis.

Merge ways, per field:
- `replace`: the value of the greatest version wins.
- `first`: the value of the smallest version wins.
- `union`: a list as a set keyed by id; per id the greatest version wins.
- `append`: a log keyed by message id; an edit replaces its entry, a retraction hides it for good, and what is left is
  rendered in the order of time. An entry stands where its message first stood, not where its edit did. A description's
  entries are blocks of safe HTML (`relay.description`); `b` in a stored form says so.

Beside these `fallback` and `placeholder`, which no rule can choose as a way: the value of the smallest version, which
stands while the field has no other (a placeholder: while it has no fallback either). Both are folded apart, so neither
wins over a better value, however early it came: "Ticket 12", until a text comes, until a subject comes.

Versions tie on the event id, so the order is total; a later mapping of the *same* event (a replay under new rules)
carries a higher `revision` and wins over its own earlier one, never over another event.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from relay.custom_names import differ_in_case_alone, newest_of_each_case
from relay.description import blocks_of, fit_to_planhat, join, mend_registers
from relay.errors import NewerRecord
from relay.registers import (
    SINGLE_WAYS,
    STAND_INS,
    Register,
    Way,
    earlier,
    member_key,
    newer,
    newest_entry,
    speaking_way,
)
from relay.value import AS_BEFORE, value_class

Action = Literal["upsert", "retract", "archive"]
#: The ways that a rule may name.
WAYS: tuple[Way, ...] = ("replace", "first", "union", "append")

#: Version of both stored forms. N reads N-1. 2: with fallbacks.
PATCH_SCHEMA = 2
#: Companies asked for are kept for the earliest patches only: a long thread needs no thousandth opinion.
MAX_COMPANY_ASKS = 8
#: The field whose entries are blocks of HTML; entries of others are lines.
DESCRIPTION = "description"
#: What is written between two entries of such a field.
ENTRY_SEPARATOR = "\n"
#: How an entry begins whose author is not known after all.
_BY_NOBODY = re.compile(rf"<(b|strong)>{AS_BEFORE}</\1>(?:: |, )?")


@value_class(frozen=True, slots=True)
class Patch:
    """Some fields of one conversation. `fields` maps a Planhat property (or "custom.Name") to (way, value).

    `time` (ISO 8601 UTC) places an appended entry; `version` decides who wins. `company_id` is what the rule set
    itself; `company` what the directory is asked with, in the rule's order ("email" -> "ann@example.com"). `author` is
    who wrote the message, where its edits will not say so.
    """

    external_id: str
    event_id: str
    source: str
    version: int
    time: str
    fields: Mapping[str, tuple[Way, Any]] = field(default_factory=dict)
    action: Action = "upsert"
    message_id: str = ""
    company_id: str = ""
    company: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    revision: int = 0
    author: str = ""

    def encode(self) -> bytes:
        return orjson.dumps(
            {
                "v": PATCH_SCHEMA,
                "x": self.external_id,
                "e": self.event_id,
                "s": self.source,
                "o": self.version,
                "t": self.time,
                "f": self.fields,
                "a": self.action,
                "m": self.message_id,
                "c": self.company_id,
                "k": self.company,
                "n": self.rule,
                "r": self.revision,
                "b": 1,
                **({"w": self.author} if self.author else {}),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Patch:
        """Read a patch. Raises NewerRecord for what a newer release wrote, ValueError for what `encode` of this version or the one before
        did not."""
        raw = orjson.loads(data)
        if raw.get("v") != PATCH_SCHEMA:
            _require_schema("a patch", raw.get("v"))
        fields = {name: (way, value) for name, (way, value) in raw["f"].items()}
        if "b" not in raw and DESCRIPTION in fields:
            way, value = fields[DESCRIPTION]
            fields[DESCRIPTION] = (way, blocks_of(value))
        return cls(
            raw["x"],
            raw["e"],
            raw["s"],
            raw["o"],
            raw["t"],
            fields,
            raw["a"],
            raw["m"],
            raw["c"],
            raw["k"],
            raw["n"],
            raw["r"],
            raw.get("w", ""),
        )


def _require_schema(what: str, version: Any) -> None:
    if isinstance(version, int) and version > PATCH_SCHEMA:
        raise NewerRecord(f"{what} of schema {version}; this release reads {PATCH_SCHEMA}")
    if version not in (PATCH_SCHEMA, PATCH_SCHEMA - 1):
        raise ValueError(f"{what} of schema {version!r}; this release reads {PATCH_SCHEMA}")


@dataclass(slots=True)
class Document:
    """Everything known of one conversation, and what Planhat was last seen to have of it.

    `registers`, `retracted`, `messages`, `authors` and `asks` are the CRDT; the rest is delivery's memory and is set by the
    workers: `sent_hash` (content hash last acknowledged), `planhat_id`, `company_id` (pinned at first delivery),
    `history` (the last deliveries, newest last, as {"at_ms", "what", ...}), `marked`, `life`, `based`.
    """

    external_id: str
    registers: dict[str, dict[str, Any]] = field(default_factory=dict)
    retracted: dict[str, Register] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    authors: dict[str, Register] = field(default_factory=dict)
    asks: list[list[Any]] = field(default_factory=list)
    source: str = ""
    rule: str = ""
    sent_hash: str = ""
    planhat_id: str = ""
    company_id: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    #: In which year of 365 days its mark was left, and in which life of Redis it was delivered (see `relay.outbox.epoch`).
    marked: int = 0
    life: int = 0
    #: What Planhat had of it was read, since it was forgotten here: of a field that comes later nobody here knows what stands there.
    based: bool = False

    def encode(self) -> bytes:
        return self.encode_fold() + self.encode_memory()

    def encode_fold(self) -> bytes:
        """Return the first half of `encode`: what the patches made of it, which delivery does not change."""
        fold: dict[str, Any] = {
            "v": PATCH_SCHEMA,
            "x": self.external_id,
            "f": self.registers,
            "d": self.retracted,
            "m": self.messages,
            "k": self.asks,
            "s": self.source,
            "n": self.rule,
            "b": 1,
        }
        if self.authors:
            fold["w"] = self.authors
        if self.based:
            fold["g"] = 1
        return orjson.dumps(fold)[:-1]

    def encode_memory(self) -> bytes:
        """Return the second half: delivery's memory."""
        return encode_memory(
            self.sent_hash, self.planhat_id, self.company_id, self.history, marked=self.marked, life=self.life
        )

    @classmethod
    def decode(cls, data: bytes) -> Document:
        """Read a document. Raises as `Patch.decode` does."""
        raw = orjson.loads(data)
        _require_schema("a document", raw.get("v"))
        if "b" not in raw and DESCRIPTION in raw["f"]:
            mend_registers(raw["f"][DESCRIPTION])
        return cls(
            external_id=raw["x"],
            registers=raw["f"],
            retracted=raw["d"],
            messages=raw["m"],
            authors=raw.get("w", {}),
            asks=raw["k"],
            source=raw["s"],
            rule=raw["n"],
            sent_hash=raw["h"],
            planhat_id=raw["p"],
            company_id=raw["c"],
            history=raw["l"],
            marked=raw.get("y", 0),
            life=raw.get("i", 0),
            based=bool(raw.get("g")),
        )

    # -- the fold ------------------------------------------------------------------------------------------

    def absorb(self, patch: Patch) -> None:
        """Takes `patch` in. In whatever order and however often, the same patches give the same state."""
        stamp = [patch.version, patch.event_id, patch.revision]
        if not self.source:
            self.source = patch.source
        if patch.rule:
            self.rule = patch.rule
        if patch.action == "retract":
            if patch.message_id:
                mark: Register = [*stamp, True]
                held = self.retracted.get(patch.message_id)
                if held is None or newer(mark, held):
                    self.retracted[patch.message_id] = mark
            return
        if patch.action == "archive":
            self._absorb_field("archived", "replace", [*stamp, True], patch)
            return
        if patch.message_id:
            self.messages[patch.message_id] = 1
            if patch.author:
                told: Register = [*stamp, patch.author]
                known = self.authors.get(patch.message_id)
                if known is None or earlier(told, known):
                    self.authors[patch.message_id] = told
        version, event_id, revision = stamp
        registers = self.registers
        for name, (way, value) in patch.fields.items():
            if name in registers or way == "union":
                self._absorb_field(name, way, [version, event_id, revision, value], patch)
            # Most conversations are new, and a field's first value has nothing to win over: half of a fold's cost.
            elif way == "append":
                registers[name] = {way: {patch.message_id: [version, event_id, revision, value, patch.time]}}
            else:
                registers[name] = {way: [version, event_id, revision, value]}
        if patch.company_id or patch.company:
            ask = [*stamp[:2], patch.company_id, dict(patch.company)]
            if ask not in self.asks:
                self.asks.append(ask)
                if len(self.asks) > 1:
                    self.asks.sort(key=_ask_order)
                    del self.asks[MAX_COMPANY_ASKS:]

    def _absorb_field(self, name: str, way: str, register: Register, patch: Patch) -> None:
        ways = self.registers.setdefault(name, {})
        if way == "replace":
            held = ways.get(way)
            if held is None or newer(register, held):
                ways[way] = register
        elif way == "first" or way in STAND_INS:
            held = ways.get(way)
            if held is None or earlier(register, held):
                ways[way] = register
        elif way == "union":
            members = ways.setdefault(way, {})
            values = register[3] if isinstance(register[3], list) else [register[3]]
            for value in values:
                key = member_key(value)
                member: Register = [*register[:3], value]
                held = members.get(key)
                if held is None or newer(member, held):
                    members[key] = member
        else:
            entries = ways.setdefault("append", {})
            held = entries.get(patch.message_id)
            stands_at = patch.time if held is None else min(patch.time, held[4])
            if held is None or newer(register, held):
                entries[patch.message_id] = [*register, stands_at]
            else:
                held[4] = stands_at

    # -- what it says ----------------------------------------------------------------------------------------

    def nothing_left(self) -> bool:
        """Tell whether every message that was ever in it has been retracted."""
        return bool(self.retracted) and all(message in self.retracted for message in self.messages)

    def render(self) -> dict[str, Any]:
        """Return the conversation's fields as Planhat takes them (without companyId, `_id` and externalId). Empty values
        are left out: a partial update must not wipe what a person wrote in Planhat. Only an appended text whose
        every entry was retracted is sent empty."""
        fields: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        for name, ways in self.registers.items():
            register = ways.get("replace") or ways.get("first")
            # Nearly every field has one way only: not looking for its newest entry is a fifth of a fold.
            value = register[3] if register and len(ways) == 1 else self._value(name, ways)
            if name == DESCRIPTION and value.__class__ is str:
                value = fit_to_planhat(value)
            empty = not value and not isinstance(value, (int, float))
            # "" is sent where what we wrote was taken back: it must not stay in Planhat.
            if empty and not (value == "" and self._was_retracted(ways)):
                continue
            if name.startswith("custom."):
                custom[name[7:]] = value
            else:
                fields[name] = value
        if custom:
            if len(custom) > 1 and differ_in_case_alone(tuple(custom)):
                # From rules of different times: Planhat refuses a record with both.
                custom = newest_of_each_case(
                    custom, lambda name: newest_entry(self.registers[f"custom.{name}"])
                )
            fields["custom"] = custom
        if self.retracted and self.messages:
            self._archive_if_nothing_is_left(fields)
        return fields

    def _archive_if_nothing_is_left(self, fields: dict[str, Any]) -> None:
        """What a rule wrote stands, but for what came before the last message was retracted."""
        ways, gone = self.registers.get("archived"), self.nothing_left()
        if ways is None:
            fields["archived"] = gone
        elif gone and max((mark[0], mark[1], mark[2]) for mark in self.retracted.values()) > newest_entry(
            ways
        ):
            fields["archived"] = True

    def _value(self, name: str, ways: dict[str, Any]) -> Any:
        # Rules may change their merge way over time; the way of the newest patch speaks.
        way = speaking_way(ways) if len(ways) > 1 else next(iter(ways))
        held = ways[way]
        if way in SINGLE_WAYS:
            return held[3]
        if way == "union":
            return [held[key][3] for key in sorted(held, key=lambda k: (held[k][0], held[k][1], k))]
        retracted = self.retracted
        live = [(e[4], m, e[3]) for m, e in held.items() if m not in retracted and e[3] not in (None, "")]
        if len(live) == 1:
            return self._spelling(live[0][1], str(live[0][2]))
        live.sort(key=lambda entry: entry[:2])
        entries = [self._spelling(message, str(text)) for _, message, text in live]
        return join(entries) if name == DESCRIPTION else ENTRY_SEPARATOR.join(entries)

    def _spelling(self, message_id: str, text: str) -> str:
        return self.spellings(message_id, text)[0] if AS_BEFORE in text else text

    def spellings(self, message_id: str, text: str) -> list[str]:
        """Return how an entry may stand in Planhat: with its author's name where an edit did not know it, or, from before that
        was known, without. The first is how it is rendered now."""
        if AS_BEFORE not in text:
            return [text]
        unsigned = _BY_NOBODY.sub("", text).replace(AS_BEFORE, "")
        known = self.authors.get(message_id)
        return [text.replace(AS_BEFORE, html.escape(known[3])), unsigned] if known else [unsigned]

    def _was_retracted(self, ways: dict[str, Any]) -> bool:
        return any(message in self.retracted for message in ways.get("append", ()))

    def contributors(self) -> set[str]:
        """Return the event ids that something in the document still stands on. An event that is not among them is superseded:
        newer ones said everything that it said, or its message was retracted."""
        events: set[str] = set()
        for ways in self.registers.values():
            for way, held in ways.items():
                if way in SINGLE_WAYS:
                    if way not in STAND_INS or way == speaking_way(ways):
                        events.add(held[1])
                elif way == "union":
                    events.update(member[1] for member in held.values())
                else:
                    events.update(e[1] for m, e in held.items() if m not in self.retracted)
        events.update(mark[1] for mark in self.retracted.values())
        return events


def encode_memory(
    sent_hash: str,
    planhat_id: str,
    company_id: str,
    history: list[dict[str, Any]],
    *,
    marked: int = 0,
    life: int = 0,
) -> bytes:
    """Return the second half of `Document.encode`, for who has no `Document` at hand."""
    memory: dict[str, Any] = {"h": sent_hash, "p": planhat_id, "c": company_id, "l": history}
    if marked:
        memory["y"] = marked
    if life:
        memory["i"] = life
    return b"," + orjson.dumps(memory)[1:]


def pinned_company(document: bytes) -> str:
    """Return the company of an encoded document, "" where it has none, or cannot be read."""
    try:
        memory = orjson.loads(document)
        return str(memory.get("c") or "")
    except (ValueError, AttributeError):
        return ""


def fold(document: Document, patches: Iterable[Patch]) -> Document:
    """Return `document` with all `patches` taken in (the same object)."""
    for patch in patches:
        document.absorb(patch)
    return document


def _ask_order(ask: list[Any]) -> tuple[int, str, bytes]:
    return ask[0], ask[1], orjson.dumps(ask[2:], option=orjson.OPT_SORT_KEYS)
