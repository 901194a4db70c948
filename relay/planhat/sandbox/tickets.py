"""Tickets: conversations of the type `ticket`, sent and listed in a way of their own.

Source: Planhat's page on tickets. `PUT /tickets` finds the company and the enduser by itself, makes the enduser when
there is none, and drops items without an email in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from relay.planhat.sandbox import shapes
from relay.planhat.sandbox.bulk import BulkAnswer, Refuse
from relay.planhat.sandbox.listing import Row, page, select_columns, words
from relay.planhat.sandbox.models import TICKETS_DEFAULT, TICKETS_MAX
from relay.planhat.sandbox.records import Record, iso_ms
from relay.planhat.sandbox.store import Store
from relay.planhat.sandbox.values import ItemRefused

_OWN: Final = ("email", "status", "history", "url", "severity", "product", "timeSpent", "agentEmail", "name")
_SHOWN: Final = (
    *("_id", "externalId", "sourceId", "type", "source", "subject", "snippet", "createDate", "date", "days"),
    *("timeBucket", "companyId", "companyName", "endusers", "custom", "starred", "pinned", "activityTags"),
    *("emailTemplateIds", "isOpen", "tags", "waitsToBeFiltered", "archived", "users", "sender"),
)
_PASSED: Final = ("_id", "source", "sourceId", "externalId", "description", "date", "custom")
_CLOSED: Final = re.compile(r"closed|solved|resolved|done", re.IGNORECASE)


class Tickets:
    """The tickets of one tenant. Also the target of a bulk upsert (see `bulk.py`)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list_page(self, query: Mapping[str, str]) -> list[Row]:
        """Give one page, the newest first; `s` is the old name of `status`."""
        rows = [self.shown(record) for record in self._asked_for(query)]
        return page(rows, query, TICKETS_DEFAULT, TICKETS_MAX)

    def find(self, key: str) -> Record | None:
        """Find a ticket by any of a conversation's keys."""
        record = self._store.find(key)
        return record if record is not None and self._is_ticket(record) else None

    def upsert(self, given: Any, refuse: Refuse | None) -> BulkAnswer:
        """Upsert one ticket or a list of them."""
        items = given if isinstance(given, list) else [given]
        wanted = [item for item in items if not isinstance(item, Mapping) or item.get("email")]
        return self._store.upsert_into(self, wanted, refuse)

    def shown(self, record: Record) -> Row:
        """Show a ticket as the list does."""
        row = shapes.whole(record, self._store.around)
        own = record.sent.get("ticket", {})
        shown = {
            **select_columns(row, _SHOWN),
            **{
                name: own[name] for name in ("email", "status", "history", "url") if own.get(name) is not None
            },
            "subType": "ticket",
            "updateDate": iso_ms(record.changed_ms),
            "inDate": row["date"],
            "tags": own.get("tags", []),
            "isOpen": bool(own.get("status")) and not _CLOSED.search(str(own["status"])),
        }
        shown.setdefault("history", [])
        return shown

    # ---- what a bulk upsert needs

    def match(self, item: Mapping[str, Any]) -> Record | None:
        """Find the ticket that an item means: by `_id`, else by `sourceId`."""
        return self._store.match({name: item[name] for name in ("_id", "sourceId") if item.get(name)})

    def insert(self, item: Mapping[str, Any]) -> Record:
        """Make a ticket. Raises ItemRefused when nothing tells its company."""
        if not item.get("sourceId"):
            raise ItemRefused("sourceId is required")
        return self._store.insert(*self._read(item, {}, self._company(item)))

    def change(self, record: Record, item: Mapping[str, Any]) -> bool:
        """Change a ticket in part; False when nothing differs."""
        return self._store.change(record, *self._read(item, record.sent.get("ticket", {}), record.company_id))

    def id_of(self, record: Record) -> str:
        """Tell the `_id` of a ticket."""
        return record.id

    # ---- inside

    def _asked_for(self, query: Mapping[str, str]) -> Iterable[Record]:
        statuses = {word.lower() for word in words(query.get("status") or query.get("s"))}
        email = query.get("email", "").lower()
        search = query.get("search", "").lower()
        for record in self._store.asked_for({**query, "type": ""}):
            own = record.sent.get("ticket", {})
            if (
                self._is_ticket(record)
                and (not statuses or str(own.get("status", "")).lower() in statuses)
                and (not email or str(own.get("email", "")).lower() == email)
                and (
                    not search
                    or search in shapes.plain_text(str(record.sent.get("description") or "")).lower()
                )
            ):
                yield record

    def _is_ticket(self, record: Record) -> bool:
        return shapes.effective_type(record.sent, self._store.around.types) == "ticket"

    def _read(self, item: Mapping[str, Any], known: Mapping[str, Any], company_id: str) -> tuple[Row, Row]:
        """The conversation that an item makes, and what marks it as a ticket."""
        own = {**known, **{name: item[name] for name in (*_OWN, "tags") if name in item}}
        conversation = {name: item[name] for name in _PASSED if name in item}
        conversation["companyId"] = company_id
        if "title" in item:
            conversation["subject"] = item["title"]
        person = self._person(own, company_id)
        if person:
            conversation["endusers"] = [{"id": person}]
        return conversation, {"type": "ticket", "ticket": own}

    def _company(self, item: Mapping[str, Any]) -> str:
        """The company that is named, else the one that has one of the domains or the address's own."""
        external = item.get("companyExternalId")
        named = item.get("companyId") or (f"extid-{external}" if external else None)
        directory = self._store.directory
        found = directory.company_id(named)
        if found is None:
            addresses = [*(f"@{domain}" for domain in item.get("domains") or ()), str(item.get("email"))]
            homes = (directory.endusers.home({"email": address}) for address in addresses)
            found = next(filter(None, homes), None)
        if found is None:
            raise ItemRefused("companyId not found")
        return found

    def _person(self, own: Mapping[str, Any], company_id: str) -> str:
        email = str(own.get("email") or "")
        if not email:
            return ""
        endusers = self._store.directory.endusers
        given = {"email": email, "companyId": company_id, "name": own.get("name")}
        known = endusers.match(given)
        if known is None:
            known = endusers.insert(given)
            self._store.state.rows("endusers", [known])
        return str(known["_id"])
