"""One id with its whole story: an event id, the provider's delivery id, an externalId, a Planhat `_id`, or a dead
letter's id. A handful of reads by key, however many events there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from relay.conversation import safe_external_id
from relay.errors import NotFound
from relay.event import event_id as make_event_id
from relay.operations.moments import iso
from relay.operations.waited import DELIVERED, Waited, told_entry, told_note
from relay.outbox.archive import unpack
from relay.outbox.items import DeadLetter, State
from relay.outbox.notes import read_notes
from relay.outbox.outbox import Outbox
from relay.patch import Document, Patch
from relay.planhat.address import record_link

#: Events told of one conversation, the newest; deliveries told of one event.
EVENTS_TOLD = 100
_SETTLED: frozenset[State] = frozenset({"delivered", "unchanged", "superseded", "filtered", "discarded"})


def find(outbox: Outbox, some_id: str, sources: Iterable[str], *, tenant: str = "") -> dict[str, Any]:
    """Return `{"conversation": {..}, "events": [..]}`, the events oldest first. `tenant`: its name in Planhat's app, for links to the record. Raises NotFound."""
    event_id, external_id = _resolve(outbox, some_id, sources)
    if event_id and not external_id:
        external_id = _home_of(outbox, event_id)
    ids = outbox.events.of(external_id, EVENTS_TOLD) if external_id else []
    waiting = outbox.waiting_patches(external_id) if external_id else []
    ids = list(dict.fromkeys([*ids, *(pending.event_id for pending in waiting)]))[-EVENTS_TOLD:]
    if event_id and event_id not in ids:
        ids.append(event_id)
    conversation = _Conversation(outbox, external_id)
    stories = _stories(outbox, ids, {external_id: conversation})
    told = conversation.told(len(waiting))
    if told["source"] is None and stories:
        # Nothing was delivered yet: what the newest event says.
        told |= {"source": stories[-1]["source"], "rule": stories[-1]["rule"]}
    if not stories and not told["known"]:
        raise NotFound(_unknown(some_id))
    del told["known"]
    for row in (told, *stories):
        row["planhat_link"] = record_link(tenant, row["planhat_id"] or "") or None
    return {"conversation": told, "events": stories}


def event_story(outbox: Outbox, event_id: str, *, tenant: str = "") -> dict[str, Any]:
    """Return `{"id", "source", "state", "externalId", "rule", "received_at", "settled_at", "planhat_id", "planhat_link", "history": [..]}`.
    Raises NotFound."""
    stories = _stories(outbox, [event_id], {})
    if not stories:
        raise NotFound(_unknown(event_id))
    [story] = stories
    return {**story, "planhat_link": record_link(tenant, story["planhat_id"] or "") or None}


def conversation_story(outbox: Outbox, external_id: str, *, tenant: str = "") -> dict[str, Any]:
    """Return `find`'s conversation alone, without its events."""
    told = _Conversation(outbox, external_id).told(len(outbox.waiting_patches(external_id)))
    del told["known"]
    return {**told, "planhat_link": record_link(tenant, told["planhat_id"] or "") or None}


def _unknown(some_id: str) -> str:
    return (
        f"nobody knows {some_id[:80]!r} (wanted: an event id, a delivery id, an externalId, a Planhat _id or a dead "
        "letter's id; raw events expire with keep.events)"
    )


def _resolve(outbox: Outbox, some_id: str, sources: Iterable[str]) -> tuple[str, str]:
    """(event id or "", externalId or "")."""
    if some_id.startswith("evt_") and outbox.events.get(some_id) is not None:
        return some_id, ""
    if some_id.startswith("dead_"):
        letter = outbox.dead.get(some_id)
        if letter:
            return next(iter(letter.events), ""), letter.external_id
    external_id = outbox.external_id_of(some_id)
    if external_id:
        return "", external_id
    for candidate in dict.fromkeys((some_id, safe_external_id(some_id))):
        if (
            outbox.document(candidate) is not None
            or outbox.waiting_patches(candidate)
            or outbox.events.of(candidate, 1)
            or outbox.dead.of(candidate)
        ):
            return "", candidate
    names = sorted({*sources, *outbox.sources()})
    # Mail is known by its Message-ID, which people paste with or without its angle brackets.
    bare = some_id.strip("<>")
    keys = dict.fromkeys((some_id, f"mail:<{bare}>", f"mail:{bare}"))
    found = outbox.events.find((name, make_event_id(name, key)) for name in names for key in keys)
    found = found or outbox.events.known_as(some_id, ["", *names])
    if found:
        return found, ""
    raise NotFound(_unknown(some_id))


def _home_of(outbox: Outbox, event_id: str) -> str:
    for note in reversed(read_notes(outbox, [event_id]).get(event_id, [])):
        if note.get("external_id"):
            return str(note["external_id"])
    stored = outbox.events.get(event_id)
    if stored:
        try:
            return str(unpack(stored[2]).facts.get("external_id") or "")
        except ValueError:
            return ""
    return ""


class _Conversation:
    """What stands in the outbox of one externalId, read once."""

    def __init__(self, outbox: Outbox, external_id: str) -> None:
        self._outbox = outbox
        self.external_id = external_id
        self.document: Document | None = None
        stored = outbox.document(external_id) if external_id else None
        if stored is not None:
            try:
                self.document = Document.decode(stored)
            except (ValueError, KeyError):
                self.document = None
        self.letters: list[DeadLetter] = (
            outbox.dead.get_many(outbox.dead.of(external_id)) if external_id else []
        )

    def told(self, waiting: int) -> dict[str, Any]:
        document, external_id = self.document, self.external_id
        due_ms = self._outbox.due_ms(external_id) if external_id and waiting else None
        told: dict[str, Any] = {
            "externalId": external_id or None,
            "source": (document.source or None) if document else None,
            "rule": (document.rule or None) if document else None,
            "planhat_id": (document.planhat_id or None) if document else None,
            "companyId": (document.company_id or None) if document else None,
            "waiting": waiting,
            "due_at": iso(due_ms),
            "fields": document.render() if document else {},
            "deliveries": [_dated(told_entry(entry)) for entry in document.history] if document else [],
            "dead": [letter.dead_id for letter in self.letters],
            "known": bool(document or waiting or self.letters),
        }
        if document is None and waiting:
            told["fields"] = self._preview()
        return told

    def _preview(self) -> dict[str, Any]:
        """What the waiting patches would make, where nothing was delivered yet."""
        document = Document(self.external_id)
        for pending in self._outbox.waiting_patches(self.external_id):
            try:
                document.absorb(Patch.decode(pending.patch))
            except (ValueError, KeyError):
                continue
        return document.render()


def _stories(
    outbox: Outbox, event_ids: list[str], conversations: dict[str, _Conversation]
) -> list[dict[str, Any]]:
    notes = read_notes(outbox, event_ids)
    stories = []
    for event_id, stored in zip(event_ids, outbox.events.get_many(event_ids), strict=True):
        if stored is None:
            continue
        state, settled_ms, record = stored
        try:
            facts = unpack(record).facts
        except ValueError:
            facts = {}
        mine = notes.get(event_id, [])
        home = next((str(n["external_id"]) for n in reversed(mine) if n.get("external_id")), "")
        external_id = home or str(facts.get("external_id") or "")
        if external_id not in conversations:
            conversations[external_id] = _Conversation(outbox, external_id)
        letters = conversations[external_id].letters
        if state == "dead" and not any(event_id in letter.events for letter in letters):
            # A letter of the door has no conversation yet; its id is its event's.
            letters = outbox.dead.get_many(["dead_" + event_id[4:]])
        stories.append(
            _story(event_id, state, settled_ms, facts, mine, external_id, conversations[external_id], letters)
        )
    return stories


def _story(
    event_id: str,
    state: State,
    settled_ms: int,
    facts: Mapping[str, Any],
    notes: list[dict[str, Any]],
    external_id: str,
    conversation: _Conversation,
    letters: list[DeadLetter],
) -> dict[str, Any]:
    received_ms = int(facts.get("received_ms") or 0)
    document = conversation.document
    settled = state in _SETTLED
    waited = Waited.of(received_ms, notes, settled_ms if settled else 0)
    went = document is not None and (state != "filtered" or waited.ends)
    own = (
        [entry for entry in document.history if waited.carried_by(entry, event_id)]
        if document and went
        else []
    )
    earlier = waited.ends_without(own)
    history = [*_door(facts, received_ms), *map(told_note, notes), *map(told_entry, own), *earlier]
    letter = (
        next((letter for letter in letters if event_id in letter.events), None) if state == "dead" else None
    )
    if letter:
        history.append({"at_ms": letter.at_ms, "what": "dead", "dead_id": letter.dead_id, **_cause(letter)})
    elif settled and not any(entry.get("what") == state for entry in history):
        history.append({"at_ms": settled_ms, "what": state})
    elif state == "pending" and notes and settled_ms > received_ms:
        history.append({"at_ms": settled_ms, "what": "queued", "externalId": external_id})
    history.sort(key=lambda entry: int(entry.get("at_ms") or 0))
    delivered = state in DELIVERED
    first_ms = waited.first_delivered_ms(settled_ms if delivered else 0)
    return {
        "id": event_id,
        "source": facts.get("source"),
        "state": state,
        "externalId": external_id or None,
        "rule": facts.get("rule") or (document.rule if document and notes else None) or None,
        "received_at": iso(received_ms),
        "settled_at": iso(settled_ms) if settled or state == "dead" else None,
        "planhat_id": (document.planhat_id or None) if document and delivered else None,
        "kind": facts.get("kind") or None,
        "delivery_id": facts.get("delivery_id") or None,
        "traceparent": facts.get("traceparent"),
        "config": facts.get("config"),
        "end_to_end_ms": first_ms - received_ms if first_ms and received_ms else None,
        "dead_id": letter.dead_id if letter else None,
        "history": [_dated(entry) for entry in history],
    }


def _door(facts: Mapping[str, Any], received_ms: int) -> list[dict[str, Any]]:
    """What happened in the request, all of it within its milliseconds."""
    if not facts:
        return []
    steps: list[dict[str, Any]] = [
        {
            "at_ms": received_ms,
            "what": "received",
            "method": facts.get("method"),
            "status": "verified",
            "verify_ms": round(float(facts.get("verify_us") or 0) / 1000, 3),
        },
        {"at_ms": received_ms, "what": "parsed", "kind": facts.get("kind"), "time": facts.get("time")},
    ]
    verdict = facts.get("verdict")
    if verdict == "pending":
        steps.append({"at_ms": received_ms, "what": "mapped", "rule": facts.get("rule")})
        steps.append({"at_ms": received_ms, "what": "queued", "externalId": facts.get("external_id")})
    elif verdict == "filtered":
        steps.append(
            {
                "at_ms": received_ms,
                "what": "filtered",
                "rule": facts.get("rule") or None,
                "reason": facts.get("reason"),
            }
        )
    elif verdict == "dead":
        steps.append(
            {
                "at_ms": received_ms,
                "what": "not mapped",
                "rule": facts.get("rule") or None,
                "reason": facts.get("reason"),
            }
        )
    return steps


def _cause(letter: DeadLetter) -> dict[str, Any]:
    try:
        record = orjson.loads(letter.record)
    except ValueError:
        return {}
    return {"cause": record.get("cause"), "stage": record.get("stage"), "reason": record.get("reason")}


def _dated(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"at": iso(entry.get("at_ms")), **_without(entry, "at_ms")}


def _without(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}
