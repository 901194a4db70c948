"""What in an answer is what people wrote: hidden from readers (unless RELAY_READER_SEES_PAYLOADS), and a line in the audit for
whoever else looks at it.

It goes by the names of the keys, over every answer of API and console, so that a new page is covered when it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.web.refused import RequestRefused

#: Keys whose value is a payload or a part of one. `reason` is one beside a `cause` only: Planhat may quote there what it refused.
PAYLOAD_KEYS = frozenset(
    {
        "answer",
        "asked_for",
        "attachments",
        "body",
        "changes",
        "document",
        "edited_to",
        "edits",
        "event",
        "fields",
        "from_email",
        "kept_text",
        "sent_text",
    }
    | {
        "headers",
        "html",
        "payload",
        "preview",
        "raw",
        "recipients",
        "sender",
        "subject",
        "target",
        "text",
        "yaml",
    }
)


#: Filters that ask for what people wrote, or who did: whoever may not see it learns it by asking, too.
PAYLOAD_FILTERS = frozenset({"from", "text"})


def require_filters(asked: Mapping[str, Any], *, sees_payloads: bool) -> None:
    """Raise RequestRefused where a reader filters by what readers do not see."""
    if not sees_payloads and any(asked.get(name) for name in PAYLOAD_FILTERS):
        raise RequestRefused(
            403, "readers_see_no_payloads", "the reader token does not search by sender or words"
        )


def shows_payload(value: Any) -> bool:
    """Tell whether anything in `value` is what people wrote."""
    if isinstance(value, Mapping):
        return any(
            bool(child) if _is_payload(key, value) else shows_payload(child) for key, child in value.items()
        )
    return isinstance(value, (list, tuple)) and any(shows_payload(child) for child in value)


def hide_payload(value: Any) -> Any:
    """Return `value` with null in the place of what people wrote, and `hidden: true` beside it."""
    if isinstance(value, Mapping):
        hidden = {key for key, child in value.items() if child and _is_payload(key, value)}
        kept = {key: None if key in hidden else hide_payload(child) for key, child in value.items()}
        return {**kept, "hidden": True} if hidden else kept
    if isinstance(value, (list, tuple)):
        return [hide_payload(child) for child in value]
    return value


def _is_payload(key: Any, around: Mapping[Any, Any]) -> bool:
    return key in PAYLOAD_KEYS or (key == "reason" and "cause" in around)
