"""A bulk upsert as Planhat answers it: each item on its own, what fails is named in a list, the others go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from relay.planhat.sandbox.errors import STYLES
from relay.planhat.sandbox.values import ItemRefused

Refuse = Callable[[Mapping[str, Any]], tuple[str, str, str | None] | None]
"""An item to (message, style, list or None), or None to let it pass."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BulkAnswer:
    """The status and the body of the answer."""

    status: int
    envelope: dict[str, Any]


class Target(Protocol[T]):
    """What is upserted into. Each raises ItemRefused with Planhat's verdict on the item."""

    def match(self, item: Mapping[str, Any]) -> T | None:
        """Find the record that an item means; None when it is to be made."""

    def insert(self, item: Mapping[str, Any]) -> T:
        """Make a record."""

    def change(self, record: T, item: Mapping[str, Any]) -> bool:
        """Change a record in part; False when nothing differs. A refusal changes nothing."""

    def id_of(self, record: T) -> str:
        """Tell the `_id` of a record."""


def upsert(
    items: list[Any], target: Target[T], *, style: str, refuse: Refuse | None = None
) -> tuple[BulkAnswer, list[T]]:
    """Upsert items one after the other. Returns the answer, and the records that were made or changed.

    `style`: how an error names its item. `refuse`: items that are refused on request.
    """
    failed: dict[str, list[Any]] = {"createdErrors": [], "updatedErrors": [], "permissionErrors": []}
    inserts: list[dict[str, str]] = []
    modified: list[str] = []
    unchanged = 0
    touched: list[T] = []
    for index, item in enumerate(items):
        record = None
        own_style = style
        kind = "createdErrors"
        try:
            if not isinstance(item, dict):
                raise ItemRefused("not an object")
            record = target.match(item)
            if record is not None:
                kind = "updatedErrors"
            if refuse is not None:
                refusal = refuse(item)
                if refusal is not None:
                    message, own_style, chosen = refusal
                    kind = chosen or kind
                    raise ItemRefused(message)
            if record is None:
                record = target.insert(item)
                inserts.append(_keys_of(target.id_of(record), item))
                touched.append(record)
            elif target.change(record, item):
                modified.append(target.id_of(record))
                touched.append(record)
            else:
                unchanged += 1
        except ItemRefused as refused:
            given = item if isinstance(item, dict) else {}
            key = target.id_of(record) if record is not None else given.get("_id")
            failed.setdefault(kind, []).append(STYLES[own_style](str(refused), given, index, key))
    return _answer(len(items), inserts, modified, unchanged, failed), touched


def _keys_of(key: str, item: Mapping[str, Any]) -> dict[str, str]:
    keys = {"_id": key}
    for name in ("externalId", "sourceId"):
        if item.get(name):
            keys[name] = item[name]
    return keys


def _answer(
    total: int,
    inserts: list[dict[str, str]],
    modified: list[str],
    unchanged: int,
    failed: dict[str, list[Any]],
) -> BulkAnswer:
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
    if worked == total:
        return BulkAnswer(200, envelope)
    return BulkAnswer(206 if worked else 400, envelope)
