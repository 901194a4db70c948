"""Zendesk: the name and address of who wrote. Source: Zendesk, "Show user"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, put_person, unknown_sender


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    sender = unknown_sender(view)
    return f"/api/v2/users/{sender}.json" if sender else ""


def _fill(view: dict[str, Any], answer: Walk) -> None:
    user = answer.maybe("user")
    put_person(view, "", user.maybe_text("name"), user.maybe_text("email"))


ZENDESK_LOOKUP = LookUp(_path, _fill, example="https://acme.zendesk.com")
