"""Zoom: meetings, recordings, summaries and phone calls, once they are over.

Phone events: `zoom_phone`.
Source: Zoom, "Using webhooks" (verification, URL validation), "Meeting events", "Recording events".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    Answers,
    BaseAdapter,
    Inbound,
    Parsed,
    Reply,
    Sample,
    Skipped,
    hmac_bytes,
    iso_from_us,
    require_recent,
)
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import keyed_digest, login_headers, matches_hex, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.providers.zoom_phone import phone_events
from relay.sources.read.markdown import read_markdown
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us

#: What is worth a conversation's entry after the meeting.
_AFTER = frozenset(
    {
        *("ended", "summary_completed", "summary_updated", "completed", "transcript_completed"),
        *("aic_transcript_completed", "summary_recovered"),
    }
)
#: Taken away for good; what is in the trash may come back.
_GONE = frozenset({"deleted", "summary_deleted"})
_FAMILIES = frozenset({"meeting", "webinar", "recording"})


class Zoom(BaseAdapter):
    name: ClassVar[str] = "zoom"
    answers = Answers(accepted=200)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the app's secret token")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        given = head.headers.get("x-zm-signature", "")
        if self._rule.check_head(head, given):
            sent_at_s = head.headers.get("x-zm-request-timestamp", "")
            if not sent_at_s:
                raise NotAuthentic("missing")
            # Some of Zoom's events carry milliseconds here.
            require_recent(sent_at_s[:-3] if len(sent_at_s) > 11 else sent_at_s, now_s=now_s)
            if not given.startswith("v0="):
                raise NotAuthentic("signature")

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        sent_at_s = inbound.headers["x-zm-request-timestamp"]
        signed = b"v0:%b:%b" % (sent_at_s.encode("utf-8", "surrogatepass"), inbound.body)
        if not matches_hex(inbound.headers["x-zm-signature"][3:], self.options.secrets(), signed):
            raise NotAuthentic("signature")

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Answer Zoom, which asks for a digest of its token at the start and every three days."""
        if b"endpoint.url_validation" not in inbound.body:
            return None
        body = Walk(json_object(inbound.body))
        if body.maybe_text("event") != "endpoint.url_validation":
            return None
        plain = body["payload"].text("plainToken")
        signed = plain.encode("utf-8", "surrogatepass")
        # With several secrets, it is the one that signed this request.
        secret = self._secret_of(inbound)
        answer = {"plainToken": plain, "encryptedToken": keyed_digest(secret.encode(), signed).hex()}
        return Reply(200, orjson.dumps(answer), "application/json")

    def _secret_of(self, inbound: Inbound) -> str:
        secrets = [secret for secret in self.options.secrets() if secret]
        sent_at_s = inbound.headers.get("x-zm-request-timestamp", "")
        signed = b"v0:%b:%b" % (sent_at_s.encode("utf-8", "surrogatepass"), inbound.body)
        given = inbound.headers.get("x-zm-signature", "").removeprefix("v0=")
        for secret in secrets:
            if matches_hex(given, [secret], signed):
                return secret
        return secrets[0] if secrets else ""

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        what = body.text("event")
        if what == "endpoint.url_validation":
            return [Skipped("handshake")]
        family, _, change = what.partition(".")
        if what == "app_deauthorized" or family == "app_deauthorized":
            return [Skipped("lifecycle")]
        if family == "phone":
            item = body["payload"]["object"]
            return phone_events(self.options, body, item, change, now_s=now_s)
        if family not in _FAMILIES or (change not in _AFTER and change not in _GONE):
            return [Skipped("type")]
        return [self._event(body, body["payload"]["object"], what, change, now_s)]

    def _event(self, body: Walk, item: Walk, what: str, change: str, now_s: float) -> Event:
        thread = (
            item.maybe_ident("uuid")
            or item.maybe_ident("meeting_uuid")
            or item.maybe_ident("webinar_uuid")
            or item.maybe_ident("id")
            or item.maybe_ident("meeting_id")
        )
        if not thread:
            raise PayloadInvalid("wanted an id", "payload.object.uuid")
        time_us = moment_us(body.value.get("event_ts"))
        if time_us is None:
            time_us = moment_us(item.value.get("end_time")) or moment_us(item.value.get("start_time"))
        if time_us is None:
            time_us = int(now_s * 1_000_000)
        topic = (
            item.maybe_text("topic") or item.maybe_text("meeting_topic") or item.maybe_text("webinar_topic")
        )
        deleted = change in _GONE
        text, html = ("", "") if deleted else _said(item, change)
        key = f"{what}:{thread}:{body.maybe_ident('event_ts') or time_us}"
        source = self.options.name
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind="message.deleted" if deleted else "call.ended",
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            subject=topic,
            text=text,
            html=html,
            sender=_host(item),
            recipients=_recipients(item),
            channel=Channel(id=item.maybe_ident("id") or item.maybe_ident("meeting_id"), name=topic),
            message_id=_message_id(thread, what, change),
            url=item.maybe_text("share_url") or item.maybe_text("summary_doc_url"),
            attachments=() if deleted else _recordings(item),
            delivery_id=key,
            label="Meeting",
            unworded="look_up" if "transcript" in change or "summary" in change else "",
            payload=body.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a meeting that ended, and its summary."""
        begun_us = int(now_s - 1800) * 1_000_000
        meeting = {
            "id": 81_000_000_000 + serial,
            "uuid": f"sample{serial:016d}==",
            "host_id": "hostSample",
            "topic": "Onboarding",
            "type": 2,
            "start_time": iso_from_us(begun_us)[:19] + "Z",
            "timezone": "UTC",
            "duration": 30,
        }
        ended = {**meeting, "end_time": iso_from_us(begun_us + 1_800_000_000)[:19] + "Z"}
        summary = {
            "meeting_id": meeting["id"],
            "meeting_uuid": meeting["uuid"],
            "meeting_topic": "Onboarding",
            "meeting_host_id": "hostSample",
            "meeting_host_email": "sam@example.com",
            "summary_title": "Onboarding",
            "summary_overview": "The customer imported the first accounts.",
            "next_steps": ["Sam sends the field list."],
        }
        return [
            _sample_event("meeting.ended", ended, int(now_s * 1000)),
            _sample_event("meeting.summary_completed", summary, int(now_s * 1000) + 60_000),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        sent_at_s = str(int(now_s))
        digest = hmac_bytes(secret, b"v0:%b:%b" % (sent_at_s.encode(), sample.body)).hex()
        proof = {"x-zm-request-timestamp": sent_at_s, "x-zm-signature": f"v0={digest}"}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _message_id(thread: str, what: str, change: str) -> str:
    """A summary that is updated replaces the one before it; what is deleted names what it takes away, a meeting as a
    whole by its thread."""
    if change == "deleted" and not what.startswith("recording."):
        return thread
    if "summary" in change:
        return f"{thread}:summary"
    if change == "deleted":
        return f"{thread}:recording.completed"
    return f"{thread}:{what}"


def _said(item: Walk, change: str) -> tuple[str, str]:
    """A summary's words as text and HTML; for a meeting that ended, when and how long it was."""
    content = item.maybe_text("summary_content")
    if content:
        return read_markdown(content)
    text = _summary(item)
    if not text and change == "ended":
        text = _span(item)
    return text, html_of_text(text)


def _summary(item: Walk) -> str:
    """A summary in its older form, in parts; what a host edited stands for what the program wrote."""
    edited, whole = item.maybe("edited_summary"), item.maybe("summary")
    lines = [
        next((text for one in (edited, item, whole) if (text := one.maybe_text("summary_overview"))), "")
    ]
    details = (
        edited.items("summary_details") or item.items("summary_details") or whole.items("summary_details")
    )
    if not details:
        lines.append(edited.maybe_text("summary_details"))
    lines += [
        f"{detail.maybe_text('label')}: {detail.maybe_text('summary')}".strip(": ") for detail in details
    ]
    steps = edited.texts("next_steps") or item.texts("next_steps") or whole.texts("next_steps")
    if steps:
        lines.append("Next steps:\n" + "\n".join(f"- {step}" for step in steps))
    return "\n".join(line for line in lines if line)


def _span(item: Walk) -> str:
    begun_us, ended_us = moment_us(item.value.get("start_time")), moment_us(item.value.get("end_time"))
    if begun_us is None or ended_us is None or ended_us < begun_us:
        return "Meeting ended"
    return (
        f"{iso_from_us(begun_us)[:16].replace('T', ' ')} UTC, {round((ended_us - begun_us) / 60_000_000)} min"
    )


def _host(item: Walk) -> Person:
    email = item.maybe_text("host_email") or item.maybe_text("meeting_host_email")
    host_id = item.maybe_ident("host_id") or item.maybe_ident("meeting_host_id")
    return Person(id=host_id, email=email)


def _recipients(item: Walk) -> tuple[Recipient, ...]:
    found = []
    for participant in item.items("participants"):
        name = participant.maybe_text("user_name") or participant.maybe_text("name")
        if name or participant.maybe_text("email"):
            found.append(Recipient(name=name, email=participant.maybe_text("email"), role="participant"))
    return tuple(found)


def _recordings(item: Walk) -> tuple[Attachment, ...]:
    found = []
    for file in item.items("recording_files"):
        found.append(
            Attachment(
                name=file.maybe_text("recording_type") or file.maybe_text("file_type"),
                type=file.maybe_text("file_type"),
                size=file.maybe_size("file_size"),
                url=file.maybe_text("play_url") or file.maybe_text("download_url"),
            )
        )
    transcript = item.maybe_text("download_url") or item.maybe_text("transcript_download_url")
    if transcript:
        found.append(Attachment(name="transcript", url=transcript))
    return tuple(found)


def _sample_event(what: str, item: dict[str, Any], event_ts_ms: int) -> Sample:
    body = {
        "event": what,
        "event_ts": event_ts_ms,
        "payload": {"account_id": "accountSample", "object": item},
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
