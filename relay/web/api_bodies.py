"""What a request to the API may have in its body, as JSON Schemas. All are closed: a misspelt key must not widen what is done."""

from __future__ import annotations

from relay.web.api_schemas import WHEN_OR_MS, Schema, object_of
from relay.web.asked import MOST_LISTED

_SELECTION: dict[str, Schema] = {
    "ids": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 10_000},
    "cause": {
        "type": "string",
        "minLength": 1,
        "maxLength": 1000,
        "description": "its id (`c-3f2a`), its text, or a part of it; 404 where no letter has it",
    },
    "source": {"type": "string", "minLength": 1, "maxLength": 1000},
    "since": WHEN_OR_MS,
    "until": WHEN_OR_MS,
    "all": {"type": "boolean"},
    "dry_run": {"type": "boolean", "description": "Move nothing; say how many, and what would change."},
}

_LISTED: dict[str, Schema] = {
    "limit": {
        "type": "integer",
        "minimum": 0,
        "maximum": MOST_LISTED,
        "description": "How many changes `sample` lists, field by field; 20 otherwise.",
    }
}

BODIES: dict[str, Schema] = {
    "CauseMark": object_of(
        {},
        {
            "muted": {"type": "boolean"},
            "muted_until": WHEN_OR_MS,
            "assigned": {"type": "string", "maxLength": 100},
            "note": {"type": "string", "maxLength": 1000},
        },
        closed=True,
    ),
    "DropAsked": object_of(
        {},
        {
            "source": {"type": "string", "minLength": 1, "maxLength": 1000},
            "where": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1000,
                "description": "a `when` of the rules, checked as theirs are",
            },
            "for": {"type": "string", "minLength": 1, "description": "`30m`; at most `7d`, `1h` otherwise"},
        },
        closed=True,
    ),
    "DropNamed": object_of({"id": {"type": "string", "minLength": 1, "maxLength": 1000}}, closed=True),
    "DeadReplay": object_of({}, {**_SELECTION, **_LISTED}, closed=True),
    "Discard": object_of({}, {**_SELECTION, "reason": {"type": "string", "maxLength": 1000}}, closed=True),
    "Replay": object_of(
        {},
        {
            **{k: v for k, v in _SELECTION.items() if k != "cause"},
            **_LISTED,
            "rule": {"type": "string", "minLength": 1, "maxLength": 1000},
            "archive_orphans": {
                "type": "boolean",
                "description": "Archive the conversations that none of their events makes any more (`orphans` of the answer).",
            },
        },
        closed=True,
    ),
    "Edit": object_of(
        {},
        {
            "payload": {
                "type": "object",
                "propertyNames": {"minLength": 1},
                "description": "dotted path of the raw payload -> value",
            },
            "fields": {
                "type": "object",
                "propertyNames": {"minLength": 1},
                "description": "field of the conversation (`custom.Name`) -> value",
            },
            "company": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1000,
                "description": "the companyId to send it to",
            },
            "companyId": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1000,
                "description": "the same as `company`, which wins where both are given",
            },
            "raw": {
                "type": "string",
                "minLength": 1,
                "description": "the whole request body as it should have come; refused where it can still not be read",
            },
        },
        closed=True,
    ),
    "Source": object_of({}, {"source": {"type": "string", "minLength": 1, "maxLength": 1000}}, closed=True),
    "Explain": object_of(
        {
            "source": {"type": "string", "minLength": 1, "maxLength": 1000},
            "payload": {"description": "the provider's JSON, or its body as a string"},
        },
        {"headers": {"type": "object", "additionalProperties": {"type": "string"}}},
        closed=True,
    ),
    "Nothing": object_of({}, closed=True),
}
