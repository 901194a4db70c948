"""HubSpot conversations and tickets: thin notices in batches. Their text needs a look-up by the workers (`enrich`).

Source: HubSpot, "Validating requests", "Webhooks API", "Conversations webhooks"; signature v1 and v2 are plain
hashes that only old apps need, so they count only where `versions` names them.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event, Person, Ticket, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    hmac_bytes,
    iso_from_us,
    require_recent,
    same,
)
from relay.sources.foreign_json import Walk, parse_json
from relay.sources.proof.credentials import has_secret, login_headers, matches_base64, require_secret
from relay.sources.proof.public_url import require_public_url, signed_urls
from relay.sources.proof.rule import ProofRule
from relay.sources.read.either import read_either
from relay.sources.read.hubspot_ticket import RANK as TICKET_RANK
from relay.sources.read.hubspot_ticket import is_ticket, read_ticket
from relay.sources.read.moment import moment_us

#: HubSpot signs the URL with these decoded (and no others).
_DECODED = {
    **{"%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'"},
    **{"%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";"},
}
#: Of events in the same millisecond the later in this order counts as newer.
_RANK = {"creation": 0, "newMessage": 1, "propertyChange": 2, "deletion": 3, "privacyDeletion": 4}
_VERSIONS = ("v1", "v2", "v3")
_PROPERTIES = {"status": "status", "assignedTo": "assignee"}


class HubSpot(BaseAdapter):
    name: ClassVar[str] = "hubspot"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the app's client secret")
        self._rule = ProofRule(options)
        self._versions = options.versions or ("v3",)
        unknown = [version for version in self._versions if version not in _VERSIONS]
        if unknown:
            raise ValueError(f"source {options.name!r}: versions: {unknown[0]!r} is none of v1, v2, v3")
        if has_secret(options) and set(self._versions) & {"v2", "v3"}:
            require_public_url(options)
        self._keep_private = "private" in options.keep
        self._keep_bots = "bots" in options.keep

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        headers = head.headers
        newest, older = headers.get("x-hubspot-signature-v3", ""), headers.get("x-hubspot-signature", "")
        if self._rule.check_head(head, newest or older) and self._version(head) == "v3":
            sent_at_ms = headers.get("x-hubspot-request-timestamp", "")
            if not sent_at_ms:
                raise NotAuthentic("missing")
            require_recent(sent_at_ms[:-3] or "-", now_s=now_s)
            if not sent_at_ms.isascii() or not sent_at_ms.isdigit():
                raise NotAuthentic("timestamp")

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        version = self._version(inbound)
        if version == "v3":
            self._verify_v3(inbound, inbound.headers["x-hubspot-signature-v3"])
        else:
            self._verify_hash(inbound, inbound.headers["x-hubspot-signature"], version)

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body) if self.timeless(inbound) else ()

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret and self._version(inbound) != "v3"

    def _version(self, head: Inbound) -> str:
        """The scheme that this request is signed with. Raises NotAuthentic for one that is not configured."""
        headers = head.headers
        if headers.get("x-hubspot-signature-v3") and "v3" in self._versions:
            return "v3"
        claimed = headers.get("x-hubspot-signature-version", "v1")
        if headers.get("x-hubspot-signature") and claimed in self._versions and claimed in ("v1", "v2"):
            return claimed
        raise NotAuthentic("version")

    def _verify_v3(self, inbound: Inbound, given: str) -> None:
        sent_at_ms = inbound.headers["x-hubspot-request-timestamp"]
        secrets = self.options.secrets()
        tail = inbound.body + sent_at_ms.encode()
        found = False
        for url in signed_urls(self.options, inbound):
            # Its document decodes some characters of the URL; its own libraries sign it as it stands.
            for variant in {url, _decoded(url)}:
                found |= matches_base64(given, secrets, _head(inbound, variant) + tail)
        if not found:
            raise NotAuthentic("signature")

    def _verify_hash(self, inbound: Inbound, given: str, version: str) -> None:
        heads = [b""]
        if version == "v2":
            heads = [_head(inbound, url) for url in signed_urls(self.options, inbound)]
        found = False
        for secret in self.options.secrets():
            for head in heads:
                wanted = hashlib.sha256(secret.encode() + head + inbound.body).hexdigest()
                found |= bool(secret) and same(given.lower(), wanted)
        if not found:
            raise NotAuthentic("signature")

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        # HubSpot gives up on a 4xx, and one bad item must not cost the others of its batch: park, don't refuse.
        try:
            batch = parse_json(inbound.body)
        except PayloadInvalid as error:
            return [Parked(str(error), content_key(inbound.body))]
        if not isinstance(batch, list):
            return [Parked("wanted a JSON array", content_key(inbound.body))]
        found: list[Parsed] = []
        for n, item in enumerate(batch):
            try:
                walk = Walk(item, f"[{n}]")
                found.append(self._ticket(walk) if is_ticket(walk) else self._event(walk))
            except PayloadInvalid as error:
                key = content_key(orjson.dumps(item, option=orjson.OPT_SORT_KEYS))
                # The same notice twice has the same cause, wherever in a batch it stands.
                found.append(Parked(f"{error.path.partition('.')[2] or 'item'}: {error.message}", key))
        return found

    def _event(self, item: Walk) -> Parsed:
        family, _, change = item.text("subscriptionType").partition(".")
        if family != "conversation" or change not in _RANK:
            return Skipped("type")
        thread = item.ident("objectId")
        time_us = _occurred_us(item)
        message_id, message_type = item.maybe_ident("messageId"), item.maybe_text("messageType")
        bot = message_type == "WELCOME_MESSAGE"
        if message_type == "COMMENT" and not self._keep_private:
            return Skipped("private")
        if bot and not self._keep_bots:
            return Skipped("bot")
        kind, status, assignee = _what(item, change)
        if change == "newMessage" and not message_id:
            raise PayloadInvalid("wanted an id", f"{item.path}.messageId")
        if kind == "message.deleted":
            message_id = message_id or thread  # the whole thread
        source = self.options.name
        key = ":".join(
            item.maybe_ident(name)
            for name in ("eventId", "subscriptionId", "objectId", "occurredAt", "messageId")
        )
        # One message is announced once per app and subscription.
        seen = (event_id(source, f"message:{thread}:{message_id}"),) if change == "newMessage" else ()
        portal = item.maybe_ident("portalId")
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind=kind,
            time=iso_from_us(time_us),
            version=time_us + _RANK[change],
            thread=thread,
            sender=Person(bot=bot),
            ticket=Ticket(id=thread, status=status, assignee=assignee),
            message_id=message_id or key,
            url=f"https://app.hubspot.com/live-messages/{portal}/inbox/{thread}" if portal.isdigit() else "",
            delivery_id=item.maybe_ident("eventId"),
            unworded="look_up" if change in ("newMessage", "creation") else "",
            also_seen=seen,
            payload=item.value,
        )

    def _ticket(self, item: Walk) -> Parsed:
        told = read_ticket(item)
        if told.skipped:
            return Skipped(told.skipped)
        time_us = _occurred_us(item)
        source = self.options.name
        names = ("eventId", "subscriptionId", "objectId", "occurredAt", "propertyName", "propertyValue")
        key = ":".join(item.maybe_ident(name) for name in names)
        portal, number = item.maybe_ident("portalId"), told.thread.partition("-")[2]
        spoken = told.kind in ("ticket.created", "message.updated", "message.deleted")
        text, html = read_either(told.text) if told.text else ("", "")
        return Event(
            id=event_id(source, key),
            source=source,
            adapter=self.name,
            kind=told.kind,
            time=iso_from_us(time_us),
            version=time_us + TICKET_RANK[told.change],
            thread=told.thread,
            subject=told.subject,
            text=text,
            html=html,
            ticket=Ticket(id=number, status=told.status, priority=told.priority, assignee=told.assignee),
            # The description is the ticket's opening, and goes with it.
            message_id=told.thread if spoken else key,
            url=f"https://app.hubspot.com/contacts/{portal}/record/0-5/{number}" if portal.isdigit() else "",
            delivery_id=item.maybe_ident("eventId"),
            unworded="look_up" if told.thin else "",
            payload=item.value,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return two messages of one thread."""
        return [_sample_batch(serial, n, int(now_s * 1000) + n * 60_000) for n in range(2)]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        sent_at_ms = str(int(now_s * 1000))
        public = self.options.public_url or url
        if "v3" in self._versions:
            signed = f"{sample.method}{_decoded(public)}".encode() + sample.body + sent_at_ms.encode()
            proof = {
                "x-hubspot-request-timestamp": sent_at_ms,
                "x-hubspot-signature-v3": b64encode(hmac_bytes(secret, signed)).decode(),
            }
        else:
            version = "v2" if "v2" in self._versions else "v1"
            head = f"{sample.method}{public}" if version == "v2" else ""
            digest = hashlib.sha256(secret.encode() + head.encode() + sample.body).hexdigest()
            proof = {"x-hubspot-signature": digest, "x-hubspot-signature-version": version}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _occurred_us(item: Walk) -> int:
    time_us = moment_us(item.value.get("occurredAt"))
    if time_us is None:
        raise PayloadInvalid("wanted milliseconds", f"{item.path}.occurredAt")
    return time_us


def _head(inbound: Inbound, url: str) -> bytes:
    return f"{inbound.method}{url}".encode("utf-8", "surrogatepass")


def _decoded(url: str) -> str:
    if "%" not in url:
        return url
    for escaped, plain in _DECODED.items():
        url = url.replace(escaped, plain).replace(escaped.lower(), plain)
    return url


def _what(item: Walk, change: str) -> tuple[str, str, str]:
    """Kind, status and assignee."""
    if change == "newMessage":
        return "message.created", "", ""
    if change == "creation":
        return "ticket.created", "", ""
    if change in ("deletion", "privacyDeletion"):
        return "message.deleted", "", ""
    field = _PROPERTIES.get(item.maybe_text("propertyName"), "")
    value = item.maybe_ident("propertyValue")
    if field == "status":
        return ("ticket.solved" if value.upper() == "CLOSED" else "ticket.updated"), value, ""
    return "ticket.updated", "", value if field == "assignee" else ""


def _sample_batch(serial: int, n: int, occurred_at_ms: int) -> Sample:
    batch: list[dict[str, Any]] = [
        {
            "eventId": 1_000_000 + serial * 10 + n,
            "subscriptionId": 2_000_001,
            "portalId": 4_000_001,
            "appId": 3_000_001,
            "occurredAt": occurred_at_ms,
            "subscriptionType": "conversation.newMessage",
            "attemptNumber": 0,
            "objectId": 6_000_000_000 + serial,
            "messageId": f"sample{serial:024d}{n:02d}",
            "messageType": "MESSAGE",
            "changeFlag": "NEW_MESSAGE",
        }
    ]
    return Sample(orjson.dumps(batch), {"content-type": "application/json"})
