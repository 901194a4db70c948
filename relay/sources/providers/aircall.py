"""Aircall: calls and messages. A token in the body is the proof; there is no signature.

Source: Aircall, "Webhooks" (securing, events), "Call events", "Message events", "Log Voice Agent calls".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Credentials,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    iso_from_us,
)
from relay.sources.described.adapter import answer_line
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import login_headers
from relay.sources.proof.rule import ProofRule, require_proof
from relay.sources.read.attached import read_files
from relay.sources.read.json_scan import scan_path
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us

#: Of events in the same second, the later in this order is newer.
_ORDER = (
    *("created", "ringing_on_agent", "agent_declined", "answered", "transferred", "external_transferred"),
    *("hold", "unhold", "voicemail_left", "hungup", "ended", "assigned", "tagged", "untagged", "commented"),
    *("archived", "unarchived"),
)
#: Of a call's AI insights, by the word that an event's name begins with.
_INSIGHTS = {
    "summary": "Summary",
    "custom_summary": "Summary",
    "transcription": "Transcription",
    "topics": "Topics",
    "topic": "Topics",
    "action_item": "Action items",
    "action_items": "Action items",
    "sentiment": "Sentiment",
    "sentiments": "Sentiment",
    "ai_voice_agent": "Answers",
}
_WORDS = ("text", "content", "value", "description", "summary", "title")
_WHO = ("speaker", "participant_name", "name", "label", "participant_type", "phone_number")
_ENDED = frozenset({"ended", "hungup", "voicemail_left"})


class Aircall(BaseAdapter):
    name: ClassVar[str] = "aircall"
    credentials = Credentials(paths=("token",))

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_proof(options, "the webhook's token")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Take the token out of the body, in which it stands, and read nothing else."""
        if not self._rule.secret:
            return
        try:
            given = scan_path(inbound.body, "token")
        except PayloadInvalid:
            raise NotAuthentic("missing") from None
        self._rule.check_token(given if isinstance(given, str) else "")

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            payload = json_object(inbound.body)
            return [self._event(Walk(payload), now_s)]
        except PayloadInvalid as error:
            # Refusals count towards switching the webhook off.
            return [Parked(str(error), content_key(inbound.body))]

    def _event(self, body: Walk, now_s: float) -> Parsed:
        resource, what = body.maybe_text("resource"), body.text("event")
        family, _, change = what.partition(".")
        resource = resource or family
        if resource == "integration":
            return Skipped("lifecycle")
        if family == "ai_voice_agent" and change != "summary":
            # That it began, ended or handed over: the call itself tells how it went.
            return Skipped("type")
        if family in _INSIGHTS:
            return self._insight(body, body["data"], family, now_s)
        if resource not in ("call", "message"):
            return Skipped("type")
        item = body["data"]
        sent_at_us = moment_us(body.value.get("timestamp")) or int(now_s * 1_000_000)
        if resource == "message":
            return self._message(body, item, change, sent_at_us)
        return self._call(body, item, change, sent_at_us)

    def _call(self, body: Walk, item: Walk, change: str, sent_at_us: int) -> Event:
        thread = item.ident("id")
        key = f"{body.text('event')}:{thread}:{body.maybe_ident('timestamp')}"
        comments = item.items("comments")
        # The newest; of equally old ones the last.
        known = sorted(comments, key=lambda one: moment_us(one.value.get("posted_at")) or 0)
        comment = known[-1] if change == "commented" and known else Walk({})
        if comment.value:
            kind, text = "message.created", comment.maybe_text("content")
            message_id = f"comment-{comment.maybe_ident('id') or key}"
        else:
            kind = "call.ended" if change in _ENDED else "custom"
            # What comes after the end (a tag, the archive) stands in the same entry, so it says the same.
            over = change in _ENDED or item.maybe_text("status") == "done"
            text, message_id = _told(item) if over else "", thread
        agent, contact = _agent(item), _contact(item)
        outbound = item.maybe_text("direction") == "outbound"
        sender = agent if outbound or comment.value else contact
        source = self.options.name
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(sent_at_us),
            version=sent_at_us + (_ORDER.index(change) if change in _ORDER else 0),
            thread=thread,
            subject=_subject(item, contact),
            text=text,
            html=html_of_text(text),
            sender=sender,
            recipients=_recipients(item),
            channel=_line(item),
            message_id=message_id,
            url=item.maybe_text("asset") or item.maybe_text("direct_link"),
            attachments=() if comment.value else _recordings(item),
            tags=tuple(name for tag in item.items("tags") if (name := tag.maybe_text("name"))),
            delivery_id=key,
            label="Call",
            payload=_without_token(body.value),
        )

    def _insight(self, body: Walk, item: Walk, family: str, now_s: float) -> Parsed:
        """What Aircall's own AI made of a call: summary, transcription, topics, action items."""
        thread = item.maybe_ident("call_id") or item.maybe("call").ident("id")
        time_us = moment_us(body.value.get("timestamp")) or int(now_s * 1_000_000)
        answers = _answers(item.value.get("extracted_data")) if family == "ai_voice_agent" else None
        content = item.value.get("content", item.value.get(family)) if answers is None else answers
        text = _insight_text(content, _INSIGHTS[family])
        if not text:
            return Skipped("thin")
        key = f"{body.text('event')}:{thread}:{body.maybe_ident('timestamp')}"
        return Event(
            id=event_id(self.options.name, key),
            source=self.options.name,
            adapter=self.name,
            kind="message.created",
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            text=text,
            html=html_of_text(text),
            message_id=f"{family}-{thread}",
            delivery_id=key,
            label="Call",
            payload=_without_token(body.value),
        )

    def _message(self, body: Walk, item: Walk, change: str, sent_at_us: int) -> Parsed:
        if change not in ("sent", "received"):
            return Skipped("status")
        message_id = item.ident("id")
        contact = _contact(item)
        ours = item.maybe("number").maybe_ident("id") or item.maybe("number").maybe_text("digits")
        # In a group many write, and what is sent names none of them: the group is the conversation.
        group = item.maybe_ident("group_conversation_id")
        thread = group or item.maybe_ident("conversation_id") or f"{contact.id}:{ours}"
        time_us = (
            moment_us(item.value.get("sent_at")) or moment_us(item.value.get("created_at")) or sent_at_us
        )
        text = item.maybe_text("body") or item.maybe_text("content")
        key = f"{body.text('event')}:{message_id}"
        source = self.options.name
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind="message.created",
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            subject=contact.name or contact.id,
            text=text,
            html=html_of_text(text),
            sender=contact if change == "received" else _agent(item),
            recipients=_recipients(item),
            channel=_line(item),
            message_id=message_id,
            attachments=read_files(item.value.get("media_url")) or read_files(item.value.get("media")),
            delivery_id=key,
            payload=_without_token(body.value),
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a call that ended, and an agent's comment on it."""
        call = {
            "id": 3_000_000 + serial,
            "direction": "inbound",
            "status": "done",
            "started_at": int(now_s) - 300,
            "answered_at": int(now_s) - 290,
            "ended_at": int(now_s),
            "duration": 300,
            "raw_digits": "+1 555-010-0123",
            "user": {"id": 77, "name": "Sam Support", "email": "sam@example.com"},
            "contact": {
                "id": 88,
                "first_name": "Kim",
                "last_name": "Example",
                "emails": [{"label": "Work", "value": "kim@customer.example.com"}],
            },
            "number": {"id": 99, "name": "Support line", "digits": "+1 555-010-0199"},
            "comments": [],
            "tags": [],
        }
        comment = {
            "id": 500 + serial,
            "content": "Wants a quote for ten seats.",
            "posted_at": int(now_s) + 30,
        }
        return [
            _sample_event("call.ended", call, int(now_s)),
            _sample_event("call.commented", {**call, "comments": [comment]}, int(now_s) + 30),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        body = sample.body
        if secret:
            try:
                value = orjson.loads(body)
            except orjson.JSONDecodeError:
                value = None
            if isinstance(value, dict):
                body = orjson.dumps({**value, "token": secret})
        return Sample(body, {**sample.headers, **login_headers(self.options)}, sample.method)


def _without_token(payload: dict[str, Any]) -> dict[str, Any]:
    """The proof is a secret: templates, the console and Planhat have no business with it."""
    return {key: value for key, value in payload.items() if key != "token"}


def _agent(item: Walk) -> Person:
    user = item.maybe("user")
    return Person(id=user.maybe_ident("id"), name=user.maybe_text("name"), email=user.maybe_text("email"))


def _contact(item: Walk) -> Person:
    contact = item.maybe("contact")
    digits = item.maybe_ident("raw_digits") or item.maybe_ident("external_number")
    name = f"{contact.maybe_text('first_name')} {contact.maybe_text('last_name')}".strip()
    emails = [email for entry in contact.items("emails") if (email := entry.maybe_text("value"))]
    return Person(
        id=digits or contact.maybe_ident("id"),
        name=name or contact.maybe_text("company_name"),
        email=emails[0] if emails else contact.maybe_text("email"),
    )


def _recipients(item: Walk) -> tuple[Recipient, ...]:
    """Everyone on the call but the agent, as participants."""
    contact = _contact(item)
    if contact.name or contact.email:
        return (Recipient(name=contact.name, email=contact.email, role="participant"),)
    return ()


def _line(item: Walk) -> Channel:
    number = item.maybe("number")
    return Channel(id=number.maybe_ident("id"), name=number.maybe_text("name") or number.maybe_text("digits"))


def _subject(item: Walk, contact: Person) -> str:
    way = "Call to" if item.maybe_text("direction") == "outbound" else "Call from"
    who = contact.name or contact.id
    return f"{way} {who}" if who else "Call"


def _told(item: Walk) -> str:
    """How the call went, and what agents noted on it."""
    seconds = item.maybe_number("duration") or 0
    missed = item.maybe_text("missed_call_reason")
    if missed:
        head = f"Not answered ({missed.replace('_', ' ')})"
    else:
        whole = int(min(max(seconds, 0), 86_400 * 7))
        head = f"{whole // 60} min {whole % 60} s"
    notes = [note for entry in item.items("comments") if (note := entry.maybe_text("content"))]
    return "\n".join([head, *notes])


def _answers(told: Any) -> list[str]:
    """What a caller answered to a voice agent: by question, or questions and answers as two lists."""
    if not isinstance(told, dict):
        return []
    asked, given = told.get("question"), told.get("answer")
    pairs = (
        zip(asked, given, strict=False)
        if isinstance(asked, list) and isinstance(given, list)
        else told.items()
    )
    return [
        answer_line(question if isinstance(question, str) else "", answer)
        for question, answer in pairs
        if isinstance(answer, str) and answer.strip()
    ]


def _insight_text(content: Any, title: str) -> str:
    """Its words under a title: a text, a list, or an object of utterances or named fields."""
    if isinstance(content, str):
        lines = [content.strip()]
    elif isinstance(content, list):
        lines = [_entry(one) for one in content]
    else:
        walk = Walk(content if isinstance(content, dict) else {})
        lines = [walk.maybe_text("text") or walk.maybe_text("content")]
        for name in ("utterances", "fields", "items", "participants", "action_items", "topics"):
            lines += [_entry(one.value) for one in walk.items(name)] or [
                f"- {one}" for one in walk.texts(name)
            ]
    found = [line for line in lines if line]
    return "\n".join([f"{title}:", *found]) if found else ""


def _entry(one: Any) -> str:
    """One line: what was said and by whom, or a field's name and value."""
    if isinstance(one, str):
        return f"- {one}"
    walk = Walk(one if isinstance(one, dict) else {})
    words = next((text for key in _WORDS if (text := walk.maybe_text(key))), "")
    who = next((text for key in _WHO if (text := walk.maybe_text(key))), "")
    return f"{who}: {words}" if who and words else words


def _recordings(item: Walk) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(name=name, type="audio/mpeg", url=url)
        for name in ("recording", "voicemail")
        if (url := item.maybe_text(name))
    )


def _sample_event(what: str, item: dict[str, Any], sent_at_s: int) -> Sample:
    body = {"resource": "call", "event": what, "timestamp": sent_at_s, "token": "", "data": item}
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
