"""The OpenAPI document of `/api/v1`. Written by hand: the shapes are a contract, not what the code happens to answer."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from relay.web.api_bodies import BODIES
from relay.web.api_schemas import ANY_TEXT, SCHEMAS, WHEN, Schema, list_of, object_of, ref_to

_ERRORS = {
    "400": "The request cannot be read",
    "401": "The token is missing or wrong",
    "403": "The reader token changes nothing; or another site asked",
    "404": "Nobody knows this id, or this lane",
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
            "content": {"application/json": {"schema": ref_to("Error")}},
        }
    operation: Schema = {"summary": summary, "responses": responses}
    if body:
        operation["requestBody"] = {
            "required": body not in ("Source", "Nothing", "DropNamed"),
            "content": {"application/json": {"schema": ref_to(body)}},
        }
    if parameters:
        operation["parameters"] = parameters
    return operation


_LOOK = "401 403 404 429 503"
_ACT = "400 401 403 404 413 422 429 503"


def _asked(name: str, schema: Schema, what: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": what}


def _text_asked(name: str, what: str) -> Schema:
    return _asked(name, {"type": "string", "maxLength": 1000}, what)


def _limit_asked(default: int, what: str, most: int = 500) -> Schema:
    return _asked("limit", {"type": "integer", "minimum": 1, "maximum": most, "default": default}, what)


_LISTED = "401 403 422 429 503"
_AFTER = _asked("after", ANY_TEXT, "the `next` of the page before")
_ID = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]


#: What changes nothing.
_LOOK_PATHS: dict[str, Any] = {
    "/stats": {"get": _operation("The ledger and the state of delivery", ref_to("Stats"))},
    "/sources": {
        "get": _operation(
            "Each source: counts, last event, refusals",
            object_of({"sources": list_of({"type": "object"})}),
        )
    },
    "/events": {
        "get": _operation(
            "The events that came in, newest first; all filters must fit",
            ref_to("EventList"),
            parameters=[
                _asked("since", WHEN, "received from this moment on"),
                _asked("until", WHEN, "received up to this moment"),
                *(
                    _text_asked(name, says)
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
                _limit_asked(50, "events of a page"),
                _AFTER,
            ],
            codes=_LISTED,
        )
    },
    "/events/{id}": {
        "get": _operation(
            "One event: its story, and while its raw request is kept, what came and what the adapter reads in it",
            ref_to("EventShown"),
            parameters=_ID,
            codes=_LOOK,
        )
    },
    "/trace/{id}": {
        "get": _operation(
            "A conversation and its events, by event id, delivery id, externalId or Planhat _id",
            ref_to("Trace"),
            parameters=_ID,
            codes=_LOOK,
        )
    },
    "/companies/missing": {
        "get": _operation(
            "What no company was found for, most frequent first, with the YAML that would answer it",
            ref_to("MissingCompanies"),
            parameters=[
                _text_asked("source", "asked for by this source's events"),
                _asked("since", WHEN, "asked for since"),
                _limit_asked(500, "rows", most=5000),
            ],
            codes=_LISTED,
        )
    },
    "/dead": {
        "get": _operation(
            "Dead letters, grouped by cause and one by one",
            ref_to("DeadList"),
            parameters=[
                _text_asked("cause", "its id (`c-3f2a`), its text, or a part of it"),
                _text_asked("source", "of this source"),
                _asked("since", WHEN, "dead since"),
                _asked("until", WHEN, "dead before"),
                _limit_asked(50, "items of a page"),
                _AFTER,
            ],
            codes=_LISTED,
        )
    },
    "/audit": {
        "get": _operation(
            "Who changed or looked at what, newest first",
            ref_to("Audit"),
            parameters=[
                _asked("since", WHEN, "from this moment"),
                _asked("until", WHEN, "up to this moment"),
                _limit_asked(100, "lines of a page"),
                _AFTER,
            ],
            codes=_LISTED,
        )
    },
    "/operations": {
        "get": _operation("The last long operations", object_of({"operations": list_of(ref_to("Operation"))}))
    },
    "/operations/{id}": {
        "get": _operation("How far one is", ref_to("Operation"), parameters=_ID, codes=_LOOK)
    },
    "/openapi.json": {"get": _operation("This document", {"type": "object"})},
}


#: What changes something; some of it is looked at under the same path.
_ACT_PATHS: dict[str, Any] = {
    "/dead/{id}": {
        "get": _operation("One dead letter in full", ref_to("Dead"), parameters=_ID, codes=_LOOK),
        "patch": _operation(
            "Edit fields or the company; the original is kept",
            ref_to("Dead"),
            body="Edit",
            parameters=_ID,
            codes=_ACT,
        ),
    },
    "/dead/causes/{id}": {
        "patch": _operation(
            "Mute or assign a cause, with a note",
            ref_to("Cause"),
            body="CauseMark",
            parameters=_ID,
            codes=_ACT,
        )
    },
    "/dead/replay": {
        "post": _operation("Send again, with today's rules", ref_to("Done"), body="DeadReplay", codes=_ACT)
    },
    "/dead/discard": {"post": _operation("Put away for good", ref_to("Done"), body="Discard", codes=_ACT)},
    "/replay": {
        "post": _operation(
            "Map stored events again and send what differs", ref_to("Done"), body="Replay", codes=_ACT
        )
    },
    "/pause": {
        "post": _operation("Hold delivery, or one source", ref_to("Delivery"), body="Source", codes=_ACT)
    },
    "/resume": {"post": _operation("Let it go on", ref_to("Delivery"), body="Source", codes=_ACT)},
    "/drops": {
        "get": _operation(
            "What the kill switch drops now, and how much", object_of({"drops": list_of(ref_to("Drop"))})
        ),
        "post": _operation(
            "Count matching events as filtered for a while", ref_to("Drop"), body="DropAsked", codes=_ACT
        ),
        "delete": _operation(
            "End one before its time",
            ref_to("DropEnded"),
            body="DropNamed",
            parameters=[_text_asked("id", "which one, where the request has no body")],
            codes=_ACT,
        ),
    },
    "/explain": {
        "post": _operation(
            "What the rules make of a payload; nothing is sent",
            ref_to("Explanation"),
            body="Explain",
            codes=_ACT,
        )
    },
    "/operations/{id}/cancel": {
        "post": _operation(
            "Stop it where it is", ref_to("Operation"), body="Nothing", parameters=_ID, codes=_ACT
        )
    },
}


#: Without it a config's lanes are answered for together, or the one is that knows the id.
_LANE: Schema = {
    "name": "lane",
    "in": "query",
    "description": "One Planhat tenant of a config with `lanes:`; all of them otherwise",
    "schema": {"type": "string"},
}


def _of_a_lane(operation: Schema) -> Schema:
    """An operation that may be asked of one lane: 404 where there is none of that name, 422 for a query that makes no sense."""
    refused = {
        code: {
            "description": _ERRORS[code],
            "content": {"application/json": {"schema": ref_to("Error")}},
        }
        for code in ("404", "422")
    }
    return {
        **operation,
        "parameters": [*operation.get("parameters", ()), _LANE],
        "responses": {**refused, **operation["responses"]},
    }


@cache
def api_document() -> dict[str, Any]:
    try:
        release = version("planhat-relay")
    except PackageNotFoundError:
        release = "0"
    return {
        "openapi": "3.1.0",
        "info": {"title": "planhat-relay operators' API", "version": release},
        "servers": [{"url": "/api/v1"}],
        "security": [{"operator": []}],
        "paths": {
            path: {method: _of_a_lane(operation) for method, operation in operations.items()}
            for path, operations in {**_LOOK_PATHS, **_ACT_PATHS}.items()
        },
        "components": {
            "securitySchemes": {
                "operator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "RELAY_OPERATOR_TOKEN, or RELAY_READER_TOKEN for what changes nothing",
                }
            },
            "schemas": {**SCHEMAS, **BODIES},
        },
    }
