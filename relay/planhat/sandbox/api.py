"""Planhat's API over one tenant: performs what a call asks for, without knowing of HTTP beyond the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from relay.planhat import limits
from relay.planhat.sandbox.bulk import Refuse
from relay.planhat.sandbox.bulk import upsert as bulk_upsert
from relay.planhat.sandbox.identity import BAD_IDENTIFIER, is_identifier
from relay.planhat.sandbox.listing import Row
from relay.planhat.sandbox.routes import Call
from relay.planhat.sandbox.store import Store
from relay.planhat.sandbox.table import Table
from relay.planhat.sandbox.tickets import Tickets
from relay.planhat.sandbox.values import CallRefused, ItemRefused, check_custom_names
from relay.planhat.sandbox.wire import Answered

_DELETED = {"n": 1, "ok": 1, "deletedCount": 1}
"""The answer to a deletion of anything but a conversation. Source: a public client (Go)."""
T = TypeVar("T")


class Api:
    """Every operation on one tenant."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tickets = Tickets(store)

    def perform(
        self, call: Call, content: Any, query: Mapping[str, str], refuse: Refuse | None
    ) -> tuple[int, Any]:
        """Perform one call. Returns the status and what to answer. Raises Answered for what cannot be done.

        `content`: the request's JSON. `refuse`: items that are refused on request.
        """
        try:
            if call.operation == "unknown":
                # Source of the text: public notes of a team that uses Planhat. The status is assumed.
                raise Answered(404, {"error": f"Invalid or unauthorized model: {call.model}"})
            if call.company:
                home = _found(self._store.directory.companies.find(call.company), call.company)
                query = {**query, "companyId": home["_id"]}
            match call.model:
                case "conversations":
                    return self._conversations(call, content, query, refuse)
                case "tickets":
                    return self._ticket(call, content, query, refuse)
                case "leancompanies":
                    return 200, self._store.directory.list_lean(query)
                case model:
                    return self._table(self._store.directory.tables[model], call, content, query, refuse)
        except ItemRefused as refused:
            raise Answered(400, {"error": str(refused)}) from refused
        except CallRefused as refused:
            raise Answered(400, {"error": str(refused)}) from refused

    def _conversations(
        self, call: Call, content: Any, query: Mapping[str, str], refuse: Refuse | None
    ) -> tuple[int, Any]:
        store = self._store
        match call.verb:
            case "list":
                return 200, store.list_page(query)
            case "create":
                return 200, store.create(content)
            case "upsert":
                answer = store.upsert(_batch(content), refuse)
                return answer.status, answer.envelope
            case "get":
                return 200, _found(store.get(call.key), call.key)
            case "update":
                return 200, store.update(_found(store.find(call.key), call.key), content)
            case _:
                # The document lets a delete name the `_id` alone.
                by_id = not call.key.startswith(("extid-", "srcid-"))
                return 200, store.delete(_found(store.find(call.key) if by_id else None, call.key))

    def _ticket(
        self, call: Call, content: Any, query: Mapping[str, str], refuse: Refuse | None
    ) -> tuple[int, Any]:
        tickets = self._tickets
        match call.verb:
            case "list":
                return 200, tickets.list_page(query)
            case "upsert":
                answer = tickets.upsert(_batch(content) if isinstance(content, list) else content, refuse)
                return answer.status, answer.envelope
            case "get":
                return 200, tickets.shown(_found(tickets.find(call.key), call.key))
            case _:
                self._store.delete(_found(tickets.find(call.key), call.key))
                return 200, _DELETED

    def _table(
        self, table: Table, call: Call, content: Any, query: Mapping[str, str], refuse: Refuse | None
    ) -> tuple[int, Any]:
        name = table.model.name
        keep: Callable[[list[Row]], None] = lambda rows: self._store.state.rows(name, rows)  # noqa: E731
        match call.verb:
            case "list":
                return 200, self._store.directory.list_page(name, query)
            case "create":
                check_custom_names([content])
                row = table.insert(_object(content))
                keep([row])
                return 200, table.shown(row)
            case "upsert":
                items = _batch(content)
                check_custom_names(items)
                answer, touched = bulk_upsert(items, table, style=self._store.behaviour.style, refuse=refuse)
                keep(touched)
                return answer.status, answer.envelope
        row = _found(table.find(call.key), call.key)
        match call.verb:
            case "get":
                return 200, table.shown(row)
            case "update":
                check_custom_names([content])
                if table.change(row, _object(content)):
                    keep([row])
                return 200, table.shown(row)
            case _:
                table.remove(row)
                self._store.state.gone(name, row["_id"])
                return 200, _DELETED


def _batch(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise Answered(400, "The payload should be an array of objects")
    if len(content) > limits.MAX_ITEMS:
        raise Answered(400, f"There is an upper limit of {limits.MAX_ITEMS} items per request")
    return content


def _object(content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise ItemRefused("not an object")
    return content


def _found(record: T | None, key: str) -> T:
    if record is not None:
        return record
    if not is_identifier(key):
        raise Answered(400, {"error": BAD_IDENTIFIER})
    # Source of the text: public notes of a team that uses Planhat.
    raise Answered(404, {"error": "No such document"})
