"""The OpenAPI document of `/api/v1`. Written by hand: the shapes are a contract, not what the code happens to answer."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_LINK: Schema = {
    "type": ["string", "null"],
    "description": "The record in Planhat's app; null without planhat.tenant, or where it is not known there",
}
_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time", "description": "ISO 8601, UTC"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_WHEN: Schema = {
    "type": "string",
    "description": "ISO 8601; so long ago: `2h`, `1h30m`; by the clock in UTC: `14:05`, `yesterday`",
    "examples": ["2h", "1h30m", "yesterday", "2026-03-04T05:06:07Z"],
}
#: In a body, programs may also write epoch milliseconds.
_WHEN_OR_MS: Schema = {"anyOf": [_WHEN, {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}]}
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


def _object(
    required: dict[str, Schema], optional: dict[str, Schema] | None = None, *, closed: bool = False
) -> Schema:
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}}
    if required:
        schema["required"] = list(required)
    if closed:
        schema["additionalProperties"] = False
    return schema


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_SELECTION: dict[str, Schema] = {
    "ids": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 10_000},
    "cause": {
        "type": "string",
        "minLength": 1,
        "maxLength": 1000,
        "description": "its id (`c-3f2a`), its text, or a part of it; 404 where no letter has it",
    },
    "source": {"type": "string", "minLength": 1, "maxLength": 1000},
    "since": _WHEN_OR_MS,
    "until": _WHEN_OR_MS,
    "all": {"type": "boolean"},
    "dry_run": {"type": "boolean", "description": "Move nothing; say how many, and what would change."},
}

_ITEM: dict[str, Schema] = {
    "id": _TEXT,
    "source": _TEXT,
    "externalId": _MAYBE_TEXT,
    "cause": _TEXT,
    "stage": {"type": ["string", "null"], "description": "`map`, `resolve` or `deliver`"},
    "at": _MOMENT,
}
_ITEM_MORE: dict[str, Schema] = {
    "cause_id": _TEXT,
    "rule": _MAYBE_TEXT,
    "events": _list(_TEXT),
    "edited": {"type": "boolean"},
}
_CAUSE_MARK: dict[str, Schema] = {
    "muted": {"type": "boolean"},
    "muted_until": _MOMENT,
    "assigned": _MAYBE_TEXT,
    "note": _MAYBE_TEXT,
    "marked_by": _MAYBE_TEXT,
    "marked_at": _MOMENT,
}

_SCHEMAS: dict[str, Schema] = {
    "Error": _object({"error": _object({"code": _TEXT, "message": _TEXT, "path": _TEXT})}),
    "Stats": _object(
        {
            "sources": {
                "type": "object",
                "additionalProperties": _object(dict.fromkeys(_WORDS, _COUNT)),
                "description": "The ledger. accepted = pending + delivered + unchanged + superseded + filtered + dead + discarded",
            },
            "balanced": {"type": "boolean"},
            "oldest_pending_seconds": {"type": "number", "minimum": 0},
            "delivery": _object(
                {
                    "state": {"type": "string", "enum": ["open", "paused", "backing_off", "blocked"]},
                    "until": _MOMENT,
                    "calls_last_minute": _COUNT,
                },
                {
                    "reason": _TEXT,
                    "failures": _COUNT,
                    "paused_sources": _list(_TEXT),
                    "pauses": _list(_object({"source": _MAYBE_TEXT, "since": _MOMENT, "by": _MAYBE_TEXT})),
                },
            ),
        },
        {
            "pending_items": _COUNT,
            "dead_letters": _COUNT,
            "batch": {"type": "object"},
            "remarks": {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": _COUNT},
                "description": "Beside the books, by source: `skipped:<reason>`, `empty:<reason>` (events without words), `privacy_unsaid`",
            },
            "workers": _list(_object({"name": _TEXT, "queues": _list(_TEXT), "state": _TEXT})),
            "warnings": _list(_TEXT),
            "problems": {
                **_list(
                    _object(
                        {"kind": _TEXT, "found": _TEXT, "do": _TEXT, "sentence": _TEXT},
                        {"count": _COUNT, "source": _TEXT, "cause": _TEXT},
                    )
                ),
                "description": "`dead`, `held`, `drop`, `config`, `token`, `releases`; muted causes are left out",
            },
            "at": _MOMENT,
        },
    ),
    "Event": _object(
        {
            "id": _TEXT,
            "source": _MAYBE_TEXT,
            "state": _TEXT,
            "externalId": _MAYBE_TEXT,
            "rule": _MAYBE_TEXT,
            "received_at": _MOMENT,
            "settled_at": _MOMENT,
            "planhat_id": _MAYBE_TEXT,
            "history": _list(_object({"at": _MOMENT, "what": _TEXT})),
        },
        {"planhat_link": _LINK},
    ),
    "EventList": _object(
        {
            "events": _list(
                _object(
                    {
                        "id": _TEXT,
                        "received_at": _MAYBE_TEXT,
                        "source": _TEXT,
                        "kind": _MAYBE_TEXT,
                        "state": _TEXT,
                        "settled_at": _MAYBE_TEXT,
                        "rule": _MAYBE_TEXT,
                        "externalId": _MAYBE_TEXT,
                        "sender": _MAYBE_TEXT,
                        "subject": _MAYBE_TEXT,
                    }
                )
            ),
            "next": _MAYBE_TEXT,
            "searched_to": _MAYBE_TEXT,
        }
    ),
    "Trace": _object({"conversation": {"type": "object"}, "events": _list(_ref("Event"))}),
    "DeadItem": _object(_ITEM, _ITEM_MORE),
    "DeadList": _object(
        {
            "groups": _list(
                _object(
                    {
                        "cause": _TEXT,
                        "count": _COUNT,
                        "sources": _list(_TEXT),
                        "first_seen": _MOMENT,
                        "last_seen": _MOMENT,
                        "sample": _TEXT,
                    },
                    {"id": {"type": "string", "description": "for `cause`: `c-3f2a`"}, **_CAUSE_MARK},
                )
            ),
            "items": _list(_ref("DeadItem")),
            "next": _MAYBE_TEXT,
        },
        {"nearest": _list(_TEXT), "truncated": {"type": "boolean"}},
    ),
    "MissingCompanies": _object(
        {
            "missing": _list(
                _object(
                    {
                        "key": {
                            "type": "string",
                            "description": "what it was asked by: `email`, a table's name",
                        },
                        "asked_for": _MAYBE_TEXT,
                        "count": _COUNT,
                        "events": _COUNT,
                        "sources": _list(_TEXT),
                        "first_seen": _MOMENT,
                        "last_seen": _MOMENT,
                        "sample": _TEXT,
                        "yaml": _MAYBE_TEXT,
                    }
                )
            ),
            "more": _COUNT,
            "yaml": _MAYBE_TEXT,
            "truncated": {"type": "boolean"},
        }
    ),
    "Cause": _object({"id": _TEXT, "cause": _TEXT, **_CAUSE_MARK}),
    "CauseMark": _object(
        {},
        {
            "muted": {"type": "boolean"},
            "muted_until": _WHEN_OR_MS,
            "assigned": {"type": "string", "maxLength": 100},
            "note": {"type": "string", "maxLength": 1000},
        },
        closed=True,
    ),
    "Dead": _object(
        {
            **_ITEM,
            "reason": _MAYBE_TEXT,
            "answer": {},
            "attempts": _list(_object({"at": _MAYBE_TEXT, "status": {}, "error": {}})),
            "event": {"type": ["object", "null"]},
            "document": {"type": ["object", "null"]},
            "raw": {"type": ["object", "null"]},
        },
        {
            **_ITEM_MORE,
            "planhat_id": _MAYBE_TEXT,
            "planhat_link": _LINK,
            "edits": _list({"type": "object"}),
            "asked_for": {
                **_list(_object({"key": _TEXT, "value": _TEXT})),
                "description": "what its company was looked up with",
            },
            "goes_by_itself": {"type": "boolean", "description": "replayed once its company is known"},
            "looked_at_again": _MOMENT,
            **_CAUSE_MARK,
        },
    ),
    "Done": _object({"count": _COUNT}, {"dry_run": {"type": "boolean"}, "operation": _TEXT, "state": _TEXT}),
    "Delivery": _object({"state": _TEXT, "until": _MOMENT, "reason": _TEXT, "paused_sources": _list(_TEXT)}),
    "Drop": _object(
        {
            "id": _TEXT,
            "source": _MAYBE_TEXT,
            "where": _MAYBE_TEXT,
            "since": _MOMENT,
            "until": _MOMENT,
            "by": _MAYBE_TEXT,
            "count": _COUNT,
            "sources": {"type": "object", "additionalProperties": _COUNT},
            "problem": {"type": ["string", "null"], "description": "why it drops nothing"},
        }
    ),
    "DropAsked": _object(
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
    "DropNamed": _object({"id": {"type": "string", "minLength": 1, "maxLength": 1000}}, closed=True),
    "DropEnded": _object({"id": _TEXT, "count": _COUNT, "sources": {"type": "object"}}),
    "Explanation": _object(
        {"source": _TEXT, "events": _list({"type": "object"}), "skipped": _list({"type": "object"})}
    ),
    "Audit": _object(
        {
            "lines": _list(
                _object(
                    {"at": _MOMENT, "who": _TEXT, "address": _TEXT, "what": _TEXT, "of": {"type": "object"}}
                )
            ),
            "next": _MAYBE_TEXT,
        }
    ),
    "Operation": _object({"id": _TEXT, "kind": _TEXT, "by": _TEXT, "state": _TEXT}),
    "Selection": _object({}, _SELECTION, closed=True),
    "Discard": _object({}, {**_SELECTION, "reason": {"type": "string", "maxLength": 1000}}, closed=True),
    "Replay": _object(
        {},
        {
            **{k: v for k, v in _SELECTION.items() if k != "cause"},
            "rule": {"type": "string", "minLength": 1, "maxLength": 1000},
        },
        closed=True,
    ),
    "Edit": _object(
        {},
        {
            "payload": {"type": "object", "description": "dotted path of the raw payload -> value"},
            "fields": {"type": "object", "description": "field of the conversation (`custom.Name`) -> value"},
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
    "Source": _object({}, {"source": {"type": "string", "minLength": 1, "maxLength": 1000}}, closed=True),
    "Explain": _object(
        {
            "source": {"type": "string", "minLength": 1, "maxLength": 1000},
            "payload": {"description": "the provider's JSON, or its body as a string"},
        },
        {"headers": {"type": "object", "additionalProperties": {"type": "string"}}},
        closed=True,
    ),
    "Nothing": _object({}, closed=True),
}

_ERRORS = {
    "400": "The request cannot be read",
    "401": "The token is missing or wrong",
    "403": "The reader token changes nothing; or another site asked",
    "404": "Nobody knows this id",
    "413": "Too large",
    "422": "The request makes no sense; `path` names the key",
    "429": "Too many wrong tokens",
    "503": "Redis is away",
}


def _operation(
    summary: str,
    answer: Schema,
    *,
    body: str = "",
    parameters: list[Schema] | None = None,
    codes: str = "401 403 429 503",
) -> Schema:
    responses: dict[str, Any] = {
        "200": {"description": "Done", "content": {"application/json": {"schema": answer}}}
    }
    for code in codes.split():
        responses[code] = {
            "description": _ERRORS[code],
            "content": {"application/json": {"schema": _ref("Error")}},
        }
    operation: Schema = {"summary": summary, "responses": responses}
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    if parameters:
        operation["parameters"] = parameters
    return operation


_LOOK = "401 403 404 429 503"
_ACT = "400 401 403 404 413 422 429 503"


def _asked(name: str, schema: Schema, what: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": what}


_ID = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]


@cache
def api_document() -> dict[str, Any]:
    try:
        release = version("planhat-relay")
    except PackageNotFoundError:
        release = "0"
    paths: dict[str, Any] = {
        "/stats": {"get": _operation("The ledger and the state of delivery", _ref("Stats"))},
        "/sources": {
            "get": _operation(
                "Each source: counts, last event, refusals", _object({"sources": _list({"type": "object"})})
            )
        },
        "/events": {
            "get": _operation(
                "The events that came in, newest first; all filters must fit",
                _ref("EventList"),
                parameters=[
                    _asked("since", _WHEN, "received from this moment on"),
                    _asked("until", _WHEN, "received up to this moment"),
                    *(
                        _asked(name, {"type": "string", "maxLength": 1000}, says)
                        for name, says in (
                            ("source", "of this source"),
                            ("kind", "of this kind"),
                            ("state", "in one of these states now, commas between them"),
                            ("rule", "that this rule took"),
                            ("from", "an address, a domain (`@example.com`), or words of a name"),
                            ("company", "whose conversation belongs to this company"),
                            ("text", "that hold all these words"),
                        )
                    ),
                    _asked(
                        "limit",
                        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
                        "events of a page",
                    ),
                    _asked("after", _TEXT, "the `next` of the page before"),
                ],
                codes="401 403 422 429 503",
            )
        },
        "/events/{id}": {"get": _operation("One event's story", _ref("Event"), parameters=_ID, codes=_LOOK)},
        "/trace/{id}": {
            "get": _operation(
                "A conversation and its events, by event id, delivery id, externalId or Planhat _id",
                _ref("Trace"),
                parameters=_ID,
                codes=_LOOK,
            )
        },
        "/companies/missing": {
            "get": _operation(
                "What no company was found for, most frequent first, with the YAML that would answer it",
                _ref("MissingCompanies"),
                parameters=[
                    _asked(
                        "source", {"type": "string", "maxLength": 1000}, "asked for by this source's events"
                    ),
                    _asked("since", _WHEN, "asked for since"),
                    _asked(
                        "limit", {"type": "integer", "minimum": 1, "maximum": 5000, "default": 500}, "rows"
                    ),
                ],
                codes="401 403 422 429 503",
            )
        },
        "/dead": {
            "get": _operation(
                "Dead letters, grouped by cause and one by one",
                _ref("DeadList"),
                parameters=[
                    _asked(
                        "cause",
                        {"type": "string", "maxLength": 1000},
                        "its id (`c-3f2a`), its text, or a part of it",
                    ),
                    _asked("source", {"type": "string", "maxLength": 1000}, "of this source"),
                    _asked("since", _WHEN, "dead since"),
                    _asked("until", _WHEN, "dead before"),
                    _asked(
                        "limit",
                        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
                        "items of a page",
                    ),
                    _asked("after", _TEXT, "the `next` of the page before"),
                ],
                codes="401 403 422 429 503",
            )
        },
        "/dead/{id}": {
            "get": _operation("One dead letter in full", _ref("Dead"), parameters=_ID, codes=_LOOK),
            "patch": _operation(
                "Edit fields or the company; the original is kept",
                _ref("Dead"),
                body="Edit",
                parameters=_ID,
                codes=_ACT,
            ),
        },
        "/dead/causes/{id}": {
            "patch": _operation(
                "Mute or assign a cause, with a note",
                _ref("Cause"),
                body="CauseMark",
                parameters=_ID,
                codes=_ACT,
            )
        },
        "/dead/replay": {
            "post": _operation("Send again, with today's rules", _ref("Done"), body="Selection", codes=_ACT)
        },
        "/dead/discard": {"post": _operation("Put away for good", _ref("Done"), body="Discard", codes=_ACT)},
        "/replay": {
            "post": _operation(
                "Map stored events again and send what differs", _ref("Done"), body="Replay", codes=_ACT
            )
        },
        "/pause": {
            "post": _operation("Hold delivery, or one source", _ref("Delivery"), body="Source", codes=_ACT)
        },
        "/resume": {"post": _operation("Let it go on", _ref("Delivery"), body="Source", codes=_ACT)},
        "/drops": {
            "get": _operation(
                "What the kill switch drops now, and how much", _object({"drops": _list(_ref("Drop"))})
            ),
            "post": _operation(
                "Count matching events as filtered for a while", _ref("Drop"), body="DropAsked", codes=_ACT
            ),
            "delete": _operation("End one before its time", _ref("DropEnded"), body="DropNamed", codes=_ACT),
        },
        "/explain": {
            "post": _operation(
                "What the rules make of a payload; nothing is sent",
                _ref("Explanation"),
                body="Explain",
                codes=_ACT,
            )
        },
        "/audit": {
            "get": _operation(
                "Who changed or looked at what, newest first",
                _ref("Audit"),
                parameters=[
                    _asked("since", _WHEN, "from this moment"),
                    _asked("until", _WHEN, "up to this moment"),
                    _asked(
                        "limit",
                        {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
                        "lines of a page",
                    ),
                    _asked("after", _TEXT, "the `next` of the page before"),
                ],
                codes="401 403 422 429 503",
            )
        },
        "/operations": {
            "get": _operation("The last long operations", _object({"operations": _list(_ref("Operation"))}))
        },
        "/operations/{id}": {
            "get": _operation("How far one is", _ref("Operation"), parameters=_ID, codes=_LOOK)
        },
        "/operations/{id}/cancel": {
            "post": _operation(
                "Stop it where it is", _ref("Operation"), body="Nothing", parameters=_ID, codes=_ACT
            )
        },
        "/openapi.json": {"get": _operation("This document", {"type": "object"})},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "planhat-relay operators' API", "version": release},
        "servers": [{"url": "/api/v1"}],
        "security": [{"operator": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "operator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "RELAY_OPERATOR_TOKEN, or RELAY_READER_TOKEN for what changes nothing",
                }
            },
            "schemas": _SCHEMAS,
        },
    }
