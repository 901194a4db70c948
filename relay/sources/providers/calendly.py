"""Calendly: bookings and cancellations. A rescheduled meeting is a cancellation and a new invitee.

Source: Calendly, "Webhook signatures", "Webhook payload".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.event import Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import BaseAdapter, Inbound, Parsed, Sample, Skipped, iso_from_us
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import login_headers, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.proof.signature import read_signature
from relay.sources.read.moment import moment_us

_SIGNATURE = {"header": "calendly-webhook-signature", "style": "stripe", "tolerance": 180}
_DONE = {
    "invitee.created": "Booked",
    "invitee.canceled": "Canceled",
    "invitee_no_show.created": "Did not show up",
    "invitee_no_show.deleted": "Did show up",
}


class Calendly(BaseAdapter):
    name: ClassVar[str] = "calendly"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the webhook signing key")
        self._rule = ProofRule(options)
        self._signature = read_signature(options.signature, preset=_SIGNATURE)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        if self._rule.check_head(head, head.headers.get(self._signature.header, "")):
            self._signature.look_at_head(head, now_s=now_s)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if self._rule.secret:
            self._signature.verify(inbound, self.options.secrets(), now_s=now_s)

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        what = body.text("event")
        if what not in _DONE:
            return [Skipped("type")]
        invitee = body["payload"]
        if what.startswith("invitee_no_show"):
            invitee_uri = invitee.maybe_text("invitee") or invitee.text("uri")
        else:
            invitee_uri = invitee.text("uri")
        thread = _short(invitee_uri)
        happened = body.maybe_text("created_at")
        found = moment_us(happened)
        version = int(now_s * 1_000_000) if found is None else found
        source = self.options.name
        meeting = invitee.maybe("scheduled_event")
        delivery = f"{what}:{thread}:{happened}"
        return [
            Event(
                id=event_id(source, delivery),
                source=source,
                adapter=self.name,
                kind="custom",
                time=iso_from_us(version),
                version=version,
                thread=thread,
                subject=meeting.maybe_text("name"),
                text=_story(what, invitee, meeting),
                sender=Person(id=thread, name=invitee.maybe_text("name"), email=invitee.maybe_text("email")),
                recipients=_guests(meeting),
                message_id=what,
                label="Calendly meeting",
                url=invitee.maybe_text("reschedule_url"),
                delivery_id=delivery,
                payload=payload,
            )
        ]

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a booking and its cancellation."""
        start_us = int(now_s) * 1_000_000 + serial
        key = f"{start_us:X}"
        canceled = {
            "status": "canceled",
            "cancellation": {"canceled_by": "Ana Example", "reason": "On leave"},
        }
        return [
            _sample_invitee("invitee.created", key, start_us, {"status": "active"}),
            _sample_invitee("invitee.canceled", key, start_us + 60_000_000, canceled),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        proof = self._signature.sign(sample.body, secret, now_s=now_s)
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _short(uri: str) -> str:
    """ ".../scheduled_events/EVENT/invitees/INVITEE" as "EVENT/INVITEE"; another URI as its last part."""
    parts = [part for part in uri.split("/") if part]
    if len(parts) >= 4 and parts[-2] == "invitees":
        return f"{parts[-3]}/{parts[-1]}"
    return parts[-1] if parts else uri


def _story(what: str, invitee: Walk, meeting: Walk) -> str:
    lines = [_DONE[what]]
    if name := meeting.maybe_text("name"):
        lines[0] += f": {name}"
    if start := meeting.maybe_text("start_time"):
        end = meeting.maybe_text("end_time")
        lines.append(_period(start, end))
    if place := meeting.maybe("location").maybe_text("location"):
        lines.append(place)
    if what == "invitee.canceled" and invitee.value.get("rescheduled") is True:
        lines.append("Rescheduled: another time was booked instead")
    elif what == "invitee.created" and invitee.maybe_text("old_invitee"):
        lines.append("Rescheduled: booked instead of another time")
    cancellation = invitee.maybe("cancellation")
    for label, key in (("By", "canceled_by"), ("Reason", "reason")):
        if value := cancellation.maybe_text(key):
            lines.append(f"{label}: {value}")
    for question in invitee.items("questions_and_answers"):
        if answer := question.maybe_text("answer"):
            lines.append(f"{question.maybe_text('question')} {answer}".strip())
    return "\n".join(lines)


def _period(start: str, end: str) -> str:
    """ "2026-04-01 09:00 to 09:30 UTC"; as sent where it is not in UTC."""
    if not start.endswith("Z") or len(start) < 17:
        return f"{start} to {end}" if end else start
    day, clock = start[:10], start[11:16]
    if end.endswith("Z") and end[:10] == day:
        return f"{day} {clock} to {end[11:16]} UTC"
    return f"{day} {clock} UTC"


def _guests(meeting: Walk) -> tuple[Recipient, ...]:
    hosts = [
        Recipient(name=host.maybe_text("user_name"), email=email, role="participant")
        for host in meeting.items("event_memberships")
        if (email := host.maybe_text("user_email"))
    ]
    guests = [
        Recipient(email=email, role="participant")
        for guest in meeting.items("event_guests")
        if (email := guest.maybe_text("email"))
    ]
    return (*hosts, *guests)


def _sample_invitee(what: str, key: str, moment: int, more: dict[str, Any]) -> Sample:
    meeting = f"https://api.calendly.com/scheduled_events/EV{key}"
    body = {
        "event": what,
        "created_at": iso_from_us(moment),
        "created_by": "https://api.calendly.com/users/SAMPLE",
        "payload": {
            "uri": f"{meeting}/invitees/IN{key}",
            "email": "ana@example.com",
            "name": "Ana Example",
            "questions_and_answers": [{"question": "What is it about?", "answer": "The renewal"}],
            "scheduled_event": {
                "uri": meeting,
                "name": "Quarterly review",
                "start_time": "2026-12-01T15:00:00.000000Z",
                "end_time": "2026-12-01T15:30:00.000000Z",
                "event_memberships": [{"user_name": "Ben Sample", "user_email": "ben@example.org"}],
                "event_guests": [{"email": "cleo@example.com"}],
            },
            **more,
        },
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
