#!/usr/bin/env python3
"""The table of values in helm/README.md, from the `# --` comments of helm/values.yaml.

`values_table.py` writes it, `values_table.py --check` only says whether it stands there as it should (exit 1 if not).
A value without a description is a mistake and named.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

HELM = pathlib.Path(__file__).resolve().parent.parent / "helm"
BEGIN, END = "<!-- values: written by .ci/values_table.py -->", "<!-- end of values -->"


@dataclass(frozen=True, slots=True)
class Value:
    """One documented value: its dotted path, its default and what it is for."""

    path: str
    default: Any
    description: str


def read_values(text: str) -> list[Value]:
    """Every documented value in the file's order. Raises ValueError that names those without a description."""
    lines = text.splitlines()
    defaults = yaml.safe_load(text)
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    bare: list[str] = []
    found = list(_walk(root, (), defaults, lines, bare))
    if bare:
        raise ValueError(f"helm/values.yaml: no `# --` description above {', '.join(bare)}")
    return found


def _walk(
    node: yaml.MappingNode, above: tuple[str, ...], defaults: Any, lines: list[str], bare: list[str]
) -> Iterator[Value]:
    for key, value in node.value:
        path = (*above, key.value)
        default = defaults[key.value]
        description = _description(lines, key.start_mark.line)
        if description:
            yield Value(".".join(path), default, description)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _walk(value, path, default, lines, bare)
        else:
            bare.append(".".join(path))


def _description(lines: list[str], line: int) -> str:
    """The comment right above a line, when it begins with `# --`."""
    above: list[str] = []
    while line > 0 and lines[line - 1].strip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].strip().removeprefix("#").strip())
    start = next((i for i, text in enumerate(above) if text.startswith("-- ")), None)
    return " ".join(above[start:]).removeprefix("-- ") if start is not None else ""


def render_table(values: list[Value]) -> str:
    rows = ["| Value | Default | |", "|---|---|---|"]
    for value in values:
        default = "" if value.default is None else json.dumps(value.default, ensure_ascii=False)
        cell = f"`{default}`" if default else ""
        rows.append(f"| `{value.path}` | {cell} | {value.description} |".replace("`|`", "`\\|`"))
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    readme = HELM / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = render_table(read_values((HELM / "values.yaml").read_text(encoding="utf-8")))
    wanted = f"{before}{BEGIN}\n{table}\n{END}{after}"
    if text == wanted:
        return 0
    if "--check" in arguments:
        print(
            "helm/README.md: the table of values is not that of helm/values.yaml; run .ci/values_table.py",
            file=sys.stderr,
        )
        return 1
    readme.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
