"""Help Scout: the newest thread, where the webhook brought none. Source: Help Scout, "List threads"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.sources.foreign_json import Walk
from relay.sources.read.look_up import LookUp, put_person, put_text, quoted


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    if view.get("kind") not in ("ticket.created", "ticket.commented"):
        return ""
    if payload.maybe("_embedded").items("threads"):
        return ""
    return f"/v2/conversations/{quoted(view, 'thread')}/threads"


def _fill(view: dict[str, Any], answer: Walk) -> None:
    spoken = [
        part
        for part in answer.maybe("_embedded").items("threads")
        if part.maybe_text("type") not in ("note", "lineitem")
        and part.maybe_text("state") in ("", "published")
    ]
    if not spoken:
        return
    # Newest first; a new conversation is about its oldest message.
    part = spoken[-1] if view.get("kind") == "ticket.created" else spoken[0]
    view["text"] = view["html"] = ""  # only a preview stood there
    put_text(view, "", part.maybe_text("body"))
    by = part.maybe("createdBy")
    name = f"{by.maybe_text('first')} {by.maybe_text('last')}".strip()
    put_person(view, by.maybe_ident("id"), name, by.maybe_text("email"))


HELPSCOUT_LOOKUP = LookUp(_path, _fill, api="https://api.helpscout.net", changes=True)
