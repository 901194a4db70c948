"""What a request asks Planhat for: the operation, and the key in its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

from relay.planhat.sandbox.models import MODELS

_ON_A_COLLECTION: Final[Mapping[str, str]] = {"GET": "list", "POST": "create", "PUT": "upsert"}
_ON_ONE: Final[Mapping[str, str]] = {"GET": "get", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
CONVERSATION_OPERATIONS: Final = frozenset({*_ON_A_COLLECTION.values(), *_ON_ONE.values()})
_TICKET_OPERATIONS: Final[Mapping[str, str]] = {
    "list": "tickets",
    "upsert": "ticket.upsert",
    "get": "ticket",
    "delete": "ticket.delete",
}


def _named(singular: str, plural: str, verb: str) -> str:
    """A model's operation: `companies` is its list, `company` one record of it, the rest `company.create` and so on."""
    return {"list": plural, "get": singular}.get(verb, f"{singular}.{verb}")


OPERATIONS: Final = frozenset(
    {
        *CONVERSATION_OPERATIONS,
        *_TICKET_OPERATIONS.values(),
        "leancompanies",
        *(
            _named(model.singular, model.name, verb)
            for model in MODELS.values()
            for verb in ("list", "create", "upsert", "get", "update", "delete")
        ),
    }
)
"""Every operation by its name, as calls are logged and faults are set."""


@dataclass(frozen=True, slots=True)
class Call:
    """`operation`: its name in `OPERATIONS`, or `unknown`. `model`: the first word of the path. `verb`: list, create,
    upsert, get, update, delete. `key`: what the path names a record by. `company`: whose list it is, if it is one
    company's."""

    operation: str
    model: str
    verb: str = ""
    key: str = ""
    company: str = ""


def call_of(scope: Scope) -> Call:
    """Read what a request asks for."""
    raw = scope.get("raw_path") or scope["path"].encode()
    # Decoded one by one, so that an encoded slash stays inside of its key.
    path = [unquote(segment) for segment in raw.decode("latin-1").split("?")[0].strip("/").split("/")]
    return _call(scope["method"], path)


def _call(method: str, path: Sequence[str]) -> Call:
    match path:
        case [model]:
            return _on_model(model, _ON_A_COLLECTION.get(method, ""), "")
        case ["companies", company, ("conversations" | "endusers") as model] if method == "GET":
            return Call("list" if model == "conversations" else model, model, "list", company=company)
        case [model, key]:
            return _on_model(model, _ON_ONE.get(method, ""), key)
    return Call("unknown", path[0])


def _on_model(model: str, verb: str, key: str) -> Call:
    operation = ""
    if model == "conversations":
        operation = verb
    elif model == "tickets":
        operation = _TICKET_OPERATIONS.get(verb, "")
    elif model == "leancompanies":
        operation = model if verb == "list" else ""
    elif model in MODELS and verb:
        operation = _named(MODELS[model].singular, model, verb)
    return Call(operation, model, verb, key) if operation else Call("unknown", model)
