"""One rule for every source: all that is configured must hold, and nobody signs for what is not signed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from relay.errors import NotAuthentic
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound
from relay.sources.proof.signature import read_signature
from relay.sources.providers.generic import Generic
from relay.sources.registry import build_adapter
from tests.sources.test_calls import PEM
from tests.sources.test_every_source import LOGIN, NOW_S, SECRETS, build, every_source, signed

#: A login that is no Authorization header: some senders put their own proof there.
API_KEY: dict[str, Any] = {
    "api_key_header": "X-Own-Key",
    "api_keys": lambda: ("a-key-of-32-letters-0123456789ab",),
}
KEY = {"x-own-key": "a-key-of-32-letters-0123456789ab"}
#: Sign nothing: a login is all they have.
ONLY_LOGIN = LOGIN - {"ses", "salesforce", "freshdesk", "gorgias", "servicenow", "cloudevents"}
#: Their proof lies in the body, where a head says nothing of it.
IN_BODY = frozenset({"mailgun", "aircall", "graph", "salesforce", "ses", "dialpad", "livechat"})


def both(name: str) -> Adapter:
    """The source with its own proof and a login."""
    if name in LOGIN - {"ses"}:
        return build(
            name, basic_auth=tuple, secrets=tuple if name in ONLY_LOGIN else lambda: SECRETS[:1], **API_KEY
        )
    return build(name, basic_auth=tuple, **API_KEY)


def without(request: Inbound, *names: str) -> Inbound:
    headers = {key: value for key, value in request.headers.items() if key not in names}
    return Inbound(request.body, headers, request.method, request.path_query, request.query)


def head(request: Inbound) -> Inbound:
    return request.with_body(b"")


@every_source
def test_what_holds_is_let_through_by_its_head_already(name: str) -> None:
    for adapter in (build(name), both(name)):
        request = signed(name, adapter)
        adapter.verify_head(head(request), now_s=NOW_S)
        adapter.verify(request, now_s=NOW_S)


@every_source
def test_with_a_secret_and_a_login_both_must_hold(name: str) -> None:
    adapter = both(name)
    request = signed(name, adapter)
    for refused in (
        without(request, "x-own-key"),
        Inbound(request.body, {**request.headers, "x-own-key": "no"}),
    ):
        with pytest.raises(NotAuthentic):
            adapter.verify_head(head(refused), now_s=NOW_S)
    if name in ONLY_LOGIN:
        return
    unsigned = adapter.sample(serial=1, now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(unsigned.body, {**unsigned.headers, **KEY}), now_s=NOW_S)


@every_source
def test_a_missing_proof_is_refused_before_the_body_is_read_wherever_it_would_be_in_the_head(
    name: str,
) -> None:
    adapter = build(name)
    sample = adapter.sample(serial=1, now_s=NOW_S)
    bare = Inbound(b"", sample.headers, "POST", f"/hooks/my-{name}")
    if name in IN_BODY and name not in LOGIN:
        adapter.verify_head(bare, now_s=NOW_S)
        return
    with pytest.raises(NotAuthentic):
        adapter.verify_head(bare, now_s=NOW_S)


@every_source
def test_a_secret_that_is_emptied_while_it_runs_asks_for_a_proof_as_before(name: str) -> None:
    if name in ONLY_LOGIN or name == "ses":
        return
    values = [SECRETS[0]]
    adapter = build(name, basic_auth=tuple, secrets=lambda: values, **API_KEY)
    request = signed(name, adapter)
    adapter.verify(request, now_s=NOW_S)
    values.clear()
    with pytest.raises(NotAuthentic):
        adapter.verify(request, now_s=NOW_S)
    unsigned = adapter.sample(serial=1, now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(unsigned.body, {**unsigned.headers, **KEY}), now_s=NOW_S)


@pytest.mark.parametrize("name", ["teams", "gong"])
def test_a_login_in_the_header_of_the_proof_itself_is_refused_when_it_is_built(name: str) -> None:
    keys: dict[str, Any] = (
        {"public_keys": lambda: (PEM,)} if name == "gong" else {"secrets": lambda: SECRETS[:1]}
    )
    with pytest.raises(ValueError, match="Authorization"):
        build_adapter(
            SourceOptions(
                name="it",
                adapter=name,
                public_url="https://hooks.example.com",
                basic_auth=lambda: ("relay:pass",),
                **keys,
            )
        )


# -- what is signed ------------------------------------------------------------------------------------------

#: Headers of which no signature knows, with what somebody who saw a delivery would put there.
UNSIGNED = {
    "x-github-delivery": "another",
    "x-github-event": "message.deleted",
    "x-zendesk-webhook-invocation-id": "another",
    "x-atlassian-webhook-identifier": "another",
    "x-helpscout-event": "convo.deleted",
    "x-acme-delivery": "another",
    "i-twilio-idempotency-token": "another",
}


def keys_of(adapter: Adapter, request: Inbound) -> list[set[str]]:
    """The dedupe keys of each event of a request, as the door puts them together."""
    once = adapter.nonces(request)
    return [
        {event.id, *event.also_seen, *(f"{key}#{number}" for key in once)}
        for number, event in enumerate(adapter.parse(request, now_s=NOW_S))
        if isinstance(event, Event)
    ]


def check_unsigned(adapter: Adapter, request: Inbound) -> None:
    adapter.verify(request, now_s=NOW_S)
    before = keys_of(adapter, request)
    assert before
    forged = Inbound(request.body, {**request.headers, **UNSIGNED}, "POST", request.path_query, request.query)
    adapter.verify(forged, now_s=NOW_S)
    for known, again in zip(before, keys_of(adapter, forged), strict=True):
        assert known & again
    for event in adapter.parse(forged, now_s=NOW_S):
        assert isinstance(event, Event)
        assert event.kind != "message.deleted"


@every_source
def test_no_unsigned_header_makes_a_second_event_or_a_deletion(name: str) -> None:
    adapter = build(name)
    for sample in adapter.sample_thread(serial=1, now_s=NOW_S):
        check_unsigned(adapter, signed(name, adapter, sample))


def test_an_id_header_counts_only_where_it_is_signed() -> None:
    described = {"header": "X-Sig", "id_header": "X-Acme-Delivery"}
    for signed_as in ("{body}", "{id}.{body}"):
        options = SourceOptions(
            name="my-generic",
            adapter="generic",
            secrets=lambda: SECRETS[:1],
            signature={**described, "signed": signed_as},
        )
        adapter = Generic(options)
        sample = adapter.sign(adapter.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="")
        request = Inbound(sample.body, {key.lower(): value for key, value in sample.headers.items()})
        if signed_as == "{body}":
            check_unsigned(adapter, request)
        else:
            with pytest.raises(NotAuthentic):
                check_unsigned(adapter, request)


def test_cloudevents_in_headers_are_good_for_what_their_body_is_signed_for() -> None:
    adapter = build_adapter(
        SourceOptions(
            name="it", adapter="cloudevents", secrets=lambda: SECRETS[:1], signature={"header": "X-Sig"}
        )
    )
    body = orjson.dumps({"text": "hello"})
    proof = adapter.sign(type(adapter.sample(serial=1, now_s=NOW_S))(body, {}), now_s=NOW_S, url="").headers
    found = []
    for own_id, kind in (("1", "ticket.created"), ("2", "message.deleted")):
        headers = {key.lower(): value for key, value in proof.items()} | {
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": own_id,
            "ce-source": "/x",
            "ce-type": kind,
        }
        request = Inbound(body, headers)
        adapter.verify(request, now_s=NOW_S)
        (event,) = adapter.parse(request, now_s=NOW_S)
        assert isinstance(event, Event)
        assert event.kind == "custom"
        found.append({event.id, *adapter.nonces(request)})
    assert found[0] & found[1]


def test_the_order_of_twilios_parameters_makes_no_other_request() -> None:
    adapter = build("twilio")
    request = signed("twilio", adapter)
    turned = b"&".join(reversed(request.body.split(b"&")))
    other = Inbound(turned, request.headers, "POST", request.path_query, request.query)
    adapter.verify(other, now_s=NOW_S)
    assert adapter.nonces(other) == adapter.nonces(request) != ()


@every_source
def test_a_proof_without_a_time_is_remembered_by_what_it_signs(name: str) -> None:
    adapter = build(name)
    request = signed(name, adapter)
    if adapter.timeless(request):
        assert adapter.nonces(request)


def test_a_timestamp_that_is_not_signed_is_refused() -> None:
    with pytest.raises(ValueError, match="timestamp"):
        read_signature({"header": "X-Sig", "timestamp_header": "X-Time", "signed": "{body}"})
    with pytest.raises(ValueError, match="timestamp"):
        read_signature({"header": "X-Sig", "style": "stripe", "signed": "{body}"})
    assert read_signature({"header": "X-Sig", "timestamp_header": "X-Time"}).signs_time
