"""Erasing one person, or one conversation, from everything that the relay stores; what is left in Planhat is remembered until
it is removed there.

What decides is the event as its adapter reads it, and every encoding of the raw request. Each conversation that is found loses
its raw events, whoever wrote them: a mail quotes the mails before it. Patches of others that still wait stay, unless the person
stands in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from relay.errors import MappingFailed, RelayError
from relay.operations.context import OperatorContext
from relay.operations.person import Needle
from relay.operations.remap import Remapper, Stored, read_stored
from relay.operations.rq_jobs import forget_failed_jobs, forget_jobs_that
from relay.operations.search.erase_terms import forget_terms
from relay.outbox import keys
from relay.outbox.address_digest import address_digest
from relay.outbox.audit import amend_audit
from relay.outbox.erased import Erased, ErasedKind, Standing
from relay.outbox.notes import read_notes
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis
from relay.outbox.sweep import sweep
from relay.patch import Document
from relay.sources.mail.thread_ids import keys_of_mails

_PART = 200
#: What comes in during a search is found by the next one.
_PASSES = 3


@dataclass(slots=True)
class _Found:
    """`own`: the events that hold the person. `events`: all whose raw form goes, id -> conversation ("" where it has none). `waiting`: conversation -> events whose patches wait and go.
    `documents`: conversation -> Planhat's `_id` ("" where it is not known)."""

    own: set[str] = field(default_factory=set)
    events: dict[str, str] = field(default_factory=dict)
    conversations: set[str] = field(default_factory=set)
    waiting: dict[str, set[str]] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    #: Keys of the map of threads.
    threads: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    #: Event -> (source, when it was received in ms): where the index has it.
    came: dict[str, tuple[str, int]] = field(default_factory=dict)

    def note(self, stored: Stored, home: str) -> None:
        """Its raw form goes, and the request's that it came in with others."""
        came = (stored.source, int(stored.facts.get("received_ms") or 0))
        self.events[stored.event_id], self.came[stored.event_id] = home, came
        if owner := str(stored.facts.get("raw_of") or ""):
            # Several events came in one request: its body stands with the first of them.
            self.events.setdefault(owner, "")
            self.came.setdefault(owner, came)

    def __bool__(self) -> bool:
        return bool(self.events or self.waiting or self.documents or self.dead)


class Erasure:
    """`remapper` is None where the config does not hold: then the raw requests alone decide. `progress` hears how many events
    were looked through."""

    def __init__(
        self,
        context: OperatorContext,
        needle: Needle,
        erased: Erased,
        *,
        remapper: Remapper | None,
        progress: Callable[[int], None] = lambda seen: None,
    ) -> None:
        self._outbox: Outbox = context.outbox
        self._context = context
        self._needle = needle
        self._erased = erased
        self._remapper = remapper
        self._progress = progress
        self.kind: ErasedKind = "email" if needle.email else "conversation"
        self.value = needle.email or needle.conversation
        #: What stands in the audit in the place of the name.
        self.mark = f"erased-{erased.digest(self.kind, self.value)[:8]}"

    # -- searching -------------------------------------------------------------------------------------------

    def search(self) -> _Found:
        """Return what would go. Raises OutboxUnavailable."""
        found = _Found(conversations={self.value} if self.kind == "conversation" else set())
        self._events(found)
        self._conversations(found)
        self._dead(found)
        # Now that they are known, all events of all of them.
        self._rest(found)
        return found

    def _events(self, found: _Found) -> None:
        seen = 0
        for part in self._parts(keys.event("*")):
            for stored, homes in self._stored(part):
                if self.value in homes or self._holds(stored):
                    found.own.add(stored.event_id)
                    found.conversations.update(homes)
                    found.note(stored, homes[-1] if homes else "")
                    found.threads |= self._thread_keys(stored)
            seen += len(part)
            self._progress(seen)

    def _rest(self, found: _Found) -> None:
        for part in self._parts(keys.event("*")):
            for stored, homes in self._stored(part):
                if found.conversations.intersection(homes):
                    found.note(stored, homes[-1])
                    found.threads |= self._thread_keys(stored)

    def _stored(self, event_ids: Sequence[str]) -> Iterator[tuple[Stored, list[str]]]:
        """Each with the conversations that it belonged to, today's last."""
        notes = read_notes(self._outbox, event_ids)
        for stored in read_stored(self._context, event_ids, newer=True):
            if stored is None:
                continue
            named = [str(stored.facts.get("external_id") or "")]
            named += [str(note.get("external_id") or "") for note in notes.get(stored.event_id, [])]
            yield stored, [name for name in dict.fromkeys(named) if name]

    def _holds(self, stored: Stored) -> bool:
        if self.kind == "conversation":
            return False
        if self._needle.in_value(dict(stored.facts)) or (stored.body and self._needle.in_bytes(stored.body)):
            return True
        if self._remapper is None or stored.body is None:
            return False
        try:
            event = self._remapper.event(stored)
        except (MappingFailed, RelayError):
            return False
        return self._needle.in_value(event.view()) or self._needle.in_value(dict(event.payload))

    def _thread_keys(self, stored: Stored) -> set[str]:
        """What a mail is known by in the map of threads."""
        if self._remapper is None or stored.body is None:
            return set()
        try:
            threading = self._remapper.event(stored).threading
        except (MappingFailed, RelayError):
            return set()
        return {*threading.own, threading.first} if threading else set()

    def _conversations(self, found: _Found) -> None:
        outbox = self._outbox
        named = set(found.conversations)
        for key in (keys.document, keys.patches):
            for part in self._parts(key("*")):
                named.update(part)
        for external_id in named:
            ours = external_id in found.conversations or self._needle.in_name(external_id)
            document = outbox.document(external_id)
            if document is not None and (ours or self._needle.in_bytes(document)):
                ours = True
                found.documents[external_id] = _planhat_id(document)
                found.threads |= _thread_keys_of(document)
            whole = self.kind == "conversation" and ours
            hit = {
                pending.event_id
                for pending in outbox.waiting_patches(external_id)
                if whole or pending.event_id in found.own or self._needle.in_bytes(pending.patch)
            }
            if hit:
                ours = True
                found.waiting[external_id] = hit
                found.events |= dict.fromkeys(hit, external_id)
            if ours:
                found.conversations.add(external_id)

    def _dead(self, found: _Found) -> None:
        outbox, offset = self._outbox, 0
        while ids := outbox.dead.ids(offset=offset, limit=_PART):
            for letter in outbox.dead.get_many(ids):
                stored = b"\n".join([letter.record, *(pending.patch for pending in letter.patches)])
                if (
                    letter.external_id in found.conversations
                    or found.events.keys() & set(letter.events)
                    or (self.kind == "email" and self._needle.in_bytes(stored))
                ):
                    found.dead.add(letter.dead_id)
                    found.events |= dict.fromkeys(letter.events, letter.external_id)
                    if letter.external_id:
                        found.conversations.add(letter.external_id)
            offset += len(ids)

    def _parts(self, pattern: str) -> Iterator[list[str]]:
        prefix = self._outbox.prefix
        start = len(prefix) + len(pattern) - 1
        with reaching_redis():
            names = (
                key.decode()[start:] for key in self._outbox.redis.scan_iter(prefix + pattern, count=1000)
            )
            while part := list(islice(names, _PART)):
                yield part

    # -- erasing ---------------------------------------------------------------------------------------------

    def erase(self) -> dict[str, Any]:
        """Takes away what is found, looks again for what came meanwhile, and reports. Raises OutboxUnavailable."""
        report: dict[str, Any] = dict.fromkeys(
            ("events", "waiting", "documents", "dead_letters", "jobs", "indexes", "audit_lines"), 0
        )
        conversations: set[str] = set()
        in_flight: set[str] = set()
        came: dict[str, tuple[str, int]] = {}
        # First of all: whatever is still under way must find it.
        for spelling in self._needle.spellings:
            self._erased.remember(self.kind, spelling)
        for _ in range(_PASSES):
            found = self.search()
            conversations |= found.conversations
            if not found:
                break
            self._leave(self.stands(found))
            self._take(found, report, in_flight)
            came |= found.came
        report["jobs"] += forget_jobs_that(self._outbox.redis, self._needle.in_name)
        report["indexes"] += sweep(self._outbox, self._needle.in_name, self._needle.in_bytes)
        report["indexes"] += self._lookups()
        report["indexes"] += forget_terms(self._outbox, came)
        report["audit_lines"] = amend_audit(self._outbox, self._without_name)
        report["conversations"] = sorted(conversations)
        report["in_flight"] = sorted(in_flight)
        # A call under way may still reach Planhat: it is to be looked for there.
        self._leave([Standing(external_id) for external_id in in_flight])
        return report

    def _take(self, found: _Found, report: dict[str, Any], in_flight: set[str]) -> None:
        outbox = self._outbox
        for dead_id in found.dead:
            report["dead_letters"] += outbox.dead.discard(dead_id) >= 0
        forget_failed_jobs(outbox.redis, outbox.lane_name, found.dead)
        report["indexes"] += outbox.threads.forget(found.threads)
        of: dict[str, list[str]] = {external_id: [] for external_id in (*found.documents, *found.waiting)}
        for event_id, external_id in found.events.items():
            of.setdefault(external_id, []).append(event_id)
        for external_id, event_ids in of.items():
            waiting = sorted(found.waiting.get(external_id, ()))
            named = sorted({*event_ids, *waiting})
            gone = self._erased.forget(
                external_id,
                named,
                waiting=waiting,
                planhat_id=found.documents.get(external_id, ""),
                document=external_id in found.documents,
            )
            report["events"] += gone.events
            report["waiting"] += gone.patches
            report["documents"] += external_id in found.documents
            if gone.in_flight:
                in_flight.add(external_id)
            self._forget_index(external_id, named)

    def _forget_index(self, external_id: str, event_ids: Sequence[str]) -> None:
        if not external_id:
            return
        key = self._outbox.prefix + keys.events_of(external_id)
        with reaching_redis():
            pipe = self._outbox.redis.pipeline(transaction=False)
            for event_id in event_ids:
                pipe.lrem(key, 0, event_id)
            pipe.execute()

    def _without_name(self, line: bytes) -> bytes | None:
        """A line of the audit with a mark in the place of the name; None where it tells none."""
        changed = self._needle.replaced(line, self.mark.encode())
        return changed if changed != line else None

    # -- in Planhat ------------------------------------------------------------------------------------------

    @staticmethod
    def stands(found: _Found) -> list[Standing]:
        """Return what of it Planhat has, as far as the documents tell."""
        return [Standing(external_id, planhat_id) for external_id, planhat_id in found.documents.items()]

    def standing(self) -> list[Standing]:
        """Return what this and earlier erasures of the same left in Planhat."""
        return self._erased.standing(self.kind, self.value)

    def left_planhat(self, one: Standing) -> None:
        self._erased.change_standing(
            self.kind, self.value, lambda standing: [other for other in standing if other != one]
        )

    def _lookups(self) -> int:
        """Cached look-ups of the address; how many."""
        prefix, total = self._outbox.prefix, 0
        with reaching_redis():
            for spelling in self._needle.spellings if self._needle.email else ():
                digest = address_digest(spelling)
                gone: Any = self._outbox.redis.delete(prefix + keys.looked_up_enduser(digest))
                ours: Any = self._outbox.redis.hdel(prefix + keys.TEAM, digest)
                total += int(gone) + int(ours)
            # Descriptions that were read back may quote anybody.
            self._outbox.redis.delete(prefix + keys.READBACK_TEXTS)
        return total

    def _leave(self, standing: Sequence[Standing]) -> None:
        if standing:
            self._erased.change_standing(self.kind, self.value, lambda left: [*left, *standing])


def _planhat_id(document: bytes) -> str:
    try:
        return Document.decode(document).planhat_id
    except (ValueError, KeyError):
        return ""


def _thread_keys_of(document: bytes) -> set[str]:
    """What the mails of a conversation are known by, where their raw requests have expired."""
    try:
        held = Document.decode(document)
    except (ValueError, KeyError):
        return set()
    return set(keys_of_mails(held.source, held.messages))
