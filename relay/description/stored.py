"""What an older release has stored of a description, made into blocks: it joined entries by line breaks, and took any HTML."""

from __future__ import annotations

from typing import Any

from relay.description.safe import safe_html


def blocks_of(value: Any) -> Any:
    """Give a stored value as safe HTML; what is no text as it is."""
    return safe_html(value) if isinstance(value, str) else value


def mend_registers(ways: dict[str, Any]) -> None:
    """Change a document's registers of a description, way by way: each register is [version, event, revision, value, ...]."""
    for way, held in ways.items():
        registers = held.values() if way == "append" else [held] if way != "union" else ()
        for register in registers:
            register[3] = blocks_of(register[3])
