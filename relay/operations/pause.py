"""Pause and resume, of all delivery or of one source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from relay.operations.moments import iso
from relay.outbox.delivery import Delivery, Pause
from relay.outbox.outbox import Outbox


def known_sources(outbox: Outbox, configured: Iterable[str]) -> frozenset[str]:
    """Return the config's sources, and those that are only in the books any more."""
    return frozenset({*configured, *outbox.sources()})


def pause_delivery(delivery: Delivery, source: str = "", *, by: str = "") -> dict[str, Any]:
    """Holds all delivery, or one source, as `by` wants it; how delivery stands then."""
    delivery.pause(source, by=by)
    return delivery_state(delivery)


def resume_delivery(delivery: Delivery, source: str = "") -> dict[str, Any]:
    delivery.resume(source)
    return delivery_state(delivery)


def delivery_state(delivery: Delivery) -> dict[str, Any]:
    state = delivery.read()
    return {
        "state": state.state,
        "until": iso(state.until_ms),
        "reason": state.reason,
        "paused_sources": sorted(delivery.paused_sources()),
        "pauses": pauses_told(delivery.pauses()),
    }


def pauses_told(pauses: Mapping[str, Pause]) -> list[dict[str, Any]]:
    """Return what a person holds: `source` (None: all delivery), `since`, `by`."""
    return [
        {"source": source or None, "since": iso(pause.since_ms), "by": pause.by or None}
        for source, pause in pauses.items()
    ]
