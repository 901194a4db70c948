"""What stands in a lane, as readings: the ledger, what waits and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.outbox import keys
from relay.outbox.items import LAST, STATES, is_remark
from relay.outbox.reading import Reading
from relay.outbox.store import Store

#: What only a newer release reads is offered every few seconds; who was not for so long has been taken.
NEWER_SHOWN_MS: Final = 30_000
_WORDS: Final = ("accepted", "duplicate", *STATES, "ignored", "rejected")
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Books:
    """source -> word -> number, all that is counted of it."""

    stored: Mapping[str, Mapping[str, int]]

    def ledger(self) -> dict[str, dict[str, int]]:
        """Give source -> accepted, duplicate and every state, all present."""
        return {name: {word: counts.get(word, 0) for word in _WORDS} for name, counts in self.stored.items()}

    def remarks(self, since_ms: int = 0) -> dict[str, dict[str, int]]:
        """Give what was counted beside the books, see `Outbox.remarks`."""
        return {
            name: {
                word: counts[word]
                for word in sorted(counts)
                if is_remark(word) and counts.get(LAST + word, since_ms) >= since_ms
            }
            for name, counts in self.stored.items()
        }

    def of(self, word: str) -> dict[str, int]:
        """Give source -> the number of one word."""
        return {name: counts.get(word, 0) for name, counts in self.stored.items()}


def reading_moment(store: Store) -> Reading[tuple[int, list[str]]]:
    """Redis's time (epoch ms), and the names of all sources that ever sent something, sorted."""
    (seconds, micros), names = yield lambda pipe: (pipe.time(), pipe.smembers(store.prefix + keys.SOURCES))
    return int(seconds) * 1000 + int(micros) // 1000, sorted(name.decode() for name in names)


def reading_books(store: Store, names: Sequence[str]) -> Reading[Books]:
    """What is counted of these sources."""
    rows = yield lambda pipe: [pipe.hgetall(store.prefix + keys.ledger(name)) for name in names]
    return Books(
        {
            name: {key.decode(): int(value) for key, value in row.items()}
            for name, row in zip(names, rows, strict=True)
        }
    )


def reading_pending(store: Store, names: Sequence[str]) -> Reading[dict[str, int]]:
    """source -> conversations that wait, held and throttled ones included."""
    counts = yield lambda pipe: [pipe.zcard(store.prefix + keys.due(name)) for name in names]
    return dict(zip(names, map(int, counts), strict=True))


def reading_oldest(store: Store, names: Sequence[str], now_ms: int) -> Reading[int | None]:
    """When the oldest event that still waits came in (epoch ms), held and throttled ones included. None: nothing waits."""

    def queue(pipe: Any) -> None:
        pipe.zrange(store.prefix + keys.WAITING, 0, 0, withscores=True)
        for name in names:
            pipe.zrange(store.prefix + keys.due(name), 0, 0, withscores=True)

    waiting, *heads = yield queue
    times = [score for _, score in waiting]
    times += [score for head in heads for _, score in head if score <= now_ms]
    return int(min(times)) if times else None


def reading_newer(store: Store, now_ms: int) -> Reading[int]:
    """How many conversations wait because only a newer release reads what it wrote of them: found so lately, and still there."""
    [names] = yield lambda pipe: pipe.zrangebyscore(
        store.prefix + keys.NEWER, now_ms - NEWER_SHOWN_MS, "+inf"
    )
    if not names:
        return 0
    parts = [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]
    scores = yield lambda pipe: [pipe.zmscore(store.prefix + keys.WAITING, part) for part in parts]
    return sum(score is not None for part in scores for score in part)
