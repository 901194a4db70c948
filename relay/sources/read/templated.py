"""Payloads whose keys an administrator chose: Zendesk triggers, Freshdesk automations.

Keys are compared without case, blanks, dashes and underscores: "Ticket ID", "ticket_id" and "ticketID" are one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relay.errors import PayloadInvalid
from relay.sources.base import Inbound, json_object
from relay.sources.read.moment import moment_us
from relay.sources.read.multipart import form_pairs

_BETWEEN = re.compile(r"[\s_\-.]+")
_SEPARATOR = re.compile(r"[,;\s]+")
#: No provider's form has more fields.
MAX_FIELDS = 1000


class Fields:
    """The payload's values by plain name; those of objects inside also with the object's name before them."""

    __slots__ = ("values",)

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = {}
        for key, value in payload.items():
            name = _BETWEEN.sub("", key).lower()
            if isinstance(value, dict):
                for inner_key, inner in value.items():
                    self.values.setdefault(name + _BETWEEN.sub("", inner_key).lower(), inner)
            else:
                self.values.setdefault(name, value)

    def text(self, *names: str) -> str:
        """The first that is not empty of these, as text; "" where there is none."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
        return ""

    def moment_us(self, *names: str) -> int | None:
        for name in names:
            if (found := moment_us(self.values.get(name))) is not None:
                return found
        return None

    def flag(self, *names: str) -> bool | None:
        """A yes or no, as a JSON boolean or as a word; None where there is none."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.strip().lower() in (
                "true",
                "false",
                "yes",
                "no",
            ):
                return value.strip().lower() in ("true", "yes")
        return None

    def words(self, *names: str) -> tuple[str, ...]:
        """A list of strings, or one string of words."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, str) and value.strip():
                return tuple(word for word in _SEPARATOR.split(value.strip()) if word)
            if isinstance(value, list):
                return tuple(word for word in value if isinstance(word, str))
        return ()


def read_templated(inbound: Inbound) -> dict[str, Any]:
    """The body as a JSON object or a form. Raises PayloadInvalid with a sentence for the administrator:
    placeholders are not escaped, so a quotation mark in a subject breaks the JSON around it."""
    content_type = inbound.headers.get("content-type", "").lower()
    if content_type.startswith("application/x-www-form-urlencoded"):
        pairs = form_pairs(inbound.body, MAX_FIELDS)
        return dict(reversed(pairs))
    if inbound.body.lstrip()[:1] == b"<":
        raise PayloadInvalid("XML is not read: choose JSON in the webhook's settings")
    try:
        return json_object(inbound.body)
    except PayloadInvalid as error:
        raise PayloadInvalid(f"{error.message} (the template's placeholders are not escaped)") from error
