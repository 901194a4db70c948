"""The audit: who changed or looked at what, by name and address. A line is written before the act, so that a crash in between
leaves a line too many, never an act without one.

Keys: `audit` (zset by time: `<ms>.<number>` and the sealed line), `audit_number`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run_script

_KEPT_MS = 400 * 86_400_000
MOST_LINES = 100_000
#: A line tells what was done, not everything that was named.
_MAX_LIST, _MAX_TEXT = 20, 200
_SEP = b"\x1f"
_PART = 1_000


@dataclass(frozen=True, slots=True)
class AuditLine:
    """`who` is a name with where it came from (`api:ann`, `console:Ann`, `cli:ann`, `rq`), `address` the network address or
    the machine, `what` a word (`pause`, `look`, ...), `of` what it concerned. `number` orders lines of one millisecond."""

    who: str
    what: str
    address: str = ""
    of: Mapping[str, Any] = field(default_factory=dict)
    at_ms: int = 0
    number: int = 0


def write_audit(outbox: Outbox, line: AuditLine, *, now_ms: int = 0) -> bytes:
    """Adds a line, at Redis's time, and gives its place for `note_outcome`. Raises OutboxUnavailable: then the act must not be
    done."""
    sealed = outbox.vault.seal(_encode(line))
    place: bytes = run_script(
        outbox.home.redis, "audit", outbox.home.prefix, [now_ms, _KEPT_MS, MOST_LINES, "add", sealed]
    )
    return place + _SEP + sealed


def note_outcome(outbox: Outbox, place: bytes, line: AuditLine, outcome: str) -> None:
    """Says in a line that was just written that nothing came of the act, and why. Raises OutboxUnavailable."""
    changed = replace(line, of={**line.of, "refused": outcome})
    instead = place.partition(_SEP)[0] + _SEP + outbox.vault.seal(_encode(changed))
    run_script(outbox.home.redis, "audit", outbox.home.prefix, [0, 0, 0, "amend", place, instead])


def read_audit(
    outbox: Outbox, *, since_ms: int = 0, until_ms: int = 0, limit: int = 100, after: str = ""
) -> tuple[list[AuditLine], str]:
    """Return (lines of a span of time, newest first; the cursor of the next page or ""). `after` is such a cursor; ValueError where it
    is none. Raises OutboxUnavailable."""
    top: int | str = until_ms or "+inf"
    if after:
        stamp, _, number = after.partition(".")
        if not (stamp.isdigit() and number.isdigit() and len(stamp) <= 15 and len(number) <= 15):
            raise ValueError("not a cursor of this list")
        top = int(stamp)
    lines: list[AuditLine] = []
    offset = 0
    while len(lines) <= limit:
        with reaching_redis():
            rows: Any = outbox.home.redis.zrevrangebyscore(
                outbox.home.prefix + keys.AUDIT, top, since_ms or "-inf", start=offset, num=_PART
            )
        for row in rows:
            line = _decode(outbox, row)
            if not after or (line.at_ms, line.number) < _place(after):
                lines.append(line)
        if len(rows) < _PART:
            break
        offset += _PART
    last = lines[limit - 1] if len(lines) > limit else None
    return lines[:limit], f"{last.at_ms}.{last.number}" if last else ""


def amend_audit(outbox: Outbox, change: Callable[[bytes], bytes | None], *, dry_run: bool = False) -> int:
    """Gives each line's JSON to `change` and puts what comes back in its place (None: it stays); how many changed."""
    pairs: list[bytes] = []
    with reaching_redis():
        for row, _ in outbox.home.redis.zscan_iter(outbox.home.prefix + keys.AUDIT, count=_PART):
            place, _, sealed = row.partition(_SEP)
            try:
                changed = change(outbox.vault.open(sealed))
            except ValueError:
                continue
            if changed is not None:
                pairs += [row, place + _SEP + outbox.vault.seal(changed)]
    if not dry_run:
        for start in range(0, len(pairs), _PART):
            run_script(
                outbox.home.redis,
                "audit",
                outbox.home.prefix,
                [0, 0, 0, "amend", *pairs[start : start + _PART]],
            )
    return len(pairs) // 2


def _encode(line: AuditLine) -> bytes:
    of = {name: _short(value) for name, value in line.of.items()}
    return orjson.dumps({"v": 1, "who": line.who, "address": line.address, "what": line.what, "of": of})


def _decode(outbox: Outbox, row: bytes) -> AuditLine:
    place, _, sealed = row.partition(_SEP)
    at_ms, number = (int(part) for part in place.split(b"."))
    try:
        stored = orjson.loads(outbox.vault.open(sealed))
    except ValueError:
        return AuditLine("?", "cannot be read: its key is gone", at_ms=at_ms, number=number)
    return AuditLine(stored["who"], stored["what"], stored["address"], stored["of"], at_ms, number)


def _place(cursor: str) -> tuple[int, int]:
    at_ms, _, number = cursor.partition(".")
    return int(at_ms), int(number)


def _short(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        rest = len(value) - _MAX_LIST
        return [_short(one) for one in value[:_MAX_LIST]] + ([f"and {rest} more"] if rest > 0 else [])
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..."
