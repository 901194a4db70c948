"""What has arrived, as the sandbox's own routes and page show it: whole, and with what Planhat would not say."""

from __future__ import annotations

from collections.abc import Iterable

from relay.planhat.sandbox import shapes
from relay.planhat.sandbox.editor import as_edited
from relay.planhat.sandbox.listing import Row
from relay.planhat.sandbox.records import Record
from relay.planhat.sandbox.store import Store


def arrived(
    store: Store, *, newest_first: bool = False, limit: int | None = None, editor: bool = False, **equal: str
) -> list[Row]:
    """Give whole conversations in the order of arrival, or those changed last first.

    `_sandbox` tells how often each was written, the type that was sent, which custom fields nobody sees, and with
    `editor` (always in the strict mode) what Planhat's editor would keep of the description, which is then given as it
    is stored. `equal`: properties and what they must be.
    """
    records: Iterable[Record] = store.records
    if "externalId" in equal:
        records = list(store.records.by_external(equal["externalId"]).values())
    if "_id" in equal:
        found = store.records.by_id(equal["_id"])
        records = [] if found is None else [found]
    if newest_first:
        records = sorted(records, key=lambda record: record.turn, reverse=True)
    visible = {str(row["name"]) for row in store.directory.fields_of("conversation")}
    around = store.around
    rows: list[Row] = []
    for record in records:
        row = shapes.whole(record, around)
        if all(row.get(name) == value for name, value in equal.items()):
            rows.append({**row, **_seen_inside(record, visible, editor=editor or around.strict_editor)})
            if limit is not None and len(rows) >= limit:
                break
    return rows


def _seen_inside(record: Record, visible: set[str], *, editor: bool) -> Row:
    sent = record.sent
    own: Row = {
        "writes": record.writes,
        "changed_ms": record.changed_ms,
        "sent_type": sent.get("type"),
        "invisible": [name for name in sent.get("custom") or () if name not in visible],
    }
    if not editor:
        return {"_sandbox": own}
    description = str(sent.get("description") or "")
    return {"description": description, "_sandbox": {**own, "editor": as_edited(description).as_json()}}
