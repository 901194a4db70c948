"""LiveChat (Text): events of chats. A chat goes on for years; each of its threads is a conversation.

Source: Text, "Webhooks", "Agent Chat API: data structures".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import orjson

from relay.errors import PayloadInvalid
from relay.event import Attachment, Person
from relay.sources.base import Inbound, Parked, Parsed, Skipped, content_key
from relay.sources.described.adapter import MAX_DESCRIBED_ITEMS, Described, answer_line
from relay.sources.described.shape import Shape, Who, text_at
from relay.sources.foreign_json import Walk
from relay.sources.read.unknown import skip_unknown

_KINDS = {"incoming_event": "message.created", "event_updated": "message.updated"}
#: What the product itself says, and forms that nobody has filled in yet.
_NOISE = frozenset({"system_message", "form", "annotation"})
_SAID = frozenset({"message", "file", "rich_message", "filled_form", "custom"})

_event = Shape(
    kinds={},
    thread="thread_id chat_id",
    message="event.id",
    identity="event.id",
    time="event.created_at",
    text="event.text",
    format="text",
    sender=Who(id="event.author_id"),
    channel_id="chat_id",
    files="",
)


class LiveChat(Described):
    name: ClassVar[str] = "livechat"

    def read(self, payload: Any, inbound: Inbound, now_s: float) -> list[Parsed]:
        body = Walk(payload)
        action, inner = body.maybe_text("action"), body.maybe("payload")
        if action == "incoming_chat":
            return self._chat(inner["chat"], now_s)
        if action not in _KINDS:
            return [Skipped("type") if action else skip_unknown(payload)]
        return [self._item_of(inner, inner["event"], Walk({}), _KINDS[action], now_s)]

    def _chat(self, chat: Walk, now_s: float) -> list[Parsed]:
        """What was said before the chat began stands in its thread."""
        thread = chat.maybe("thread")
        held = Walk({"chat_id": chat.ident("id"), "thread_id": thread.maybe_ident("id")})
        events = thread.items("events")
        if len(events) > MAX_DESCRIBED_ITEMS:
            raise PayloadInvalid(f"more than {MAX_DESCRIBED_ITEMS} events in one request")
        found = [self._item_of(held, event, chat, "message.created", now_s) for event in events]
        return found or [Skipped("empty")]

    def _item_of(self, place: Walk, event: Walk, chat: Walk, kind: str, now_s: float) -> Parsed:
        try:
            return self._event(place, event, chat, kind, now_s)
        except PayloadInvalid as error:
            return Parked(str(error), content_key(orjson.dumps(event.value)))

    def _event(self, place: Walk, event: Walk, chat: Walk, kind: str, now_s: float) -> Parsed:
        if (form := event.maybe_text("type")) not in _SAID:
            return Skipped("type") if form in _NOISE else skip_unknown(event.value)
        payload: dict[str, Any] = {
            "chat_id": place.maybe_ident("chat_id"),
            "thread_id": place.maybe_ident("thread_id"),
            "event": event.value,
        }
        if why := self._withheld(payload, _event, private=False):
            return Skipped(why)
        own = event.ident("id")
        key = own if kind == "message.created" else f"{kind}:{own}:{content_key(orjson.dumps(event.value))}"
        made = self.event(payload, _event, kind=kind, key=key, now_s=now_s)
        return replace(made, text=_text(event), sender=_author(event, chat), attachments=_files(event))


def _text(event: Walk) -> str:
    lines = [event.maybe_text("text")]
    for field in event.items("fields"):
        lines.append(_filled(field))
    for element in event.items("elements"):
        lines += [element.maybe_text("title"), element.maybe_text("subtitle")]
        lines += [
            f"[{button.maybe_text('text')}]"
            for button in element.items("buttons")
            if button.maybe_text("text")
        ]
    return "\n".join(line for line in lines if line)


def _filled(field: Walk) -> str:
    """A field of a form that was filled in: what was asked, and what was told."""
    answer = field.maybe("answer")
    given = [field.maybe_text("value") or field.maybe_text("answer"), answer.maybe_text("label")]
    given += [one.maybe_text("label") for one in field.items("answers")]
    asked = field.maybe_text("label") or field.maybe_text("name")
    return answer_line(asked, ", ".join(word for word in given if word))


def _author(event: Walk, chat: Walk) -> Person:
    """An agent's id is an address; what is known of a customer stands in the chat."""
    author = event.maybe_ident("author_id")
    user = next((one for one in chat.items("users") if one.maybe_ident("id") == author), Walk({}))
    email = user.maybe_text("email") or (author if "@" in author else "")
    return Person(id=author, name=user.maybe_text("name"), email=email if "@" in email else "")


def _files(event: Walk) -> tuple[Attachment, ...]:
    if event.maybe_text("type") != "file":
        return ()
    return (
        Attachment(
            name=event.maybe_text("name") or "file",
            type=event.maybe_text("content_type"),
            size=event.maybe_size("size"),
            url=text_at(event.value, "url"),
        ),
    )
