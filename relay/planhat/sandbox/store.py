"""The tenant: its conversations with Planhat's six operations on them, and the directory around them.

What the documents say is done as they say; what they leave open is done in one way (see `behaviour.py`), and named by a
test in tests/contract, which can be run against a real tenant:

- an item is matched by `_id`, else `sourceId`, else `externalId` within its company; without a `companyId`, by an
  externalId that only one company uses
- an update is partial, arrays are replaced, `custom` merges key by key, `null` clears
- what Planhat generates, and what it does not know, is dropped in silence
- two items of one request with the same key: the later one updates what the earlier one made
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from relay.planhat import limits
from relay.planhat.fields import RESERVED_TYPES, STANDING_TYPES
from relay.planhat.sandbox import shapes
from relay.planhat.sandbox.behaviour import DEFAULT_BEHAVIOUR, Behaviour
from relay.planhat.sandbox.bulk import BulkAnswer, Refuse, Target, upsert
from relay.planhat.sandbox.directory import Directory
from relay.planhat.sandbox.identity import IdMaker
from relay.planhat.sandbox.journal import Journal
from relay.planhat.sandbox.listing import Row, bounds, page, selected, words
from relay.planhat.sandbox.records import Record, Records
from relay.planhat.sandbox.seed import Seed
from relay.planhat.sandbox.seeds import DEFAULT_TYPES
from relay.planhat.sandbox.state import State
from relay.planhat.sandbox.values import ItemRefused, Taker, check_custom_names

#: Source: public notes of a team that uses Planhat, the option list of a live tenant.
STANDARD_TYPES: Final = frozenset({*STANDING_TYPES, *RESERVED_TYPES})
_KEYS: Final = ("externalId", "sourceId")
_COMPANY_FILTERS: Final = ("companyId", "cId", "cid", "c")


class Store:
    """See the module. Also the target of a bulk upsert (see `bulk.py`). Not for several threads: the app has one."""

    def __init__(
        self,
        directory: Directory | None = None,
        *,
        types: Iterable[str] = DEFAULT_TYPES,
        behaviour: Behaviour = DEFAULT_BEHAVIOUR,
        seed: Seed | None = None,
        journal: Journal | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._ids = IdMaker()
        self._now_s = now_s
        self._now_ms = 0
        self._date_fields: frozenset[str] = frozenset()
        self.directory = directory or Directory(self._ids, now_s)
        self.behaviour = behaviour
        self._given = seed or Seed()
        self._own_types = frozenset(types if self._given.types is None else self._given.types)
        self._added_types: set[str] = set()
        self._taker = Taker(behaviour)
        self.records = Records()
        self._turn = 0
        self.state = State(journal, self.directory, self.records, self._added_types)
        self.state.restore()
        for record in self.records:
            self._turn = record.turn = self._turn + 1
        self._furnish()

    # ---- what is there

    def __len__(self) -> int:
        return len(self.records)

    @property
    def types(self) -> frozenset[str]:
        """The tenant's own conversation types."""
        return self._own_types | self._added_types

    @property
    def around(self) -> shapes.Surroundings:
        """What reading a conversation needs beside it."""
        reserved = self.behaviour.reserved
        standing = self.types | set(STANDING_TYPES) | (RESERVED_TYPES if reserved == "accept" else set())
        others = _AllBut(RESERVED_TYPES if reserved == "note" else frozenset())
        return shapes.Surroundings(
            company=self.directory.company,
            user_name=self.directory.user_name,
            enduser_name=self.directory.enduser_name,
            types=others if self.behaviour.unknown_type == "keep" else standing,
            standard_types=STANDARD_TYPES,
            strict_editor=self.behaviour.strict_editor,
        )

    def find(self, key: str) -> Record | None:
        """Find one by `_id`, `extid-...` or `srcid-...`; of an externalId that several companies use, one of them."""
        return self.records.find(key)

    def get(self, key: str) -> Row | None:
        """Read one by any of its keys."""
        record = self.find(key)
        return None if record is None else shapes.read(record, self.around)

    def list_page(self, query: Mapping[str, str]) -> list[Row]:
        """Give one page, the newest first. Asked by company, archived conversations are left out."""
        records = self.asked_for(query)
        around = self.around
        if query.get("sort", "").strip("-"):
            rows = [shapes.whole(record, around) for record in records]
            ordered = page(rows, {**query, "select": ""}, limits.LIST_DEFAULT, limits.LIST_MAX)
            records = filter(None, (self.records.by_id(row["_id"]) for row in ordered))
        else:
            # Rendering all of a large tenant for one page of it would take seconds.
            offset, limit = bounds(query, limits.LIST_DEFAULT, limits.LIST_MAX)
            records = islice(records, offset, offset + limit)
        if words(query.get("select")):
            return selected([shapes.whole(record, around) for record in records], query)
        return [shapes.listed(record, around) for record in records]

    def asked_for(self, query: Mapping[str, str]) -> Iterable[Record]:
        """Give the conversations that a list's filters let through, the newest first."""
        records: Iterable[Record] = self.records.newest_first()
        given = next((query[name] for name in _COMPANY_FILTERS if query.get(name)), None)
        if given is not None:
            wanted = {self.directory.company_id(key) or key for key in words(given)}
            archived = query.get("archived") == "true"
            records = (
                record
                for record in records
                if record.company_id in wanted and bool(record.sent.get("archived")) == archived
            )
        if query.get("type"):
            types = self.around.types
            kinds = set(words(query["type"]))
            records = (record for record in records if shapes.effective_type(record.sent, types) in kinds)
        return records

    # ---- single operations

    def create(self, item: Any) -> Row:
        """Make one. Raises ItemRefused, also for an externalId that the company has already, and CallRefused."""
        self._begin([item])
        given = _mapping(item)
        company_id = self._company_of(given, required=True)
        self._check_free(None, {name: given[name] for name in _KEYS if _is_key(given.get(name))}, company_id)
        record = self._made(given, company_id)
        self._keep([record])
        return shapes.created(record, self.around)

    def update(self, record: Record, item: Any) -> Row:
        """Change one in part. Raises ItemRefused and CallRefused."""
        self._begin([item])
        if self.change(record, _mapping(item)):
            self._keep([record])
        return shapes.changed(record, self.around)

    def delete(self, record: Record) -> Row:
        """Forget one; gives what it was."""
        shown = shapes.changed(record, self.around)
        self.records.remove(record)
        self.state.delete(record)
        return shown

    def upsert(self, items: list[Any], refuse: Refuse | None = None) -> BulkAnswer:
        """Upsert many. Raises CallRefused."""
        return self.upsert_into(self, items, refuse)

    def upsert_into(self, target: Target[Record], items: list[Any], refuse: Refuse | None) -> BulkAnswer:
        """Upsert many conversations by way of something that reads the items in its own way, as tickets do."""
        self._begin(items)
        answer, touched = upsert(items, target, style=self.behaviour.style, refuse=refuse)
        if touched:
            self._keep(touched)
        return answer

    # ---- what a bulk upsert needs

    def match(self, item: Mapping[str, Any]) -> Record | None:
        """Find the conversation that an item means. Raises ItemRefused."""
        key = item.get("_id")
        if key is not None:
            record = self.records.by_id(key) if isinstance(key, str) else None
            if record is None:
                raise ItemRefused("_id not found")
            return record
        source = item.get("sourceId")
        if source and isinstance(source, str):
            record = self.records.by_source(source)
            if record is not None:
                return record
        external = item.get("externalId")
        if not external or not isinstance(external, str):
            return None
        homes = self.records.by_external(external)
        if not homes:
            return None
        company = self._company_key(item)
        if company is None:
            if len(homes) > 1:
                raise ItemRefused("externalId is used by several companies")
            return next(iter(homes.values()))
        return homes.get(self.directory.company_id(company) or "")

    def insert(self, item: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> Record:
        """Make a conversation of an item, and of what only the sandbox itself sets. Raises ItemRefused."""
        return self._made(item, self._company_of(item, required=True), own)

    def change(self, record: Record, item: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> bool:
        """Apply a partial update; False when nothing differs. All or nothing: a refusal changes nothing."""
        sent = record.sent
        taken = self._taker.take(item, sent, self._date_fields, creating=False)
        if own:
            taken |= own
        changes = {name: value for name, value in taken.items() if sent.get(name) != value}
        company_id = self._company_of(item, required=False) or record.company_id
        if not changes and company_id == record.company_id:
            return False
        fresh = {name: value for name, value in {**sent, **changes}.items() if value is not None}
        if company_id != record.company_id or "externalId" in changes or "sourceId" in changes:
            self._check_free(record, fresh, company_id)
            self.records.release(record)
            record.sent = fresh
            record.company_id = company_id
            self.records.add(record)
        else:
            record.sent = fresh
            if "date" in changes:
                self.records.reorder()
        record.changed_ms = self._now_ms
        record.writes += 1
        return True

    def id_of(self, record: Record) -> str:
        """Tell the `_id` of a conversation."""
        return record.id

    # ---- inside

    def _begin(self, items: list[Any]) -> None:
        """What holds for a whole request: its time, and that no record is given one custom name in two cases."""
        check_custom_names(items)
        self._now_ms = int(self._now_s() * 1000)
        self._date_fields = self.directory.date_fields_of("conversation")

    def _company_key(self, item: Mapping[str, Any]) -> Any:
        """The company as the item names it: by any of its keys, or by its externalId alone."""
        given = item.get("companyId")
        external = item.get("companyExternalId")
        return (
            f"extid-{external}" if given in (None, "") and isinstance(external, str) and external else given
        )

    def _company_of(self, item: Mapping[str, Any], *, required: bool) -> str:
        given = self._company_key(item)
        if given is None or given == "":
            if required:
                raise ItemRefused("companyId is required")
            return ""
        found = self.directory.company_id(given)
        if found is None:
            raise ItemRefused("companyId not found")
        return found

    def _check_free(self, record: Record | None, sent: Mapping[str, Any], company_id: str) -> None:
        """Raise ItemRefused when another conversation has one of the keys."""
        external = sent.get("externalId")
        holder = self.records.by_external(external).get(company_id) if external else None
        if holder is not None and holder is not record:
            raise ItemRefused("externalId duplicated")
        source = sent.get("sourceId")
        holder = self.records.by_source(source) if source else None
        if holder is not None and holder is not record:
            raise ItemRefused("sourceId duplicated")

    def _made(self, item: Mapping[str, Any], company_id: str, own: Mapping[str, Any] | None = None) -> Record:
        sent = self._taker.take(item, {}, self._date_fields, creating=True)
        if own:
            sent |= own
        if None in sent.values():
            sent = {name: value for name, value in sent.items() if value is not None}
        now_ms = self._now_ms
        record = Record(self._ids.new(now_ms), company_id, now_ms, sent, now_ms)
        self.records.add(record)
        return record

    def _keep(self, records: list[Record]) -> None:
        for record in records:
            self._turn = record.turn = self._turn + 1
        self.state.put(records)

    # ---- seeds

    def seed(self, given: Seed) -> None:
        """Add companies, people, fields and conversation types to the tenant."""
        self._added_types.update(given.types or ())
        self._add(given)
        self.state.everything()

    def reset(self) -> None:
        """Forget everything but what the sandbox was started with."""
        for record in list(self.records):
            self.records.remove(record)
        self._added_types.clear()
        self._turn = 0
        self.directory.clear()
        self._furnish()
        self.state.everything()

    def _furnish(self) -> None:
        """Add what the sandbox was started with. Fields that are given take the place of the standard ones."""
        if "customfields" in self._given.rows:
            self.directory.drop_standard_fields()
        self._add(self._given)

    def _add(self, given: Seed) -> None:
        self.directory.add(given.rows)
        self.directory.add_people(given.rows.get("people", ()))


class _AllBut:
    """Every type but some."""

    def __init__(self, types: frozenset[str]) -> None:
        self._types = types

    def __contains__(self, kind: object) -> bool:
        return kind not in self._types


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _mapping(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise ItemRefused("not an object")
    return item
