"""WhatsApp (Meta's Cloud API): messages between a business's number and people.

Source: Meta, "WhatsApp Cloud API: webhooks" (messages, media, interactive, location, contacts, reactions, orders,
group messages), "WhatsApp Flows: response message webhook", "Obtain user call permissions".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import orjson

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.base import Inbound, Parked, Parsed, Skipped, content_key
from relay.sources.described.adapter import MAX_DESCRIBED_ITEMS, Described
from relay.sources.described.shape import Shape, Who, text_at
from relay.sources.foreign_json import Walk
from relay.sources.read.form_answers import form_answers
from relay.sources.read.unknown import is_worded, skip_unknown

_MEDIA = ("image", "video", "audio", "voice", "document", "sticker")
#: Types that hold nothing that somebody said.
_NOISE = frozenset({"system", "request_welcome", "ephemeral"})

_message = Shape(
    kinds={},
    thread="{metadata.phone_number_id metadata.display_phone_number}-{group other}",
    message="messages.0.id",
    identity="messages.0.id",
    time="messages.0.timestamp",
    sender=Who(id="other", name="contacts.0.profile.name contacts.0.profile.username"),
    channel_id="metadata.phone_number_id",
    channel_name="metadata.display_phone_number",
)


class WhatsApp(Described):
    name: ClassVar[str] = "whatsapp"

    def read(self, payload: Any, inbound: Inbound, now_s: float) -> list[Parsed]:
        if not isinstance(payload, dict) or not isinstance(payload.get("entry"), list):
            raise PayloadInvalid("wanted a list", "entry")
        found: list[Parsed] = []
        for entry in Walk(payload).items("entry"):
            for change in entry.items("changes"):
                found += self._change(change.maybe("value"), now_s)
                if len(found) > MAX_DESCRIBED_ITEMS:
                    raise PayloadInvalid(f"more than {MAX_DESCRIBED_ITEMS} events in one request")
        return found or [skip_unknown(payload)]

    def _change(self, value: Walk, now_s: float) -> list[Parsed]:
        found: list[Parsed] = [Skipped("status") for _ in value.items("statuses")[:1]]
        for message in value.items("messages"):
            found.append(self._parsed(value, message, now_s, ours=False))
        # What was written in the business's own app, on its telephone.
        for message in value.items("message_echoes"):
            found.append(self._parsed(value, message, now_s, ours=True))
        return found

    def _parsed(self, value: Walk, message: Walk, now_s: float, *, ours: bool) -> Parsed:
        try:
            return self._message(value, message, now_s, ours=ours)
        except PayloadInvalid as error:
            return Parked(str(error), content_key(orjson.dumps(message.value)))

    def _message(self, value: Walk, message: Walk, now_s: float, *, ours: bool) -> Parsed:
        form = message.maybe_text("type")
        if form in _NOISE:
            return Skipped("type")
        message.ident("id")
        other = _other(value, message, ours=ours)
        contact: dict[str, Any] = next(
            (
                c.value
                for c in value.items("contacts")
                if other in (c.maybe_ident("wa_id"), c.maybe_ident("user_id"))
            ),
            {},
        )
        payload = {
            "metadata": value.maybe("metadata").value,
            "contacts": [contact] if contact else [],
            "messages": [message.value],
        }
        # In a group many write with the business, and with each other: the group is the conversation.
        place = {"other": other, "group": message.maybe_ident("group_id")}
        event = self.event(
            {**payload, **place},
            _message,
            kind="message.created",
            key=message.ident("id"),
            now_s=now_s,
        )
        sender = event.sender
        if ours:
            sender = replace(sender, id=message.maybe_ident("from"), name="")
        edited, removed = message.maybe("edit"), message.maybe("revoke")
        if target := removed.maybe_ident("original_message_id"):
            return replace(event, kind="message.deleted", message_id=target, sender=sender, payload=payload)
        if target := edited.maybe_ident("original_message_id"):
            message = edited.maybe("message")
            event = replace(event, kind="message.updated", message_id=target)
        event = replace(
            event, text=_text(message), attachments=_files(message), sender=sender, payload=payload
        )
        if event.empty and is_worded(message.maybe(message.maybe_text("type")).value):
            raise PayloadInvalid("a message of an unknown type", "type")
        return event


def _other(value: Walk, message: Walk, *, ours: bool) -> str:
    """Who writes with the business: a telephone number, or Meta's id of the person.

    The number is not shown of who has a username. Source: Meta, "Business-scoped user IDs".
    """
    number, person = ("to", "to_user_id") if ours else ("from", "from_user_id")
    found = message.maybe_ident(number) or message.maybe_ident(person)
    contacts = value.items("contacts")
    if not found and len(contacts) == 1:
        found = contacts[0].maybe_ident("wa_id") or contacts[0].maybe_ident("user_id")
    return found or message.ident(number)


def _text(message: Walk) -> str:
    """The words of a message of any type, a line each."""
    form = message.maybe_text("type")
    part = message.maybe(form)
    lines = [part.maybe_text("body"), part.maybe_text("caption")]
    if form == "location":
        place = ", ".join(filter(None, (part.maybe_text("name"), part.maybe_text("address"))))
        where = text_at(part.value, "{latitude}, {longitude}")
        lines.append(
            "Location: " + " ".join(filter(None, (place, f"({where})" if place and where else where)))
        )
    elif form == "reaction":
        emoji = part.maybe_text("emoji")
        lines.append(f"Reaction: {emoji}" if emoji else "Reaction taken back")
    elif form == "button":
        lines.append(part.maybe_text("text"))
    elif form == "interactive":
        lines += _chosen(part)
    elif form == "order":
        lines += [part.maybe_text("text"), *(_ordered(item) for item in part.items("product_items"))]
    elif form == "contacts":
        lines += [_contact(one) for one in message.items("contacts")]
    for error in message.items("errors"):
        lines.append(f"({error.maybe_text('title') or 'not supported by the API'})")
    referral = message.maybe("referral")
    lines += [referral.maybe_text("headline"), referral.maybe_text("body")]
    return "\n".join(line for line in lines if line)


def _chosen(part: Walk) -> list[str]:
    """A button or an entry of a list that was tapped, a form that was filled in, a call that was allowed or refused."""
    form = part.maybe_text("type")
    reply = part.maybe(form)
    if form == "call_permission_reply":
        response = reply.maybe_text("response")
        return [f"Call permission: {response}" if response else ""]
    answers = form_answers(reply.maybe_text("response_json"))
    # "Sent" is all that a form's own text ever says.
    body = "" if answers and reply.maybe_text("name") == "flow" else reply.maybe_text("body")
    return [reply.maybe_text("title"), reply.maybe_text("description"), body, *answers]


def _ordered(item: Walk) -> str:
    return text_at(item.value, "{quantity} × {product_retailer_id}")


def _contact(contact: Walk) -> str:
    name = contact.maybe("name").maybe_text("formatted_name")
    reached = [one.maybe_text("phone") for one in contact.items("phones")]
    reached += [one.maybe_text("email") for one in contact.items("emails")]
    return f"Contact: {', '.join(word for word in (name, *reached) if word)}"


def _files(message: Walk) -> tuple[Attachment, ...]:
    """Media has an id, and an address for minutes only: its name and type are what lasts."""
    form = message.maybe_text("type")
    if form not in _MEDIA:
        return ()
    media = message.maybe(form)
    return (
        Attachment(
            name=media.maybe_text("filename") or form,
            type=media.maybe_text("mime_type"),
            url=media.maybe_text("url"),
        ),
    )
