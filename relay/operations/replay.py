"""Stored raw events of a stretch of time through today's rules again; what differs from what stands is sent.

Paced behind live traffic: small parts, and a pause while anything has waited for long. A run can be cancelled, and
taken up again where it stopped: its cursor is a minute, and a minute done twice changes nothing, because what is sent
is only what differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.errors import MappingFailed, NotFound
from relay.operations.context import KeyedContext, OperatorContext, tenant_of
from relay.operations.orphans import Orphans
from relay.operations.progress import Operation
from relay.operations.remap import Remapped, Remapper, Stored, read_stored
from relay.operations.tombstones import Tombs, erased_of
from relay.outbox.notes import Note, write_notes
from relay.patch import Document, Patch

_PART = 100
#: While something has waited for longer, a replay stands aside.
LIVE_WAITS_MS = 5_000
SAMPLE_TOLD = 20
_MINUTE_MS = 60_000
_MISSING = object()


@dataclass(slots=True)
class ReplayTally:
    """`count` events looked at; `changed` of them say something else today and are (or would be) sent; `unmapped`
    cannot be mapped today; `filtered` were sent once and would not be today (what stands in Planhat stays);
    `expired` have no raw body any more; `dead` ones are left to `dead replay`; `erased` ones must not come back."""

    count: int = 0
    changed: int = 0
    unmapped: int = 0
    filtered: int = 0
    expired: int = 0
    dead: int = 0
    erased: int = 0


def replay_events(
    context: KeyedContext,
    *,
    since_ms: int,
    until_ms: int,
    source: str = "",
    rule: str = "",
    ids: Sequence[str] = (),
    dry_run: bool = False,
    archive_orphans: bool = False,
    limit: int = SAMPLE_TOLD,
    listed: Callable[[Mapping[str, Any]], None] | None = None,
    by: str = "",
    operation: Operation | None = None,
    progress: Callable[[int, int], None] = lambda count, changed: None,
    wait: Callable[[float], None] = time.sleep,
    now_ms: int = 0,
) -> dict[str, Any]:
    """Return `{"count", "changed", "unmapped", "filtered", "expired", "dead", "cancelled", "sample", "orphans", "dry_run"}`; `sample` tells
    the first `limit` changes, field by field, and `listed` hears of each. `orphans`: conversations that none of their events makes
    any more (see `relay.operations.orphans`); with `archive_orphans` those that are sure are archived. `rule` keeps to events that
    this rule maps today; `ids` to these events, whatever the time."""
    now_ms = now_ms or context.outbox.now_ms()
    run = _Run(
        context,
        # What is older than events are kept is not there: no need to look through its minutes.
        since_ms=max(since_ms, now_ms - context.outbox.retention.events_s * 1000 - _MINUTE_MS),
        until_ms=min(until_ms or now_ms, now_ms),
        rule=rule,
        named=bool(ids),
        now_ms=now_ms,
        tell=_Told(limit, listed),
    )
    cancelled = False
    for minute, part in _named(ids) if ids else _parts(context, run.since_ms, run.until_ms, source):
        if operation:
            tally = run.tally
            operation.step(
                cursor=minute * _MINUTE_MS, total=tally.count, changed=tally.changed, failed=tally.unmapped
            )
            if cancelled := operation.cancelled():
                break
        while not dry_run and _live_waits(context) and not (operation and operation.cancelled()):
            wait(0.5)
        again = run.map_again(part)
        if again and not dry_run:
            _send(context, again, by, now_ms)
        progress(run.tally.count, run.tally.changed)
    orphans = [] if cancelled else run.orphans.find()
    if archive_orphans and not dry_run:
        run.orphans.archive(orphans, by=by, now_ms=now_ms)
    if operation:
        operation.end(
            "cancelled" if cancelled else "done",
            total=run.tally.count,
            done=run.tally.count,
            changed=run.tally.changed,
            failed=run.tally.unmapped,
        )
    told = [orphan.told(tenant_of(context)) for orphan in orphans]
    return {**run.told(), "orphans": told, "cancelled": cancelled, "dry_run": dry_run}


def require_kept(context: OperatorContext, ids: Sequence[str]) -> None:
    """Raise NotFound where events are named and none of them is kept."""
    if ids and not any(head is not None for head in context.outbox.events.heads(ids)):
        named = f"the event {ids[0][:80]}" if len(ids) == 1 else "any of these events"
        raise NotFound(f"nobody knows {named}; raw events expire with keep.events")


class _Told:
    """The first changes are kept, each is told at once."""

    def __init__(self, limit: int, listed: Callable[[Mapping[str, Any]], None] | None) -> None:
        self.sample: list[dict[str, Any]] = []
        self._limit, self._listed = limit, listed

    def __call__(self, change: dict[str, Any]) -> None:
        if self._listed is not None:
            self._listed(change)
        if len(self.sample) < self._limit:
            self.sample.append(change)


@dataclass(frozen=True, slots=True)
class _Again:
    """An event that goes out once more, with what today's rules make of it."""

    stored: Stored
    patch: Patch


class _Run:
    """One replay: what it has seen so far, and which events of a part are to be sent again."""

    def __init__(
        self,
        context: KeyedContext,
        *,
        since_ms: int,
        until_ms: int,
        rule: str,
        named: bool,
        now_ms: int,
        tell: _Told,
    ) -> None:
        self._context = context
        self.since_ms, self.until_ms = since_ms, until_ms
        self._rule = rule
        self._named = named
        self._remapper = Remapper(context, now_ms)
        self._tombs = Tombs(erased_of(context))
        self._causes: dict[str, int] = {}
        self._tell = tell
        self.orphans = Orphans(context, self._remapper)
        self.tally = ReplayTally()

    def map_again(self, part: Sequence[str]) -> list[_Again]:
        """Those that today's rules make something else of."""
        gone = self._tombs.ids(part)
        again: list[_Again] = []
        for stored in read_stored(self._context, part):
            if stored is None:
                continue
            if stored.event_id in gone:
                self.tally.erased += 1
                continue
            received_ms = int(stored.facts.get("received_ms") or 0)
            if self._named or self.since_ms <= received_ms <= self.until_ms:
                patch = self._changed(stored, received_ms)
                if patch is not None:
                    again.append(_Again(stored, patch))
        self.orphans.note()
        return again

    def _changed(self, stored: Stored, received_ms: int) -> Patch | None:
        tally = self.tally
        tally.count += 1
        remapped = _remap(self._remapper, stored, tally, self._causes)
        if remapped is None or (self._rule and remapped.rule != self._rule):
            return None
        patch = remapped.patch
        if self._tombs.cover(remapped.event, patch.external_id if patch else "", received_ms):
            tally.erased += 1
            return None
        self.orphans.made(stored, remapped)
        if patch is None:
            tally.filtered += stored.state != "filtered"
            return None
        changes = changed_fields(self._context, patch)
        if changes is None:
            return None
        tally.changed += 1
        self._tell({"id": stored.event_id, "externalId": patch.external_id, "changes": changes})
        return patch

    def told(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "count": tally.count,
            "changed": tally.changed,
            "unmapped": tally.unmapped,
            "filtered": tally.filtered,
            "expired": tally.expired,
            "dead": tally.dead,
            "erased": tally.erased,
            "causes": [
                {"cause": cause, "count": n}
                for cause, n in sorted(self._causes.items(), key=lambda pair: -pair[1])[:10]
            ],
            "sample": self._tell.sample,
        }


def _remap(remapper: Remapper, stored: Stored, tally: ReplayTally, causes: dict[str, int]) -> Remapped | None:
    if stored.state in ("dead", "discarded"):
        tally.dead += stored.state == "dead"
        return None
    if stored.body is None:
        tally.expired += 1
        return None
    try:
        return remapper.map(stored)
    except MappingFailed as error:
        tally.unmapped += 1
        causes[error.cause] = causes.get(error.cause, 0) + 1
        return None


def _send(context: OperatorContext, again: Sequence[_Again], by: str, now_ms: int) -> None:
    notes = []
    for one in again:
        said: dict[str, Any] = {"what": "replayed", "by": by, "at_ms": now_ms}
        if one.stored.state != "pending":
            # The outbox keeps the last end alone: this is what tells the first.
            said |= {"was": one.stored.state, "was_at_ms": one.stored.settled_ms}
        notes.append(Note(one.stored.event_id, said, one.patch.external_id))
    write_notes(context.outbox, notes)
    context.outbox.replay(
        [(one.stored.event_id, one.stored.source, one.patch.external_id, one.patch.encode()) for one in again]
    )


def _named(ids: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    for start in range(0, len(ids), _PART):
        yield 0, list(ids[start : start + _PART])


def _parts(
    context: OperatorContext, since_ms: int, until_ms: int, source: str
) -> Iterator[tuple[int, list[str]]]:
    """(minute, at most `_PART` event ids), oldest first."""
    for minute in range(since_ms // _MINUTE_MS, until_ms // _MINUTE_MS + 1):
        at_ms = minute * _MINUTE_MS
        ids = list(context.outbox.events.ids(since_ms=at_ms, until_ms=at_ms, source=source))
        for start in range(0, len(ids), _PART):
            yield minute, ids[start : start + _PART]


def _live_waits(context: OperatorContext) -> bool:
    now_ms = context.outbox.now_ms()
    oldest = context.outbox.oldest_pending_ms(now_ms=now_ms)
    return oldest is not None and now_ms - oldest > LIVE_WAITS_MS


def changed_fields(context: OperatorContext, patch: Patch) -> dict[str, dict[str, Any]] | None:
    """Return what today's patch changes in the conversation as it stands (waiting patches counted in), field by field; None
    where nothing does. For a conversation that is not known any more everything is new."""
    outbox = context.outbox
    stored = outbox.document(patch.external_id)
    before = _document(patch.external_id, stored)
    for pending in outbox.waiting_patches(patch.external_id):
        try:
            before.absorb(Patch.decode(pending.patch))
        except (ValueError, KeyError):
            continue
    after = Document.decode(before.encode())
    after.absorb(patch)
    was, becomes = flat(before.render()), flat(after.render())
    changes = {
        name: {"from": was.get(name), "to": becomes.get(name)}
        for name in sorted({*was, *becomes})
        if was.get(name, _MISSING) != becomes.get(name, _MISSING)
    }
    # The company is not compared: a conversation's first delivery pins it.
    return changes or None


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Spread `custom` out as "custom.Name"."""
    found = {name: value for name, value in fields.items() if name != "custom"}
    custom = fields.get("custom")
    if isinstance(custom, dict):
        found |= {f"custom.{name}": value for name, value in custom.items()}
    return found


def _document(external_id: str, stored: bytes | None) -> Document:
    if stored is not None:
        try:
            return Document.decode(stored)
        except (ValueError, KeyError):
            pass
    return Document(external_id)
