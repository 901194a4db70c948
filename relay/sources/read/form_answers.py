"""What somebody filled into a WhatsApp form, as Meta and its resellers pass it on: JSON of names and answers within a text.

Source: Meta, "WhatsApp Flows: response message webhook" (`response_json`, and `flow_token`, which names the form).
"""

from __future__ import annotations

from typing import Any

from relay.errors import PayloadInvalid
from relay.sources.foreign_json import json_object

#: What tells the forms of a business apart; nobody filled it in.
_MARK = "flow_token"
_MAX_CHOICES = 50


def form_answers(told: str) -> list[str]:
    """Return the answers, a line each; the text itself where it is no JSON object."""
    try:
        held = json_object(told.encode("utf-8", "replace")) if told.startswith("{") else {}
    except PayloadInvalid:
        return [told]
    return [f"{name}: {words}" for name, value in held.items() if name != _MARK and (words := _answer(value))]


def _answer(value: Any) -> str:
    """A text, a number, yes or no, or several that were chosen."""
    if isinstance(value, list):
        return ", ".join(
            words for one in value[:_MAX_CHOICES] if not isinstance(one, list) and (words := _answer(one))
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, (str, int, float)) else ""
