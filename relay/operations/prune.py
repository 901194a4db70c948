"""Giving memory back: raw events that are settled, and documents of conversations that are quiet. What waits, what is dead and
what is counted stays. A document that goes leaves its mark: what Planhat has of it is read before more is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.errors import NewerRecord
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run_script
from relay.patch import Document

#: Names that are looked at, measured and given to one script.
_PART = 200
#: What is left of a raw event: that it came, so that a sender's repetition stays a duplicate.
_LEFT_BYTES = 120


@dataclass(slots=True)
class Pruned:
    """`bytes` as Redis counts them for each key."""

    events: int = 0
    documents: int = 0
    bytes: int = 0
    kept_newer: int = 0

    def view(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "documents": self.documents,
            "bytes": self.bytes,
            "kept_newer": self.kept_newer,
        }


@dataclass(frozen=True, slots=True)
class PruneQuery:
    """What may go: events that came in, and documents last delivered, before `before_ms`; of `source` only, where it is named.
    `enough_bytes`: it ends once so much is freed (0: when nothing is left). `documents` False: raw events only."""

    before_ms: int
    source: str = ""
    enough_bytes: int = 0
    documents: bool = True
    dry_run: bool = False


@dataclass
class Pruning:
    """One run. `progress(done, of)` hears how far it is, in names looked at of those there may be."""

    outbox: Outbox
    wanted: PruneQuery
    progress: Callable[[int, int], None] = lambda done, of: None
    found: Pruned = field(default_factory=Pruned)
    _done: int = 0
    _of: int = 0

    def run(self) -> Pruned:
        """Free what was found. Raises OutboxUnavailable; what has gone by then is gone."""
        logs = sorted(self._logs())
        with reaching_redis():
            pipe = self.outbox.redis.pipeline(transaction=False)
            for _, name in logs:
                pipe.llen(name)
            lengths = pipe.execute()
            keys: Any = self.outbox.redis.dbsize()
        # Documents are looked for among all keys; raw events are known by their minutes.
        self._of = sum(lengths) + (int(keys) if self.wanted.documents else 0)
        for (minute, name), length in zip(logs, lengths, strict=True):
            if self._enough():
                return self.found
            self._minute(name, length, whole=(minute + 1) * 60_000 <= self.wanted.before_ms)
        if self.wanted.documents and not self._enough():
            self._documents()
        self.progress(self._of, self._of)
        return self.found

    def _enough(self) -> bool:
        return bool(self.wanted.enough_bytes) and self.found.bytes >= self.wanted.enough_bytes

    def _seen(self, number: int) -> None:
        self._done = min(self._of, self._done + number)
        self.progress(self._done, self._of)

    # -- raw events ------------------------------------------------------------------------------------------

    def _logs(self) -> Iterator[tuple[int, str]]:
        """(minute, key) of each list of events that begins before the moment, of the source asked for."""
        prefix = self.outbox.prefix + keys.LOGS
        for key in self._keys(keys.LOGS + "*"):
            source, _, minute = key[len(prefix) :].rpartition(":")
            if self.wanted.source and source != self.wanted.source:
                continue
            if minute.isdigit() and int(minute) * 60_000 < self.wanted.before_ms:
                yield int(minute), key

    def _minute(self, name: str, length: int, *, whole: bool) -> None:
        left = length
        for start in range(0, length, _PART):
            with reaching_redis():
                stored: Any = self.outbox.redis.lrange(name, start, start + _PART - 1)
            ids = [event_id.decode() for event_id in stored]
            if not whole:
                # The minute in which the moment lies: each by its own time.
                ids = self._received_before(ids)
            went = self._go("events", [(event_id, "") for event_id in ids], keys.event)
            self.found.events += went
            left -= went
            self._seen(len(stored))
            if self._enough():
                return
        if whole and left == 0 and not self.wanted.dry_run:
            with reaching_redis():
                self.outbox.redis.delete(name)

    def _received_before(self, event_ids: Sequence[str]) -> list[str]:
        kept = []
        for event_id, stored in zip(event_ids, self.outbox.events.get_many(event_ids), strict=True):
            if stored:
                facts = orjson.loads(stored[2].partition(b"\n")[0])
                if int(facts.get("received_ms") or 0) < self.wanted.before_ms:
                    kept.append(event_id)
        return kept

    # -- documents -------------------------------------------------------------------------------------------

    def _documents(self) -> None:
        start = len(self.outbox.prefix + keys.document(""))
        part: list[str] = []
        for key in self._keys(keys.document("*"), counted=True):
            part.append(key[start:])
            if len(part) == _PART:
                self._quiet(part)
                part = []
                if self._enough():
                    return
        self._quiet(part)

    def _quiet(self, external_ids: Sequence[str]) -> None:
        if not external_ids:
            return
        with reaching_redis():
            stored: Any = self.outbox.redis.mget(
                [self.outbox.prefix + keys.document(name) for name in external_ids]
            )
        rows = []
        for name, value in zip(external_ids, stored, strict=True):
            document = self._read(value)
            if document and self._fits(document):
                rows.append((name, document.planhat_id))
        self.found.documents += self._go("documents", rows, keys.document)

    def _read(self, stored: bytes | None) -> Document | None:
        try:
            return Document.decode(self.outbox.vault.open(stored)) if stored else None
        except NewerRecord:
            self.found.kept_newer += 1
        except (ValueError, KeyError):
            # Nobody can say what it is: the key that opens it may come back.
            return None
        return None

    def _fits(self, document: Document) -> bool:
        last_ms = int(document.history[-1].get("at_ms") or 0) if document.history else 0
        return last_ms < self.wanted.before_ms and self.wanted.source in ("", document.source)

    # -- both ------------------------------------------------------------------------------------------------

    def _keys(self, pattern: str, *, counted: bool = False) -> Iterator[str]:
        cursor = 0
        while True:
            with reaching_redis():
                answer: Any = self.outbox.redis.scan(cursor, match=self.outbox.prefix + pattern, count=2_000)
            cursor, names = answer
            for key in names:
                yield key.decode()
            if counted:
                self._seen(2_000)
            if not cursor:
                return

    def _go(self, mode: str, rows: Sequence[tuple[str, str]], key: Callable[[str], str]) -> int:
        """How many went, or would go; their bytes are counted."""
        if not rows:
            return 0
        with reaching_redis():
            pipe = self.outbox.redis.pipeline(transaction=False)
            for name, _ in rows:
                pipe.memory_usage(self.outbox.prefix + key(name))
            sizes = dict(zip((name for name, _ in rows), pipe.execute(), strict=True))
        if self.wanted.dry_run:
            went = self._would_go(mode, [name for name, _ in rows])
        else:
            args = [0, self.outbox.retention.mark_years, mode, *(word for row in rows for word in row)]
            went = [
                name.decode() for name in run_script(self.outbox.redis, "prune", self.outbox.prefix, args)
            ]
        self.found.bytes += sum(sizes.get(name) or 0 for name in went)
        if mode == "events":
            self.found.bytes -= _LEFT_BYTES * len(went)
        return len(went)

    def _would_go(self, mode: str, names: Sequence[str]) -> list[str]:
        with reaching_redis():
            pipe = self.outbox.redis.pipeline(transaction=False)
            for name in names:
                if mode == "events":
                    pipe.getrange(self.outbox.prefix + keys.event(name), 0, 0)
                else:
                    pipe.exists(self.outbox.prefix + keys.patches(name))
            found = pipe.execute()
        stays = (b"", b"p", b"x") if mode == "events" else (1,)
        return [name for name, stored in zip(names, found, strict=True) if stored not in stays]
