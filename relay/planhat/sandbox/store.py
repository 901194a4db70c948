"""The sandbox's conversations and Planhat's six operations on them.

What the documents say is done as they say; what they leave open is done in one way, and named by a test in
tests/contract, which can be run against a real tenant:

- an item is matched by `_id`, else `sourceId`, else `externalId` within its company; without a `companyId`, by an
  externalId that only one company uses
- an update is partial, arrays are replaced, `custom` merges key by key, `null` clears
- what Planhat generates, and what it does not know, is dropped in silence
- two items of one request with the same key: the later one updates what the earlier one made
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Literal

from relay.errors import SettingsInvalid
from relay.planhat import limits
from relay.planhat.fields import DEFAULT_TYPE, RESERVED_TYPES
from relay.planhat.sandbox.directory import Directory, bounds, page
from relay.planhat.sandbox.errors import STYLES
from relay.planhat.sandbox.journal import Journal
from relay.planhat.sandbox.records import LIST_COLUMNS, Record, Surroundings, render, select_columns
from relay.planhat.sandbox.values import ItemRefused, take_values

Refuse = Callable[[Mapping[str, Any]], tuple[str, str, str | None] | None]
"""An item to (message, style, list or None), or None to let it pass."""

Reserved = Literal["refuse", "accept", "note"]

DEFAULT_TYPES: Final = ("Slack thread", "Support email", "Help-desk ticket")


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    status: int
    envelope: dict[str, Any]


class Store:
    """All conversations of the tenant. Not for several threads: the app has one."""

    def __init__(
        self,
        directory: Directory,
        *,
        types: Iterable[str] = DEFAULT_TYPES,
        reserved: Reserved = "refuse",
        style: str = "string",
        journal: Journal | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self.types = self._own_types = frozenset(types)
        self._reserved = reserved
        self._style = style
        self._journal = journal
        self._now_s = now_s
        self._random = os.urandom(5).hex()
        self._made = int.from_bytes(os.urandom(2))
        self._clear()
        if journal is not None:
            self._restore(journal)

    # ---- what is there

    def __len__(self) -> int:
        return len(self._records)

    @property
    def around(self) -> Surroundings:
        standing = {*self.types, DEFAULT_TYPE, *(RESERVED_TYPES if self._reserved == "accept" else ())}
        return Surroundings(
            company_name=self.directory.company_name,
            user_name=self.directory.user_name,
            enduser_name=self.directory.enduser_name,
            types=standing,
            standard_types={DEFAULT_TYPE, *RESERVED_TYPES},
        )

    def find(self, key: str) -> Record | None:
        """By `_id`, `extid-...` or `srcid-...`. An externalId that several companies use finds one of them."""
        if key.startswith("extid-"):
            return next(iter(self._by_external.get(key[6:], {}).values()), None)
        if key.startswith("srcid-"):
            return self._by_source.get(key[6:])
        return self._records.get(key)

    def get(self, key: str) -> dict[str, Any] | None:
        record = self.find(key)
        return None if record is None else render(record, self.around)

    def list_page(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        wanted = frozenset(
            self.directory.company_ids.get(key, key) for key in query.get("companyId", "").split(",") if key
        )
        records = (r for r in self._records.values() if not wanted or r.company_id in wanted)
        if query.get("sort", "").strip("-"):
            rows = page(
                [render(r, self.around) for r in records], query, limits.LIST_DEFAULT, limits.LIST_MAX
            )
        else:
            # Rendering all of a large tenant for one page of it would take seconds.
            offset, limit = bounds(query, limits.LIST_DEFAULT, limits.LIST_MAX)
            rows = [render(r, self.around) for r in islice(records, offset, offset + limit)]
            columns = [name for name in query.get("select", "").split(",") if name]
            if columns:
                return [select_columns(row, ("_id", *columns)) for row in rows]
        return rows if query.get("select") else [select_columns(row, LIST_COLUMNS) for row in rows]

    def arrived(
        self, *, newest_first: bool = False, limit: int | None = None, **equal: str
    ) -> list[dict[str, Any]]:
        """Whole conversations in the order of arrival, or those changed last first; for the sandbox's own routes.
        `_sandbox` tells how often each was written."""
        records: Iterable[Record] = self._records.values()
        if "externalId" in equal:
            records = list(self._by_external.get(equal["externalId"], {}).values())
        if "_id" in equal:
            records = [self._records[equal["_id"]]] if equal["_id"] in self._records else []
        if newest_first:
            records = sorted(records, key=lambda record: record.turn, reverse=True)
        rows = []
        around = self.around
        for record in records:
            row = render(record, around)
            if all(row.get(name) == value for name, value in equal.items()):
                row["_sandbox"] = {
                    "writes": record.writes,
                    "changed_ms": record.changed_ms,
                    "sent_type": record.sent.get("type"),
                }
                rows.append(row)
                if limit is not None and len(rows) >= limit:
                    break
        return rows

    # ---- single operations

    def create(self, item: Any) -> dict[str, Any]:
        """Raises ItemRefused, also for an externalId that the company has already."""
        company_id = self._company_of(_mapping(item), required=True)
        external = item.get("externalId")
        if external and company_id in self._by_external.get(external, {}):
            raise ItemRefused("externalId duplicated")
        if item.get("sourceId") and item["sourceId"] in self._by_source:
            raise ItemRefused("sourceId duplicated")
        record = self._insert(item, company_id, int(self._now_s() * 1000))
        self._write([record])
        return render(record, self.around)

    def update(self, record: Record, item: Any) -> dict[str, Any]:
        """Raises ItemRefused."""
        if self._change(record, _mapping(item), int(self._now_s() * 1000)):
            self._write([record])
        return render(record, self.around)

    def delete(self, record: Record) -> dict[str, Any]:
        shown = render(record, self.around)
        self._forget(record)
        if self._journal is not None:
            self._journal.append({"delete": record.id})
        return shown

    # ---- the bulk upsert

    def upsert(self, items: list[Any], refuse: Refuse | None = None) -> BulkAnswer:
        """Each item on its own: what fails is named in a list, the others go through."""
        now_ms = int(self._now_s() * 1000)
        failed: dict[str, list[Any]] = {"createdErrors": [], "updatedErrors": [], "permissionErrors": []}
        inserts: list[dict[str, str]] = []
        modified: list[str] = []
        unchanged = 0
        touched: list[Record] = []
        for index, item in enumerate(items):
            record = None
            style = self._style
            kind = "createdErrors"
            try:
                if not isinstance(item, dict):
                    raise ItemRefused("not an object")
                record = self._match(item)
                if record is not None:
                    kind = "updatedErrors"
                if refuse is not None:
                    refusal = refuse(item)
                    if refusal is not None:
                        message, style, chosen = refusal
                        kind = chosen or kind
                        raise ItemRefused(message)
                if record is None:
                    record = self._insert(item, self._company_of(item, required=True), now_ms)
                    keys = {"_id": record.id}
                    for name in ("externalId", "sourceId"):
                        if item.get(name):
                            keys[name] = item[name]
                    inserts.append(keys)
                    touched.append(record)
                elif self._change(record, item, now_ms):
                    modified.append(record.id)
                    touched.append(record)
                else:
                    unchanged += 1
            except ItemRefused as refused:
                given = item if isinstance(item, dict) else {}
                planhat_id = record.id if record is not None else given.get("_id")
                failed.setdefault(kind, []).append(STYLES[style](str(refused), given, index, planhat_id))
        if touched:
            self._write(touched)
        worked = len(inserts) + len(modified) + unchanged
        envelope = {
            "created": len(inserts),
            "createdErrors": failed.pop("createdErrors"),
            "insertsKeys": inserts,
            "updated": len(modified),
            "updatedErrors": failed.pop("updatedErrors"),
            "updatesKeys": [{"_id": key} for key in modified],
            "nonupdates": unchanged,
            "modified": modified,
            "upsertedIds": [keys["_id"] for keys in inserts],
            **failed,
        }
        if envelope["permissionErrors"]:
            return BulkAnswer(403, envelope)
        if worked == len(items):
            return BulkAnswer(200, envelope)
        return BulkAnswer(206 if worked else 400, envelope)

    # ---- one item

    def _match(self, item: Mapping[str, Any]) -> Record | None:
        key = item.get("_id")
        if key is not None:
            record = self._records.get(key) if isinstance(key, str) else None
            if record is None:
                raise ItemRefused("_id not found")
            return record
        source = item.get("sourceId")
        if source and isinstance(source, str) and source in self._by_source:
            return self._by_source[source]
        external = item.get("externalId")
        if not external or not isinstance(external, str):
            return None
        homes = self._by_external.get(external)
        if not homes:
            return None
        company = item.get("companyId")
        if company is None:
            if len(homes) > 1:
                raise ItemRefused("externalId is used by several companies")
            return next(iter(homes.values()))
        return homes.get(self.directory.company_ids.get(company, "")) if isinstance(company, str) else None

    def _company_of(self, item: Mapping[str, Any], *, required: bool) -> str:
        given = item.get("companyId")
        if given is None or given == "":
            if required:
                raise ItemRefused("companyId is required")
            return ""
        found = self.directory.company_ids.get(given) if isinstance(given, str) else None
        if found is None:
            raise ItemRefused("companyId not found")
        return found

    def _insert(self, item: Mapping[str, Any], company_id: str, now_ms: int) -> Record:
        sent = take_values(item, {}, refuse_reserved=self._reserved == "refuse")
        if None in sent.values():
            sent = {name: value for name, value in sent.items() if value is not None}
        self._made += 1
        key = f"{now_ms // 1000:08x}{self._random}{self._made & 0xFFFFFF:06x}"
        record = Record(key, company_id, now_ms, sent, now_ms)
        self._keep(record)
        return record

    def _change(self, record: Record, item: Mapping[str, Any], now_ms: int) -> bool:
        """Apply a partial update; False when nothing differs. All or nothing: a refusal changes nothing."""
        sent = record.sent
        changes: dict[str, Any] = {}
        for name, value in take_values(item, sent, refuse_reserved=self._reserved == "refuse").items():
            merged = {**(sent.get("custom") or {}), **value} if name == "custom" and value else value
            if sent.get(name) != merged:
                changes[name] = merged
        company_id = self._company_of(item, required=False) or record.company_id
        if not changes and company_id == record.company_id:
            return False
        external = changes.get("externalId", sent.get("externalId"))
        if external:
            holder = self._by_external.get(external, {}).get(company_id)
            if holder is not None and holder is not record:
                raise ItemRefused("externalId duplicated")
        source = changes.get("sourceId")
        if source and self._by_source.get(source, record) is not record:
            raise ItemRefused("sourceId duplicated")
        self._unindex(record)
        record.sent = {name: value for name, value in {**sent, **changes}.items() if value is not None}
        record.company_id = company_id
        record.changed_ms = now_ms
        record.writes += 1
        self._index(record)
        return True

    # ---- keeping

    def _clear(self) -> None:
        self._records: dict[str, Record] = {}
        self._by_external: dict[str, dict[str, Record]] = {}
        self._by_source: dict[str, Record] = {}
        self._seeds: list[dict[str, Any]] = []
        self._turn = 0

    def reset(self) -> None:
        """Forget every conversation and everything that was seeded."""
        self._clear()
        self.types = self._own_types
        self.directory.clear()
        if self._journal is not None:
            self._journal.rewrite(())

    def seed(self, rows: Mapping[str, Any]) -> None:
        """Add companies, endusers and users; `types` adds conversation types."""
        self.directory.add(rows)
        self.types |= frozenset(rows.get("types", ()))
        self._seeds.append(dict(rows))
        if self._journal is not None:
            self._journal.append({"seed": dict(rows)})

    def _keep(self, record: Record) -> None:
        self._records[record.id] = record
        self._index(record)
        self._turn += 1
        record.turn = self._turn

    def _forget(self, record: Record) -> None:
        del self._records[record.id]
        self._unindex(record)

    def _index(self, record: Record) -> None:
        external = record.sent.get("externalId")
        if external:
            self._by_external.setdefault(external, {})[record.company_id] = record
        source = record.sent.get("sourceId")
        if source:
            self._by_source[source] = record

    def _unindex(self, record: Record) -> None:
        external = record.sent.get("externalId", "")
        homes = self._by_external.get(external, {})
        if homes.get(record.company_id) is record:
            del homes[record.company_id]
            if not homes:
                del self._by_external[external]
        source = record.sent.get("sourceId", "")
        if self._by_source.get(source) is record:
            del self._by_source[source]

    def _write(self, records: list[Record]) -> None:
        for record in records:
            self._turn += 1
            record.turn = self._turn
        if self._journal is not None:
            self._journal.append({"put": [_entry(record) for record in records]})
            if self._journal.overgrown:
                self._rewrite(self._journal)

    def _restore(self, journal: Journal) -> None:
        try:
            for entry in journal.read():
                self._replay(entry)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SettingsInvalid(f"{journal.path}: not what a sandbox wrote; name another folder") from error
        self._rewrite(journal)

    def _replay(self, entry: dict[str, Any]) -> None:
        for given in entry.get("put", ()):
            old = self._records.get(given["id"])
            if old is not None:
                self._unindex(old)
            self._keep(Record(**given))
        gone = self._records.get(entry.get("delete", ""))
        if gone is not None:
            self._forget(gone)
        if "seed" in entry:
            self._seeds.append(entry["seed"])
            self.directory.add(entry["seed"])
            self.types |= frozenset(entry["seed"].get("types", ()))

    def _rewrite(self, journal: Journal) -> None:
        seeds = ({"seed": seed} for seed in self._seeds)
        kept = ({"put": [_entry(record)]} for record in self._records.values())
        journal.rewrite(chain(seeds, kept))


def _mapping(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise ItemRefused("not an object")
    return item


def _entry(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "company_id": record.company_id,
        "created_ms": record.created_ms,
        "sent": record.sent,
        "changed_ms": record.changed_ms,
        "writes": record.writes,
    }
