"""Many conversations in few calls, with one result for each: cut by items and bytes, send, wait out what passes.

What an answer means for each row is read where the workers read it (`resolve.py`). This is for a person at a shell: it
waits instead of holding delivery, and a crash in the middle is the person's to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from relay.planhat.limits import MAX_ITEMS
from relay.planhat.outcomes import Delivered, Outcome, Postponed, Refused, Row, Unchanged
from relay.planhat.report import Answer, Key, Throttled, Unavailable
from relay.planhat.resolve import Resolution

Word = Literal["created", "updated", "unchanged", "delivered", "failed"]

THROTTLED_WAIT_S: Final = 60.0
_FIRST_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class InputRow:
    """One item on its way. `position` counts from 0 in what was given."""

    position: int
    key: Key
    body: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item. `delivered`: it went through, but Planhat's answer does not tell how.
    `message` is what was said against it, and may quote the item."""

    position: int
    key: Key
    word: Word
    message: str = ""


def row_of(position: int, item: Mapping[str, Any]) -> InputRow:
    """Return an item, ready to send. Raises TypeError when it holds what JSON cannot."""

    def text(name: str) -> str | None:
        value = item.get(name)
        return value if isinstance(value, str) and value else None

    return InputRow(position, Key(text("_id"), text("externalId"), text("sourceId")), orjson.dumps(item))


def cut(
    rows: Iterable[InputRow], *, max_items: int = MAX_ITEMS, max_bytes: int = 4_000_000
) -> Iterator[list[InputRow]]:
    """Return rows in calls of at most so many items and bytes of JSON; a row larger than a call goes alone. A key that
    comes twice starts a new call, since nobody knows what Planhat does with two of one key in one request."""
    batch: list[InputRow] = []
    size = 2
    keys: set[tuple[str, str]] = set()
    for row in rows:
        own = {(name, text) for name, text in zip(Key._fields, row.key, strict=True) if text}
        if batch and (
            len(batch) >= max_items or size + len(row.body) + 1 > max_bytes or not keys.isdisjoint(own)
        ):
            yield batch
            batch, size, keys = [], 2, set()
        batch.append(row)
        size += len(row.body) + 1
        keys |= own
    if batch:
        yield batch


class Stopped(Exception):
    """Planhat takes nothing more: 401, a total 403, or away for longer than we wait."""


class BulkUpsert:
    """Sends batches and decides on every row. `tell` hears of waits, in a sentence."""

    def __init__(
        self,
        send: Callable[[bytes], Answer],
        *,
        sleep: Callable[[float], None],
        patience: int = 5,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._send = send
        self._sleep = sleep
        self._patience = patience
        self._tell = tell
        self.calls = 0

    def send(self, batch: Sequence[InputRow]) -> Iterator[Result]:
        """Return one result for each row, in no particular order. Raises Stopped, after all results, once Planhat takes nothing
        more."""
        resolution = Resolution(
            [
                Row(row.key.external_id or "", row.body, row.key.planhat_id or "", row.key.source_id or "")
                for row in batch
            ],
            self._ask,
        )
        for news in resolution.run():
            for position, outcome in news.items():
                yield _result(batch[position], outcome)
        if resolution.hold:
            raise Stopped(resolution.hold.reason)

    def _ask(self, rows: Sequence[Row]) -> Answer:
        """One call, repeated while Planhat says "not now"; the last answer where patience ends."""
        body = b"[" + b",".join(row.body for row in rows) + b"]"
        for attempt in range(self._patience + 1):
            self.calls += 1
            answer = self._send(body)
            match answer:
                case Throttled(retry_after_s):
                    wait_s = THROTTLED_WAIT_S if retry_after_s is None else retry_after_s
                    why = "Planhat answered 429"
                case Unavailable(_, why, retry_after_s):
                    wait_s = _FIRST_WAIT_S * 2**attempt if retry_after_s is None else retry_after_s
                case _:
                    return answer
            if attempt < self._patience:
                self._tell(f"{why}; trying again in {wait_s:.0f} s")
                self._sleep(wait_s)
        return answer


def _result(row: InputRow, outcome: Outcome) -> Result:
    match outcome:
        case Delivered(planhat_id, created):
            word: Word = "delivered" if created is None else "created" if created else "updated"
            return Result(row.position, _known(row.key, planhat_id), word)
        case Unchanged(planhat_id):
            return Result(row.position, _known(row.key, planhat_id), "unchanged")
        case Refused(message):
            return Result(row.position, row.key, "failed", message)
        case Postponed(reason, _, perhaps_taken):
            perhaps = "; Planhat may have it all the same" if perhaps_taken else ""
            return Result(row.position, row.key, "failed", reason + perhaps)


def _known(key: Key, planhat_id: str) -> Key:
    """The key, with Planhat's own id where the answer told it."""
    return key._replace(planhat_id=planhat_id) if planhat_id else key
