"""Lists as Planhat gives them: sorted, cut into a page, reduced to what was selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = dict[str, Any]


def words(text: str | None) -> tuple[str, ...]:
    """Split what a query gives separated by commas; blanks around a word do not count."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def bounds(query: Mapping[str, str], default: int, most: int) -> tuple[int, int]:
    """Read offset and limit of a page; nonsense counts as not given. `l` and `o` are the parameters' old names."""

    def number(name: str, old: str, fallback: int) -> int:
        text = query.get(name) or query.get(old) or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else fallback

    return number("offset", "o", 0), min(number("limit", "l", default) or default, most)


def page(rows: list[Row], query: Mapping[str, str], default: int, most: int) -> list[Row]:
    """Sort rows, cut them to one page and reduce them to what was selected."""
    sort = query.get("sort", "")
    if sort.strip("-"):
        rows = sorted(rows, key=sort_key(sort.lstrip("-")), reverse=sort.startswith("-"))
    offset, limit = bounds(query, default, most)
    return selected(rows[offset : offset + limit], query)


def selected(rows: list[Row], query: Mapping[str, str]) -> list[Row]:
    """Reduce rows to the properties that the query selects, and `_id`; all of them when it selects none."""
    columns = words(query.get("select"))
    return [select_columns(row, ("_id", *columns)) for row in rows] if columns else rows


def select_columns(row: Row, columns: Iterable[str]) -> Row:
    """Reduce one row to some of its properties, in the order of `columns`."""
    return {name: row[name] for name in columns if name in row}


def sort_key(name: str) -> Callable[[Row], tuple[int, Any]]:
    """Order rows by one property of any type; those without it come first, as in MongoDB."""

    def key(row: Row) -> tuple[int, Any]:
        value = row.get(name)
        if value is None:
            return (0, 0)
        if isinstance(value, (int, float)):
            return (1, value)
        return (2, str(value))

    return key
