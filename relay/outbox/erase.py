"""Erasing one person, or one conversation, from everything that the outbox stores."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Iterator
from typing import Any

from relay.outbox.archive import unpack
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run


class Eraser:
    """Looks through every stored value (sealed or not) for one address, or for one conversation's. `report` counts what
    went; `external_ids` are the conversations that it stood in."""

    def __init__(self, outbox: Outbox, *, email: str = "", external_id: str = "") -> None:
        self._outbox = outbox
        self.external_id = external_id
        self._needles = tuple(_forms(email)) if email else ()
        self.report = {
            "events": 0,
            "waiting": 0,
            "documents": 0,
            "dead_letters": 0,
            "dedupe": 0,
            "cached_look_ups": 0,
            "notes": 0,
            "index_entries": 0,
        }
        self.external_ids: set[str] = set()
        #: Dead letters that went: their failed RQ jobs are to be forgotten too.
        self.dead_ids: list[str] = []

    def holds(self, value: bytes) -> bool:
        """Whether the address stands in `value`, plainly or as mail encodes it."""
        lower = value.lower()
        if any(needle in lower for needle in self._needles):
            return True
        # A mail's body may be base64 or quoted-printable inside of the raw request.
        return bool(self._needles) and _encoded_holds(value, self._needles[0])

    def erase(self) -> dict[str, int]:
        events = set(self._events())
        self._documents_and_patches(events)
        self._dead(events)
        self._caches()
        for event_id in events:
            self._forget_event(event_id)
        self._dedupe(events)
        self._indexes(events)
        return self.report

    def _keys(self, pattern: str) -> Iterator[str]:
        with reaching_redis():
            for key in self._outbox.redis.scan_iter(self._outbox.prefix + pattern, count=1000):
                yield key.decode()

    def _events(self) -> Iterator[str]:
        start = len(self._outbox.prefix) + len("event:")
        for key in self._keys("event:*"):
            event_id = key[start:]
            held = self._outbox.event(event_id)
            if held is None:
                continue
            facts = unpack(held[2]).facts
            external_id = str(facts.get("external_id", ""))
            if (self.external_id and external_id == self.external_id) or self.holds(held[2]):
                if external_id:
                    self.external_ids.add(external_id)
                if facts.get("raw_of"):
                    # Several events came in one request: its body stands with the first of them.
                    yield str(facts["raw_of"])
                yield event_id

    def _documents_and_patches(self, events: set[str]) -> None:
        outbox = self._outbox
        named = {self.external_id} if self.external_id else set()
        for kind in ("document:", "patches:"):
            start = len(outbox.prefix) + len(kind)
            for key in self._keys(kind + "*"):
                named.add(key[start:])
        for external_id in named:
            waiting = outbox.waiting_patches(external_id)
            whole = external_id == self.external_id
            hit = [p.event_id for p in waiting if whole or p.event_id in events or self.holds(p.patch)]
            document = outbox.document(external_id)
            erase_document = document is not None and (whole or self.holds(document))
            if not hit and not erase_document:
                continue
            self.external_ids.add(external_id)
            run(
                outbox.redis,
                "erase",
                outbox.prefix,
                [0, external_id, 0 if erase_document else 1, len(hit), *hit],
            )
            self.report["waiting"] += len(hit)
            self.report["documents"] += int(erase_document)
            events.update(hit)

    def _dead(self, events: set[str]) -> None:
        outbox = self._outbox
        offset = 0
        while ids := outbox.dead_ids(offset=offset, limit=200):
            erased = 0
            for letter in outbox.dead_letters(ids):
                stored = b"\n".join([letter.record, *(p.patch for p in letter.patches)])
                theirs = letter.external_id == self.external_id and self.external_id
                if theirs or self.holds(stored) or events.intersection(letter.events):
                    outbox.discard(letter.dead_id)
                    self.dead_ids.append(letter.dead_id)
                    events.update(letter.events)
                    self.report["dead_letters"] += 1
                    erased += 1
            offset += len(ids) - erased

    def _caches(self) -> None:
        with reaching_redis():
            for key in self._keys("directory:*"):
                if any(needle in key.lower().encode() for needle in self._needles):
                    self._outbox.redis.delete(key)
                    self.report["cached_look_ups"] += 1
                    continue
                kind: Any = self._outbox.redis.type(key)
                if kind == b"hash":
                    fields: Any = self._outbox.redis.hkeys(key)
                    for field in fields:
                        if self.holds(field):
                            self._outbox.redis.hdel(key, field)
                            self.report["cached_look_ups"] += 1

    def _forget_event(self, event_id: str) -> None:
        redis, prefix = self._outbox.redis, self._outbox.prefix
        with reaching_redis():
            gone: Any = redis.delete(f"{prefix}event:{event_id}")
            notes: Any = redis.delete(f"{prefix}notes:{event_id}")
        self.report["events"] += int(gone)
        self.report["notes"] += int(notes)

    def _dedupe(self, events: set[str]) -> None:
        """Every key under which one of `events` is remembered: an event may be known by several."""
        redis, gone = self._outbox.redis, {event_id.encode() for event_id in events}
        with reaching_redis():
            for key in list(self._keys("seen:*")):
                if redis.get(key) in gone:
                    self.report["dedupe"] += int(redis.delete(key))

    def _indexes(self, events: set[str]) -> None:
        """The lists of a conversation's events and what points at it. One erased whole loses them all, and so does one
        whose name holds the address."""
        redis, prefix = self._outbox.redis, self._outbox.prefix
        with reaching_redis():
            claimed: Any = redis.hkeys(prefix + "held")
            for name in claimed:
                if name.decode() == self.external_id or self.holds(name):
                    self.report["index_entries"] += int(redis.hdel(prefix + "held", name))
            for kind in ("events:", "deadof:"):
                for key in list(self._keys(kind + "*")):
                    name = key[len(prefix) + len(kind) :]
                    if name == self.external_id or self.holds(name.encode()):
                        self.report["index_entries"] += int(redis.delete(key))
                    elif kind == "events:" and name in self.external_ids:
                        for event_id in events:
                            self.report["index_entries"] += int(redis.lrem(key, 0, event_id))
            for key in list(self._keys("planhat:*")):
                held: Any = redis.get(key)
                if held and (held.decode() == self.external_id or self.holds(held)):
                    self.report["index_entries"] += int(redis.delete(key))


def _forms(email: str) -> Iterator[bytes]:
    plain = email.strip().lower()
    yield plain.encode()
    yield plain.replace("@", "%40").encode()
    yield plain.replace("@", "=40").encode()
    yield plain.replace("@", "_40").encode()
    yield plain.replace("@", "\\u0040").encode()


def _encoded_holds(value: bytes, needle: bytes) -> bool:
    for block in value.replace(b"\\r\\n", b"\n").replace(b"\\n", b"\n").split(b"\n\n"):
        compact = b"".join(block.split())
        if len(compact) >= len(needle) and len(compact) % 4 == 0:
            try:
                if needle in base64.b64decode(compact, validate=True).lower():
                    return True
            except ValueError:
                pass
    return b"=" in value and needle in quopri.decodestring(value).lower()
