"""Microsoft Teams: outgoing webhooks (messages of a channel that mention the webhook), and what a Power Automate workflow
sends on (any message of a chat or channel).

A workflow signs nothing: it carries the secret in `X-Webhook-Token`, or in the URL.
Source: Microsoft, "Create an Outgoing Webhook"; Bot Framework, "Activity schema"; Microsoft Graph, "chatMessage".
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, event_id
from relay.source_options import SourceOptions
from relay.sources.base import Answers, BaseAdapter, Inbound, Parsed, Sample, Skipped, iso_from_us, same
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import keyed_digest, login_headers, require_secret
from relay.sources.proof.rule import ProofRule, require_free_authorization, token_of
from relay.sources.read.attached import name_in, pictures_in
from relay.sources.read.chat_message import MAX_FILES, read_chat_message, words_beside
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us
from relay.sources.read.teams_markup import teams_html, teams_text

_KINDS = {"message": "created", "messageUpdate": "updated", "messageDelete": "deleted"}
_AT = re.compile(r"<at[^<>]*>[^<>]*</at>")


class Teams(BaseAdapter):
    name: ClassVar[str] = "teams"
    #: Teams shows an error in the channel unless the answer is a message.
    answers = Answers(accepted=200, accepted_body=b'{"type":"message","text":"Noted."}')

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the security token of the outgoing webhook")
        for secret in options.secrets():
            if secret and not _key(secret):
                raise ValueError(f"source {options.name!r}: the Teams security token must be base64")
        self._rule = ProofRule(options)
        require_free_authorization(options)
        self._keep_bots = "bots" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        if not _signature(head) and (token := token_of(head)):
            self._rule.check_login(head)
            self._rule.check_token(token)
        else:
            self._rule.check_head(head, _signature(head))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        given = _signature(inbound)
        if not self._rule.secret or not given:
            return
        found = False
        for secret in self.options.secrets():
            if key := _key(secret):
                found |= same(given.strip(), b64encode(keyed_digest(key, inbound.body)))
        if not found:
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body) if _signature(inbound) else ()

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret and bool(_signature(inbound))

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        if "messageType" in payload or (body.maybe("body").value and not body.maybe_text("type")):
            return [self._workflow(payload, now_s)]
        what = body.text("type")
        if what not in _KINDS:
            return [Skipped("type")]
        author = body.maybe("from")
        bot = author.maybe_text("id").startswith("28:")
        if bot and not self._keep_bots:
            return [Skipped("bot")]
        conversation = body["conversation"].text("id")
        activity = body.ident("id")
        stamp = body.maybe_text("timestamp")
        found = moment_us(stamp) or moment_us(activity)
        version = int(now_s * 1_000_000) if found is None else found
        deleted = what == "messageDelete"
        text, html = ("", "") if deleted else _said(body)
        source = self.options.name
        delivery = f"{what}:{conversation}:{activity}:{stamp if what == 'messageUpdate' else ''}"
        return [
            Event(
                id=event_id(source, delivery),
                source=source,
                adapter=self.name,
                kind=f"message.{_KINDS[what]}",
                time=iso_from_us(version),
                version=version,
                thread=conversation,
                text=text,
                html=html,
                sender=Person(
                    id=author.maybe_text("aadObjectId") or author.maybe_text("id"),
                    name=author.maybe_text("name"),
                    bot=bot,
                ),
                channel=_channel(body.maybe("channelData")),
                message_id=activity,
                attachments=() if deleted else _attachments(body) or (() if text else _pictures(body)),
                delivery_id=activity,
                payload=payload,
            )
        ]

    def _workflow(self, payload: dict[str, Any], now_s: float) -> Parsed:
        """A message as Graph has it. In a channel its thread is the one that an outgoing webhook tells."""
        said = read_chat_message(Walk(payload))
        if not said.message_id:
            raise PayloadInvalid("wanted an id", "id")
        if not said.kind:
            return Skipped("type")
        if said.sender.bot and not self._keep_bots:
            return Skipped("bot")
        version = int(now_s * 1_000_000) if said.version is None else said.version
        in_channel = Walk(payload).maybe("channelIdentity").maybe_ident("channelId")
        delivery = f"workflow:{said.thread}:{said.message_id}:{said.etag}"
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind=said.kind,
            time=iso_from_us(version),
            version=version,
            thread=f"{in_channel};messageid={said.thread}" if in_channel else said.thread,
            subject=said.subject,
            text=said.text,
            html=said.html,
            sender=said.sender,
            channel=said.channel,
            message_id=said.message_id,
            url=said.url,
            attachments=said.attachments,
            delivery_id=delivery,
            payload=payload,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a message that mentions the webhook, and an answer that does."""
        root_us = int(now_s) * 1_000_000 + serial
        return [
            _sample_message(root_us, root_us, "can you look at the renewal?"),
            _sample_message(root_us, root_us + 1_000_000, "done, thank you!"),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        digest = b64encode(keyed_digest(_key(secret), sample.body)).decode()
        headers = {**sample.headers, **login_headers(self.options), "authorization": f"HMAC {digest}"}
        return Sample(sample.body, headers, sample.method)


def _signature(head: Inbound) -> str:
    scheme, _, given = head.headers.get("authorization", "").partition(" ")
    return given if scheme.lower() == "hmac" else ""


@lru_cache(maxsize=64)
def _key(secret: str) -> bytes:
    """The token is base64 and must be decoded; b"" for what is none, which lets nobody in."""
    try:
        return b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _said(body: Walk) -> tuple[str, str]:
    """Text and HTML of a message, and of the cards that it holds."""
    html = _html(body)
    # Teams writes HTML entities and tags into `text`, and the mention of the webhook.
    text = teams_text(_AT.sub("", body.maybe_text("text")) or html)
    told = [line for one in body.items("attachments")[:MAX_FILES] for line in words_beside(one)]
    if told:
        html = (html or html_of_text(text)) + "".join(f"<p>{html_of_text(line)}</p>" for line in told)
    return "\n".join(line for line in (text, *told) if line), html


def _html(body: Walk) -> str:
    for attachment in body.items("attachments"):
        if attachment.maybe_text("contentType") == "text/html":
            return teams_html(_without_mentions(attachment.maybe_text("content")))
    return ""


def _pictures(body: Walk) -> tuple[Attachment, ...]:
    """What a message of a picture alone consists of."""
    return tuple(
        picture
        for attachment in body.items("attachments")
        if attachment.maybe_text("contentType") == "text/html"
        for picture in pictures_in(attachment.maybe_text("content"))
    )


def _without_mentions(html: str) -> str:
    """The HTML without the spans that repeat the webhook's own name."""
    first, *spans = html.split("<span")
    kept = [first]
    for span in spans:
        tag, _, rest = span.partition(">")
        inner, closing, after = rest.partition("</span>")
        if "ention" in tag and closing and "<" not in inner:
            kept.append(after)
        else:
            kept.append(f"<span{span}")
    return "".join(kept)


def _channel(data: Walk) -> Channel:
    name = data.maybe("channel").maybe_text("name") or data.maybe("team").maybe_text("name")
    found = data.maybe_text("teamsChannelId") or data.maybe("channel").maybe_text("id")
    return Channel(id=found, name=name)


def _attachments(body: Walk) -> tuple[Attachment, ...]:
    shown = any("<img" in file.maybe_text("content") for file in body.items("attachments"))
    found = []
    for file in body.items("attachments")[:MAX_FILES]:
        form, name = file.maybe_text("contentType"), file.maybe_text("name")
        url = file.maybe("content").maybe_text("downloadUrl") or file.maybe_text("contentUrl")
        # A picture that was pasted has no name; the message's HTML, where there is any, shows it as well.
        if not name and url and not shown:
            name = name_in(url) or form.partition("/")[0]
        if name:
            found.append(
                Attachment(name=name, type=file.maybe("content").maybe_text("fileType") or form, url=url)
            )
    return tuple(found)


def _sample_message(root_us: int, moment: int, text: str) -> Sample:
    body: dict[str, Any] = {
        "type": "message",
        "id": str(moment // 1000) + f"{moment % 1000:03d}",
        "timestamp": iso_from_us(moment),
        "text": f"<at>Relay</at> {text}",
        "textFormat": "plain",
        "from": {
            "id": "29:sample",
            "name": "Ana Example",
            "aadObjectId": "00000000-0000-4000-8000-000000000001",
        },
        "conversation": {
            "id": f"19:sample@thread.tacv2;messageid={root_us}",
            "conversationType": "channel",
            "isGroup": True,
        },
        "channelData": {
            "teamsChannelId": "19:sample@thread.tacv2",
            "team": {"id": "19:team@thread.tacv2", "name": "Customer success"},
        },
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json; charset=utf-8"})
