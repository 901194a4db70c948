"""What Planhat was found to keep, or to show, otherwise than it was sent: told by the workers by rule and field, without values.
Of a mangled description both texts are kept for a week, sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from relay.operations.moments import iso
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading, read_alone
from relay.outbox.scripts import reaching_redis
from relay.planhat.custom_fields import compare_fields
from relay.rules.rule import RuleBook
from relay.rules.written import written_custom_fields

#: What nobody has found anew for so long is told no more: its rule may be gone.
_TOLD_MS: Final = 7 * 86_400_000


def list_differences(outbox: Outbox, *, now_ms: int = 0) -> list[dict[str, Any]]:
    """Return each as `{"at", "rule", "type", "field", "what", "do", "found_by"}`, the newest first. `found_by`: "readback" (what stands
    in Planhat was compared) or "fields" (the tenant's list of custom fields was). Raises OutboxUnavailable."""
    return read_alone(outbox.redis, reading_differences(outbox, now_ms or outbox.now_ms()))


def reading_differences(outbox: Outbox, now_ms: int) -> Reading[list[dict[str, Any]]]:
    """As `list_differences`."""
    [held] = yield lambda pipe: pipe.hgetall(outbox.prefix + keys.WARNINGS)
    rows = []
    for name, value in held.items():
        row = orjson.loads(value)
        if now_ms - row["at_ms"] < _TOLD_MS:
            rows.append({**row, "do": row.get("do", ""), "found_by": name.decode().partition("|")[0]})
    rows.sort(key=lambda row: (-row["at_ms"], row["rule"], row["field"]))
    return [{"at": iso(row.pop("at_ms")), **row} for row in rows]


def difference_told(row: Mapping[str, Any]) -> str:
    """Return one row of `list_differences` as a sentence."""
    do = f"; {row['do']}" if row["do"] else ""
    return f"Rule {row['rule']} ({row['type']}): {row['field']} {row['what']}{do} (seen {row['at']})."


def texts_compared(outbox: Outbox, rule: str) -> dict[str, Any] | None:
    """Return the description that was found mangled, `{"at", "externalId", "sent_text", "kept_text"}`; None: nothing is kept, or the key
    that sealed it is gone. Raises OutboxUnavailable."""
    with reaching_redis():
        sealed: Any = outbox.redis.hget(outbox.prefix + keys.READBACK_TEXTS, rule)
    if not sealed:
        return None
    try:
        row = orjson.loads(outbox.vault.open(sealed))
    except ValueError:
        return None
    return {
        "at": iso(row["at_ms"]),
        "externalId": row["externalId"],
        "sent_text": row["sent"],
        "kept_text": row["stands"],
    }


def written_and_defined(outbox: Outbox, book: RuleBook) -> dict[str, Any]:
    """Return every custom field that the rules write, `{"read_at", "written": [{"name", "rules", "type", "what", "do"}]}`. `read_at`: when
    a worker last read the tenant's list, None where none has within a week; `type`: None where the tenant has no such field;
    `what`: "" where all is well, or nobody knows. Raises OutboxUnavailable."""
    with reaching_redis():
        stored: Any = outbox.redis.get(outbox.prefix + keys.TENANT_FIELDS)
    known = orjson.loads(stored) if stored else {"at_ms": None, "listed": None}
    defined: Mapping[str, str] | None = known["listed"]
    written = written_custom_fields(book)
    found = compare_fields({one.name: one.kind for one in written}, defined) if defined is not None else ()
    wrong = {finding.name: finding for finding in found}
    return {
        "read_at": iso(known["at_ms"]) if defined is not None else None,
        "written": [
            {
                "name": one.name,
                "rules": list(one.rules),
                "type": (defined or {}).get(one.name),
                "what": wrong[one.name].what if one.name in wrong else "",
                "do": wrong[one.name].do if one.name in wrong else "",
            }
            for one in written
        ],
    }
