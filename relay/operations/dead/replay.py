"""Replaying dead letters: the archived raw events go through today's rules again, and the letter back to work in one
script: sent first, deleted after. Whoever is killed in between, the letter is still there or its events wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from relay.errors import MappingFailed
from relay.operations.context import KeyedContext
from relay.operations.dead.edits import apply_to_patches, read_edits
from relay.operations.dead.look import letters_in_parts, parts_of, record_of, require_known
from relay.operations.dead.select import select
from relay.operations.moments import iso
from relay.operations.progress import Operation
from relay.operations.remap import Remapped, Remapper, Stored, read_stored
from relay.operations.rq_jobs import forget_failed_jobs
from relay.operations.selection import Selection, cause_group
from relay.operations.tombstones import WAS_ERASED, Tombs, erased_of
from relay.outbox.dead import AMENDED
from relay.outbox.dead_record import encode_amended
from relay.outbox.items import DeadLetter
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox
from relay.patch import Patch

#: Letters of a dry run that are mapped to see what would change, and changes told in full.
TRIED_AT_MOST = 200
TOLD_AT_MOST = 20
#: Attempts kept in a letter's record.
ATTEMPTS_KEPT = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay of one letter would do: for each event a patch, or None where today's rules filter it."""

    letter: DeadLetter
    record: dict[str, Any]
    events: tuple[tuple[str, str, Patch | None], ...]


def plan_replay(
    context: KeyedContext,
    letter: DeadLetter,
    now_ms: int,
    tombs: Tombs,
    stored_events: Mapping[str, Stored | None] | None = None,
) -> Plan:
    """Map the letter's events (`stored_events`, where they are read already). Raises MappingFailed where an event of the letter still
    cannot be mapped, or was erased: then all of it stays."""
    if tombs.ids(letter.events):
        raise MappingFailed(WAS_ERASED)
    record = record_of(letter)
    edits = read_edits(record)
    remapper = Remapper(context, now_ms)
    kept = {pending.event_id: pending for pending in letter.patches}
    if stored_events is None:
        stored_events = dict(zip(letter.events, read_stored(context, letter.events), strict=True))
    found: list[tuple[str, str, Patch | None]] = []
    for event_id in letter.events:
        stored = stored_events.get(event_id)
        if stored is not None and stored.body is not None and stored.source in context.config.sources:
            mend = edits.mender() if event_id == letter.events[-1] else None
            remapped: Remapped = remapper.map(stored, mend)
            external_id = remapped.patch.external_id if remapped.patch else ""
            if tombs.cover(remapped.event, external_id, int(stored.facts.get("received_ms") or 0)):
                raise MappingFailed(WAS_ERASED)
            found.append((event_id, stored.source, remapped.patch))
        elif event_id in kept:
            # The raw event has expired, or its source is gone from the config: what it was mapped to then still counts.
            try:
                found.append((event_id, kept[event_id].source, Patch.decode(kept[event_id].patch)))
            except (ValueError, KeyError) as error:
                raise MappingFailed("the stored patch cannot be read") from error
        else:
            raise MappingFailed(
                "the raw event has expired, or only a newer release reads it, and no rule had mapped it before"
            )
    patches = [patch for _, _, patch in found if patch]
    if edits:
        # An edit of the same event must win over what was mapped before it.
        patches = [replace(patch, revision=max(patch.revision, now_ms)) for patch in patches]
    patched = iter(apply_to_patches(edits, patches))
    events = tuple((event, source, next(patched) if patch else None) for event, source, patch in found)
    return Plan(letter, record, events)


def carry_out(context: KeyedContext, planned: Sequence[Plan], *, by: str, now_ms: int) -> list[int]:
    """Replay each letter, in order, and count the events that wait again (or were filtered); -1 where someone else was quicker,
    `AMENDED` where the letter was edited since it was planned."""
    notes: list[Note] = []
    for one in planned:
        said = {
            "what": "replayed",
            "by": by,
            "at_ms": now_ms,
            "dead_id": one.letter.dead_id,
            "cause": cause_group(one.record),
        }
        if one.record.get("edits"):
            said["edits"] = len(one.record["edits"])
        notes += [
            Note(event_id, said, patch.external_id if patch else "", known_as=one.letter.dead_id)
            for event_id, _, patch in one.events
        ]
    write_notes(context.outbox, notes)
    return context.outbox.dead.redrive_many(
        [
            (
                one.letter.dead_id,
                one.letter.amended,
                [
                    (
                        event_id,
                        source,
                        "pending" if patch else "filtered",
                        patch.external_id if patch else "",
                        patch.encode() if patch else b"",
                    )
                    for event_id, source, patch in one.events
                ],
            )
            for one in planned
        ]
    )


def redrive_one(context: KeyedContext, dead_id: str, *, by: str = "rq", now_ms: int = 0) -> int:
    """Replay one letter, as a requeued RQ job does; how many events wait again. A letter that is gone counts as 0:
    someone replayed it already. Raises MappingFailed (the letter stays, with this attempt noted), OutboxUnavailable."""
    outbox = context.outbox
    now_ms = now_ms or outbox.now_ms()
    tombs = Tombs(erased_of(context))
    while True:
        letter = outbox.dead.get(dead_id)
        if letter is None:
            return 0
        try:
            planned = plan_replay(context, letter, now_ms, tombs)
        except MappingFailed as error:
            _note_failure(outbox, letter, error, now_ms)
            raise
        [moved] = carry_out(context, [planned], by=by, now_ms=now_ms)
        if moved != AMENDED:
            return max(0, moved)


def _note_failure(outbox: Outbox, letter: DeadLetter, error: MappingFailed, now_ms: int) -> None:
    """Adds the attempt to the letter's record. One that somebody changes at the same time is noted in what stands then."""
    found: DeadLetter | None = letter
    while found is not None:
        record = record_of(found)
        attempt = {"at": iso(now_ms), "status": "map", "error": error.cause}
        record["attempts"] = [*(record.get("attempts") or []), attempt][-ATTEMPTS_KEPT:]
        if record.get("stage") == "map":
            rule = error.rule or record.get("rule") or ""
            record |= {"cause": error.cause, "reason": error.cause, "rule": rule}
        if outbox.dead.amend(found, encode_amended(record)):
            return
        found = outbox.dead.get(letter.dead_id)


class _Run:
    """One replay of many letters, and what became of them so far."""

    def __init__(self, context: KeyedContext, by: str, now_ms: int) -> None:
        self._context = context
        self._by = by
        self._now_ms = now_ms
        self._tombs = Tombs(erased_of(context))
        self.replayed = self.failed = self.skipped = self.events = 0
        self.failures: list[dict[str, str]] = []

    def replay(self, dead_ids: Sequence[str]) -> None:
        """Puts these back. Those that somebody edits at the same time are read and planned again."""
        while dead_ids:
            dead_ids = self._once(dead_ids)

    def _once(self, dead_ids: Sequence[str]) -> list[str]:
        outbox = self._context.outbox
        letters = outbox.dead.get_many(dead_ids)
        names = [event_id for letter in letters for event_id in letter.events]
        stored = dict(zip(names, read_stored(self._context, names), strict=True))
        planned: list[Plan] = []
        for letter in letters:
            try:
                planned.append(plan_replay(self._context, letter, self._now_ms, self._tombs, stored))
            except MappingFailed as error:
                _note_failure(outbox, letter, error, self._now_ms)
                self.failed += 1
                if len(self.failures) < TOLD_AT_MOST:
                    self.failures.append({"id": letter.dead_id, "cause": error.cause})
        moved = carry_out(self._context, planned, by=self._by, now_ms=self._now_ms)
        moved_by_id = {one.letter.dead_id: number for one, number in zip(planned, moved, strict=True)}
        gone = [dead_id for dead_id, number in moved_by_id.items() if number >= 0]
        amended = [dead_id for dead_id, number in moved_by_id.items() if number == AMENDED]
        self.replayed += len(gone)
        self.skipped += len(dead_ids) - len(letters) + len(planned) - len(gone) - len(amended)
        self.events += sum(number for number in moved if number > 0)
        forget_failed_jobs(outbox.redis, outbox.lane_name, gone)
        return amended


def replay_dead(
    context: KeyedContext,
    selection: Selection,
    *,
    by: str,
    dry_run: bool = False,
    limit: int = TOLD_AT_MOST,
    operation: Operation | None = None,
    progress: Callable[[int, int], None] = lambda seen, count: None,
    now_ms: int = 0,
) -> dict[str, Any]:
    """Return `{"count", "replayed", "failed", "skipped", ...}`; a dry run moves nothing and says what would change, of
    the first `limit` letters in full. Raises
    NotFound where ids are named and none of them exists."""
    outbox = context.outbox
    ids = select(outbox, selection)
    require_known(outbox, selection, ids)
    now_ms = now_ms or outbox.now_ms()
    if dry_run:
        return _dry_run(context, ids, now_ms, limit)
    if operation:
        operation.step(total=len(ids))
    run = _Run(context, by, now_ms)
    cancelled = False
    for seen, part in parts_of(ids):
        progress(seen, len(ids))
        if operation:
            operation.step(done=run.replayed, failed=run.failed, skipped=run.skipped)
            if operation.cancelled():
                cancelled = True
                break
        run.replay(part)
    if operation:
        state = "cancelled" if cancelled else "done"
        operation.end(state, done=run.replayed, failed=run.failed, skipped=run.skipped)
    return {
        "count": len(ids),
        "replayed": run.replayed,
        "events": run.events,
        "failed": run.failed,
        "skipped": run.skipped,
        "failures": run.failures,
        "cancelled": cancelled,
        "dry_run": False,
    }


def _dry_run(context: KeyedContext, ids: Sequence[str], now_ms: int, limit: int) -> dict[str, Any]:
    tombs = Tombs(erased_of(context))
    ready = filtered = failing = gone = 0
    told: list[dict[str, Any]] = []
    most = max(TRIED_AT_MOST, limit)
    for letter in letters_in_parts(context.outbox, ids[:most]):
        if letter is None:
            gone += 1
            continue
        entry: dict[str, Any] = {"id": letter.dead_id, "externalId": letter.external_id or None}
        try:
            planned = plan_replay(context, letter, now_ms, tombs)
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
        if len(told) < limit:
            told.append(entry)
    tried = min(len(ids), most)
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
    """Give field -> {"from", "to"}: what was tried then beside what today's rules say; only what differs."""
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
