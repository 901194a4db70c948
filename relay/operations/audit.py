"""The audit as people and programs read it."""

from __future__ import annotations

from typing import Any

from relay.operations.moments import iso
from relay.outbox.audit import read_audit
from relay.outbox.outbox import Outbox


def list_audit(
    outbox: Outbox, *, since_ms: int = 0, until_ms: int = 0, limit: int = 100, after: str = ""
) -> dict[str, Any]:
    """Return `{"lines": [{"at", "who", "address", "what", "of"}], "next"}`, newest first. Raises ValueError where `after` is no
    cursor."""
    lines, following = read_audit(outbox, since_ms=since_ms, until_ms=until_ms, limit=limit, after=after)
    return {
        "lines": [
            {
                "at": iso(line.at_ms),
                "who": line.who,
                "address": line.address,
                "what": line.what,
                "of": dict(line.of),
            }
            for line in lines
        ],
        "next": following or None,
    }
