"""Error elements in every style that anybody has seen or could fear, since nobody documents them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Item = Mapping[str, Any]


def _string(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return message


def _string_id(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return f"{message} ({item.get('externalId') or item.get('sourceId') or planhat_id})"


def _external_id(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return {"externalId": item.get("externalId"), "error": message}


def _planhat_id(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return {"_id": planhat_id, "message": message} if planhat_id else {"message": message}


def _index(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return {"index": index, "message": message}


def _nested(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return {"item": {"externalId": item.get("externalId")}, "errors": [{"message": message}]}


def _bare(message: str, item: Item, index: int, planhat_id: str | None) -> Any:
    return {}


Style = Callable[[str, Item, int, str | None], Any]

STYLES: Final[Mapping[str, Style]] = {
    "string": _string,
    "string_id": _string_id,
    "external_id": _external_id,
    "planhat_id": _planhat_id,
    "index": _index,
    "nested": _nested,
    "bare": _bare,
}
"""How an element of an error list says which item it means, if it says so at all."""
