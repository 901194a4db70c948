"""Dialpad: calls that ended, their recaps, voicemails and recordings, and text messages. The body is a JWT.

A call has several legs, each with notices of its own; what links them is the entry point's id, or the master's.
Source: Dialpad, "Event Subscriptions", "Call Events", "SMS Events".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relay.errors import PayloadInvalid
from relay.event import Attachment, Event, Person
from relay.sources.base import Inbound, Parsed, Skipped
from relay.sources.described.adapter import Described
from relay.sources.described.shape import Shape, Who, text_at
from relay.sources.foreign_json import Walk
from relay.sources.read.unknown import skip_unknown

#: What each state of a call adds to its conversation; the others are on the way.
_STATES = frozenset(
    {"hangup", "recap_summary", "transcription", "call_transcription", "recording", "voicemail_uploaded"}
)
_CALL = Shape(
    kinds={},
    thread="call-{entry_point_call_id master_call_id call_id}",
    message="{entry_point_call_id master_call_id call_id}-{state}",
    time="event_timestamp date_ended date_started",
    customer=Who(name="contact.name", email="contact.email"),
)
_SMS = Shape(
    kinds={},
    thread="sms-{contact.phone contact_number from_number}-{target.phone target.id to_number.0 to_number}",
    message="sms-{id}",
    time="created_date event_timestamp",
    text="text text_content",
    format="text",
    customer=Who(name="contact.name", email="contact.email"),
    channel_id="target.id",
    channel_name="target.name",
)
_MAX_FILES = 50


class Dialpad(Described):
    name: ClassVar[str] = "dialpad"
    content_types: ClassVar[frozenset[str]] = frozenset()

    def read(self, payload: Any, inbound: Inbound, now_s: float) -> list[Parsed]:
        if not isinstance(payload, dict):
            raise PayloadInvalid("wanted a JSON object")
        body = Walk(payload)
        if state := body.maybe_text("state"):
            if state not in _STATES:
                return [Skipped("type")]
            body.ident("call_id")
            return [self._call(payload, body, state, now_s)]
        if not ({"text", "text_content", "mms", "message_status"} & payload.keys()):
            return [skip_unknown(payload)]
        return [self._sms(payload, body, now_s)]

    def _call(self, payload: dict[str, Any], body: Walk, state: str, now_s: float) -> Parsed:
        # Each leg says once that it ended: the last of them stands.
        key = text_at(payload, "{call_id}:{state}:{event_timestamp date_ended call_id}")
        event = self.event(payload, _CALL, kind="call.ended", key=key, now_s=now_s)
        contact, target = _named(body.maybe("contact")), _named(body.maybe("target"))
        direction = body.maybe_text("direction")
        text = _told(body, state)
        if state == "hangup":
            parts = [f"{direction.capitalize() or 'A'} call", f"with {contact}" if contact else ""]
            parts += [f"and {target}" if contact and target else "", _length(body)]
            text = " ".join(part for part in parts if part)
        caller = body.maybe("target" if direction == "outbound" else "contact")
        return replace(
            event, text=text, sender=_person(caller), attachments=_files(body), label=f"Call with {contact}"
        )

    def _sms(self, payload: dict[str, Any], body: Walk, now_s: float) -> Event:
        event = self.event(payload, _SMS, kind="message.created", key=f"sms:{body.ident('id')}", now_s=now_s)
        ours = body.maybe_text("direction") == "outbound"
        sender = _person(body.maybe("target" if ours else "contact"))
        url = body.maybe_text("mms_url")
        files = (Attachment(name="mms", url=url),) if url.startswith("https://") else ()
        return replace(event, sender=sender, attachments=files)


def _named(who: Walk) -> str:
    return who.maybe_text("name") or who.maybe_text("phone") or who.maybe_text("email")


def _person(who: Walk) -> Person:
    email = who.maybe_text("email")
    return Person(id=who.maybe_ident("id"), name=_named(who), email=email if "@" in email else "")


def _length(body: Walk) -> str:
    """How long people talked; menus and waiting, which `duration` counts, are no talk."""
    talked_ms = body.maybe_number("talk_time") or 0
    if not body.value.get("date_connected") or talked_ms < 1:
        return "(not answered)"
    minutes = round(min(talked_ms, 6e8) / 60_000)
    return f"({minutes} min)" if minutes else "(under a minute)"


def _told(body: Walk, state: str) -> str:
    words = {
        "recap_summary": (body.maybe_text("recap_summary"), *_items(body, "recap_action_items")),
        "voicemail_uploaded": ("Voicemail", body.maybe_text("transcription_text")),
        "recording": ("Recording",),
    }
    lines = words.get(state, (body.maybe_text("transcription_text"), body.maybe_text("call_transcription")))
    return "\n".join(line for line in lines if line)


def _items(body: Walk, key: str) -> list[str]:
    listed = body.texts(key) or [one.maybe_text("text") for one in body.items(key)]
    return [f"- {text}" for text in listed if text]


def _files(body: Walk) -> tuple[Attachment, ...]:
    found = [
        Attachment(name="recording", type=one.maybe_text("recording_type"), url=url)
        for one in body.items("recording_details")[:_MAX_FILES]
        if (url := one.maybe_text("url")).startswith("https://")
    ]
    voicemail = body.maybe_text("voicemail_link")
    # A link stands there as soon as the greeting is played; only this state says that somebody spoke.
    if voicemail.startswith("https://") and body.maybe_text("state") == "voicemail_uploaded":
        found.append(Attachment(name="voicemail", url=voicemail))
    return tuple(found)
