"""Plain: threads of mails, chats, Slack, Discord and Teams messages. Described by a table; code only says who wrote."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relay.event import Event, Person
from relay.sources.described.adapter import Described
from relay.sources.described.shape import Shape, text_at
from relay.value import AS_BEFORE


class Plain(Described):
    name: ClassVar[str] = "plain"

    def event(self, payload: dict[str, Any], shape: Shape, *, kind: str, key: str, now_s: float) -> Event:
        """Return the thread's customer has a name there; others who write into it, and colleagues, have an id alone. An edit tells
        nothing of its author: that stands with the message."""
        event = super().event(payload, shape, kind=kind, key=key, now_s=now_s)
        sender = event.sender
        if "createdBy" in shape.sender.id and sender.id != text_at(payload, "payload.thread.customer.id"):
            sender = Person(id=sender.id, bot=sender.bot)
        if kind == "message.updated" and not (sender.name or sender.email):
            return replace(event, sender=Person(name=AS_BEFORE))
        return replace(event, sender=sender, keeps_author=kind == "ticket.commented")
