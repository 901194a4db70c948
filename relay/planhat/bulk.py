"""Many conversations in few calls, with one result for each: cut by items and bytes, send, settle, halve what is in
doubt. For a person at a shell; the workers, who must survive a crash in the middle, have their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from relay.planhat.limits import MAX_ITEMS
from relay.planhat.report import (
    Answer,
    Forbidden,
    Garbled,
    ItemError,
    Key,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    blame,
)

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
    """An item, ready to send. Raises TypeError when it holds what JSON cannot."""

    def text(name: str) -> str | None:
        value = item.get(name)
        return value if isinstance(value, str) and value else None

    return InputRow(position, Key(text("_id"), text("externalId"), text("sourceId")), orjson.dumps(item))


def cut(
    rows: Iterable[InputRow], *, max_items: int = MAX_ITEMS, max_bytes: int = 4_000_000
) -> Iterator[list[InputRow]]:
    """Rows in calls of at most so many items and bytes of JSON; a row larger than a call goes alone. A key that
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
    """Sends batches and settles every row. `tell` hears of waits, in a sentence."""

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
        """One result for each row, in no particular order. Once Planhat takes nothing more, the rest fail unsent."""
        waiting: list[Sequence[InputRow]] = [batch]
        while waiting:
            rows = waiting.pop()
            try:
                answer = self._ask(rows)
            except Stopped as stopped:
                for unsent in (rows, *waiting):
                    yield from (Result(row.position, row.key, "failed", str(stopped)) for row in unsent)
                raise
            settled, left, doubt = settle(answer, rows)
            yield from settled
            if len(left) == 1 and len(rows) == 1:
                yield Result(left[0].position, left[0].key, "failed", doubt or "refused without a reason")
            elif left:
                half = (len(left) + 1) // 2
                waiting.extend(part for part in (left[half:], left[:half]) if part)

    def _ask(self, rows: Sequence[InputRow]) -> Answer:
        body = b"[" + b",".join(row.body for row in rows) + b"]"
        for attempt in range(self._patience + 1):
            self.calls += 1
            answer = self._send(body)
            match answer:
                case Unauthorized(reason) | Forbidden(reason):
                    raise Stopped(reason)
                case Report() if answer.wholly_forbidden:
                    raise Stopped("Planhat answered 403: the token may not write conversations")
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
        raise Stopped(f"{why}, {self._patience + 1} times in a row")


def settle(answer: Answer, rows: Sequence[InputRow]) -> tuple[list[Result], list[InputRow], str]:
    """What one answer says of the rows it answers: results, what is left in doubt, and why."""
    match answer:
        case Report():
            return _settle_report(answer, rows)
        case TooLarge():
            return [], list(rows), "larger than Planhat takes (413)"
        case Rejected(status, message):
            return [], list(rows), f"{status}: {message}"
        case Garbled(status, reason):
            return [], list(rows), f"{status}, but {reason}"
        case Throttled() | Unavailable() | Unauthorized() | Forbidden():
            return [], list(rows), "not answered"


def _settle_report(report: Report, rows: Sequence[InputRow]) -> tuple[list[Result], list[InputRow], str]:
    words = _named_words(report)
    blamed = blame(report.errors, [row.key for row in rows])
    results: list[Result] = []
    left: list[InputRow] = []
    for position, row in enumerate(rows):
        error = blamed.certain.get(position)
        word = next((words[part] for part in row.key if part in words), None)
        if error is not None:
            results.append(Result(row.position, row.key, "failed", _said(error)))
        elif word is not None:
            results.append(Result(row.position, row.key, word))
        else:
            left.append(row)
    named = sum(result.word != "failed" for result in results)
    if left and not blamed.hinted and not blamed.unnamed and report.accounted - named == len(left):
        word = _only_word(report, results)
        results.extend(Result(row.position, row.key, word) for row in left)
        left = []
    doubts = (*blamed.hinted.values(), *blamed.unnamed)
    return results, left, _said(doubts[0]) if doubts else f"{report.status}, but its counts do not add up"


def _named_words(report: Report) -> dict[str | None, Word]:
    words: dict[str | None, Word] = {}
    for key in report.updated_keys:
        words.update(dict.fromkeys(key, "updated"))
    words.update(dict.fromkeys(report.modified, "updated"))
    for key in report.inserted:
        words.update(dict.fromkeys(key, "created"))
    words.pop(None, None)
    return words


def _only_word(report: Report, results: Sequence[Result]) -> Word:
    """What the rows have in common that no key names: the counts tell, when only one of them is left over."""
    created = report.created - sum(result.word == "created" for result in results)
    updated = report.updated - sum(result.word == "updated" for result in results)
    over: list[Word] = []
    if created > 0:
        over.append("created")
    if updated > 0:
        over.append("updated")
    if report.nonupdates > 0:
        over.append("unchanged")
    return over[0] if len(over) == 1 else "delivered"


def _said(error: ItemError) -> str:
    return f"{error.kind}: {error.message}"
