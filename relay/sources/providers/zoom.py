"""Zoom: meetings, recordings, summaries and phone calls, once they are over.

Source: Zoom, "Using webhooks" (verification, URL validation), "Meeting events", "Phone events".
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
    Walk,
    hmac_bytes,
    iso_from_us,
    json_object,
    require_recent,
)
from relay.sources.proof.credentials import keyed_digest, login_headers, matches_hex, require_secret
from relay.sources.proof.rule import Rule
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us

#: What is worth a conversation's entry after the meeting; its order is that of arrival at the end.
_AFTER = (
    *("meeting.ended", "webinar.ended", "meeting.summary_completed", "meeting.summary_updated"),
    *("recording.completed", "recording.transcript_completed"),
)
_FAMILIES = frozenset({"meeting", "webinar", "recording", "phone"})
_NOISE = ("participant", "sharing", "breakout", "chat_message", "alert", "reaction", "live_streaming", "risk")


class Zoom(BaseAdapter):
    name: ClassVar[str] = "zoom"
    answers = Answers(accepted=200)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the app's secret token")
        self._rule = Rule(options)

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
        """Zoom asks for a digest of its token at the start and every three days."""
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
        if family == "app_deauthorized" or what == "app_deauthorized":
            return [Skipped("lifecycle")]
        if family not in _FAMILIES or any(word in change for word in _NOISE):
            return [Skipped("type")]
        item = body["payload"]["object"]
        return [self._event(body, item, what, now_s)]

    def _event(self, body: Walk, item: Walk, what: str, now_s: float) -> Event:
        thread = (
            item.maybe_ident("uuid")
            or item.maybe_ident("meeting_uuid")
            or item.maybe_ident("call_id")
            or item.maybe_ident("call_history_uuid")
            or item.maybe_ident("id")
        )
        if not thread:
            raise PayloadInvalid("wanted an id", "payload.object.uuid")
        time_us = moment_us(body.value.get("event_ts"))
        if time_us is None:
            time_us = moment_us(item.value.get("end_time")) or moment_us(item.value.get("start_time"))
        if time_us is None:
            time_us = int(now_s * 1_000_000)
        over = what in _AFTER or (what.startswith("phone.") and what.endswith(("_ended", "_completed")))
        topic = item.maybe_text("topic") or item.maybe_text("meeting_topic")
        text = _said(item, what)
        key = f"{what}:{thread}:{body.maybe_ident('event_ts') or time_us}"
        source = self.options.name
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind="call.ended" if over else "custom",
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            subject=topic or _phone_subject(item),
            text=text,
            html=html_of_text(text),
            sender=_host(item),
            recipients=_recipients(item),
            channel=Channel(id=item.maybe_ident("id") or item.maybe_ident("meeting_id"), name=topic),
            message_id=f"{thread}:{what}",
            url=item.maybe_text("share_url") or item.maybe_text("summary_doc_url"),
            attachments=_recordings(item),
            delivery_id=key,
            payload=body.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """A meeting that ended, and its summary."""
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


def _said(item: Walk, what: str) -> str:
    """A summary's words; for a meeting or call that ended, when and how long it was."""
    lines = [item.maybe_text("summary_overview") or item.maybe("summary").maybe_text("summary_overview")]
    lines += [
        f"{detail.maybe_text('label')}: {detail.maybe_text('summary')}".strip(": ")
        for detail in item.items("summary_details")
    ]
    steps = item.texts("next_steps")
    if steps:
        lines.append("Next steps:\n" + "\n".join(f"- {step}" for step in steps))
    content = item.maybe_text("summary_content")
    if content and not any(lines):
        lines.append(content)
    found = "\n".join(line for line in lines if line)
    if found or not what.endswith("ended"):
        return found
    begun, ended = (
        item.maybe_text("start_time"),
        item.maybe_text("end_time") or item.maybe_text("call_end_time"),
    )
    begun_us, ended_us = moment_us(begun), moment_us(ended)
    if begun_us is None or ended_us is None or ended_us < begun_us:
        return ""
    return (
        f"{iso_from_us(begun_us)[:16].replace('T', ' ')} UTC, {round((ended_us - begun_us) / 60_000_000)} min"
    )


def _phone_subject(item: Walk) -> str:
    numbers = [item.maybe(side).maybe_ident("phone_number") for side in ("caller", "callee")]
    return " -> ".join(number for number in numbers if number)


def _host(item: Walk) -> Person:
    email = item.maybe_text("host_email") or item.maybe_text("meeting_host_email")
    host_id = item.maybe_ident("host_id") or item.maybe_ident("meeting_host_id")
    if host_id or email:
        return Person(id=host_id, email=email)
    caller = item.maybe("caller")
    return Person(
        id=caller.maybe_ident("user_id") or caller.maybe_ident("phone_number"), name=caller.maybe_text("name")
    )


def _recipients(item: Walk) -> tuple[Recipient, ...]:
    callee = item.maybe("callee")
    name = callee.maybe_text("name") or callee.maybe_ident("phone_number")
    found = [Recipient(name=name)] if name else []
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
    return tuple(found)


def _sample_event(what: str, item: dict[str, Any], event_ts_ms: int) -> Sample:
    body = {
        "event": what,
        "event_ts": event_ts_ms,
        "payload": {"account_id": "accountSample", "object": item},
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
