"""One event in full: its story, the request it came in, what the adapter read there, and what today's rules make of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

from relay.errors import MappingFailed, OutboxUnavailable, RelayError
from relay.operations.context import KeyedContext, OperatorContext, tenant_of
from relay.operations.dead.look import raw_of
from relay.operations.dead.replay import replay_dead
from relay.operations.remap import EventReader, Remapper, Stored, read_stored
from relay.operations.replay import replay_events
from relay.operations.selection import InputInvalid, Selection
from relay.operations.trace import event_story
from relay.rules.explain import explain


def show_event(context: OperatorContext, event_id: str) -> dict[str, Any]:
    """Return `event_story`'s, and `payload` (the JSON that came, or text; bytes that are no text as base64: `payload_encoding` is `json`,
    `text` or `base64`), `method`, `target`, `headers`, `event` (as the adapter reads it today) with `event_unreadable`. All of
    them null once the raw request has expired. Raises NotFound, OutboxUnavailable."""
    story, stored = _read(context, event_id)
    return {**story, **_request(stored), **_event(context, stored)}


def explain_event(context: OperatorContext, event_id: str) -> dict[str, Any] | None:
    """Return `relay.rules.explain.explain` of a stored event: today's rule and its fields, nothing sent. None where its raw request has
    expired or cannot be read any more. Raises NotFound, OutboxUnavailable."""
    _, stored = _read(context, event_id)
    try:
        event = Remapper(context, 0).event(stored) if stored else None
        return explain(context.config, context.rulebook, event) if event else None
    except OutboxUnavailable:
        raise
    except RelayError:
        return None


def resend_event(context: KeyedContext, event_id: str, *, by: str) -> dict[str, Any]:
    """Send one event through today's rules again: a dead one as its dead letter, another one where that differs from what stands.
    `{"sent": whether it waits for delivery now, "said": a sentence}`. Raises NotFound, InputInvalid where it cannot be mapped,
    OutboxUnavailable."""
    story = event_story(context.outbox, event_id)
    if story["dead_id"]:
        done = replay_dead(context, Selection(ids=(story["dead_id"],)), by=by)
        if done["failed"]:
            raise InputInvalid(f"it stays a dead letter: {done['failures'][0]['cause']}")
        return {"sent": True, "said": "Its dead letter was replayed: it waits for delivery again."}
    done = replay_events(context, since_ms=0, until_ms=0, ids=(event_id,), by=by)
    if done["changed"]:
        return {"sent": True, "said": "It waits for delivery again, with today's rules."}
    if done["causes"]:
        raise InputInvalid(f"today's rules cannot map it: {done['causes'][0]['cause']}")
    for word, why in _NOT_SENT.items():
        if done[word]:
            raise InputInvalid(why)
    return {"sent": False, "said": "Nothing to send: what today's rules make of it stands there already."}


_NOT_SENT = {
    "erased": "it was erased, and stays so",
    "expired": "its raw request has expired (keep.events)",
    "filtered": "today's rules would not send it; what stands in Planhat stays",
}


def _read(context: OperatorContext, event_id: str) -> tuple[dict[str, Any], Stored | None]:
    story = event_story(context.outbox, event_id, tenant=tenant_of(context))
    [stored] = read_stored(context, [event_id])
    return story, stored


def _request(stored: Stored | None) -> dict[str, Any]:
    raw = raw_of(stored)
    if raw is None:
        return dict.fromkeys(("payload", "payload_encoding", "method", "target", "headers"))
    payload, encoding = raw["body"], "base64" if raw["encoding"] == "base64" else "text"
    if encoding == "text":
        with suppress(ValueError):
            payload, encoding = orjson.loads(payload), "json"
    return {
        "payload": payload,
        "payload_encoding": encoding,
        **{name: raw[name] for name in ("method", "target", "headers")},
    }


def _event(context: OperatorContext, stored: Stored | None) -> dict[str, Any]:
    if stored is None:
        return {"event": None, "event_unreadable": "the stored event cannot be read"}
    try:
        return {"event": EventReader(context).event(stored).view(), "event_unreadable": None}
    except MappingFailed as error:
        return {"event": None, "event_unreadable": error.cause}
    except OutboxUnavailable:
        raise
    except RelayError as error:
        # A config that does not hold hides no request.
        return {"event": None, "event_unreadable": str(error)}
