"""What `/api/v1` answers and takes, as JSON schemas: the components of its OpenAPI document."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ANY_TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
LINK: Schema = {
    "type": ["string", "null"],
    "description": "The record in Planhat's app; null without planhat.tenant, or where it is not known there",
}
MOMENT_TEXT: Schema = {"type": ["string", "null"], "format": "date-time", "description": "ISO 8601, UTC"}
COUNT: Schema = {"type": "integer", "minimum": 0}
WHEN: Schema = {
    "type": "string",
    "description": "ISO 8601; so long ago: `2h`, `1h30m`; by the clock in UTC: `14:05`, `yesterday`",
    "examples": ["2h", "1h30m", "yesterday", "2026-03-04T05:06:07Z"],
}
#: In a body, programs may also write epoch milliseconds.
WHEN_OR_MS: Schema = {"anyOf": [WHEN, {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}]}
_WORDS = (
    "accepted",
    "duplicate",
    "pending",
    "delivered",
    "unchanged",
    "superseded",
    "filtered",
    "dead",
    "discarded",
    "ignored",
    "rejected",
)


def object_of(
    required: dict[str, Schema], optional: dict[str, Schema] | None = None, *, closed: bool = False
) -> Schema:
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}}
    if required:
        schema["required"] = list(required)
    if closed:
        schema["additionalProperties"] = False
    return schema


def list_of(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def ref_to(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ITEM: dict[str, Schema] = {
    "id": ANY_TEXT,
    "source": ANY_TEXT,
    "externalId": MAYBE_TEXT,
    "cause": ANY_TEXT,
    "stage": {"type": ["string", "null"], "description": "`map`, `resolve` or `deliver`"},
    "at": MOMENT_TEXT,
}
_ITEM_MORE: dict[str, Schema] = {
    "cause_id": ANY_TEXT,
    "rule": MAYBE_TEXT,
    "events": list_of(ANY_TEXT),
    "edited": {"type": "boolean"},
}
_CAUSE_MARK: dict[str, Schema] = {
    "muted": {"type": "boolean"},
    "muted_until": MOMENT_TEXT,
    "assigned": MAYBE_TEXT,
    "note": MAYBE_TEXT,
    "marked_by": MAYBE_TEXT,
    "marked_at": MOMENT_TEXT,
}

_EVENT: dict[str, Schema] = {
    "id": ANY_TEXT,
    "source": MAYBE_TEXT,
    "state": ANY_TEXT,
    "externalId": MAYBE_TEXT,
    "rule": MAYBE_TEXT,
    "received_at": MOMENT_TEXT,
    "settled_at": MOMENT_TEXT,
    "planhat_id": MAYBE_TEXT,
    "history": list_of(object_of({"at": MOMENT_TEXT, "what": ANY_TEXT})),
}

SCHEMAS: dict[str, Schema] = {
    "Error": object_of({"error": object_of({"code": ANY_TEXT, "message": ANY_TEXT, "path": ANY_TEXT})}),
    "Stats": object_of(
        {
            "sources": {
                "type": "object",
                "additionalProperties": object_of(dict.fromkeys(_WORDS, COUNT)),
                "description": "The ledger. accepted = pending + delivered + unchanged + superseded + filtered + dead + discarded",
            },
            "balanced": {"type": "boolean"},
            "oldest_pending_seconds": {"type": "number", "minimum": 0},
            "delivery": object_of(
                {
                    "state": {"type": "string", "enum": ["open", "paused", "backing_off", "blocked"]},
                    "until": MOMENT_TEXT,
                    "calls_last_minute": COUNT,
                },
                {
                    "reason": ANY_TEXT,
                    "failures": COUNT,
                    "paused_sources": list_of(ANY_TEXT),
                    "pauses": list_of(
                        object_of({"source": MAYBE_TEXT, "since": MOMENT_TEXT, "by": MAYBE_TEXT})
                    ),
                },
            ),
        },
        {
            "pending_items": COUNT,
            "dead_letters": COUNT,
            "batch": {"type": "object"},
            "remarks": {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": COUNT},
                "description": "Beside the books, by source: `skipped:<reason>`, `empty:<reason>` (events without words), `privacy_unsaid`",
            },
            "workers": list_of(object_of({"name": ANY_TEXT, "queues": list_of(ANY_TEXT), "state": ANY_TEXT})),
            "warnings": list_of(ANY_TEXT),
            "problems": {
                **list_of(
                    object_of(
                        {"kind": ANY_TEXT, "found": ANY_TEXT, "do": ANY_TEXT, "sentence": ANY_TEXT},
                        {"count": COUNT, "source": ANY_TEXT, "cause": ANY_TEXT},
                    )
                ),
                "description": "`dead`, `held`, `drop`, `config`, `token`, `releases`; muted causes are left out",
            },
            "at": MOMENT_TEXT,
        },
    ),
    "Event": object_of(_EVENT, {"planhat_link": LINK}),
    "EventShown": object_of(
        {
            **_EVENT,
            "payload": {
                "description": "The JSON that came, or text; null once it has expired, and for readers"
            },
            "payload_encoding": {"type": ["string", "null"], "enum": ["json", "text", "base64", None]},
            "method": MAYBE_TEXT,
            "target": MAYBE_TEXT,
            "headers": {"type": ["object", "null"], "additionalProperties": ANY_TEXT},
            "event": {"type": ["object", "null"]},
            "event_unreadable": MAYBE_TEXT,
        },
        {"planhat_link": LINK},
    ),
    "EventList": object_of(
        {
            "events": list_of(
                object_of(
                    {
                        "id": ANY_TEXT,
                        "received_at": MAYBE_TEXT,
                        "source": ANY_TEXT,
                        "kind": MAYBE_TEXT,
                        "state": ANY_TEXT,
                        "settled_at": MAYBE_TEXT,
                        "rule": MAYBE_TEXT,
                        "externalId": MAYBE_TEXT,
                        "sender": MAYBE_TEXT,
                        "subject": MAYBE_TEXT,
                    }
                )
            ),
            "next": MAYBE_TEXT,
            "searched_to": MAYBE_TEXT,
        }
    ),
    "Trace": object_of({"conversation": {"type": "object"}, "events": list_of(ref_to("Event"))}),
    "DeadItem": object_of(_ITEM, _ITEM_MORE),
    "DeadList": object_of(
        {
            "groups": list_of(
                object_of(
                    {
                        "cause": ANY_TEXT,
                        "count": COUNT,
                        "sources": list_of(ANY_TEXT),
                        "first_seen": MOMENT_TEXT,
                        "last_seen": MOMENT_TEXT,
                        "sample": ANY_TEXT,
                    },
                    {"id": {"type": "string", "description": "for `cause`: `c-3f2a`"}, **_CAUSE_MARK},
                )
            ),
            "items": list_of(ref_to("DeadItem")),
            "next": MAYBE_TEXT,
        },
        {"nearest": list_of(ANY_TEXT), "truncated": {"type": "boolean"}},
    ),
    "MissingCompanies": object_of(
        {
            "missing": list_of(
                object_of(
                    {
                        "key": {
                            "type": "string",
                            "description": "what it was asked by: `email`, a table's name",
                        },
                        "asked_for": MAYBE_TEXT,
                        "count": COUNT,
                        "events": COUNT,
                        "sources": list_of(ANY_TEXT),
                        "first_seen": MOMENT_TEXT,
                        "last_seen": MOMENT_TEXT,
                        "sample": ANY_TEXT,
                        "yaml": MAYBE_TEXT,
                    }
                )
            ),
            "more": COUNT,
            "yaml": MAYBE_TEXT,
            "truncated": {"type": "boolean"},
        }
    ),
    "Cause": object_of({"id": ANY_TEXT, "cause": ANY_TEXT, **_CAUSE_MARK}),
    "Dead": object_of(
        {
            **_ITEM,
            "reason": MAYBE_TEXT,
            "answer": {},
            "attempts": list_of(object_of({"at": MAYBE_TEXT, "status": {}, "error": {}})),
            "event": {"type": ["object", "null"]},
            "document": {"type": ["object", "null"]},
            "raw": {"type": ["object", "null"]},
        },
        {
            **_ITEM_MORE,
            "planhat_id": MAYBE_TEXT,
            "planhat_link": LINK,
            "edits": list_of({"type": "object"}),
            "asked_for": {
                **list_of(object_of({"key": ANY_TEXT, "value": ANY_TEXT})),
                "description": "what its company was looked up with",
            },
            "goes_by_itself": {"type": "boolean", "description": "replayed once its company is known"},
            "looked_at_again": MOMENT_TEXT,
            **_CAUSE_MARK,
        },
    ),
    "Done": object_of(
        {"count": COUNT}, {"dry_run": {"type": "boolean"}, "operation": ANY_TEXT, "state": ANY_TEXT}
    ),
    "Delivery": object_of(
        {"state": ANY_TEXT, "until": MOMENT_TEXT, "reason": ANY_TEXT, "paused_sources": list_of(ANY_TEXT)}
    ),
    "Drop": object_of(
        {
            "id": ANY_TEXT,
            "source": MAYBE_TEXT,
            "where": MAYBE_TEXT,
            "since": MOMENT_TEXT,
            "until": MOMENT_TEXT,
            "by": MAYBE_TEXT,
            "count": COUNT,
            "sources": {"type": "object", "additionalProperties": COUNT},
            "problem": {"type": ["string", "null"], "description": "why it drops nothing"},
        }
    ),
    "DropEnded": object_of({"id": ANY_TEXT, "count": COUNT, "sources": {"type": "object"}}),
    "Explanation": object_of(
        {"source": ANY_TEXT, "events": list_of({"type": "object"}), "skipped": list_of({"type": "object"})}
    ),
    "Audit": object_of(
        {
            "lines": list_of(
                object_of(
                    {
                        "at": MOMENT_TEXT,
                        "who": ANY_TEXT,
                        "address": ANY_TEXT,
                        "what": ANY_TEXT,
                        "of": {"type": "object"},
                    }
                )
            ),
            "next": MAYBE_TEXT,
        }
    ),
    "Operation": object_of({"id": ANY_TEXT, "kind": ANY_TEXT, "by": ANY_TEXT, "state": ANY_TEXT}),
}
