"""The events that came in, newest first: `relay events` and `GET /api/v1/events`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from relay.errors import ConfigInvalid, OutboxUnavailable
from relay.operations.context import KeyedContext
from relay.operations.moments import iso
from relay.operations.search.build import Indexer
from relay.operations.search.find import PAGE_S, Hit, Search
from relay.operations.search.terms import Terms
from relay.operations.search.wanted import FILTERS, read_wanted
from relay.operations.selection import InputInvalid
from relay.outbox.veil_key import VeilKey

#: What a request may ask with: the filters, and which page.
ASKABLE: Final = frozenset({*FILTERS, "limit", "after", "next"})


def list_events(
    context: KeyedContext, asked: Mapping[str, Any], *, limit: int, after: str = "", seconds: float = PAGE_S
) -> dict[str, Any]:
    """Return `{"events", "next", "searched_to"}`: a page of the events that fit all filters of `asked` (see `FILTERS`). `next` is the
    `after` of the following page, null at the end. `searched_to` (ISO 8601) is set where the time was up before the page was
    full: nothing that fits lies between there and the last event shown. Where the config does not hold, what is not in the index
    yet is found by sender and subject alone. Raises InputInvalid for a filter or cursor that is
    none, OutboxUnavailable."""
    wanted = read_wanted({name: asked[name] for name in FILTERS if name in asked}, context.outbox.now_ms())
    terms = terms_of(context) if wanted.by_terms else None
    began = time.monotonic()
    if terms is not None and _config_holds(context):
        with suppress(OutboxUnavailable):
            # Redis may be full: what is not in the index is looked through.
            Indexer(context, terms).catch_up(seconds / 2)
    left_s = max(seconds / 4, seconds - (time.monotonic() - began))
    try:
        page = Search(context, wanted, terms).page(limit, after, seconds=left_s)
    except InputInvalid:
        raise
    except ValueError as error:
        raise InputInvalid(str(error), "after") from None
    return {
        "events": [_row(hit) for hit in page.hits],
        "next": page.following or None,
        "searched_to": iso(page.searched_to_ms) if page.searched_to_ms else None,
    }


def _config_holds(context: KeyedContext) -> bool:
    """Tell whether events can be read whole. What is put into the index stays there: nothing half read may be."""
    try:
        return context.config is not None
    except ConfigInvalid:
        return False


def terms_of(context: KeyedContext) -> Terms:
    """Return the index's words under this installation's key. Raises OutboxUnavailable."""
    return Terms(VeilKey(context.outbox, context.settings.redaction_key)())


def _row(hit: Hit) -> dict[str, Any]:
    facts = hit.head.facts
    return {
        "id": hit.head.event_id,
        "received_at": iso(hit.received_ms) if hit.received_ms else None,
        "source": hit.source,
        "kind": facts.get("kind") or None,
        "state": hit.head.state,
        "settled_at": iso(hit.head.settled_ms) if hit.head.settled_ms else None,
        "rule": facts.get("rule") or None,
        "externalId": hit.home or None,
        "sender": facts.get("from") or None,
        "subject": facts.get("subject") or None,
    }
