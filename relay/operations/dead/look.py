"""Looking at dead letters: grouped by cause, a page of them, one in full."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from relay.errors import ConfigInvalid, MappingFailed, NotFound
from relay.operations.context import OperatorContext, tenant_of
from relay.operations.dead.causes import (
    LOOKED_AT_MOST,
    cause_id,
    find_causes,
    mark_facts,
    marks_of,
    short_ids,
)
from relay.operations.dead.edits import read_edits
from relay.operations.dead.select import fits, heads_of
from relay.operations.moments import iso
from relay.operations.remap import EventReader, Stored, read_stored
from relay.operations.selection import Selection, cause_group
from relay.outbox.causes import CauseMark, cause_digest, reading_marks
from relay.outbox.dead import DeadHead, cursor_of
from relay.outbox.items import DeadLetter
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading
from relay.patch import Document
from relay.planhat.address import record_link

#: Letters read, planned and put back together.
_PART = 100


def list_dead(outbox: Outbox, selection: Selection, *, limit: int = 50, after: str = "") -> dict[str, Any]:
    """Return `{"groups": [..], "items": [..], "next", "nearest"}`: groups over everything that fits (the largest first), items a page
    of it (newest first). `nearest`: where no letter has the cause that was asked for, some that are like it. Raises
    ValueError where `after` is no cursor."""
    found = find_causes(outbox, selection.cause) if selection.cause else None
    groups: dict[str, dict[str, Any]] = {}
    truncated = False
    scanned = outbox.dead.scan(since_ms=selection.since_ms, until_ms=selection.until_ms)
    for seen, head in enumerate(scanned):
        if seen >= LOOKED_AT_MOST:
            truncated = True
            break
        if fits(head, selection, found):
            _count(groups, head)
    items = list(islice(heads_of(outbox, selection, found, after=after), limit + 1))
    return {
        "groups": _told(groups, marks_of(outbox, list(groups)), outbox.now_ms()) if groups else [],
        "items": [item_of(head) for head in items[:limit]],
        "next": cursor_of(items[limit - 1]) if len(items) > limit else None,
        "truncated": truncated,
        "nearest": list(found.nearest) if found else [],
    }


def reading_groups(outbox: Outbox, heads: Iterable[DeadHead], now_ms: int) -> Reading[list[dict[str, Any]]]:
    """Group these by cause, as `list_dead` has its groups."""
    groups: dict[str, dict[str, Any]] = {}
    for head in heads:
        _count(groups, head)
    marks = yield from reading_marks(outbox, [cause_digest(cause) for cause in groups])
    return _told(groups, dict(zip(groups, marks, strict=True)), now_ms)


def _told(
    groups: Mapping[str, dict[str, Any]], marks: Mapping[str, CauseMark], now_ms: int
) -> list[dict[str, Any]]:
    ids = short_ids(groups)
    return [
        {
            "id": ids[group["cause"]],
            **group,
            "sources": sorted(group["sources"]),
            "stages": sorted(group["stages"]),
            "rules": sorted(group["rules"]),
            **mark_facts(marks[group["cause"]], now_ms),
        }
        for group in sorted(groups.values(), key=lambda group: (-group["count"], group["cause"]))
    ]


def _count(groups: dict[str, dict[str, Any]], head: DeadHead) -> None:
    cause = cause_group(head.facts)
    at = iso(head.at_ms)
    group = groups.get(cause)
    if group is None:
        # Heads come newest first: the first one seen is the last one in time, and the sample.
        group = groups[cause] = {
            "cause": cause,
            "count": 0,
            "sources": set(),
            "first_seen": at,
            "last_seen": at,
            "sample": head.dead_id,
            "stages": set(),
            "rules": set(),
        }
    group["count"] += 1
    group["sources"].add(head.source)
    group["first_seen"] = at
    group["stages"].add(str(head.facts.get("stage") or ""))
    if head.facts.get("rule"):
        group["rules"].add(str(head.facts["rule"]))


def item_of(head: DeadHead) -> dict[str, Any]:
    return {
        "id": head.dead_id,
        "source": head.source,
        "externalId": head.external_id or head.facts.get("externalId") or None,
        "cause": cause_group(head.facts),
        "cause_id": cause_id(cause_group(head.facts)),
        "stage": head.facts.get("stage"),
        "at": iso(head.at_ms),
        "rule": head.facts.get("rule") or None,
        "events": list(head.events),
        "edited": bool(head.facts.get("edits")),
    }


def show_dead(context: OperatorContext, dead_id: str) -> dict[str, Any]:
    """Return one in full: the item, `planhat_id`, `planhat_link`, `reason`, `answer`, `attempts`, `event`, `document`, `raw`, `edits`. Raises NotFound."""
    letter = letter_of(context.outbox, dead_id)
    record = record_of(letter)
    head = DeadHead(letter.dead_id, letter.source, letter.external_id, letter.at_ms, letter.events, record)
    stored = [one for one in read_stored(context, letter.events) if one]
    newest = stored[-1] if stored else None
    event: dict[str, Any] | None = None
    unread = ""
    if newest:
        try:
            event = EventReader(context).event(newest, read_edits(record).mender()).view()
        except MappingFailed as error:
            unread = error.cause
        except ConfigInvalid as error:
            # A config that does not hold hides no letter.
            unread = str(error)
    planhat_id = _planhat_id(context.outbox, letter.external_id)
    item = item_of(head)
    again_ms = context.outbox.dead.looked_at_again_ms(dead_id)
    return {
        **item,
        "planhat_id": planhat_id or None,
        "planhat_link": record_link(tenant_of(context), planhat_id) or None,
        "reason": record.get("reason") or record.get("cause"),
        "asked_for": record.get("asked_for") or [],
        "goes_by_itself": bool(again_ms),
        "looked_at_again": iso(again_ms),
        **mark_facts(marks_of(context.outbox, [item["cause"]])[item["cause"]], context.outbox.now_ms()),
        "answer": record.get("answer"),
        "attempts": [attempt_of(attempt) for attempt in record.get("attempts") or []],
        "event": event,
        "event_unreadable": unread or None,
        "document": record.get("document"),
        "raw": raw_of(newest),
        "edits": record.get("edits") or [],
        "edited_to": record.get("edited") or None,
    }


def _planhat_id(outbox: Outbox, external_id: str) -> str:
    """The record that an earlier delivery of the same conversation made; "" where there was none."""
    stored = outbox.document(external_id) if external_id else None
    try:
        return Document.decode(stored).planhat_id if stored else ""
    except (ValueError, KeyError):
        return ""


def letter_of(outbox: Outbox, dead_id: str) -> DeadLetter:
    letter = outbox.dead.get(dead_id)
    if letter is None:
        raise NotFound(
            f"nobody knows the dead letter {dead_id[:80]!r}; it was replayed, discarded, or has expired"
        )
    return letter


def record_of(letter: DeadLetter) -> dict[str, Any]:
    try:
        record = orjson.loads(letter.record)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {"cause": "the stored record cannot be read"}


def attempt_of(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"at", "status", "error"}`, whichever way the time was written."""
    at = attempt.get("at")
    if at is None:
        at = attempt.get("at_ms")
    said = {name: value for name, value in attempt.items() if name not in ("at", "at_ms")}
    return {
        "at": iso(at) if isinstance(at, (int, float)) else at,
        "status": said.pop("status", None),
        "error": said.pop("error", None),
        **said,
    }


def raw_of(stored: Stored | None) -> dict[str, Any] | None:
    """Return the request as it came: `body` as text, or (`encoding` "base64") as bytes. None where it has expired."""
    if stored is None or stored.body is None:
        return None
    facts = stored.facts
    try:
        body, encoding = stored.body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        body, encoding = base64.b64encode(stored.body).decode(), "base64"
    return {
        "event": stored.event_id,
        "received_at": iso(int(facts.get("received_ms") or 0)),
        "method": facts.get("method"),
        "target": facts.get("target"),
        "headers": facts.get("headers") or {},
        "encoding": encoding,
        "body": body,
    }


def parts_of(ids: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Return (how many came before, the next ones): a step of a long run, in which letters are read, planned and put back together."""
    for start in range(0, len(ids), _PART):
        yield start, ids[start : start + _PART]


def letters_in_parts(outbox: Outbox, ids: Sequence[str]) -> Iterator[DeadLetter | None]:
    """Return one after the other, read in small parts; None for one that is gone."""
    for start in range(0, len(ids), 50):
        part = ids[start : start + 50]
        stored = {letter.dead_id: letter for letter in outbox.dead.get_many(part)}
        for dead_id in part:
            yield stored.get(dead_id)


def require_known(outbox: Outbox, selection: Selection, ids: Sequence[str]) -> None:
    if selection.ids and not outbox.dead.get_many(ids):
        raise NotFound(
            f"nobody knows {'the dead letter ' + ids[0][:80] if len(ids) == 1 else 'any of these dead letters'}; "
            "replayed, discarded, or expired"
        )
