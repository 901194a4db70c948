"""Dead letters: listed by cause, one in full, edited, replayed, discarded.

A replay maps the archived raw events again with today's rules and puts the letter back to work in one script: sent
first, deleted after. Whoever is killed in between, the letter is still there or its events wait.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import orjson

from relay.errors import MappingFailed, NotFound
from relay.operations.context import KeyedContext, OperatorContext
from relay.operations.edit import Edits, add_edits, apply_to_patches, read_edits
from relay.operations.moments import iso
from relay.operations.progress import Operation
from relay.operations.remap import Remapped, Remapper, Stored, read_stored
from relay.operations.rq_jobs import forget_failed_jobs
from relay.operations.selection import InputInvalid, Selection, cause_of, select
from relay.operations.tombstones import ERASED, Tombs, erased_of
from relay.outbox.dead import DeadHead, cursor_of, scan_dead
from relay.outbox.dead_record import encode_amended
from relay.outbox.items import DeadLetter
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox
from relay.patch import Patch

#: Heads looked at for the groups; a list longer than this says `truncated`.
GROUPED_AT_MOST = 50_000
#: Letters of a dry run that are mapped to see what would change, and changes told in full.
TRIED_AT_MOST = 200
TOLD_AT_MOST = 20
#: Attempts kept in a letter's record.
ATTEMPTS_KEPT = 50
#: How often a long run says how far it is.
_STEP_EVERY = 20


# -- looking -----------------------------------------------------------------------------------------------------


def list_dead(outbox: Outbox, selection: Selection, *, limit: int = 50, after: str = "") -> dict[str, Any]:
    """`{"groups": [..], "items": [..], "next"}`: groups over everything that fits (the largest first), items a page
    of it (newest first). Raises ValueError where `after` is no cursor."""
    groups: dict[str, dict[str, Any]] = {}
    heads = scan_dead(outbox, since_ms=selection.since_ms, until_ms=selection.until_ms)
    truncated = False
    for seen, head in enumerate(heads):
        if seen >= GROUPED_AT_MOST:
            truncated = True
            break
        if selection.fits(head):
            _count(groups, head)
    page = scan_dead(outbox, since_ms=selection.since_ms, until_ms=selection.until_ms, after=after)
    items = list(islice((head for head in page if selection.fits(head)), limit + 1))
    return {
        "groups": [
            {
                **group,
                "sources": sorted(group["sources"]),
                "stages": sorted(group["stages"]),
                "rules": sorted(group["rules"]),
            }
            for group in sorted(groups.values(), key=lambda group: (-group["count"], group["cause"]))
        ],
        "items": [item_of(head) for head in items[:limit]],
        "next": cursor_of(items[limit - 1]) if len(items) > limit else None,
        "truncated": truncated,
    }


def _count(groups: dict[str, dict[str, Any]], head: DeadHead) -> None:
    cause = cause_of(head.facts)
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
        "cause": cause_of(head.facts),
        "stage": head.facts.get("stage"),
        "at": iso(head.at_ms),
        "rule": head.facts.get("rule") or None,
        "events": list(head.events),
        "edited": bool(head.facts.get("edits")),
    }


def show(context: OperatorContext, dead_id: str) -> dict[str, Any]:
    """One in full: the item and `reason`, `answer`, `attempts`, `event`, `document`, `raw`, `edits`. Raises NotFound."""
    letter = letter_of(context.outbox, dead_id)
    record = record_of(letter)
    head = DeadHead(letter.dead_id, letter.source, letter.external_id, letter.at_ms, letter.events, record)
    stored = [one for one in read_stored(context, letter.events) if one]
    newest = stored[-1] if stored else None
    event: dict[str, Any] | None = None
    unread = ""
    if newest:
        try:
            event = Remapper(context, 0).event(newest, _mend_of(read_edits(record))).view()
        except MappingFailed as error:
            unread = error.cause
    return {
        **item_of(head),
        "reason": record.get("reason") or record.get("cause"),
        "answer": record.get("answer"),
        "attempts": [attempt_of(attempt) for attempt in record.get("attempts") or []],
        "event": event,
        "event_unreadable": unread or None,
        "document": record.get("document"),
        "raw": raw_of(newest),
        "edits": record.get("edits") or [],
        "edited_to": record.get("edited") or None,
    }


def letter_of(outbox: Outbox, dead_id: str) -> DeadLetter:
    letter = outbox.dead_letter(dead_id)
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
    """`{"at", "status", "error"}`, whichever way the time was written."""
    at = attempt.get("at")
    if at is None:
        at = attempt.get("at_ms")
    told = {name: value for name, value in attempt.items() if name not in ("at", "at_ms")}
    return {
        "at": iso(at) if isinstance(at, (int, float)) else at,
        "status": told.pop("status", None),
        "error": told.pop("error", None),
        **told,
    }


def raw_of(stored: Stored | None) -> dict[str, Any] | None:
    """The request as it came: `body` as text, or (`encoding` "base64") as bytes. None where it has expired."""
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


# -- editing -----------------------------------------------------------------------------------------------------


def edit(
    context: OperatorContext,
    dead_id: str,
    *,
    payload: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    company: str = "",
    raw: str | None = None,
    by: str,
    now_ms: int = 0,
) -> dict[str, Any]:
    """Keeps the edit with the letter and gives the letter in full. Raises NotFound, InputInvalid; also where the edit
    cannot help, since the source's adapter would still find no event in the raw request."""
    letter = letter_of(context.outbox, dead_id)
    stored = read_stored(context, letter.events[-1:])
    newest = stored[0] if stored else None
    at = iso(now_ms or context.outbox.now_ms()) or ""
    record = add_edits(
        record_of(letter),
        newest.body if newest else None,
        payload=payload or {},
        fields=fields or {},
        company=company,
        raw=raw,
        by=by,
        at=at,
    )
    mapped = {pending.event_id for pending in letter.patches}
    if (
        newest
        and newest.body is not None
        and newest.event_id not in mapped
        and newest.source in context.config.sources
    ):
        try:
            Remapper(context, 0).event(newest, _mend_of(read_edits(record)))
        except MappingFailed as error:
            how = "" if raw is not None else "; edit the raw request (raw)"
            raise InputInvalid(
                f"this would not help: {error.cause}{how}", "raw" if raw is not None else ""
            ) from error
    context.outbox.amend_dead(dead_id, encode_amended(record))
    return show(context, dead_id)


def _mend_of(edits: Edits) -> Callable[[bytes], bytes] | None:
    return edits.mend if edits.payload or edits.raw is not None else None


# -- replaying ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay of one letter would do: for each event a patch, or None where today's rules filter it."""

    letter: DeadLetter
    record: dict[str, Any]
    events: tuple[tuple[str, str, Patch | None], ...]


def plan(context: KeyedContext, letter: DeadLetter, now_ms: int, tombs: Tombs) -> Plan:
    """Raises MappingFailed where an event of the letter still cannot be mapped, or was erased: then all of it stays."""
    if tombs.ids(letter.events):
        raise MappingFailed(ERASED)
    record = record_of(letter)
    edits = read_edits(record)
    remapper = Remapper(context, now_ms)
    kept = {pending.event_id: pending for pending in letter.patches}
    found: list[tuple[str, str, Patch | None]] = []
    for event_id, stored in zip(letter.events, read_stored(context, letter.events), strict=True):
        if stored is not None and stored.body is not None and stored.source in context.config.sources:
            mend = _mend_of(edits) if event_id == letter.events[-1] else None
            remapped: Remapped = remapper.map(stored, mend)
            external_id = remapped.patch.external_id if remapped.patch else ""
            if tombs.cover(remapped.event, external_id, int(stored.facts.get("received_ms") or 0)):
                raise MappingFailed(ERASED)
            found.append((event_id, stored.source, remapped.patch))
        elif event_id in kept:
            # The raw event has expired, or its source is gone from the config: what it was mapped to then still counts.
            try:
                found.append((event_id, kept[event_id].source, Patch.decode(kept[event_id].patch)))
            except (ValueError, KeyError) as error:
                raise MappingFailed("the stored patch cannot be read") from error
        else:
            raise MappingFailed("the raw event has expired, and no rule had mapped it before")
    patches = [patch for _, _, patch in found if patch]
    if edits:
        # An edit of the same event must win over what was mapped before it.
        patches = [replace(patch, revision=max(patch.revision, now_ms)) for patch in patches]
    patched = iter(apply_to_patches(edits, patches))
    events = tuple((event, source, next(patched) if patch else None) for event, source, patch in found)
    return Plan(letter, record, events)


def carry_out(context: OperatorContext, planned: Plan, *, by: str, now_ms: int) -> int:
    """Events that wait again (or were filtered); -1 where someone else was quicker."""
    letter = planned.letter
    said = {
        "what": "replayed",
        "by": by,
        "at_ms": now_ms,
        "dead_id": letter.dead_id,
        "cause": cause_of(planned.record),
    }
    if planned.record.get("edits"):
        said["edits"] = len(planned.record["edits"])
    write_notes(
        context.outbox,
        [Note(event_id, said, patch.external_id if patch else "") for event_id, _, patch in planned.events],
    )
    return context.outbox.redrive(
        letter.dead_id,
        [
            (
                event_id,
                source,
                "pending" if patch else "filtered",
                patch.external_id if patch else "",
                patch.encode() if patch else b"",
            )
            for event_id, source, patch in planned.events
        ],
    )


def redrive_one(context: KeyedContext, dead_id: str, *, by: str = "rq", now_ms: int = 0) -> int:
    """What a requeued RQ job does: replays one letter; how many events wait again. A letter that is gone counts as 0:
    someone replayed it already. Raises MappingFailed (the letter stays, with this attempt noted), OutboxUnavailable."""
    outbox = context.outbox
    letter = outbox.dead_letter(dead_id)
    if letter is None:
        return 0
    now_ms = now_ms or outbox.now_ms()
    try:
        planned = plan(context, letter, now_ms, Tombs(erased_of(context)))
    except MappingFailed as error:
        _note_failure(outbox, letter, error, now_ms)
        raise
    return max(0, carry_out(context, planned, by=by, now_ms=now_ms))


def _note_failure(outbox: Outbox, letter: DeadLetter, error: MappingFailed, now_ms: int) -> None:
    record = record_of(letter)
    attempts = [*(record.get("attempts") or []), {"at": iso(now_ms), "status": "map", "error": error.cause}]
    record["attempts"] = attempts[-ATTEMPTS_KEPT:]
    if record.get("stage") == "map":
        record |= {
            "cause": error.cause,
            "reason": error.cause,
            "rule": error.rule or record.get("rule") or "",
        }
    outbox.amend_dead(letter.dead_id, encode_amended(record))


def replay(
    context: KeyedContext,
    selection: Selection,
    *,
    by: str,
    dry_run: bool = False,
    operation: Operation | None = None,
    progress: Callable[[int, int], None] = lambda seen, count: None,
    now_ms: int = 0,
) -> dict[str, Any]:
    """`{"count", "replayed", "failed", "skipped", ...}`; a dry run moves nothing and says what would change. Raises
    NotFound where ids are named and none of them exists."""
    outbox = context.outbox
    ids = select(outbox, selection)
    _require_known(outbox, selection, ids)
    now_ms = now_ms or outbox.now_ms()
    if dry_run:
        return _dry_run(context, ids, now_ms)
    if operation:
        operation.step(total=len(ids))
    tombs = Tombs(erased_of(context))
    replayed = failed = skipped = events = 0
    failures: list[dict[str, str]] = []
    cancelled = False
    for number, letter in enumerate(_letters(outbox, ids)):
        if number % _STEP_EVERY == 0:
            progress(number, len(ids))
        if operation and number % _STEP_EVERY == 0:
            operation.step(done=replayed, failed=failed, skipped=skipped)
            if operation.cancelled():
                cancelled = True
                break
        if letter is None:
            skipped += 1
            continue
        try:
            moved = carry_out(context, plan(context, letter, now_ms, tombs), by=by, now_ms=now_ms)
        except MappingFailed as error:
            _note_failure(outbox, letter, error, now_ms)
            failed += 1
            if len(failures) < TOLD_AT_MOST:
                failures.append({"id": letter.dead_id, "cause": error.cause})
            continue
        if moved < 0:
            skipped += 1
            continue
        replayed += 1
        events += moved
        forget_failed_jobs(outbox.redis, [letter.dead_id])
    if operation:
        operation.end("cancelled" if cancelled else "done", done=replayed, failed=failed, skipped=skipped)
    return {
        "count": len(ids),
        "replayed": replayed,
        "events": events,
        "failed": failed,
        "skipped": skipped,
        "failures": failures,
        "cancelled": cancelled,
        "dry_run": False,
    }


def _letters(outbox: Outbox, ids: Sequence[str]) -> Iterator[DeadLetter | None]:
    """One after the other, read in small parts; None for one that is gone."""
    for start in range(0, len(ids), 50):
        part = ids[start : start + 50]
        held = {letter.dead_id: letter for letter in outbox.dead_letters(part)}
        for dead_id in part:
            yield held.get(dead_id)


def _require_known(outbox: Outbox, selection: Selection, ids: Sequence[str]) -> None:
    if selection.ids and not outbox.dead_letters(ids):
        raise NotFound(
            f"nobody knows {'the dead letter ' + ids[0][:80] if len(ids) == 1 else 'any of these dead letters'}; "
            "replayed, discarded, or expired"
        )


def _dry_run(context: KeyedContext, ids: Sequence[str], now_ms: int) -> dict[str, Any]:
    tombs = Tombs(erased_of(context))
    ready = filtered = failing = gone = 0
    told: list[dict[str, Any]] = []
    for letter in _letters(context.outbox, ids[:TRIED_AT_MOST]):
        if letter is None:
            gone += 1
            continue
        entry: dict[str, Any] = {"id": letter.dead_id, "externalId": letter.external_id or None}
        try:
            planned = plan(context, letter, now_ms, tombs)
        except MappingFailed as error:
            failing += 1
            entry |= {"would": "fail", "cause": error.cause}
        else:
            patches = [patch for _, _, patch in planned.events if patch]
            if patches:
                ready += 1
                entry |= {
                    "would": "send",
                    "externalId": patches[-1].external_id,
                    "changes": changes_of(planned.record.get("document"), patches),
                }
            else:
                filtered += 1
                entry |= {"would": "filter"}
        if len(told) < TOLD_AT_MOST:
            told.append(entry)
    tried = min(len(ids), TRIED_AT_MOST)
    return {
        "count": len(ids) - gone,
        "tried": tried,
        "ready": ready,
        "filtered": filtered,
        "failing": failing,
        "sample": told,
        "dry_run": True,
    }


def changes_of(document: Any, patches: Sequence[Patch]) -> dict[str, dict[str, Any]]:
    """Field -> {"from", "to"}: what was tried then beside what today's rules say; only what differs."""
    before: dict[str, Any] = {}
    if isinstance(document, dict):
        before = {key: value for key, value in document.items() if key != "custom"}
        if isinstance(document.get("custom"), dict):
            before |= {f"custom.{key}": value for key, value in document["custom"].items()}
    found: dict[str, dict[str, Any]] = {}
    for patch in patches:
        for name, (way, value) in patch.fields.items():
            was = before.get(name)
            same = was == value or (way in ("append", "union") and was is not None)
            if not same and value not in (None, ""):
                found[name] = {"from": was, "to": value}
        if patch.company_id and patch.company_id != before.get("companyId"):
            found["companyId"] = {"from": before.get("companyId"), "to": patch.company_id}
    return found


# -- discarding --------------------------------------------------------------------------------------------------


def discard(
    outbox: Outbox,
    selection: Selection,
    *,
    by: str,
    reason: str = "",
    dry_run: bool = False,
    operation: Operation | None = None,
) -> dict[str, Any]:
    """`{"count", "discarded", "skipped"}`. Raises NotFound where ids are named and none of them exists."""
    ids = select(outbox, selection)
    _require_known(outbox, selection, ids)
    if dry_run:
        return {"count": sum(letter is not None for letter in _letters(outbox, ids)), "dry_run": True}
    if operation:
        operation.step(total=len(ids))
    discarded = skipped = 0
    cancelled = False
    for number, letter in enumerate(_letters(outbox, ids)):
        if operation and number % _STEP_EVERY == 0:
            operation.step(done=discarded, skipped=skipped)
            if operation.cancelled():
                cancelled = True
                break
        if letter is None:
            skipped += 1
            continue
        record = record_of(letter)
        said = {
            "what": "discarded",
            "by": by,
            "reason": reason or None,
            "at_ms": outbox.now_ms(),
            "dead_id": letter.dead_id,
            "cause": cause_of(record),
        }
        write_notes(outbox, [Note(event_id, said) for event_id in letter.events])
        if outbox.discard(letter.dead_id) < 0:
            skipped += 1
            continue
        discarded += 1
        forget_failed_jobs(outbox.redis, [letter.dead_id])
    if operation:
        operation.end("cancelled" if cancelled else "done", done=discarded, skipped=skipped)
    return {
        "count": len(ids),
        "discarded": discarded,
        "skipped": skipped,
        "cancelled": cancelled,
        "dry_run": False,
    }
