"""Productboard: a note's title and text. Source: Productboard, REST API v2, "Retrieve note"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, has_text, put_either, quoted


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    note = quoted(view, "thread")
    return f"/v2/notes/{note}" if note and not has_text(view) else ""


def _fill(view: dict[str, Any], answer: Walk) -> None:
    fields = answer.maybe("data").maybe("fields")
    view["subject"] = view.get("subject") or fields.maybe_text("name")
    # A conversation's content is a list of what was said.
    said = [part.maybe_text("content") for part in fields.items("content")]
    put_either(view, fields.maybe_text("content") or "\n".join(text for text in said if text))


PRODUCTBOARD_LOOKUP = LookUp(_path, _fill, api="https://api.productboard.com", changes=True)
