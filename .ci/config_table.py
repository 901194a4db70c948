#!/usr/bin/env python3
"""The table of all keys in docs/config.md, from the tables that the config file is read by (relay/rules/file/schema.py).

`config_table.py` writes it, `config_table.py --check` only says whether it stands there as it should (exit 1 if not).
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "config.md"
BEGIN, END = "<!-- keys: written by .ci/config_table.py -->", "<!-- end of keys -->"


def rows(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Dotted path, what it takes, what it is for: each key of a JSON Schema, parents first."""
    for key, value in schema.get("properties", {}).items():
        place = f"{path}.{key}" if path else key
        yield place, _takes(value), value.get("description", "")
        yield from rows(_inner(value), place + _suffix(value))


def _suffix(value: dict[str, Any]) -> str:
    if value.get("type") == "array" or "items" in value or "anyOf" in value:
        return "[]"
    return ".NAME" if not value.get("properties") and _inner(value) is not value else ""


def _inner(value: dict[str, Any]) -> dict[str, Any]:
    """The mapping inside of a list or of names; itself otherwise."""
    for key in ("items", "additionalProperties"):
        inner = value.get(key)
        if isinstance(inner, dict) and not value.get("properties"):
            return _inner(inner)
    for choice in value.get("anyOf", ()):
        if isinstance(choice, dict) and (choice.get("items") or choice.get("properties")):
            return _inner(choice)
    patterns = value.get("patternProperties")
    if isinstance(patterns, dict):
        return _inner(next(iter(patterns.values())))
    return value


def _takes(value: dict[str, Any]) -> str:
    if "enum" in value:
        words = [f"`{word}`" for word in value["enum"]]
        return " ".join(words) if len(words) <= 12 else "one of the names"
    kind = value.get("type", "")
    if isinstance(kind, list):
        kind = kind[0]
    names = {
        "array": "list",
        "object": "mapping",
        "boolean": "true, false",
        "integer": "number",
        "string": "text",
    }
    taken = names.get(kind, kind)
    if not taken and value.get("anyOf"):
        taken = " or ".join(dict.fromkeys(filter(None, map(_takes, value["anyOf"]))))
    return str(taken)


def render() -> str:
    """The Markdown table of every key of the config file, but for the conversation's own fields."""
    sys.path.insert(0, str(ROOT))
    from relay.rules.file.schema import json_schema

    lines = ["| key | takes | |", "|---|---|---|"]
    for place, takes, text in rows(json_schema()):
        if place.startswith(("rules[].conversation.", "rules[].examples[].event.")):
            continue
        lines.append(f"| `{place}` | {takes} | {text} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n{render()}\n{END}{after}"
    if text == wanted:
        return 0
    if "--check" in arguments:
        print("docs/config.md: the table is not that of the schema; run .ci/config_table.py", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
