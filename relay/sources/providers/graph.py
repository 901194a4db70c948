"""Microsoft Graph change notifications: Teams' chats and channels, mailboxes, and whatever else can be subscribed to.

Proven by the `clientState` that the subscriber chose, and, where they carry the resource itself, by Microsoft's own tokens
(`validationTokens`). With `private_keys` the resource is decrypted; without it ids alone are told, and `enrich` looks up.
Source: Microsoft Graph, "Receive change notifications through webhooks", "Set up change notifications that include resource
data", "Reduce missing subscriptions and change notifications" (lifecycle notifications).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qs

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Credentials,
    Inbound,
    Parked,
    Parsed,
    Reply,
    Sample,
    Skipped,
    any_same,
    content_key,
    iso_from_us,
)
from relay.sources.foreign_json import Walk, json_object
from relay.sources.mail.graph_mail import read_mail
from relay.sources.proof.credentials import login_headers, require_secret
from relay.sources.proof.jwt import JwtRules, verify_jwt
from relay.sources.proof.jwt_proof import read_rules
from relay.sources.proof.resource_data import decrypt_resource
from relay.sources.proof.rule import ProofRule
from relay.sources.read.chat_message import read_chat_message
from relay.sources.read.json_scan import Span, items, members, small_value
from relay.sources.read.moment import moment_us

_CHANGES = {"created": "message.created", "updated": "message.updated", "deleted": "message.deleted"}
_MAX_TOKEN_CHARS = 4096
#: One token an app and tenant: nobody's batch has more.
_MAX_TOKENS = 20
#: Who asks for the tokens: Microsoft's own service for change notifications, for every tenant the same.
PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEGMENT = re.compile(r"(chats|messages|replies)(?:\('([^']{1,300})'\)|/([^/?]{1,300}))", re.IGNORECASE)


class Graph(BaseAdapter):
    name: ClassVar[str] = "graph"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json", "text/plain"})
    #: Encrypted resources make batches large.
    max_body_bytes: ClassVar[int] = 4 * 1024 * 1024
    handshake_before_verify: ClassVar[bool] = True
    credentials = Credentials(paths=("value.*.clientState", "validationTokens.*"))

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the subscription's clientState")
        self._rule = ProofRule(options)
        self._tokens: JwtRules | None = None
        if options.jwt:
            self._tokens = read_rules(options, {"algorithms": ("RS256",)})
            if not self._tokens.audiences:
                raise ValueError(f"source {options.name!r}: jwt needs audience: the app's client id")

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Verify that every notification of the batch carries the clientState, and one with a resource comes with tokens: the proof lies
        in the body."""
        if not self._rule.secret:
            return
        body, secrets = inbound.body, [secret for secret in self.options.secrets() if secret]
        count, rich = 0, False
        try:
            found = members(body, ("value", "validationTokens"))
            for item in items(body, found["value"]) if "value" in found else ():
                held = members(body, ("clientState", "encryptedContent"), item)
                state = small_value(body, held.get("clientState"))
                if not isinstance(state, str) or not any_same(state, secrets):
                    raise NotAuthentic("token")
                rich |= "encryptedContent" in held
                count += 1
            if rich and self._tokens is not None:
                self._check_tokens(body, found.get("validationTokens"), self._tokens, now_s)
        except PayloadInvalid:
            raise NotAuthentic("token") from None
        if not count:
            raise NotAuthentic("missing")

    def _check_tokens(self, body: bytes, listed: Span | None, rules: JwtRules, now_s: float) -> None:
        """All of them hold, and there is one. Raises NotAuthentic, PayloadInvalid."""
        count = 0
        for span in items(body, listed) if listed else ():
            token = small_value(body, span)
            count += 1
            if not isinstance(token, str) or count > _MAX_TOKENS:
                raise NotAuthentic("token")
            claims = verify_jwt(token.encode("ascii", "replace"), rules, now_s=now_s)
            publisher = claims.get("azp") or claims.get("appid")
            if not isinstance(publisher, str) or not any_same(publisher, [PUBLISHER]):
                raise NotAuthentic("claims")
        if not count:
            raise NotAuthentic("missing")

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Return a new subscription is validated by echoing the decoded token as plain text."""
        token = inbound.query.get("validationToken", "")
        if not token and "validationToken=" in inbound.path_query:
            token = parse_qs(inbound.path_query.partition("?")[2]).get("validationToken", [""])[0]
        if not token or len(token) > _MAX_TOKEN_CHARS:
            return None
        return Reply(200, token.encode("utf-8", "replace"), headers={"x-content-type-options": "nosniff"})

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        items = payload.get("value")
        if not isinstance(items, list) or not items:
            raise PayloadInvalid("wanted a list of notifications", "value")
        return [self._item(item, now_s) for item in items]

    def _item(self, item: Any, now_s: float) -> Parsed:
        """One bad notification is parked: the others go on."""
        try:
            if not isinstance(item, dict):
                raise PayloadInvalid("wanted an object", "value[]")
            return self._notification(Walk(item, "value[]"), now_s)
        except PayloadInvalid as error:
            return Parked(str(error), content_key(orjson.dumps(item)))

    def _notification(self, item: Walk, now_s: float) -> Parsed:
        if told := item.maybe_text("lifecycleEvent"):
            # reauthorizationRequired, subscriptionRemoved, missed: `relay stats` says what to do about each.
            word = _WORD.sub("_", told[:30]).lower()
            return Skipped(word if word in _LIFECYCLE else "lifecycle")
        shown = {key: value for key, value in item.value.items() if key != "clientState"}
        content, keys = item.maybe("encryptedContent"), [key for key in self.options.private_keys() if key]
        if content.value and keys:
            resource = json_object(decrypt_resource(content, keys))
            del shown["encryptedContent"]
            shown["resourceData"] = {**item.maybe("resourceData").value, **resource}
        event = self._event(Walk(shown, item.path), now_s)
        data = Walk(shown).maybe("resourceData")
        kind_of = data.maybe_text("@odata.type").rpartition(".")[2].lower()
        if event.kind == "message.deleted" or not data.maybe("body").value:
            return event
        return self._mail(event, data) if kind_of == "message" else self._chat(event, data)

    def _event(self, item: Walk, now_s: float) -> Event:
        resource = item.text("resource")
        change = item.text("changeType")
        data = item.maybe("resourceData")
        own_id = data.maybe_ident("id") or resource.rstrip("/").rpartition("/")[2] or resource
        kind_of = data.maybe_text("@odata.type").rpartition(".")[2]
        etag = data.maybe_text("@odata.etag") or data.maybe_ident("etag")
        delivery = content_key(item.maybe_text("subscriptionId"), resource, change, etag)
        # A chat message's id is the moment it was created, in milliseconds; nothing else tells the time.
        created = moment_us(own_id) if change == "created" and len(own_id) == 13 else None
        version = int(now_s * 1_000_000) if created is None else created
        source = self.options.name
        return Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.name,
            kind=_CHANGES.get(change, "custom") if "message" in kind_of.lower() else "custom",
            time=iso_from_us(version),
            version=version,
            thread=_thread(resource, own_id),
            label=f"{kind_of or 'Microsoft Graph resource'} {change}",
            message_id=own_id,
            delivery_id=delivery,
            # Ids alone: the words are Graph's to give.
            unworded="look_up",
            payload=item.value,
        )

    def _chat(self, event: Event, data: Walk) -> Parsed:
        said = read_chat_message(data)
        if not said.kind:
            return Skipped("type")
        if said.sender.bot and "bots" not in self.options.keep:
            return Skipped("bot")
        version = event.version if said.version is None else said.version
        return replace(
            event,
            kind=said.kind
            if event.kind == "message.created" or said.kind == "message.deleted"
            else event.kind,
            time=iso_from_us(version),
            version=version,
            subject=said.subject,
            text=said.text,
            html=said.html,
            sender=said.sender,
            channel=said.channel,
            attachments=said.attachments,
            url=said.url,
            unworded="",
            label="",
        )

    def _mail(self, event: Event, data: Walk) -> Event:
        mail = read_mail(data)
        version = event.version if mail.version is None else mail.version
        return replace(
            event,
            kind="email.received" if event.kind == "message.created" else event.kind,
            time=iso_from_us(version),
            version=version,
            thread=mail.thread or event.thread,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            quoted=mail.quoted,
            sender=mail.sender,
            recipients=mail.recipients,
            url=mail.url,
            unworded="",
            label="",
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a channel message and a reply to it."""
        number = int(now_s) * 1000 + serial
        root = f"teams('SAMPLE')/channels('19:sample@thread.tacv2')/messages('{number}')"
        return [_sample_change(root), _sample_change(f"{root}/replies('{number + 1}')")]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        body = json_object(sample.body)
        secret = next((secret for secret in self.options.secrets() if secret), "")
        for item in body["value"]:
            item["clientState"] = secret
        headers = {**sample.headers, **login_headers(self.options)}
        return Sample(orjson.dumps(body), headers, sample.method)


_LIFECYCLE = frozenset({"reauthorization_required", "subscription_removed", "missed"})


def _thread(resource: str, own_id: str) -> str:
    """The chat, or the channel message that is replied to; a mail's own id, as its conversation is not told."""
    found: dict[str, str] = {}
    for name, quoted, plain in _SEGMENT.findall(resource[:2000]):
        found[name.lower()] = quoted or plain
    if "replies" in found:
        return found.get("messages") or own_id
    return (found.get("chats") or own_id) if "messages" in found else own_id


def _sample_change(resource: str) -> Sample:
    own_id = resource.rpartition("(")[2].strip("')")
    body = {
        "value": [
            {
                "subscriptionId": "00000000-0000-4000-8000-00000000000a",
                "subscriptionExpirationDateTime": "2026-12-31T00:00:00.000Z",
                "changeType": "created",
                "resource": resource,
                "tenantId": "00000000-0000-4000-8000-00000000000b",
                "resourceData": {
                    "@odata.type": "#Microsoft.Graph.chatMessage",
                    "@odata.id": resource,
                    "@odata.etag": f'W/"{own_id}"',
                    "id": own_id,
                },
            }
        ]
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
