"""Slack's Events API: messages, replies, edits and deletions of the channels an app was invited to.

Source: Slack, "Verifying requests from Slack", "The Events API", "message event" and its subtypes,
"Formatting text for app surfaces".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Channel, Event, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Credentials,
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
from relay.sources.proof.credentials import login_headers, matches_hex, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.read.slack_message import files_of, said, says_another, sender_of

#: Subtypes that hold what a person (or program) said; "" is the plain message.
_SPOKEN = frozenset({"", "thread_broadcast", "file_share", "me_message", "bot_message", "document_mention"})
_LIFECYCLE = frozenset(
    {"app_uninstalled", "tokens_revoked", "app_installed", "scope_granted", "scope_denied"}
)
#: 9999-12-31: the last second that ISO 8601 writes with four digits.
_LAST_SECOND = 253_402_300_799


class Slack(BaseAdapter):
    name: ClassVar[str] = "slack"
    #: The verification token of old apps: not compared here, and a proof elsewhere all the same.
    credentials = Credentials(quick="token")
    content_types: ClassVar[frozenset[str]] = frozenset(
        {"application/json", "application/x-www-form-urlencoded"}
    )

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "Slack's signing secret")
        self._rule = ProofRule(options)
        self._keep_bots = "bots" in options.keep
        self._keep_apps = "apps" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        sent_at_s = head.headers.get("x-slack-request-timestamp", "")
        given = head.headers.get("x-slack-signature", "")
        if self._rule.check_head(head, sent_at_s and given):
            require_recent(sent_at_s, now_s=now_s)
            if not given.startswith("v0="):
                raise NotAuthentic("signature")

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        headers = inbound.headers
        signed = b"v0:%b:%b" % (headers["x-slack-request-timestamp"].encode(), inbound.body)
        if not matches_hex(headers["x-slack-signature"][3:], self.options.secrets(), signed):
            raise NotAuthentic("signature")

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        # The name is looked for first, so that an event's body is parsed once only.
        if b"url_verification" not in inbound.body or _is_form(inbound):
            return None
        body = Walk(json_object(inbound.body))
        if body.maybe_text("type") != "url_verification":
            return None
        return Reply(200, body.text("challenge").encode("utf-8", "replace"))

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        if _is_form(inbound):
            return [Skipped(_form_kind(inbound.body))]
        payload = json_object(inbound.body)
        body = Walk(payload)
        outer = body.text("type")
        if outer != "event_callback":
            return [
                Skipped(
                    {"url_verification": "handshake", "app_rate_limited": "rate_limited"}.get(outer, "type")
                )
            ]
        event = body["event"]
        what = event.text("type")
        if what in ("message", "app_mention"):
            return [self._message(body, event)]
        return [Skipped("lifecycle" if what in _LIFECYCLE else "type")]

    def _message(self, body: Walk, event: Walk) -> Parsed:
        subtype = event.maybe_text("subtype")
        if subtype in _SPOKEN:
            return self._spoken(body, event)
        if subtype == "message_changed":
            return self._changed(body, event)
        if subtype == "message_deleted":
            return self._deleted(body, event, event.text("deleted_ts"))
        return Skipped("subtype")

    def _spoken(self, body: Walk, event: Walk) -> Parsed:
        ts = event.text("ts")
        # A mention comes as `app_mention` and as `message`, and in a shared channel once per workspace.
        return self._event(body, event, event, "message.created", ts, _microseconds(ts, "event.ts"), "seen")

    def _changed(self, body: Walk, event: Walk) -> Parsed:
        message, before = event["message"], event.maybe("previous_message")
        ts = message.maybe_text("ts") or before.text("ts")
        if message.maybe_text("subtype") == "tombstone":
            return self._deleted(body, event, ts)
        edited = message.maybe("edited").value
        # A file that is taken out of a message, and what a program writes on, is marked by nothing.
        same = not edited or edited == before.maybe("edited").value
        if same and not says_another(message, before):
            return Skipped("unfurl")
        # `edited.ts` counts whole seconds, so an edit may look older than its message: `event_ts` is finer.
        version = max(
            _microseconds(ts, "event.message.ts"),
            _maybe_microseconds(message.maybe("edited").maybe_text("ts")),
            _maybe_microseconds(event.maybe_text("event_ts")),
        )
        return self._event(body, event, message, "message.updated", ts, version, f"edit-{version}")

    def _deleted(self, body: Walk, event: Walk, ts: str) -> Parsed:
        # A tombstone's own author is Slackbot: who wrote stands in the previous message.
        version = max(
            _microseconds(ts, "event.deleted_ts"),
            _maybe_microseconds(event.maybe_text("event_ts") or event.maybe_text("ts")),
        )
        before = event.maybe("previous_message")
        return self._event(body, event, before, "message.deleted", ts, version, "delete")

    def _event(
        self, body: Walk, event: Walk, message: Walk, kind: str, ts: str, version: int, content: str
    ) -> Parsed:
        sender = sender_of(message, apps=self._keep_apps)
        if sender.bot and not self._keep_bots:
            return Skipped("bot")
        channel = event.text("channel")
        delivery = body.text("event_id")
        thread_ts = message.maybe_text("thread_ts")
        if thread_ts:
            _microseconds(thread_ts, "event.thread_ts")
        message_id = f"{channel}-{ts}"
        text, html = ("", "") if kind == "message.deleted" else said(message)
        source = self.options.name
        return Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(version),
            version=version,
            thread=f"{channel}-{thread_ts or ts}",
            text=text,
            html=html,
            sender=sender,
            channel=Channel(id=channel, name=event.maybe_text("channel_name")),
            message_id=message_id,
            url=f"https://slack.com/archives/{channel}/p{ts.replace('.', '')}" if channel.isalnum() else "",
            attachments=files_of(message),
            delivery_id=delivery,
            also_seen=(event_id(source, f"content:{message_id}:{content}"),),
            payload=body.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a message and a reply in its thread."""
        root_us = int(now_s) * 1_000_000 + serial
        root = _sample_message(
            root_us, "Since this morning's update our *export* fails. Can you have a look?", {}
        )
        reply = {"thread_ts": _ts(root_us), "parent_user_id": "U0SAMPLE1"}
        return [root, _sample_message(root_us + 1_000_000, "It works again, thank you!", reply)]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        sent_at_s = str(int(now_s))
        secret = next((secret for secret in self.options.secrets() if secret), "")
        digest = hmac_bytes(secret, b"v0:%b:%b" % (sent_at_s.encode(), sample.body)).hex()
        proof = {"x-slack-request-timestamp": sent_at_s, "x-slack-signature": f"v0={digest}"}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _is_form(inbound: Inbound) -> bool:
    return inbound.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")


def _form_kind(body: bytes) -> str:
    if body.startswith(b"payload="):
        return "interactivity"
    return "slash_command" if b"command=" in body else "form"


def _microseconds(ts: str, path: str) -> int:
    """Slack's "1665102338.901939" in microseconds. It is an id that happens to be a time: never a float."""
    seconds, _, fraction = ts.partition(".")
    if (
        not (seconds.isascii() and seconds.isdigit() and len(fraction) <= 6)
        or (fraction and not (fraction.isascii() and fraction.isdigit()))
        or len(seconds) > 12
        or int(seconds) > _LAST_SECOND
    ):
        raise PayloadInvalid('wanted a time such as "1665102338.901939"', path)
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0"))


def _maybe_microseconds(ts: str) -> int:
    try:
        return _microseconds(ts, "")
    except PayloadInvalid:
        return 0


def _ts(moment_us: int) -> str:
    return f"{moment_us // 1_000_000}.{moment_us % 1_000_000:06d}"


def _sample_message(moment_us: int, text: str, more: dict[str, Any]) -> Sample:
    ts = _ts(moment_us)
    body = {
        "type": "event_callback",
        "team_id": "T0SAMPLE",
        "api_app_id": "A0SAMPLE",
        "event_id": f"Ev{moment_us:X}",
        "event_time": moment_us // 1_000_000,
        "event": {
            "type": "message",
            "channel": "C0SAMPLE",
            "channel_type": "channel",
            "user": "U0SAMPLE1",
            "text": text,
            "ts": ts,
            "event_ts": ts,
            **more,
        },
        "authorizations": [{"team_id": "T0SAMPLE", "user_id": "U0RELAY", "is_bot": True}],
        "is_ext_shared_channel": False,
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
