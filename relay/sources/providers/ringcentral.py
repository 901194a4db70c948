"""RingCentral: text messages, voicemails, calls that ended, and posts of team messaging.

Source: RingCentral, "Creating Webhooks", "Receiving Webhooks", "Instant Message Event", "Voicemail Message Event", "Account
Telephony Sessions", "Team Messaging events".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relay.errors import PayloadInvalid
from relay.event import Attachment, Event, Person
from relay.sources.base import Inbound, Parsed, Reply, Skipped, any_same
from relay.sources.described.adapter import Described
from relay.sources.described.shape import Shape, Who, text_at
from relay.sources.foreign_json import Walk
from relay.sources.read.attached import read_files
from relay.sources.read.unknown import skip_unknown

_TEXT = Shape(
    kinds={},
    thread="body.conversation.id body.conversationId | {body.from.phoneNumber}-{body.to.0.phoneNumber body.to.0.extensionNumber}",
    message="body.id",
    identity="uuid",
    time="body.lastModifiedTime body.creationTime timestamp",
    text="body.subject",
    format="text",
    sender=Who(
        id="body.from.phoneNumber body.from.extensionNumber",
        name="body.from.name body.from.phoneNumber body.from.extensionNumber",
    ),
    channel_name="body.type",
)
_POST = Shape(
    kinds={},
    thread="body.groupId",
    message="body.id",
    identity="uuid",
    time="body.lastModifiedTime body.creationTime timestamp",
    text="body.text",
    format="markdown",
    sender=Who(id="body.creatorId"),
    channel_id="body.groupId",
    files="body.attachments",
)
_CALL = Shape(
    kinds={},
    thread="body.telephonySessionId body.sessionId",
    message="body.telephonySessionId body.sessionId",
    identity="uuid",
    time="body.eventTime timestamp",
    files="body.recordings",
)
#: The message store writes "VoiceMail", its event "Voicemail".
_MESSAGES = frozenset({"sms", "pager", "voicemail", "fax"})
_POSTS = {"PostAdded": "message.created", "PostChanged": "message.updated", "PostRemoved": "message.deleted"}
#: States after which nothing more is said.
_OVER = frozenset({"Disconnected", "Gone", "Voicemail"})


class RingCentral(Described):
    name: ClassVar[str] = "ringcentral"

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Return an older subscription carries its own token in the header that a handshake asks with."""
        asked = inbound.headers.get("validation-token", "")
        if inbound.headers.get("verification-token") or (asked and self._is_ours(asked)):
            return None
        return super().handshake(inbound, now_s=now_s)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        super().verify_head(self._renamed(head), now_s=now_s)

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        super().verify(self._renamed(inbound), now_s=now_s)

    def _renamed(self, head: Inbound) -> Inbound:
        older = head.headers.get("validation-token", "")
        if "verification-token" in head.headers or not older or not self._is_ours(older):
            return head
        return replace(head, headers={**head.headers, "verification-token": older})

    def _is_ours(self, token: str) -> bool:
        return any_same(token, [secret for secret in self.options.secrets() if secret])

    def read(self, payload: Any, inbound: Inbound, now_s: float) -> list[Parsed]:
        if not isinstance(payload, dict):
            raise PayloadInvalid("wanted a JSON object")
        body = Walk(payload).maybe("body")
        if not body.value:
            return [skip_unknown(payload)] if payload else [Skipped("empty")]
        if (post := body.maybe_text("eventType")) in _POSTS:
            if body.maybe_text("type") not in ("TextMessage", "") and not body.maybe_text("text"):
                return [Skipped("type")]
            return [self._made(payload, _POST, _POSTS[post], now_s)]
        if body.maybe_text("type").lower() in _MESSAGES:
            return [self._text(payload, body, now_s)]
        if body.items("parties"):
            return [self._call(payload, body, now_s)]
        if body.items("changes"):
            # A change of the message store tells counts only.
            return [Skipped("thin")]
        # Presence, chats that are renamed: their kind stands in one of these.
        known = body.maybe_text("eventType") or body.maybe_text("type")
        return [Skipped("type") if known else skip_unknown(payload)]

    def _made(self, payload: dict[str, Any], shape: Shape, kind: str, now_s: float) -> Event:
        key = text_at(payload, "uuid") or text_at(payload, f"{{{shape.message}}}:{{{shape.time}}}")
        if not key:
            raise PayloadInvalid("wanted an id", "uuid")
        return self.event(payload, shape, kind=kind, key=key, now_s=now_s)

    def _text(self, payload: dict[str, Any], body: Walk, now_s: float) -> Parsed:
        event = self._made(payload, _TEXT, "message.created", now_s)
        # A message's text is listed among its attachments as well.
        listed = [one.value for one in body.items("attachments") if one.maybe_text("type") != "Text"]
        if body.maybe_text("type").lower() == "voicemail":
            text = "\n".join(word for word in ("Voicemail", event.text) if word)
            return replace(event, text=text, attachments=_recordings(body, "voicemail"))
        return replace(event, attachments=read_files(listed))

    def _call(self, payload: dict[str, Any], body: Walk, now_s: float) -> Parsed:
        """A session's last notice: every party has left it."""
        parties = body.items("parties")
        if not all(party.maybe("status").maybe_text("code") in _OVER for party in parties):
            return Skipped("type")
        event = self._made(payload, _CALL, "call.ended", now_s)
        first = parties[0]
        caller, called = _named(first.maybe("from")), _named(first.maybe("to"))
        direction = first.maybe_text("direction") or "A"
        text = " ".join(
            word
            for word in (
                f"{direction} call",
                f"from {caller}" if caller else "",
                f"to {called}" if called else "",
            )
            if word
        )
        missed = first.value.get("missedCall") is True
        return replace(
            event,
            text=f"{text} (missed)" if missed else text,
            sender=Person(id=first.maybe("from").maybe_text("phoneNumber"), name=caller),
            attachments=_recordings(first, "recording"),
        )


def _named(who: Walk) -> str:
    name, number = who.maybe_text("name"), who.maybe_text("phoneNumber") or who.maybe_text("extensionNumber")
    return f"{name} ({number})" if name and number else name or number


def _recordings(place: Walk, word: str) -> tuple[Attachment, ...]:
    listed = place.items("attachments") + place.items("recordings")
    return tuple(
        Attachment(name=word, type=one.maybe_text("contentType"), url=one.maybe_text("uri"))
        for one in listed[:50]
    )
