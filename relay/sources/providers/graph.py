"""Microsoft Graph change notifications: ids only, proved by the `clientState` that the subscriber chose.

Source: Microsoft Graph, "Receive change notifications through webhooks", "Lifecycle notifications".
"""

from __future__ import annotations

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
    Walk,
    any_same,
    content_key,
    iso_from_us,
    json_object,
)
from relay.sources.proof.credentials import login_headers, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.read.json_scan import items, members, small_value
from relay.sources.read.moment import moment_us

_CHANGES = {"created": "message.created", "updated": "message.updated", "deleted": "message.deleted"}
_MAX_TOKEN_CHARS = 4096


class Graph(BaseAdapter):
    name: ClassVar[str] = "graph"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json", "text/plain"})
    handshake_before_verify: ClassVar[bool] = True
    credentials = Credentials(paths=("value.*.clientState", "validationTokens.*"))

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the subscription's clientState")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Every notification of the batch carries the clientState: the proof lies in the body."""
        if not self._rule.secret:
            return
        body, secrets = inbound.body, [secret for secret in self.options.secrets() if secret]
        count = 0
        try:
            span = members(body, ("value",)).get("value")
            for item in items(body, span) if span else ():
                state = small_value(body, members(body, ("clientState",), item).get("clientState"))
                if not isinstance(state, str) or not any_same(state, secrets):
                    raise NotAuthentic("token")
                count += 1
        except PayloadInvalid:
            raise NotAuthentic("token") from None
        if not count:
            raise NotAuthentic("missing")

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """A new subscription is validated by echoing the decoded token as plain text."""
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
            return self._event(Walk(item, "value[]"), now_s)
        except PayloadInvalid as error:
            return Parked(str(error), content_key(orjson.dumps(item)))

    def _event(self, item: Walk, now_s: float) -> Parsed:
        if item.maybe_text("lifecycleEvent"):
            return Skipped("lifecycle")
        resource = item.text("resource")
        change = item.text("changeType")
        data = item.maybe("resourceData")
        own_id = data.maybe_ident("id") or resource.rstrip("/").rpartition("/")[2] or resource
        kind_of = data.maybe_text("@odata.type").rpartition(".")[2]
        delivery = content_key(
            item.maybe_text("subscriptionId"), resource, change, data.maybe_text("@odata.etag")
        )
        # A chat message's id is the moment it was created, in milliseconds; nothing else tells the time.
        created = moment_us(own_id) if change == "created" and len(own_id) == 13 else None
        version = int(now_s * 1_000_000) if created is None else created
        source = self.options.name
        shown = {key: value for key, value in item.value.items() if key != "clientState"}
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
            payload=shown,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """A channel message and a reply to it."""
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


def _thread(resource: str, own_id: str) -> str:
    """The chat, or the channel message that is replied to; a mail's own id, as its conversation is not told."""
    if "/replies(" in resource:
        return resource.partition("/replies(")[0].rpartition("messages(")[2].strip("')") or own_id
    if resource.startswith("chats(") and "/messages" in resource:
        return resource.partition("/messages")[0].removeprefix("chats(").strip("')") or own_id
    return own_id


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
